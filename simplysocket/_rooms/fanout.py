"""The fan-out: what a room says in this tick, on its way to each member.

Laws:
- A plain machine: it never waits, and knows of a member only that it can `deliver`.
- Every member is given each frame once, in the order of `add`; whoever joins gets
  what comes after, whoever leaves has had all that came before.
- All frames of a tick go to a member in one piece. Each member has a cursor into
  them (absent: none seen); what concerns one member moves only that cursor, so
  that the others keep their batch.
"""

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Protocol, TypeVar

SLICE = 512  # members served between two yields: about 5 ms of sends


class Member(Protocol):
    """Whoever frames are delivered to."""

    @property
    def deliver(self) -> "Deliver":
        """Send frames[start:], which `data` holds joined."""


class Deliver(Protocol):
    def __call__(self, data: bytes, frames: list[bytes], start: int = 0, /) -> None: ...


M = TypeVar("M", bound=Member)


class Fanout:
    """The frames of one room and tick, and who has seen how many of them."""

    __slots__ = ("_cursors", "_serving", "_unserved", "frames")

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self._cursors: dict[Member, int] = {}
        # A very large room is served in slices: who still waits for the frames being served, and from where.
        self._serving: list[bytes] = []
        self._unserved: dict[Member, int] = {}

    @property
    def is_pending(self) -> bool:
        """Whether some member may still lack a frame."""
        return bool(self.frames or self._unserved)

    def add(self, frame: bytes, exclude: Iterable[Member] = ()) -> None:
        """Add a frame for everyone but those of `exclude`."""
        frames = self.frames
        for member in exclude:
            self.catch_up(member)
            self._cursors[member] = len(frames) + 1
        frames.append(frame)

    def joined(self, member: Member) -> None:
        """Let a new member see only what comes from now on."""
        if self.frames:
            self._cursors[member] = len(self.frames)

    def left(self, member: Member) -> None:
        """Give a member that leaves what it still lacks, and forget it."""
        self.catch_up(member)
        self._cursors.pop(member, None)

    def catch_up(self, member: Member) -> None:
        """Send one member what it still lacks, before something that must come behind it."""
        rest = self.take(member)
        if rest:
            member.deliver(b"".join(rest), rest)

    def take(self, member: Member) -> list[bytes]:
        """Return what one member still lacks, as if it had been sent."""
        rest: list[bytes] = []
        if self._unserved:
            start = self._unserved.pop(member, None)
            if start is not None:
                rest += self._serving[start:]
        frames = self.frames
        if frames:
            rest += frames[self._cursors.get(member, 0) :]
            self._cursors[member] = len(frames)
        return rest

    def flush(self, members: Collection[Member]) -> bool:
        """Send everyone what they lack; True when the room is so large that another call must follow.

        The next frames wait until the last slice of these is out.
        """
        if self._unserved:
            return self._serve_slice()
        frames, cursors = self.frames, self._cursors
        if not frames:
            return False
        self.frames = []
        if cursors:
            self._cursors = {}
        if len(members) > SLICE:
            self._serving = frames
            self._unserved = {member: cursors.get(member, 0) for member in members}
            return self._serve_slice()
        data = b"".join(frames)
        if cursors:
            for member in members:
                start = cursors.get(member, 0)
                if not start:
                    member.deliver(data, frames)
                elif start < len(frames):
                    member.deliver(b"".join(frames[start:]), frames, start)
        else:
            for member in members:
                member.deliver(data, frames)  # the same bytes for everyone: server frames carry no mask
        return False

    def _serve_slice(self) -> bool:
        unserved, frames = self._unserved, self._serving
        data = b"".join(frames)
        for member in list(islice(unserved, SLICE)):
            start = unserved.pop(member)
            if not start:
                member.deliver(data, frames)
            elif start < len(frames):
                member.deliver(b"".join(frames[start:]), frames, start)
        if not unserved:
            self._serving = []
        return bool(unserved or self.frames)
