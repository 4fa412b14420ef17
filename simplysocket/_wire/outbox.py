"""The outbox: the frames that wait for one client, after its socket took no more.

Laws:
- put() never waits, and refuses nothing: which client is too slow is judged by the time (outboxes.py).
- A frame whose first bytes were sent is finished before anything else is sent.
- The order of the frames is kept.
- A volatile frame never waits. Of the coalesced frames with the same key only the newest waits.
- A large frame is not copied: all outboxes in which it waits, or is being sent, hold the same object.

Knows nothing of sockets, tasks or clocks.
"""

import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import Final, Protocol

from .._protocol.delivery_classes import CoalescedFrame, VolatileFrame

PLACE_BYTES: Final = 8  # for each place in which a frame waits or is kept: the reference to it

_NO_FRAMES: Final[deque[bytes]] = deque(maxlen=0)  # of all outboxes that were never used: a deque takes 760 bytes


class Counts(Protocol):
    """What counts the frames of all outboxes, as one outbox sees it: `Outboxes`."""

    def keep(self, frame: bytes) -> None:
        """Count one more place in which a frame waits."""

    def release(self, frame: bytes) -> None:
        """Count one place less in which a frame waits."""


class Outbox:
    """Frames that wait for one client.

    `size` is the number of bytes that wait, those of a begun frame included. `dropped`
    counts the volatile and the replaced frames since the beginning. `counts` is told of each
    frame for as long as this outbox holds it.
    """

    __slots__ = (
        "_allowed_bytes",
        "_allowed_frames",
        "_begun",
        "_begun_at",
        "_counts",
        "_frames",
        "_max_bytes",
        "_max_frames",
        "_newest",
        "count",
        "dropped",
        "on_begin",
        "size",
    )

    def __init__(self, max_frames: int | None, max_bytes: int | None, counts: Counts) -> None:
        self._max_frames = math.inf if max_frames is None else max_frames
        self._max_bytes = math.inf if max_bytes is None else max_bytes
        self._counts = counts
        self._begun = b""  # the chunk that is being sent; b"" if there is none
        self._begun_at = 0  # how many bytes of it were sent
        self._frames: deque[bytes] = _NO_FRAMES  # with replaced ones, which are skipped later
        self._newest: dict[Hashable, CoalescedFrame] = {}
        self._allowed_frames = self._allowed_bytes = 0  # beyond the bounds, until all is sent
        self.count = 0  # of the frames that were not replaced
        self.on_begin: Callable[[Sequence[bytes]], None] | None = None  # is told of the frames that begin to be sent
        self.size = 0
        self.dropped = 0

    @property
    def is_above(self) -> bool:
        """Whether more waits than a bound allows.

        A frame that is being sent does not count if it alone is larger than the bound: it may take its time.
        """
        begun = len(self._begun) - self._begun_at
        waiting = self.size - begun if begun > self._max_bytes else self.size
        return waiting > self._max_bytes + self._allowed_bytes or self.count > self._max_frames + self._allowed_frames

    def allow(self, frames: Sequence[bytes]) -> None:
        """Let so many frames and bytes wait beyond the bounds, until all that waits is sent."""
        self._allowed_frames = len(frames)
        self._allowed_bytes = sum(map(len, frames))

    def begin(self, chunk: bytes, sent: int = 0) -> None:
        """Keep a chunk of whole frames, of which `sent` bytes were sent; the outbox must be empty."""
        self._counts.keep(chunk)
        self._begun = chunk
        self._begun_at = sent
        self.size = len(chunk) - sent

    def put(self, frames: Sequence[bytes], start: int = 0) -> None:
        """Keep frames[start:]."""
        for frame in islice(frames, start, None):
            if frame.__class__ is VolatileFrame:
                self.dropped += 1
                continue
            if isinstance(frame, CoalescedFrame):
                older = self._newest.get(frame.key)
                if older is not None:
                    self.count -= 1
                    self.size -= len(older)
                    self.dropped += 1
                self._newest[frame.key] = frame
            self.append(frame)
        if len(self._frames) > 2 * self.count + 64:
            self._remove_replaced()

    def append(self, frame: bytes) -> None:
        """Keep one frame, whatever its delivery class."""
        if self._frames is _NO_FRAMES:
            self._frames = deque()
        self._frames.append(frame)
        self._counts.keep(frame)
        self.count += 1
        self.size += len(frame)

    def next_bytes(self, most: int = 65_536) -> bytes | memoryview:
        """Return the next bytes to send: those that were begun, or else whole frames of about `most` bytes.

        They count as begun until `sent` is called.
        """
        if not self._begun:
            self._begin_next(most)
        return memoryview(self._begun)[self._begun_at :] if self._begun_at else self._begun

    def sent(self, count: int) -> None:
        """Note that the first `count` of the next bytes were sent."""
        if not self._begun:
            return  # the outbox was cleared meanwhile
        self._begun_at += count
        self.size -= count
        if self._begun_at == len(self._begun):
            self._end_begun()
        if not self.size:
            self._allowed_frames = self._allowed_bytes = 0

    def live_frames(self) -> list[bytes]:
        """Return the frames that wait, without those that are being sent, and those that were replaced."""
        return [frame for frame in self._frames if self._is_live(frame)]

    def drop_waiting(self) -> int:
        """Drop all frames except the chunk that is being sent. Return how many were dropped."""
        dropped = self.count
        for frame in self._frames:
            self._counts.release(frame)
        self._frames.clear()
        self._newest.clear()
        self.count = 0
        self.size = len(self._begun) - self._begun_at
        return dropped

    def clear(self) -> None:
        """Drop all frames: the connection ends."""
        self.drop_waiting()
        if self._begun:
            self._end_begun()
        self.size = 0

    def _begin_next(self, most: int) -> None:
        """Take the next whole frames, of about `most` bytes, as the chunk that is being sent."""
        chunk: list[bytes] = []
        room = most
        while self._frames and room > 0:
            frame = self._frames.popleft()
            if not self._is_live(frame):
                self._counts.release(frame)
                continue
            if isinstance(frame, CoalescedFrame):
                del self._newest[frame.key]
            chunk.append(frame)
            room -= len(frame)
            self.count -= 1
        if chunk and self.on_begin is not None:
            self.on_begin(chunk)
        if len(chunk) == 1:
            self._begun = chunk[0]
        elif chunk:
            self._begun = b"".join(chunk)
            self._counts.keep(self._begun)
            for frame in chunk:
                self._counts.release(frame)

    def _end_begun(self) -> None:
        self._counts.release(self._begun)
        self._begun = b""
        self._begun_at = 0

    def _remove_replaced(self) -> None:
        """Remove the frames that were replaced by newer ones, so that they take no memory for long."""
        frames, self._frames = self._frames, deque()
        for frame in frames:
            if self._is_live(frame):
                self._frames.append(frame)
            else:
                self._counts.release(frame)

    def _is_live(self, frame: bytes) -> bool:
        return not isinstance(frame, CoalescedFrame) or self._newest.get(frame.key) is frame
