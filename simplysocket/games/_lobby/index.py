"""The index of one field: the rooms in the order of its values, so that those of a range cost no look at the others.

Laws: a plain machine. To count the rooms of a range compares O(log n) entries.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

from .filters import Condition

_value_of: Final = itemgetter(0)


class FieldIndex:
    """The rooms that have a listing, by the value of one field.

    A list, although a new entry moves those after it: among 10,000 that takes 2 us.
    """

    __slots__ = ("_entries", "_nulls")

    def __init__(self) -> None:
        self._entries: list[tuple[Any, str]] = []  # (value, room's name), sorted; the values are of one kind
        self._nulls: dict[str, None] = {}  # the names of the rooms whose value is null; a dict as an ordered set

    def add(self, value: Any, name: str) -> None:
        """Add a room that is not there."""
        if value is None:
            self._nulls[name] = None
        else:
            insort(self._entries, (value, name))

    def remove(self, value: Any, name: str) -> None:
        """Remove a room that is there with this value."""
        if value is None:
            del self._nulls[name]
        else:
            del self._entries[bisect_left(self._entries, (value, name))]

    def find(self, conditions: Sequence[Condition]) -> "Candidates | None":
        """Return the rooms for which these conditions on the field may hold; None if that may be nearly all."""
        start, stop, points = 0, len(self._entries), None
        for each in conditions:
            operand = each.operand
            match each.operator:
                case "lt":
                    stop = min(stop, self._before(operand))
                case "le":
                    stop = min(stop, self._after(operand))
                case "gt":
                    start = max(start, self._after(operand))
                case "ge":
                    start = max(start, self._before(operand))
                case "eq":
                    points = {operand}
                case "in":
                    points = operand
        if points is not None:
            spans = [(max(start, self._before(p)), min(stop, self._after(p))) for p in points if p is not None]
            return Candidates(self._entries, spans, self._nulls if None in points else ())
        if all(each.operator == "ne" for each in conditions):
            return None
        return Candidates(self._entries, [(start, stop)], ())

    def _before(self, value: Any) -> int:
        return bisect_left(self._entries, (value,))

    def _after(self, value: Any) -> int:
        return bisect_right(self._entries, value, key=_value_of)


class Candidates:
    """Some entries of an index; valid until it changes."""

    __slots__ = ("_entries", "_nulls", "_spans")

    def __init__(
        self, entries: list[tuple[Any, str]], spans: list[tuple[int, int]], nulls: dict[str, None] | tuple[()]
    ) -> None:
        self._entries = entries
        self._spans = [(start, stop) for start, stop in spans if start < stop]
        self._nulls = nulls

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self._spans) + len(self._nulls)

    def __iter__(self) -> Iterator[str]:
        for start, stop in self._spans:
            yield from (name for _, name in self._entries[start:stop])
        yield from self._nulls


def smallest(indexes: Iterable[tuple[FieldIndex, Sequence[Condition]]]) -> Candidates | None:
    """Return the fewest candidates that one of these indexes gives for its conditions; None if none gives any."""
    found = [candidates for index, conditions in indexes if (candidates := index.find(conditions)) is not None]
    return min(found, key=len, default=None)
