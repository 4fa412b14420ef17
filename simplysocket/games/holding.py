"""Holding: for how long the seats of those who have left without their wish are kept for them.

Laws:
- A seat that is held is freed in time.
- An empty room in which a seat is held stays open for that long.
"""

from typing import TYPE_CHECKING, Any, Final

import trio

from ..reasons import Reason, ReasonKind
from ..timer import Timer
from .seat import Seat

if TYPE_CHECKING:
    from .game import Game

# Its connection ended without its wish, so whoever left may come back, as another client of the same person. That a
# member was away before means that its time to come back is over, or that the game has given its place away.
_LOST: Final = frozenset({ReasonKind.LOST, ReasonKind.SILENT, ReasonKind.SLOW, ReasonKind.EXPIRED, ReasonKind.INTERNAL})
# Another connection of the same person has come, and has made this one end.
_REPLACED: Final = frozenset({ReasonKind.TOO_MANY, ReasonKind.TAKEN_OVER})
_PAGE_LEFT: Final = 1001  # the code of the Close when a page is left or loaded anew (RFC 6455, 7.4.1)


class Holding:
    """The seats of one game that are held."""

    def __init__(self, game: "Game") -> None:
        self._game = game
        self._timers: dict[Seat, Timer] = {}  # {a seat that is held: the timer that frees it}
        self._empty_ttl: float | None = None  # the room's own, while a hold prolongs it

    def seconds_for(self, seat: Seat, reason: Reason) -> float:
        """Return for how long the seat of a client that has left is held; 0 if it becomes free."""
        is_lost = reason.kind in _LOST or (reason.kind is ReasonKind.CLOSED and reason.code == _PAGE_LEFT)
        if not (reason.kind in _REPLACED or (is_lost and not seat.is_away)):
            return 0.0
        return self.usual_seconds(seat) - (trio.current_time() - seat._away_since if seat.is_away else 0.0)

    def usual_seconds(self, seat: Seat) -> float:
        """Return for how long a seat is held; 0 if nobody could show to be the same."""
        if seat.user is None and not seat._key:
            return 0.0
        room = self._game.room
        return room.server.limits.resume_seconds if room.hold_seconds is None else room.hold_seconds

    def hold(self, seat: Seat, seconds: float) -> None:
        """Keep a seat for its person, whose client is no member any more."""
        game = self._game
        game.table.go_away(seat)
        game.seats.hold(seat, trio.current_time())
        self._start(seat, seconds)

    def moved(self, seat: Seat, to: Seat) -> None:
        """Hold another seat for the person, for as long as it still is."""
        if seat in self._timers:
            left = self._timers.pop(seat)
            self._start(to, left.seconds_left or 0.0)
            left.cancel()

    def _start(self, seat: Seat, seconds: float) -> None:
        if self._game.room.is_open:
            self._timers[seat] = self._game.room.after(seconds, self._free, seat)

    def end(self, seat: Seat) -> None:
        """Hold a seat no longer, if it is held."""
        timer = self._timers.pop(seat, None)
        if timer is not None:
            timer.cancel()

    def keep_room_open(self) -> None:
        """Let a room that its last member has left stay open for as long as a seat is held."""
        room: Any = self._game.room  # Any: `empty_ttl` is an option of the class for mypy
        if self._empty_ttl is not None:
            room.empty_ttl, self._empty_ttl = self._empty_ttl, None
        held = max((timer.seconds_left or 0.0 for timer in self._timers.values()), default=0.0)
        if held and not room.members and room.empty_ttl is not None:
            self._empty_ttl = room.empty_ttl
            room.empty_ttl = max(room.empty_ttl, held)

    async def _free(self, seat: Seat) -> None:
        """Free a seat whose time is over; called in the room's turn."""
        if seat in self._timers:
            self._game.table.stand(seat, Reason("disconnected", ReasonKind.LOST))
            await self._game.settle()
