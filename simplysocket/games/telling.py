"""What the members of a game are told: who sits where, whose turn it is, when a game begins and ends.

Laws:
- Nothing is told with `tells = False`.
- What changes in one turn of the room is told in one `seats`, and never when nothing has changed.
- `seats` comes before all else that is told: what it says about a game is true when the rest of a message is read.
"""

import contextlib
from typing import TYPE_CHECKING, Any

from ..client import Client
from ..errors import ActionError
from .seat import Seat

if TYPE_CHECKING:
    from .game import Game


class Telling:
    """The messages of one game."""

    def __init__(self, game: "Game") -> None:
        self._game = game
        self._last: dict[str, Any] | None = None  # the body of the newest `seats`
        self._is_due = False  # True: `seats` will be told in a later turn

    def seats_body(self) -> dict[str, Any]:
        """Return the body of `seats` as it is now."""
        game = self._game
        owner = game.seats.owner
        return {
            "seats": [_of(seat) for seat in game.seats.all],
            "owner": None if owner is None else owner.index,
            "watching": len(game.watchers),
            "phase": game.phase,
        }

    async def tell_seats(self) -> None:
        """Tell all members who sits where, if that has changed since they were told."""
        if not self._game.room.tells or not self._game.room.is_open:
            return
        body = self.seats_body()
        if body != self._last:
            self._last = body
            await self._game.room.broadcast("seats", body)

    def tell_seats_soon(self) -> None:
        """Do the same in the next turn of the room, so that all that this turn still changes is told together."""
        if self._game.room.is_open and not self._is_due:
            self._is_due = True
            self._game.room.after(0, self._tell_due)

    async def _tell_due(self) -> None:
        self._is_due = False
        await self.tell_seats()

    async def tell(self, action: str, **body: object) -> None:
        """Tell all members something; EncodeError for a body that JSON cannot hold."""
        if self._game.room.tells and self._game.room.is_open:
            await self.tell_seats()
            await self._game.room.broadcast(action, body)

    async def tell_one(self, client: Client[Any], action: str, **body: object) -> None:
        """Tell one member something."""
        if self._game.room.tells and self._game.room.is_open:
            with contextlib.suppress(ActionError):  # it is no member any more
                await self._game.room.send(client, action, body)

    async def greet(self, client: Client[Any]) -> None:
        """Tell one that has come, or is back, who sits where and whose turn it is."""
        before = self._last
        await self.tell_seats()
        if self._last is before and before is not None:
            await self.tell_one(client, "seats", **before)
        turns = self._game.turns
        if turns.current is not None:
            await self.tell_one(client, "turn", **turns.body())


def _of(seat: Seat) -> dict[str, Any]:
    return {
        "seat": seat.index,
        "role": seat.role,
        "client": seat.id,
        "name": seat.name,
        "bot": seat.is_bot,
        "away": seat.is_away,
        "ready": seat.is_ready,
    }
