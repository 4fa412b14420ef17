"""Room classes: which class a room has, by patterns for its name.

Laws:
- In a pattern `*` is any characters, and every other character is itself.
- Of several patterns that match, the one with the longest literal beginning counts.
- The same pattern registered twice fails at registration.
- A client chooses the name that is matched, so matching reads each character of it once.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from ..errors import RegistrationError
from ..message import GLOBAL_ROOM
from ..room import Room

# Signs of regular expressions and globs. They would only match themselves, so they are refused as a mistake.
_NO_PATTERN: Final = re.compile(r"[\\?\[\]{}]|^\^|\$$|\.[*+]")


class NamePattern:
    """A pattern for names of rooms, cut at its stars."""

    __slots__ = ("_beginning", "_end", "_middle")

    def __init__(self, pattern: str) -> None:
        self._beginning, *rest = pattern.split("*")
        self._end = rest.pop() if rest else None  # None: the pattern has no star
        self._middle = [part for part in rest if part]

    def matches(self, name: str) -> bool:
        """Tell whether a name matches. Takes time in proportion to its length, whatever the pattern."""
        if self._end is None:
            return name == self._beginning
        at, end = len(self._beginning), len(name) - len(self._end)
        if at > end or not name.startswith(self._beginning) or not name.endswith(self._end):
            return False
        # Taking each part where it first occurs leaves the most for those after it, so nothing is tried twice.
        for part in self._middle:
            at = name.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True


class RoomClasses:
    """The registered room classes of one server."""

    def __init__(self) -> None:
        # {pattern: (the same, cut at its stars, and its class)}, in the order in which they are tried
        self._patterns: dict[str, tuple[NamePattern, type[Room[Any]]]] = {}

    def add(self, pattern: str, room_class: type[Room[Any]]) -> None:
        """Register a class for a pattern; `RegistrationError` if the pattern is not valid or is used already."""
        odd = _NO_PATTERN.search(pattern)
        if odd is not None:
            raise RegistrationError(
                f"the pattern {pattern!r} holds {odd[0]!r}: a pattern knows only `*`, for any characters"
            )
        if pattern in self._patterns:
            other = self._patterns[pattern][1].__name__
            raise RegistrationError(f"the pattern {pattern!r} is used twice, for {other} and {room_class.__name__}")
        self._patterns[pattern] = NamePattern(pattern), room_class
        # The longest literal beginning first; among equal ones, names without a star, then the longest pattern.
        order = sorted(self._patterns, key=lambda each: (len(each.split("*")[0]), "*" not in each, len(each)))[::-1]
        self._patterns = {each: self._patterns[each] for each in order}

    def items(self) -> Iterable[tuple[str, type[Room[Any]]]]:
        """Return the patterns with their classes, in the order in which they are tried."""
        return ((pattern, room_class) for pattern, (_, room_class) in self._patterns.items())

    def find(self, name: str) -> type[Room[Any]] | None:
        """Return the class for a room of this name; None if no pattern matches.

        The global room takes only a class that is registered for its exact name.
        """
        pattern = self.find_pattern(name)
        return None if pattern is None else self._patterns[pattern][1]

    def find_pattern(self, name: str) -> str | None:
        """Return the pattern whose class a room of this name has; None if no pattern matches."""
        if name == GLOBAL_ROOM:
            return name if name in self._patterns else None
        return next((pattern for pattern, (shape, _) in self._patterns.items() if shape.matches(name)), None)
