"""Patterns: the rooms that clients may look for and make, by the pattern that their class is registered with.

Law: a name that is made for a pattern matches it, and belongs to its class.
"""

import secrets
from typing import TYPE_CHECKING, Any, Final

from ..._rooms.room_classes import RoomClasses
from ...errors import ActionError
from ...room import Room
from .openings import Openings

if TYPE_CHECKING:
    from .listings import Table
    from .records import Record

_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # without those that look alike
_LETTERS: Final = frozenset(_ALPHABET)
_PUBLIC_LENGTH: Final = 6  # characters, 30 bits: names that are taken are tried again
_PRIVATE_LENGTH: Final = 20  # 99 bits: nobody guesses the name of a private room
_TRIES: Final = 20


class RoomPattern:
    """A pattern with one star, and the rooms of it that have a free place."""

    def __init__(self, pattern: str, room_class: type[Room[Any]], table: "Table | None") -> None:
        self.pattern = pattern
        self.room_class = room_class
        self.table = table  # of the listings of its rooms; None: they have none
        self.openings = Openings()
        # {number: room} of those that are being made while nobody knows how many members they will take.
        self.unready: dict[int, Record] = {}
        # How many members a new room will take; None: nobody knows, since its `on_create` may say so.
        self.usual_places: float | None = room_class.capacity

    def note_places(self, places: float) -> None:
        """Note how many members a room takes after its `on_create`: the next one probably takes as many."""
        if self.room_class.capacity is None:
            self.usual_places = places

    def is_private(self, name: str) -> bool:
        """Tell whether a name of this pattern is one that private rooms are given."""
        before, after = self.pattern.split("*")
        chosen = name[len(before) : len(name) - len(after)]
        return len(chosen) == _PRIVATE_LENGTH and set(chosen) <= _LETTERS

    def new_name(self, classes: RoomClasses, taken: "dict[str, Any]", *, is_private: bool) -> str:
        """Return a name that no room has; `too-many` if there is none."""
        length = _PRIVATE_LENGTH if is_private else _PUBLIC_LENGTH
        for _ in range(_TRIES):
            name = self.pattern.replace("*", "".join(secrets.choice(_ALPHABET) for _ in range(length)))
            if name not in taken and classes.find_pattern(name) == self.pattern:
                return name
        raise ActionError("too-many", f"there is no free name for a room {self.pattern!r}")
