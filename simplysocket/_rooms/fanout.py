"""The fan-out: takes the frames of a room, publishes them, and delivers them to the members.

Laws:
- A plain machine: it never waits. It knows the id and `deliver` of a member, and no more.
- Every frame has one place in the room's sequence, which `add` gives it. A member gets each
  frame that is for it once, in this order, from its join to its leave.
- The frames between two flushes are published as one batch, and a member gets them in one
  piece, unless they are many bytes. A frame for one member alone moves only that member's cursor, so that the others
  keep their common batch.
- A flush is bounded in members, and in bytes times members. Beyond that, the room is served in slices, one slice
  a flush, so that the write pumps and other rooms run in between.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from .._boundary import PASSING
from ..brokers.broker import Batch
from ..metrics import Metrics
from .charges import Cause, Charges
from .pace import Pace
from .passes import Passes, break_off
from .segment import Segment, weigh
from .slices import Member, Slices

_MOST_PUBLISHED: Final = 1_024  # batches that a broker may keep before the room takes them for lost
SLICE: Final = 512  # members served between two passes of the scheduler: about 5 ms of sends
SLICE_BYTES: Final = 8_388_608  # that these members are given together: about 5 ms of copying into the kernel
PIECE_BYTES: Final = 262_144  # that one member is given at a time: a quarter of the default of `Limits.outbox_bytes`
_LIGHT: Final = SLICE_BYTES // SLICE  # bytes of a flush that any room of one slice may be given at once


class Fanout:
    """The frames of one room that its members have not all been given yet."""

    __slots__ = (
        "_cause",
        "_charges",
        "_cursors",
        "_failed",
        "_first",
        "_leaving",
        "_leaving_segment",
        "_mark",
        "_members",
        "_metrics",
        "_passes",
        "_piece_bytes",
        "_published",
        "_returned",
        "_segment",
        "_slices",
        "frames",
        "is_behind",
        "is_heavy",
        "is_held",
        "is_marked",
        "pace",
        "publish",
        "said",
        "spared",
    )

    def __init__(
        self,
        members: Mapping[str, Member],
        metrics: Metrics,
        *,
        mark: Callable[["Fanout"], None],
        failed: Callable[[BaseExceptionGroup[BaseException], Batch], None],
        pace: Pace,
        cause: Cause,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        """`members` is the room's own map, {client id: member}.

        `mark` arranges a call of `flush` in the next pass of the scheduler. `failed` is called when
        `publish` has raised, with the exceptions and the batch. `piece_bytes`: about how much one
        member is given at a time, if it is much.
        """
        self.publish: Callable[[Batch], None] = self.deliver  # `publish` of the broker's channel, once the room has one
        self.frames: list[bytes] = []  # not published yet
        self.is_behind = False  # True: a member may still lack frames that were published
        self.is_heavy = False  # True: served in slices because of the bytes, not only of the members
        self.is_held = False  # True: the room's own turn runs, which flushes at its end
        self.is_marked = False  # True: `mark` was called, so `flush` will be
        self._members = members
        self._mark = mark
        self._failed = failed
        self._metrics = metrics
        self._piece_bytes = piece_bytes
        self.pace = pace
        self._cause = cause
        self._charges = Charges()  # for what is said in other rooms
        self.said = 0  # bytes that clients have made this room say, and others from here, not charged yet
        self.spared = 0  # above 0: the server's own code has the turn, such as a timer
        self._first = 0  # the place of the first of `frames`
        self._segment: Segment | None = None  # the same frames; None while all of them are for everyone
        self._leaving: Batch | None = None  # the batch that is being published at this moment, and its segment
        self._leaving_segment: Segment | None = None
        self._published: tuple[Segment, ...] = ()  # on their way through the broker
        self._returned = 0  # the place after the last frame that came back
        self._cursors: dict[Member, int] = {}  # {member: the place before which it has been given all frames}
        self._slices: Slices | None = None  # while the room is served in slices
        self._passes = Passes()

    @property
    def is_pending(self) -> bool:
        """Whether a member may still lack a frame."""
        return bool(self.frames or self.is_behind)

    @property
    def is_full(self) -> bool:
        """Whether frames wait for the end of slices that take long: the room must say no more meanwhile.

        Without this, a room that says more than can be sent would fill the memory.
        """
        return self.is_heavy and bool(self.frames)

    # --- frames come in

    def add(self, frame: bytes, exclude: tuple[str, ...] = (), only: str | None = None) -> None:
        """Give a frame its place in the room's sequence.

        It is for all members except those whose ids are in `exclude`, or for the member `only`.
        """
        if exclude or only is not None or self._segment is not None:
            if self._segment is None:
                self._segment = Segment(self._first, self.frames)
            self._segment.add(frame, exclude, only)
        else:
            self.frames.append(frame)
        output = self._cause.output
        if output is self:  # as `say_in`, which would cost a broadcast 0.1 us
            if only is None and not self.spared:
                self.said += len(frame)
        elif output is not None and only is None:
            output.say_in(self, len(frame))
        if not self.is_held and not self.is_marked:
            self.is_marked = True
            self._mark(self)

    def say_in(self, room: "Fanout", size: int) -> None:
        """Count bytes that a handler of this room says in another one, or outside the turn in this one."""
        if not self.spared:
            self.said += size if room is self else self._charges.add(room.pace, size)

    def charge(self, now: float) -> float:
        """Charge what clients have made rooms say; return the time at which they may say more."""
        said, self.said = self.said - self._charges.due, 0
        return max(self.pace.charge(said, now), self._charges.charge(now))

    def hold(self) -> None:
        """Hold back the frames from now on: a step of the room's own turn begins, and may add more."""
        self.is_held = True
        self._cause.output = self

    def pause(self) -> None:
        """Let the frames leave in the next pass of the scheduler: the handler that has the turn waits."""
        self.is_held, self._cause.output = False, None
        if self.frames:
            self._mark_once()

    def release(self) -> None:
        """Let the frames leave now, so that no other task is woken for them: the turn ends."""
        self.is_held, self._cause.output = False, None
        if self.frames and not self.is_marked and (len(self._members) > SLICE or self.flush()):
            self._mark_once()

    # --- members come and go

    def joined(self, member: Member) -> None:
        """Give a new member only the frames that are added from now on."""
        if self.is_pending:
            self._cursors[member] = self._first + len(self.frames)
        self._passes.joined(member)

    def left(self, member: Member) -> None:
        """Deliver the frames that a leaving member still lacks, and forget the member."""
        rest = self.take(member)
        self._cursors.pop(member, None)
        break_off(member)
        if rest:
            member.deliver(b"".join(rest), rest)

    def take(self, member: Member) -> list[bytes]:
        """Return the frames that one member still lacks; they count as delivered."""
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
        """Return the published frames that one member still lacks."""
        rest: list[bytes] = []
        waiting: Iterable[Segment] = self._published
        if self._slices is not None:
            rest += self._slices.take(member)
            waiting = (*self._slices.waiting, *waiting)
        for segment in waiting:
            rest += segment.part(member.id, cursor)
        return rest

    # --- frames leave

    def flush(self) -> bool:
        """Publish the frames that wait. Return True if slices are left, which need another call before the next."""
        if self._slices is not None:
            return self._serve_slice()
        if not self.frames:
            return False
        first, frames, segment = self._first, self.frames, self._segment
        self._first, self.frames, self._segment = first + len(frames), [], None
        batch = Batch(first, frames) if segment is None else Batch(first, frames, segment.exclude, segment.only)
        self._leaving, self._leaving_segment = batch, segment
        try:
            self.publish(batch)
        except* PASSING:
            raise
        except* BaseException as group:
            self._failed(group, batch)
        if self._leaving is not None:  # the broker will hand it back later
            self._leaving = None
            self._published = (*self._published, segment or Segment(first, frames))
            self.is_behind = True
            if len(self._published) > _MOST_PUBLISHED:
                lost = RuntimeError(f"{len(self._published)} batches of the room have not come back from the broker")
                self._failed(ExceptionGroup("the broker lost batches", [lost]), batch)
        return self._slices is not None and self._serve_slice()

    def deliver(self, batch: Batch) -> None:
        """Deliver a batch that the broker hands back. A batch that was delivered before is dropped."""
        first, frames, members = batch.first, batch.frames, self._members
        if first < self._returned:
            return
        self._returned = first + len(frames)
        if self._leaving is not None and first == self._leaving.first:
            # The frames as they were said: a copy would have lost their delivery classes.
            frames, segment, self._leaving = self._leaving.frames, self._leaving_segment, None
        else:
            segment = self._find_published(batch)
        data = b"".join(frames)
        if len(data) > _LIGHT and weigh(len(data), segment, len(members), self._piece_bytes) > SLICE_BYTES:
            self.is_heavy = True
        if self._slices is not None or self.is_heavy or len(members) > SLICE:
            self._serve_later(segment or Segment(first, frames))
        elif segment is not None:
            self._serve(members.values(), segment.common, self._own_parts(segment))
        elif self._cursors:
            self._deliver_from_cursors(first, frames, data)
        else:
            self._passes.give(members.values(), data, frames)  # the hot path of every broadcast
            self._metrics.deliveries += len(members) * len(frames)

    def _serve_later(self, segment: Segment) -> None:
        """Deliver a segment in slices, after those that wait already."""
        self._slices = self._slices or Slices()
        self._slices.waiting += segment.pieces(self._piece_bytes)
        self.is_behind = True
        self._mark_once()

    def _mark_once(self) -> None:
        if not self.is_marked:
            self.is_marked = True
            self._mark(self)

    def _deliver_from_cursors(self, first: int, frames: list[bytes], data: bytes) -> None:
        """Deliver frames that are for everyone, except those that a member has been given before."""
        size, count = len(frames), len(self._members) * len(frames)
        ahead = {member: cursor - first for member, cursor in self._cursors.items() if cursor > first}
        for member, start in ahead.items():
            break_off(member)
            count -= min(start, size)
            if start < size:
                member.deliver(b"".join(frames[start:]), frames, start)
        self._passes.give([member for member in self._members.values() if member not in ahead], data, frames)
        self._metrics.deliveries += count
        self._forget_cursors(first + len(frames))

    def _forget_cursors(self, end: int) -> None:
        """Forget the cursors up to the place `end`: all frames before it have been delivered."""
        if end == self._first + len(self.frames):
            self._cursors = {}
        else:
            self._cursors = {member: cursor for member, cursor in self._cursors.items() if cursor > end}

    def _find_published(self, batch: Batch) -> Segment:
        """Return the published segment of this batch. Earlier ones that never came back count as dropped."""
        found: Segment | None = None
        while self._published and found is None:
            segment, self._published = self._published[0], self._published[1:]
            if segment.first == batch.first:
                found = segment
            else:
                self._metrics.frames_dropped += len(segment.frames)
        self._note_behind()
        return found or Segment.of(batch)

    def _note_behind(self) -> None:
        self.is_behind = bool(self._slices is not None or self._published)

    def _own_parts(self, segment: Segment) -> dict[Member, list[bytes]]:
        """Return {member: its frames} for the members that do not get the common ones; forget old cursors."""
        members, cursors = self._members, self._cursors
        own: dict[Member, list[bytes]] = {}
        for id in segment.marks:
            member = members.get(id)
            if member is not None:
                own[member] = segment.part(id, cursors.get(member, 0))
        for member, cursor in cursors.items():
            if member not in own and cursor > segment.first:
                own[member] = segment.part(member.id, cursor)
        if cursors:
            self._forget_cursors(segment.first + len(segment.frames))
        return own

    def _serve(self, members: Iterable[Member], common: list[bytes], own: dict[Member, list[bytes]]) -> None:
        """Deliver the common frames to each member, or its own frames if it has any in `own`."""
        count = 0
        for member, part in own.items():
            break_off(member)
            if part:
                member.deliver(b"".join(part), part)
                count += len(part)
        if common:
            others = [member for member in members if member not in own] if own else list(members)
            self._passes.give(others, b"".join(common), common, None if self._slices is None else self._slices.number)
            count += len(common) * len(others)
        self._metrics.deliveries += count

    def _serve_slice(self) -> bool:
        """Serve the next members of the room. Return True if another call is needed."""
        slices = self._slices
        assert slices is not None
        if not slices.unserved and slices.waiting:
            segment = slices.waiting.pop(0)
            slices.begin(segment, self._own_parts(segment), self._members.values())
        served = slices.next(SLICE, SLICE_BYTES)
        self._serve(served, slices.common, {each: slices.own[each] for each in served if each in slices.own})
        if slices.is_done:
            self._slices = None
            self.is_heavy = False
            self._note_behind()
        return self._slices is not None or bool(self.frames)
