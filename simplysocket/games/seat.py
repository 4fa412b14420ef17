"""A seat: one place at a game, and who has it.

Law: words only. Nobody sits down, stands up or moves here: seats.py does that.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..client import Client
    from .bot import Bot


class Seat:
    """A seat of a `GameRoom`. There are the same seats for the room's life, so that they can be keys: `score[seat]`.

    A seat is free, or somebody sits there, or it is held: its player has left with a lost connection,
    and whoever shows to be the same may take it again. `GameRoom.hold_seconds` says for how long.
    """

    __slots__ = (
        "_agrees",
        "_away_since",
        "_index",
        "_is_away",
        "_is_held",
        "_is_ready",
        "_key",
        "_occupant",
        "_role",
        "_since",
    )

    def __init__(self, index: int, role: str | None) -> None:
        """Seats are made by the room."""
        self._index = index
        self._role = role
        self._since = 0  # the number of the sitting down: who has the lowest has sat there for longest
        self._away_since = 0.0  # the time at which its player went away
        self._vacate()

    def _vacate(self) -> None:
        """Forget who has the seat."""
        self._occupant: Client[Any] | Bot | None = None  # who sits there, or did when the seat is held
        self._key = ""  # with which its player may take the seat again; "" if it got none
        self._is_held = self._is_away = self._is_ready = self._agrees = False

    def __repr__(self) -> str:
        role = "" if self._role is None else f" {self._role!r}"
        state = "free" if self.is_free else f"{'held for ' if self._is_held else ''}{self.name!r}"
        return f"<Seat {self._index}{role}, {state}>"

    @property
    def index(self) -> int:
        """The number of the seat, from 0."""
        return self._index

    @property
    def role(self) -> str | None:
        """The role of who sits there; None in a game without roles. It changes with `GameRoom.rotates`."""
        return self._role

    @property
    def player(self) -> "Client[Any] | Bot | None":
        """Who sits there: a client or a bot; None if the seat is free or held."""
        return None if self._is_held else self._occupant

    @property
    def id(self) -> str | None:
        """The id of who sits there, or for whom it is held; None if the seat is free."""
        return None if self._occupant is None else self._occupant.id

    @property
    def name(self) -> str | None:
        """The name of who sits there, or for whom it is held; None if the seat is free."""
        return None if self._occupant is None else self._occupant.name

    @property
    def user(self) -> str | None:
        """The user who sits there, or for whom it is held; None for a bot, a guest, or a free seat."""
        return getattr(self._occupant, "user", None)

    @property
    def is_free(self) -> bool:
        """Whether nobody sits there, and it is held for nobody."""
        return self._occupant is None

    @property
    def is_held(self) -> bool:
        """Whether its player has left with a lost connection, and may take it again."""
        return self._is_held

    @property
    def is_away(self) -> bool:
        """Whether its player has lost the connection, and may come back. True also while the seat is held."""
        return self._is_away

    @property
    def is_bot(self) -> bool:
        """Whether a bot sits there."""
        return getattr(self._occupant, "is_bot", False)

    @property
    def is_ready(self) -> bool:
        """Whether its player is ready for the next game. A bot always is."""
        return self.is_bot or self._is_ready

    @property
    def agrees(self) -> bool:
        """Whether its player wants to play again. A bot always does."""
        return self.is_bot or self._agrees
