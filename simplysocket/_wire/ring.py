"""The ring: the frames that a client may lack, for when it comes back.

Laws:
- Kept is what went to the wire and is not acknowledged, in order and with its numbers. After it waits what was said
  while there was no connection; that has no numbers yet.
- Frames that went to the wire together are one object, which all clients that were given them share. So a list of
  frames is not changed after it was delivered.
- Volatile frames have numbers, take no memory and evict nothing. Uncounted frames leave no trace.
- It holds no more than its bounds. The oldest that was sent goes first: a gap only for a client that lacks it.
  What waits was never sent: when it does not fit, the gap is certain, and nothing is kept until the client is told.

Knows nothing of sockets, tasks or clocks.
"""

import math
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Final, Protocol

from .._protocol.delivery_classes import CoalescedFrame, UncountedFrame, VolatileFrame
from .._protocol.resume_tokens import GapReason
from ..limits import Limits
from ..metrics import Metrics
from .outbox import PLACE_BYTES, Outbox
from .outbox import Counts as FrameCounts

SKIP_BYTES: Final = 40  # of a number of volatile frames between others


class Kept:
    """Frames that went to the wire together, as rings share them. `frames` has holes for volatile ones.

    `count` of them have numbers, `held` of these are kept, and the last that is kept is number `last` among them.
    `places` is in how many rings it is.
    """

    __slots__ = ("bytes", "count", "frames", "held", "last", "places")

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.places = self.bytes = 0
        self.frames: Sequence[bytes | None] = frames
        self.count = self.held = self.last = len(frames)
        for frame in frames:
            if frame.__class__ is VolatileFrame or frame.__class__ is UncountedFrame:
                self._leave_out(frames)
                return
            self.bytes += len(frame)

    def _leave_out(self, frames: Sequence[bytes]) -> None:
        """Keep only the frames that are sent again."""
        holes = [
            None if frame.__class__ is VolatileFrame else frame
            for frame in frames
            if frame.__class__ is not UncountedFrame
        ]
        self.frames, self.count, self.held = holes, len(holes), len(holes) - holes.count(None)
        self.last = max((number for number, frame in enumerate(holes, 1) if frame is not None), default=0)
        self.bytes = sum(len(frame) for frame in holes if frame is not None)


_Frames = Sequence[bytes]  # a class with a field `bytes` cannot name the type


class Counts(FrameCounts, Protocol):
    """What counts the memory of all rings, as one ring sees it: `Outboxes`."""

    bytes: int
    last_frames: _Frames  # what `share` was asked for last
    last_kept: Kept  # and what it returned

    def share(self, frames: _Frames, start: int) -> Kept:
        """Return frames[start:] as they are kept: for the same list the same object, if it is asked for in a row."""

    def begin(self, kept: Kept) -> None:
        """Count what the first ring holds. If too much is held in all, empty the largest rings."""

    def end(self, kept: Kept) -> None:
        """Count no more what the last ring has dropped."""

    def settle(self) -> None:
        """Empty the largest rings if too much is held in all."""

    def add_ring(self, ring: "Ring") -> None:
        """Know a ring that holds something."""

    def remove_ring(self, ring: "Ring") -> None:
        """Forget a ring, which is empty."""


_NOTHING: Final[deque[Kept | int]] = deque(maxlen=0)  # of all rings that keep nothing: a deque takes 760 bytes


class Ring:
    """The frames that one client may lack. `sent` is the number of the last frame that went to the wire.

    `frames` and `bytes` are how much is kept and waits. `acknowledged` is up to which number the client has said
    that it has them. `gap` says why frames were lost that the client was never sent.
    """

    __slots__ = (
        "_base",
        "_counts",
        "_kept",
        "_least",
        "_metrics",
        "_most_bytes",
        "_most_frames",
        "_waiting",
        "acknowledged",
        "bytes",
        "frames",
        "gap",
        "sent",
    )

    def __init__(self, limits: Limits, counts: Counts, metrics: Metrics) -> None:
        self._most_frames = math.inf if limits.resume_frames is None else limits.resume_frames
        self._most_bytes = math.inf if limits.resume_bytes is None else limits.resume_bytes
        self._counts = counts
        self._metrics = metrics
        # An integer stands for so many volatile frames; it is never the first, and never follows another one.
        self._kept = _NOTHING
        self._base = 0  # the number before the first of them
        self._least = 0  # who has received less lacks a frame that is not kept
        self._waiting: Outbox | None = None  # None if nothing waits
        self.acknowledged = 0
        self.sent = 0
        self.frames = self.bytes = 0
        self.gap: GapReason | None = None

    # --- frames

    def add(self, frames: Sequence[bytes], start: int = 0) -> None:
        """Keep frames[start:], which go to the wire. The hot path: 0.25 us if others were given the same list."""
        counts = self._counts
        kept = counts.last_kept if frames is counts.last_frames and not start else counts.share(frames, start)
        self.sent += kept.count
        if not kept.held:
            self._skip(kept.count)
            return
        if self._kept is _NOTHING:
            self._kept = deque()
            counts.add_ring(self)
        self._kept.append(kept)
        self.frames += kept.held
        self.bytes += kept.bytes
        kept.places += 1
        if kept.places > 1:
            counts.bytes += PLACE_BYTES
        else:
            counts.begin(kept)  # may empty this ring
        if self.frames > self._most_frames or self.bytes > self._most_bytes:
            self._make_room()

    def wait(self, _: bytes, frames: Sequence[bytes], start: int = 0) -> None:
        """Keep frames[start:] for a client that has no connection: as `Writer.deliver`."""
        self._put(frames[start:])

    def keep_back(self, frames: Sequence[bytes]) -> None:
        """Keep frames that did not go to the wire, before those that wait already."""
        if frames:
            self._put([*frames, *self._take_waiting()])

    def acknowledge(self, number: int) -> bool:
        """Forget the frames up to this number, which the client has. Return False if there is no such number."""
        if not 0 <= number <= self.sent:
            return False
        if number > self.acknowledged:
            self.acknowledged = number
            while self._kept and self._base + self._first.last <= number:
                self._drop_first()
        return True

    def rewind(self, received: int | None) -> list[bytes] | None:
        """Return the frames that a client lacks which has those up to `received`, and count from there.

        They are to be sent, and do not belong to the ring any more. None if some of them are lost, or the number
        cannot be; then nothing changes.
        """
        if received is None or self.gap is not None or not self._least <= received <= self.sent:
            return None
        lacking: list[bytes] = []
        number = self._base
        for each in self._kept:
            if isinstance(each, int):
                number += each
                continue
            for frame in each.frames:
                number += 1
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
            self._empty()

    def clear(self, sent: int = 0) -> None:
        """Drop all frames, and count from `sent`."""
        self._empty()
        self.sent = self.acknowledged = self._base = self._least = sent
        self.gap = None

    def end(self) -> None:
        """Drop all frames, and keep none any more: the session has ended, and its connection may still close."""
        self.lose("overflow")
        self._most_frames = 0

    # --- what is kept, and what waits

    @property
    def _first(self) -> Kept:
        first = self._kept[0]
        assert isinstance(first, Kept)
        return first

    def _skip(self, count: int) -> None:
        """Give numbers to volatile frames, of which nothing is kept."""
        last = self._kept[-1] if self._kept else None
        if last is None:
            self._base += count
        elif isinstance(last, int):
            self._kept[-1] = last + count
        elif count:
            self._kept.append(count)
            self._counts.bytes += SKIP_BYTES

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
            self._counts.add_ring(self)
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
        if not self.frames:
            self._counts.remove_ring(self)
        return frames

    def _make_room(self) -> None:
        """Drop the oldest of the frames that have gone to the wire, until the bounds are kept."""
        while self._kept and (self.frames > self._most_frames or self.bytes > self._most_bytes):
            self._drop_first()

    def _drop_first(self) -> None:
        """Drop the oldest of the frames that have gone to the wire."""
        first = self._first
        self._kept.popleft()
        self._release(first)
        self.frames -= first.held
        self.bytes -= first.bytes
        self._least = self._base + first.last
        self._base += first.count
        if self._kept and isinstance(self._kept[0], int):
            self._base += self._kept[0]
            self._counts.bytes -= SKIP_BYTES
            self._kept.popleft()
        if not self._kept:
            self._kept = _NOTHING
            if not self.frames:
                self._counts.remove_ring(self)

    def _empty(self) -> None:
        """Drop all frames."""
        last: Kept | int | None = None
        for last in self._kept:
            if isinstance(last, int):
                self._counts.bytes -= SKIP_BYTES
            else:
                self._release(last)
        if last is not None:
            self._least = self.sent - (last if isinstance(last, int) else last.count - last.last)
        self._base = self.sent
        self._kept = _NOTHING
        self._metrics.frames_dropped += len(self._take_waiting())
        self.frames = self.bytes = 0
        self._counts.remove_ring(self)

    def _release(self, kept: Kept) -> None:
        kept.places -= 1
        if kept.places:
            self._counts.bytes -= PLACE_BYTES
        else:
            self._counts.end(kept)


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
