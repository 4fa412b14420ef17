"""The fan-out: what a room says, from its place in the room's sequence to each member.

Laws:
- A plain machine: it never waits, and of a member it knows the id and `deliver`.
- Every frame has one place in the room's sequence, which `add` gives it. Every
  member is given each frame that is for it once, in this order: after it joined,
  before it left.
- What is said between two flushes is published as one batch, and goes to a member in
  one piece. What concerns one member only moves that member's cursor, so that the
  others keep their batch.
- A very large room is served in slices, at most one a flush.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final, Protocol

from ..brokers.broker import Batch
from ..metrics import Metrics
from .segment import Segment

SLICE: Final = 512  # members served between two yields: about 5 ms of sends


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


class Fanout:
    """What one room says, and who has been given how much of it."""

    __slots__ = (
        "_arrived",
        "_common",
        "_cursors",
        "_first",
        "_frames",
        "_leaving",
        "_leaving_segment",
        "_mark",
        "_members",
        "_metrics",
        "_own",
        "_published",
        "_returned",
        "_segment",
        "_unserved",
        "is_held",
        "is_marked",
        "publish",
    )

    def __init__(self, members: Mapping[str, Member], mark: Callable[["Fanout"], None], metrics: Metrics) -> None:
        """`members` is the room's own map; `mark` has `flush` called in the next pass of the scheduler."""
        self.publish: Callable[[Batch], None] = self.deliver  # the channel's, once the room has one
        self.is_held = False  # True: the room's own turn runs, and flushes at its end
        self.is_marked = False  # True: `flush` will be called
        self._members = members
        self._mark = mark
        self._metrics = metrics
        self._first = 0  # the place of the first frame that is not published yet
        self._frames: list[bytes] = []  # these
        self._segment: Segment | None = None  # the same, where some are not for everyone
        self._leaving: Batch | None = None  # what is being published at this moment, and the same as said
        self._leaving_segment: Segment | None = None
        self._published: list[Segment] = []  # what is on its way through the broker
        self._returned = 0  # the place after the last frame that came back
        self._cursors: dict[Member, int] = {}  # {member: it has been given all before this place}
        # Of a very large room: batches that wait, the one being served, and who still lacks it.
        self._arrived: list[Segment] = []
        self._common: list[bytes] = []
        self._own: dict[Member, list[bytes]] = {}
        self._unserved: dict[Member, None] = {}  # a dict as an ordered set

    @property
    def is_pending(self) -> bool:
        """Whether a member may still lack a frame."""
        return bool(self._frames or self._unserved or self._published or self._arrived)

    # --- what is said

    def add(self, frame: bytes, exclude: tuple[str, ...] = (), only: str | None = None) -> None:
        """Give a frame its place in the room's sequence: for all members but those of `exclude`, or for one alone."""
        if exclude or only is not None or self._segment is not None:
            if self._segment is None:
                self._segment = Segment(self._first, self._frames)
            self._segment.add(frame, exclude, only)
        else:
            self._frames.append(frame)
        if not self.is_held and not self.is_marked:
            self.is_marked = True
            self._mark(self)

    def hold(self) -> None:
        """A step of the room's own turn begins: more may be said before it ends."""
        self.is_held = True

    def pause(self) -> None:
        """The handler that has the turn waits: what it said goes out in the next pass."""
        self.is_held = False
        if self._frames and not self.is_marked:
            self.is_marked = True
            self._mark(self)

    def release(self) -> None:
        """The turn ends: what was said goes out now, so that no other task is woken for it."""
        self.is_held = False
        if self._frames and not self.is_marked and (len(self._members) > SLICE or self.flush()):
            self.is_marked = True
            self._mark(self)

    # --- who joins and leaves

    def joined(self, member: Member) -> None:
        """Let a new member see only what is said from now on."""
        if self.is_pending:
            self._cursors[member] = self._first + len(self._frames)

    def left(self, member: Member) -> None:
        """Give a member that leaves what it still lacks, and forget it."""
        rest = self.take(member)
        self._cursors.pop(member, None)
        if rest:
            member.deliver(b"".join(rest), rest)

    def take(self, member: Member) -> list[bytes]:
        """Return what one member still lacks, as if it had been delivered."""
        rest: list[bytes] = []
        if self._unserved and member in self._unserved:
            del self._unserved[member]
            rest += self._own.get(member, self._common)
        cursor = self._cursors.get(member, 0)
        for segment in (*self._arrived, *self._published):
            rest += segment.part(member.id, cursor)
        if self._segment is not None:
            rest += self._segment.part(member.id, cursor)
        elif self._frames:
            rest += self._frames[max(0, cursor - self._first) :]
        self._cursors[member] = self._first + len(self._frames)
        self._metrics.deliveries += len(rest)
        return rest

    # --- what goes out

    def flush(self) -> bool:
        """Publish what was said; True when a very large room needs another call.

        The next frames of such a room wait until the last slice of these is out.
        """
        frames = self._frames
        if frames and not self._unserved and not self._arrived:
            first, segment = self._first, self._segment
            self._first, self._frames, self._segment = first + len(frames), [], None
            batch = (
                Batch(first, frames, {}, {}) if segment is None else Batch(first, frames, segment.exclude, segment.only)
            )
            self._leaving, self._leaving_segment = batch, segment
            self.publish(batch)
            if self._leaving is not None:  # it has not come straight back
                self._leaving = None
                self._published.append(segment or Segment(first, frames))
        if self._unserved or self._arrived:
            self._serve_slice()
        return bool(self._unserved or self._arrived or self._frames)

    def deliver(self, batch: Batch) -> None:
        """Hand a batch that has come back to the members; one that was here before is dropped."""
        if batch.first < self._returned:
            return
        frames, members = batch.frames, self._members
        self._returned = batch.first + len(frames)
        if batch is self._leaving:
            segment, self._leaving = self._leaving_segment, None
        else:
            segment = self._find_published(batch)
        if self._unserved or self._arrived or len(members) > SLICE:
            self._arrived.append(segment or Segment(batch.first, frames))
            if not self.is_marked:
                self.is_marked = True
                self._mark(self)
        elif segment is None and not self._cursors:
            # The hot path of every broadcast: the same bytes for everyone, since a server's frames carry no mask.
            data = b"".join(frames)
            for member in members.values():
                member.deliver(data, frames)
            self._metrics.deliveries += len(members) * len(frames)
        else:
            segment = segment or Segment(batch.first, frames)
            self._serve(members.values(), segment.common, self._own_parts(segment))

    def _find_published(self, batch: Batch) -> Segment:
        """Return what was published as this batch; those before it that never came back are given up."""
        while self._published:
            segment = self._published.pop(0)
            if segment.first == batch.first:
                return segment
        return Segment.of(batch)

    def _own_parts(self, segment: Segment) -> dict[Member, list[bytes]]:
        """Return the frames of each member that does not get just the common ones, and forget cursors passed."""
        members, cursors = self._members, self._cursors
        own: dict[Member, list[bytes]] = {}
        for id in segment.marks:
            member = members.get(id)
            if member is not None:
                own[member] = segment.part(id, cursors.get(member, 0))
        for member, cursor in cursors.items():
            if member not in own:
                own[member] = segment.part(member.id, cursor)
        if cursors:
            end = segment.first + len(segment.frames)
            self._cursors = {member: cursor for member, cursor in cursors.items() if cursor > end}
        return own

    def _serve(self, members: Iterable[Member], common: list[bytes], own: dict[Member, list[bytes]]) -> None:
        """Deliver to each member the common frames, or its own ones."""
        data, count = b"".join(common), 0
        for member in members if common else own:
            part = own.get(member)
            if part is None:
                member.deliver(data, common)
                count += len(common)
            elif part:
                member.deliver(b"".join(part), part)
                count += len(part)
        self._metrics.deliveries += count

    def _serve_slice(self) -> None:
        if not self._unserved:
            segment = self._arrived.pop(0)
            self._common, self._own = segment.common, self._own_parts(segment)
            self._unserved = dict.fromkeys(self._members.values() if segment.common else self._own)
        unserved = self._unserved
        served = list(islice(unserved, SLICE))
        for member in served:
            del unserved[member]
        self._serve(served, self._common, self._own if self._common else {each: self._own[each] for each in served})
        if not unserved:
            self._common, self._own = [], {}
