"""Patterns: which class a room of a name has.

Law: a pattern knows only `*`, for any characters. The longest literal beginning
wins; two patterns that are alike fail at registration.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from ..errors import RegistrationError
from ..message import GLOBAL_ROOM
from ..room import Room

# What means something in other kinds of patterns: taken as it stands, no room would ever have the name.
_NO_PATTERN: Final = re.compile(r"[\\?\[\]{}]|^\^|\$$|\.[*+]")


class RoomClasses:
    """The registered room classes."""

    def __init__(self) -> None:
        self._patterns: dict[str, tuple[re.Pattern[str], type[Room[Any]]]] = {}

    def add(self, pattern: str, room_class: type[Room[Any]]) -> None:
        """Register a class; `RegistrationError` for a pattern that is used already."""
        odd = _NO_PATTERN.search(pattern)
        if odd is not None:
            raise RegistrationError(
                f"the pattern {pattern!r} holds {odd[0]!r}: a pattern knows only `*`, for any characters"
            )
        if pattern in self._patterns:
            other = self._patterns[pattern][1].__name__
            raise RegistrationError(f"the pattern {pattern!r} is used twice, for {other} and {room_class.__name__}")
        expression = ".*".join(map(re.escape, pattern.split("*")))
        self._patterns[pattern] = re.compile(expression, re.DOTALL), room_class
        # Tried in this order: the longest literal beginning first, then names without a star, then the longest pattern.
        order = sorted(self._patterns, key=lambda each: (len(each.split("*")[0]), "*" not in each, len(each)))[::-1]
        self._patterns = {each: self._patterns[each] for each in order}

    def items(self) -> Iterable[tuple[str, type[Room[Any]]]]:
        """Return the patterns with their classes, in the order in which they are tried."""
        return ((pattern, room_class) for pattern, (_, room_class) in self._patterns.items())

    def find(self, name: str) -> type[Room[Any]] | None:
        """Return the class for a room of this name; None when no pattern has its shape.

        The global room is like no other: it takes only a class registered for its very name.
        """
        if name == GLOBAL_ROOM:
            exact = self._patterns.get(name)
            return exact[1] if exact is not None else None
        return next((room_class for shape, room_class in self._patterns.values() if shape.fullmatch(name)), None)
