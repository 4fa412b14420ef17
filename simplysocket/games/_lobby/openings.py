"""Openings: the rooms of one pattern that a client may be put into, the oldest first, so that rooms fill up.

Laws: a plain machine. A room is put in or taken out by comparing O(log n) numbers.
"""

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .records import Record


class Openings:
    """A set of rooms in the order in which they were made."""

    __slots__ = ("_numbers", "_records")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._records: dict[int, Record] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, record: "Record") -> bool:
        return record.number in self._records

    def add(self, record: "Record") -> None:
        """Put a room in, if it is not."""
        if record.number not in self._records:
            self._records[record.number] = record
            insort(self._numbers, record.number)

    def discard(self, record: "Record") -> None:
        """Take a room out, if it is in."""
        if self._records.pop(record.number, None) is not None:
            del self._numbers[bisect_left(self._numbers, record.number)]

    def oldest(self, most: int) -> "list[Record]":
        """Return the rooms that were made first."""
        return [self._records[number] for number in self._numbers[:most]]
