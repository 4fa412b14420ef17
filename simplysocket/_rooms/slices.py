"""Slices: the frames of a room while its members are served, some at a time: it is very large, or has said much.

Laws: a plain machine. The frames that a member lacks are kept here until they are served or
taken, and no longer.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from .segment import Segment

if TYPE_CHECKING:
    from .._sessions.line import Line
    from .._wire.history import History


class Member(Protocol):
    """A member, as the fan-out sees it: a session."""

    @property
    def id(self) -> str:
        """The id by which a frame excludes this member, or is for it alone."""

    @property
    def deliver(self) -> "Deliver":
        """Send frames[start:], which `data` holds joined. In a server: `Writer.deliver` of the session's connection."""

    @property
    def line(self) -> "Line | None":
        """What is kept for its client, so that it can come back; None if it has not asked for that."""


class Deliver(Protocol):
    """The function that sends frames to one member."""

    def __call__(
        self, data: bytes, frames: list[bytes], start: int = 0, history: "History | None" = None, /
    ) -> None: ...


class Slices:
    """The frames of a room that wait, and the members that still lack them."""

    __slots__ = ("_common_bytes", "common", "number", "own", "unserved", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Segment] = []  # the segments after the one that is being served
        # Of the segment that is being served: the frames for everyone, the frames of each member that
        # gets other ones, and the members that are not served yet.
        self.common: list[bytes] = []
        self._common_bytes = 0
        self.own: dict[Member, list[bytes]] = {}
        self.unserved: dict[Member, None] = {}  # a dict as an ordered set
        self.number = 0  # of the slice that is served now, among those of the segment

    @property
    def is_done(self) -> bool:
        """Whether every member has been served with all frames."""
        return not self.unserved and not self.waiting

    def begin(self, segment: Segment, own: dict[Member, list[bytes]], members: Iterable[Member]) -> None:
        """Begin to serve a segment; `own` holds the frames of the members that do not get the common ones."""
        self.common, self.own = segment.common, own
        self._common_bytes = sum(map(len, segment.common))
        self.unserved = dict.fromkeys(members if segment.common else own)
        self.number = -1

    def next(self, most: int, most_bytes: int) -> list[Member]:
        """Return the next members to serve; they count as served.

        There is at least one if any is left, and at most `most`, which get `most_bytes` together.
        """
        served: list[Member] = []
        size = 0
        for member in self.unserved:
            part = self.own.get(member)
            size += self._common_bytes if part is None else sum(map(len, part))
            if len(served) == most or (served and size > most_bytes):
                break
            served.append(member)
        for member in served:
            del self.unserved[member]
        self.number += 1
        return served

    def take(self, member: Member) -> list[bytes]:
        """Return the frames of this segment that one member still lacks; it counts as served."""
        if member not in self.unserved:
            return []
        del self.unserved[member]
        return self.own.get(member, self.common)
