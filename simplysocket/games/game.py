"""The game behind a `GameRoom`: the parts that it is composed of.

Law: it belongs to one room, and everything in it happens in that room's turn.
"""

import contextlib
from typing import TYPE_CHECKING, Any

from ..errors import RoomClosed
from ._lobby.places import is_being_made, seats_changed
from .hook_calls import HookCalls
from .phase import Phase
from .play import Play
from .seat import Seat
from .seats import Seats
from .table import Table
from .telling import Telling
from .turns import Turns

if TYPE_CHECKING:
    from ..client import Client
    from .game_room import GameRoom


class Game:
    """One game. `room` is the object that its author sees."""

    def __init__(self, room: "GameRoom[Any]") -> None:
        self.room = room
        self.phase: Phase = Phase.WAITING
        self.seats: Seats = Seats(room.seats, room.roles)
        self.watchers: dict[str, Client[Any]] = {}  # {client id: client}: the members without a seat
        self.hooks: HookCalls = HookCalls(room)
        self.telling: Telling = Telling(self)
        self.turns: Turns = Turns(self)
        self.table: Table = Table(self)
        self.play: Play = Play(self)
        self._free_seats = -1  # of which the lobby was told
        self._owner: Seat | None = None  # of whom `on_owner` was told
        self._must_adopt = bool(room.members)  # it was made anew, or this is the first join
        if self._must_adopt:
            room.after(0, self.settle)

    async def settle(self) -> None:
        """Call the hooks that are to be called, then tell the members, and the lobby, what has changed."""
        if await self._run_hooks():
            await self.telling.tell_seats()

    async def settle_soon(self) -> None:
        """Call the hooks, and tell the members in a later turn: the code that has changed this may change more."""
        if await self._run_hooks():
            self.telling.tell_seats_soon()

    async def _run_hooks(self) -> bool:
        """Call the hooks; return False if one of them runs, after which the others are called."""
        if self._must_adopt and not is_being_made(self.room):  # what `on_create` does comes first
            self._must_adopt = False
            self.hooks.then(self.table.adopt)
        self._tell_lobby()  # before, too: a hook may take long
        try:
            has_run = await self.hooks.run()
        except BaseException:
            self.settle_later()  # one was cancelled: those that are left are called, and the members told, all the same
            raise
        self._tell_lobby()
        return has_run

    def settle_later(self) -> None:
        """Settle in a turn of its own: the code that has this one is being cancelled."""
        if self.room.is_open:
            with contextlib.suppress(RoomClosed):  # a crash ends it
                self.room.after(0, self.settle)

    def _tell_lobby(self) -> None:
        """Tell the lobby, if there is one, that another number of seats may be taken."""
        free = self.table.free_seats
        if free != self._free_seats and self.room.is_open:
            self._free_seats = free
            seats_changed(self.room)

    def note_owner(self, *, has_moved: bool = False) -> None:
        """Add `on_owner` if another person owns the game now; with `has_moved` it is the same on another seat."""
        owner = self.seats.owner
        if owner is not self._owner:
            self._owner = owner
            if owner is not None and not has_moved:
                self.hooks.add(self.room.on_owner, owner)
