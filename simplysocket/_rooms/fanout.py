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
from typing import Final

from ..brokers.broker import Batch
from ..metrics import Metrics
from .segment import Segment
from .slices import Member, Slices

SLICE: Final = 512  # members served between two yields: about 5 ms of sends


class Fanout:
    """What one room says, and who has been given how much of it."""

    __slots__ = (
        "_cursors",
        "_failed",
        "_first",
        "_leaving",
        "_leaving_segment",
        "_mark",
        "_members",
        "_metrics",
        "_published",
        "_returned",
        "_segment",
        "_slices",
        "frames",
        "is_behind",
        "is_held",
        "is_marked",
        "publish",
    )

    def __init__(
        self,
        members: Mapping[str, Member],
        metrics: Metrics,
        *,
        mark: Callable[["Fanout"], None],
        failed: Callable[[BaseExceptionGroup[Exception], Batch], None],
    ) -> None:
        """`members` is the room's own map.

        `mark` has `flush` called in the next pass of the scheduler; `failed` is told of a batch that was not published.
        """
        self.publish: Callable[[Batch], None] = self.deliver  # the channel's, once the room has one
        self.frames: list[bytes] = []  # what was said and is not published yet
        self.is_behind = False  # True: a member may still lack frames that were published
        self.is_held = False  # True: the room's own turn runs, and flushes at its end
        self.is_marked = False  # True: `flush` will be called
        self._members = members
        self._mark = mark
        self._failed = failed
        self._metrics = metrics
        self._first = 0  # the place of the first of `frames`
        self._segment: Segment | None = None  # the same frames, where some are not for everyone
        self._leaving: Batch | None = None  # what is being published at this moment, and the same as said
        self._leaving_segment: Segment | None = None
        self._published: tuple[Segment, ...] = ()  # what is on its way through the broker
        self._returned = 0  # the place after the last frame that came back
        self._cursors: dict[Member, int] = {}  # {member: it has been given all before this place}
        self._slices: Slices | None = None  # while a very large room is served

    @property
    def is_pending(self) -> bool:
        """Whether a member may still lack a frame."""
        return bool(self.frames or self.is_behind)

    # --- what is said

    def add(self, frame: bytes, exclude: tuple[str, ...] = (), only: str | None = None) -> None:
        """Give a frame its place in the room's sequence: for all members but those of `exclude`, or for one alone."""
        if exclude or only is not None or self._segment is not None:
            if self._segment is None:
                self._segment = Segment(self._first, self.frames)
            self._segment.add(frame, exclude, only)
        else:
            self.frames.append(frame)
        if not self.is_held and not self.is_marked:
            self.is_marked = True
            self._mark(self)

    def hold(self) -> None:
        """A step of the room's own turn begins: more may be said before it ends."""
        self.is_held = True

    def pause(self) -> None:
        """The handler that has the turn waits: what it said goes out in the next pass."""
        self.is_held = False
        if self.frames and not self.is_marked:
            self.is_marked = True
            self._mark(self)

    def release(self) -> None:
        """The turn ends: what was said goes out now, so that no other task is woken for it."""
        self.is_held = False
        if self.frames and not self.is_marked and (len(self._members) > SLICE or self.flush()):
            self.is_marked = True
            self._mark(self)

    # --- who joins and leaves

    def joined(self, member: Member) -> None:
        """Let a new member see only what is said from now on."""
        if self.is_pending:
            self._cursors[member] = self._first + len(self.frames)

    def left(self, member: Member) -> None:
        """Give a member that leaves what it still lacks, and forget it."""
        rest = self.take(member)
        self._cursors.pop(member, None)
        if rest:
            member.deliver(b"".join(rest), rest)

    def take(self, member: Member) -> list[bytes]:
        """Return what one member still lacks, as if it had been delivered."""
        first, frames, cursors = self._first, self.frames, self._cursors
        cursor = cursors.get(member, 0)
        if not self.is_behind and self._segment is None:  # the hot path of every reply
            rest = frames[cursor - first :] if cursor > first else frames[:]
        else:
            rest = self._take_published(member, cursor)
            rest += (self._segment or Segment(first, frames)).part(member.id, cursor)
        cursors[member] = first + len(frames)
        self._metrics.deliveries += len(rest)
        return rest

    def _take_published(self, member: Member, cursor: int) -> list[bytes]:
        rest: list[bytes] = []
        waiting: Iterable[Segment] = self._published
        if self._slices is not None:
            rest += self._slices.take(member)
            waiting = (*self._slices.waiting, *waiting)
        for segment in waiting:
            rest += segment.part(member.id, cursor)
        return rest

    # --- what goes out

    def flush(self) -> bool:
        """Publish what was said; True when a very large room needs another call.

        The next frames of such a room wait until the last slice of these is out.
        """
        frames = self.frames
        if self._slices is not None:
            return self._serve_slice()
        if not frames:
            return False
        first, segment = self._first, self._segment
        self._first, self.frames, self._segment = first + len(frames), [], None
        batch = Batch(first, frames) if segment is None else Batch(first, frames, segment.exclude, segment.only)
        self._leaving, self._leaving_segment = batch, segment
        try:
            self.publish(batch)
        except* Exception as group:
            self._failed(group, batch)
        if self._leaving is not None:  # it has not come straight back
            self._leaving = None
            self._published = (*self._published, segment or Segment(first, frames))
            self.is_behind = True
        return self._slices is not None and self._serve_slice()

    def deliver(self, batch: Batch) -> None:
        """Hand a batch that has come back to the members; one that was here before is dropped."""
        first, frames, members = batch.first, batch.frames, self._members
        if first < self._returned:
            return
        self._returned = first + len(frames)
        if batch is self._leaving:
            segment, self._leaving = self._leaving_segment, None
        else:
            segment = self._find_published(batch)
        if self._slices is not None or len(members) > SLICE:
            self._slices = self._slices or Slices()
            self._slices.waiting.append(segment or Segment(first, frames))
            self.is_behind = True
            if not self.is_marked:
                self.is_marked = True
                self._mark(self)
        elif segment is not None:
            self._serve(members.values(), segment.common, self._own_parts(segment))
        elif self._cursors:
            self._deliver_from_cursors(first, frames)
        else:
            # The hot path of every broadcast: the same bytes for everyone, since a server's frames carry no mask.
            data = b"".join(frames)
            for member in members.values():
                member.deliver(data, frames)
            self._metrics.deliveries += len(members) * len(frames)

    def _deliver_from_cursors(self, first: int, frames: list[bytes]) -> None:
        """Deliver frames that are for everyone, some of which a member or two were given before."""
        cursors, metrics = self._cursors, self._metrics
        data = b"".join(frames)
        for member in self._members.values():
            start = cursors.get(member, 0) - first
            if start <= 0:
                member.deliver(data, frames)
                metrics.deliveries += len(frames)
            elif start < len(frames):
                member.deliver(b"".join(frames[start:]), frames, start)
                metrics.deliveries += len(frames) - start
        self._forget_cursors(first + len(frames))

    def _forget_cursors(self, end: int) -> None:
        """Forget the cursors that the frames up to the place `end` have passed."""
        if end == self._first + len(self.frames):
            self._cursors = {}
        else:
            self._cursors = {member: cursor for member, cursor in self._cursors.items() if cursor > end}

    def _find_published(self, batch: Batch) -> Segment:
        """Return what was published as this batch; those before it that never came back are given up."""
        found: Segment | None = None
        while self._published and found is None:
            segment, *rest = self._published
            self._published = tuple(rest)
            if segment.first == batch.first:
                found = segment
            else:
                self._metrics.frames_dropped += len(segment.frames)
        self._note_behind()
        return found or Segment.of(batch)

    def _note_behind(self) -> None:
        self.is_behind = bool(self._slices is not None or self._published)

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
            self._forget_cursors(segment.first + len(segment.frames))
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

    def _serve_slice(self) -> bool:
        """Serve the next members of a very large room; True when another call is needed."""
        slices = self._slices
        assert slices is not None
        if not slices.unserved and slices.waiting:
            segment = slices.waiting.pop(0)
            slices.begin(segment, self._own_parts(segment), self._members.values())
        served = slices.next(SLICE)
        self._serve(served, slices.common, {each: slices.own[each] for each in served if each in slices.own})
        if slices.is_done:
            self._slices = None
            self._note_behind()
        return self._slices is not None or bool(self.frames)
