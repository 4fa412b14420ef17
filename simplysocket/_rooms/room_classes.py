"""Room classes: which class a room has, by patterns for its name.

Laws:
- In a pattern `*` is any characters, and every other character is itself.
- Of several patterns that match, the one with the longest literal beginning counts.
- The same pattern registered twice fails at registration.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from ..errors import RegistrationError
from ..message import GLOBAL_ROOM
from ..room import Room

# Signs of regular expressions and globs. They would only match themselves, so they are refused as a mistake.
_NO_PATTERN: Final = re.compile(r"[\\?\[\]{}]|^\^|\$$|\.[*+]")


class RoomClasses:
    """The registered room classes of one server."""

    def __init__(self) -> None:
        # {pattern: (the same as a regular expression, its class)}, in the order in which they are tried
        self._patterns: dict[str, tuple[re.Pattern[str], type[Room[Any]]]] = {}

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
        expression = ".*".join(map(re.escape, pattern.split("*")))
        self._patterns[pattern] = re.compile(expression, re.DOTALL), room_class
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
        if name == GLOBAL_ROOM:
            exact = self._patterns.get(name)
            return exact[1] if exact is not None else None
        return next((room_class for shape, room_class in self._patterns.values() if shape.fullmatch(name)), None)
