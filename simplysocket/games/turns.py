"""The turns of a game at work: their clock, which stands still while a player is away, and what they are told.

Laws:
- A turn that has ended never times out: its clock is stopped, and a call of it that waits knows its number.
- The clock is a timer of the room, so that the end of the time and a move come one after the other.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import ActionError
from ..timer import Timer
from .bot import Bot
from .phase import Phase
from .seat import Seat
from .turn_order import TurnOrder

if TYPE_CHECKING:
    from .game import Game


class Turns:
    """The turns of one game."""

    def __init__(self, game: "Game") -> None:
        self._game = game
        self._order = TurnOrder()
        self._timer: Timer | None = None
        self._left: float | None = None  # seconds, while the clock stands still

    # --- to look at

    @property
    def order(self) -> list[Seat]:
        """The order of the turns."""
        return self._order.order

    @property
    def current(self) -> Seat | None:
        """The seat that has the turn."""
        return self._order.current

    @property
    def number(self) -> int:
        """How many turns have begun."""
        return self._order.number

    @property
    def seconds_left(self) -> float | None:
        """Seconds of the turn that are left; None without a turn or without a clock."""
        if self._left is not None:
            return self._left
        return None if self._timer is None else self._timer.seconds_left

    def body(self) -> dict[str, Any]:
        """Return the body of `turn` as it is now."""
        seat, left = self._order.current, self.seconds_left
        return {
            "seat": None if seat is None else seat.index,
            "seconds": None if left is None else round(left, 3),
            "paused": self._left is not None,
        }

    # --- from one turn to the next

    def begin(self, order: Iterable[Seat]) -> None:
        """Begin a game: nobody has the turn."""
        self.end()
        self._order.begin(order)

    def set_order(self, order: Iterable[Seat]) -> None:
        """Change the order; it holds from the next turn on."""
        self._order.set_order(order)

    async def next(self, seat: Seat | None) -> None:
        """Give the turn to a seat, or to the next one; tell the members, and add the hooks that are to be called."""
        game = self._game
        if game.phase is not Phase.PLAYING:
            raise ActionError("forbidden", "no game is played, so nobody has the turn")
        found = self._order.next(seat)
        self._stop_clock()
        if found is None:
            return
        seconds = game.room.turn_seconds
        if seconds is not None:
            if found.is_away and game.room.pauses_while_away:
                self._left = seconds
            else:
                self._start_clock(seconds)
        await game.telling.tell("turn", **self.body())
        game.hooks.then(self._call_on_turn, found, self.number)

    def end(self) -> None:
        """End the turn, and stop its clock."""
        self._order.end()
        self._stop_clock()

    async def _call_on_turn(self, seat: Seat, number: int) -> None:
        """Call the hooks of a turn, unless it is over by now."""
        if number != self.number or self.current is not seat:
            return
        self._game.hooks.add_next(self._game.room.on_turn, seat)
        self._game.hooks.then(self._call_bot, seat, number)

    async def _call_bot(self, seat: Seat, number: int) -> None:
        """Let the bot move that has the turn, if it still has it after `on_turn`."""
        if number == self.number and self.current is seat and isinstance(seat.player, Bot):
            self._game.hooks.add_next(seat.player.on_turn, self._game.room, seat)

    # --- the clock

    async def paused(self, seat: Seat) -> None:
        """Let the clock stand still, if the player that has the turn is away and the game says so."""
        if seat is self.current and self._timer is not None and self._game.room.pauses_while_away:
            left = self._timer.seconds_left
            self._stop_clock()
            self._left = left or 0.0
            await self._game.telling.tell("turn", **self.body())

    async def resumed(self, seat: Seat) -> None:
        """Let the clock go on with what was left."""
        if seat is self.current and self._left is not None:
            left, self._left = self._left, None
            self._start_clock(left)
            await self._game.telling.tell("turn", **self.body())

    def _start_clock(self, seconds: float) -> None:
        if self._game.room.is_open:
            self._timer = self._game.room.after(seconds, self._time_out, self.number)

    def _stop_clock(self) -> None:
        self._left = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _time_out(self, number: int) -> None:
        """End the time of a turn; called in the room's turn."""
        self._game.hooks.then(self._call_on_time_out, number)
        await self._game.settle()

    async def _call_on_time_out(self, number: int) -> None:
        """Call the hook, unless the turn is over by now."""
        if number == self.number and self.current is not None and self._timer is not None:
            self._game.hooks.add_next(self._game.room.on_time_out, self.current)
