"""Bots: players without a connection.

Law: a bot acts only when the room calls it, in the room's turn. It moves by calling methods of the game.
"""

import secrets
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .seat import Seat


class Bot:
    """A player without a connection. Write a subclass with `on_turn`, and seat it with `GameRoom.seat_bot`.

    It sits like a player: it stands in the list of seats, is ready at once, and agrees to play again
    at once. It never owns a game. An object of this class has one seat in one room.

    >>> class Random(Bot):
    ...     async def on_turn(self, game: TicTacToe, seat: Seat) -> None:
    ...         game.after(1.5, game.place, seat, random.choice(game.free_cells))

    The time at which it moves is the room's: `after` takes the room's turn. By then its own turn may be
    over, so `place` has to look whether it still is, as it does for a client; a bot that yields may have lost its seat.
    """

    is_bot: Final = True
    id: str
    """Chosen at random; in the room it stands where the id of a client does."""
    name: str
    """What the others see; yours to change."""
    yields: bool
    """Whether it gives its seat to a person."""

    def __init__(self, name: str = "Bot", *, yields: bool = False) -> None:
        """`name` is what the others see. With `yields` it gives its seat to a person that finds no free one."""
        if not isinstance(name, str) or not name:
            raise TypeError(f"Bot({name!r:.200}): give the name that the others see")
        self.name = name
        self.yields = yields
        self.id = f"bot-{secrets.token_hex(8)}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.name!r}>"

    # Any: a bot that is written for one game names its class here.
    async def on_start(self, game: "Any", seat: "Seat") -> None:
        """Called in the room's turn after a game has begun, after `GameRoom.on_start`."""

    async def on_turn(self, game: "Any", seat: "Seat") -> None:
        """Called in the room's turn when the bot's turn has begun, after `GameRoom.on_turn`.

        Move later, with `game.after(seconds, ...)`. An exception is logged and given to `on_error`,
        and changes nothing: without a clock the game then waits for the bot.
        """
