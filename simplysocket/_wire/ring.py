"""The ring: the frames that a client may lack, for when it comes back.

Laws:
- Kept is what went to the wire and is not acknowledged, in order and with its numbers. After it waits what was said
  while there was no connection; that has no numbers yet.
- What the client was given together with all members of a room is kept in the room's history (history.py), which the
  ring follows. It keeps nothing of its own meanwhile, and pays nothing for a pass.
- Volatile frames have numbers, take no memory and evict nothing. Uncounted frames leave no trace.
- It holds no more than its bounds. The oldest that was sent goes first: a gap only for a client that lacks it.
  What waits was never sent: when it does not fit, the gap is certain, and nothing is kept until the client is told.

Knows nothing of sockets, tasks or clocks.
"""

import math
from collections.abc import Hashable, Sequence
from typing import Final

from .._protocol.delivery_classes import CoalescedFrame, UncountedFrame, VolatileFrame
from .._protocol.resume_tokens import GapReason
from ..limits import Limits
from ..metrics import Metrics
from .history import NO_HISTORY, History
from .outbox import Outbox
from .part import PART_BYTES, Part
from .stretch import Counts, Stretch, holes_of


class Ring:
    """The frames that one client may lack.

    `frames` and `bytes` are how much is kept and waits, without what the history keeps that it follows.
    `acknowledged` is up to which number the client has said that it has them. `gap` says why frames were
    lost that the client was never sent.
    """

    __slots__ = (
        "_counts",
        "_least",
        "_limits",
        "_metrics",
        "_most_bytes",
        "_most_frames",
        "_open",
        "_parts",
        "_sent",
        "_shift",
        "_waiting",
        "acknowledged",
        "bytes",
        "followed_from",
        "frames",
        "gap",
        "history",
    )

    def __init__(self, limits: Limits, counts: Counts, metrics: Metrics) -> None:
        self._limits = limits
        self._most_frames = math.inf if limits.resume_frames is None else limits.resume_frames
        self._most_bytes = math.inf if limits.resume_bytes is None else limits.resume_bytes
        self._counts = counts
        self._metrics = metrics
        self._parts: list[Part] = []  # few of them; a deque takes 760 bytes, and there is one of these for each client
        self._open: Part | None = None  # the last of them, if more frames may be appended to it
        self._least = 0  # who has received less lacks a frame that is not kept
        self._sent = 0  # the number of the last frame that went to the wire, before those of the history
        self.history: History | object = NO_HISTORY  # it follows this one
        self.followed_from = 0  # the history's number before the first frame that this one keeps for the ring
        self._shift = 0  # what makes a number of the history one of the ring
        self._waiting: Outbox | None = None  # None if nothing waits
        self.acknowledged = 0
        self.frames = self.bytes = 0
        self.gap: GapReason | None = None

    def new_history(self) -> History:
        """Return a history for a room, whose frames count together with those of this ring."""
        return History(self._limits, self._counts)

    @property
    def sent(self) -> int:
        """The number of the last frame that went to the wire."""
        history = self.history
        return history.end + self._shift if isinstance(history, History) else self._sent

    # --- frames

    def add(self, frames: Sequence[bytes], start: int = 0, history: History | None = None) -> None:
        """Keep frames[start:], which went to the wire. All of them are the pass of `history`, if it is given."""
        if start:
            frames = frames[start:]
        kinds = set(map(type, frames))
        if UncountedFrame in kinds:
            frames = [frame for frame in frames if frame.__class__ is not UncountedFrame]
        if not frames:
            return
        self.break_off()
        number = self._sent
        if history is not None:
            self._open = None
            self.history, self.followed_from, self._shift = history, history.last, number - history.last
            history.followers[self] = None
            return
        self._sent += len(frames)
        part = self._open
        if VolatileFrame in kinds:
            holes = holes_of(frames)
            if part is None:
                if holes.count(None) == len(holes):
                    return
                part = self._begin_part(number)
            held, size = part.stretch.add_holes(holes)
        else:
            part = part or self._begin_part(number)
            held, size = len(frames), sum(map(len, frames))
            part.stretch.add(frames, size)
        part.high += len(frames)
        part.frames += held
        part.bytes += size
        self.frames += held
        self.bytes += size
        if part.stretch.is_full:
            self._open = None
        if self.frames > self._most_frames or self.bytes > self._most_bytes:
            self._make_room()
        self._counts.settle()  # may empty this ring

    def break_off(self, end: int | None = None) -> None:
        """Follow no history any more: keep what the client was given of it, up to the number `end`, or all of it."""
        history = self.history
        if not isinstance(history, History):
            return
        self.history = NO_HISTORY
        if end is None:
            end = history.end
        first, shift = self.followed_from, self._shift
        self._sent = end + shift
        lost = min(history.first, end)
        if first < lost:  # more was said than is kept; what is older goes first
            self._lose_parts()
            first, self._least = lost, lost + shift
        for stretch, low, high in history.slices(first, end):
            part = Part(stretch, low, high, stretch.first + low + shift)
            stretch.places += 1
            self._append(part)
            self.frames += part.frames
            self.bytes += part.bytes
        history.leave(self)
        if self.frames > self._most_frames or self.bytes > self._most_bytes:
            self._make_room()

    def wait(self, _: bytes, frames: Sequence[bytes], start: int = 0, history: History | None = None) -> None:
        """Keep frames[start:] for a client that has no connection: as `Writer.deliver`."""
        self._put(frames[start:])

    def keep_back(self, frames: Sequence[bytes]) -> None:
        """Keep frames that did not go to the wire, before those that wait already; the connection ends."""
        self.break_off()
        if frames:
            self._put([*frames, *self._take_waiting()])

    def acknowledge(self, number: int) -> bool:
        """Forget the frames up to this number, which the client has. Return False if there is no such number."""
        if not 0 <= number <= self.sent:
            return False
        if number > self.acknowledged:
            self.acknowledged = number
            while self._parts and self._parts[0].last_held <= number:
                self._drop_first()
            history = self.history
            if isinstance(history, History) and number - self._shift > self.followed_from:
                self.followed_from = number - self._shift
                history.acknowledged(self.followed_from)
        return True

    def rewind(self, received: int | None) -> list[bytes] | None:
        """Return the frames that a client lacks which has those up to `received`, and count from there.

        They are to be sent, and do not belong to the ring any more. None if some of them are lost, or the number
        cannot be, since it is too large or was acknowledged already; then nothing changes.
        """
        self.break_off()
        least = max(self._least, self.acknowledged)
        if received is None or self.gap is not None or not least <= received <= self._sent:
            return None
        lacking: list[bytes] = []
        for part in self._parts:
            for number, frame in enumerate(part.stretch.frames[part.low : part.high], part.number + 1):
                if frame is not None and number > received:
                    lacking.append(frame)
        lacking += self._take_waiting()
        self.clear(received)
        return _newest_only(lacking)

    def lose(self, reason: GapReason) -> None:
        """Drop all frames, and keep none until `clear`: the client will be told that it has missed some."""
        self._empty()
        self.gap = reason

    def give_way(self) -> None:
        """Free the memory."""
        if self._waiting is not None:
            self.lose("overflow")
        else:
            self._lose_parts()

    def clear(self, sent: int = 0) -> None:
        """Drop all frames, and count from `sent`."""
        self._empty()
        self._sent = self.acknowledged = self._least = sent
        self.gap = None

    def end(self) -> None:
        """Drop all frames, and keep none any more: the session has ended, and its connection may still close."""
        self.lose("overflow")
        self._most_frames = 0

    # --- what is kept, and what waits

    def _begin_part(self, number: int) -> Part:
        """Append a part of a stretch of the ring's own."""
        self._open = part = Part(Stretch(number, self._counts), 0, 0, number)
        self._append(part)
        return part

    def _append(self, part: Part) -> None:
        if not self._parts:
            self._counts.add_holder(self)
        self._parts.append(part)
        self._counts.bytes += PART_BYTES

    def _put(self, frames: Sequence[bytes]) -> None:
        """Let frames wait, after those that do."""
        frames = [frame for frame in frames if frame.__class__ is not UncountedFrame]
        if self.gap is not None:
            self._metrics.frames_dropped += len(frames)
            return
        waiting = self._waiting or Outbox(None, None, self._counts)
        count, size, dropped = waiting.count, waiting.size, waiting.dropped
        waiting.put(frames)
        self._metrics.frames_dropped += waiting.dropped - dropped
        if not waiting.count:
            return
        self._waiting = waiting
        self.frames += waiting.count - count
        self.bytes += waiting.size - size
        self._make_room()
        if self.frames > self._most_frames or self.bytes > self._most_bytes:
            self.lose("overflow")
        else:
            self._counts.add_holder(self)
            self._counts.settle()

    def _take_waiting(self) -> list[bytes]:
        """Return the frames that wait, and let them wait no more."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return []
        frames = waiting.live_frames()
        self.frames -= waiting.count
        self.bytes -= waiting.size
        waiting.clear()
        if not self._parts:
            self._counts.remove_holder(self)
        return frames

    def _make_room(self) -> None:
        """Drop the oldest of the frames that have gone to the wire, until the bounds are kept."""
        while self._parts and (self.frames > self._most_frames or self.bytes > self._most_bytes):
            part = self._parts[0]
            frame = part.stretch.frames[part.low]
            part.low += 1
            part.number += 1
            if frame is not None:
                self._least = part.number
                part.frames -= 1
                part.bytes -= len(frame)
                self.frames -= 1
                self.bytes -= len(frame)
            if not part.frames:
                self._drop_first()

    def _drop_first(self) -> None:
        """Drop the oldest part, which the client does not need or which is lost."""
        part = self._parts.pop(0)
        if part is self._open:
            self._open = None
        self.frames -= part.frames
        self.bytes -= part.bytes
        self._counts.bytes -= PART_BYTES
        part.stretch.let_go()
        if not self._parts and self._waiting is None:
            self._counts.remove_holder(self)

    def _lose_parts(self) -> None:
        """Drop all frames that have gone to the wire."""
        if self._parts:
            self._least = self._parts[-1].last_held
        while self._parts:
            self._drop_first()

    def _empty(self) -> None:
        """Drop all frames."""
        self.break_off()
        self._lose_parts()
        self._metrics.frames_dropped += len(self._take_waiting())


def _newest_only(frames: list[bytes]) -> list[bytes]:
    """Leave out the coalesced frames that a later one replaces."""
    seen: set[Hashable] = set()
    newest: list[bytes] = []
    for frame in reversed(frames):
        if isinstance(frame, CoalescedFrame):
            if frame.key in seen:
                continue
            seen.add(frame.key)
        newest.append(frame)
    newest.reverse()
    return newest


class NoRing:
    """What counts the frames of a client that has not asked to come back, or goes on over another connection."""

    history: object = None

    def add(self, frames: Sequence[bytes], start: int = 0, history: History | None = None) -> None: ...

    def break_off(self, end: int | None = None) -> None: ...


NO_RING: Final = NoRing()
