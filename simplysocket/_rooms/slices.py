"""Slices: a very large room while it is served, some members at a time.

Law: a plain machine. What a member lacks is here until it is served or taken, and no longer.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from .segment import Segment


class Member(Protocol):
    """Whoever frames are delivered to."""

    @property
    def id(self) -> str:
        """Its id, by which a frame leaves it out or is for it alone."""

    @property
    def deliver(self) -> "Deliver":
        """Send frames[start:], which `data` holds joined."""


class Deliver(Protocol):
    def __call__(self, data: bytes, frames: list[bytes], start: int = 0, /) -> None: ...


class Slices:
    """What a very large room has said, and which members still lack it."""

    __slots__ = ("common", "own", "unserved", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Segment] = []  # what comes after the segment that is being served
        # Of the segment that is being served: the frames for everyone, the frames of members that get
        # others, and the members that still lack theirs.
        self.common: list[bytes] = []
        self.own: dict[Member, list[bytes]] = {}
        self.unserved: dict[Member, None] = {}  # a dict as an ordered set

    @property
    def is_done(self) -> bool:
        """Whether no member lacks anything."""
        return not self.unserved and not self.waiting

    def begin(self, segment: Segment, own: dict[Member, list[bytes]], members: Iterable[Member]) -> None:
        """Begin to serve a segment; `own` holds the frames of members that do not get just the common ones."""
        self.common, self.own = segment.common, own
        self.unserved = dict.fromkeys(members if segment.common else own)

    def next(self, most: int) -> list[Member]:
        """Return the next members to serve, at most so many; they count as served."""
        served = list(islice(self.unserved, most))
        for member in served:
            del self.unserved[member]
        return served

    def take(self, member: Member) -> list[bytes]:
        """Return what one member still lacks of the segment that is being served, as if it had been served."""
        if member not in self.unserved:
            return []
        del self.unserved[member]
        return self.own.get(member, self.common)
