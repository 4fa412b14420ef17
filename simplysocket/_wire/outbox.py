"""The outbox: the frames that wait for one client, after its socket took no more.

Laws:
- put() never waits.
- A frame whose first bytes were sent is finished before anything else is sent.
- The order of the frames is kept.
- A volatile frame never waits. Of the coalesced frames with the same key only the newest waits.

Knows nothing of sockets, tasks or clocks.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from itertools import islice

from .._protocol.delivery_classes import CoalescedFrame, VolatileFrame


class Outbox:
    """Frames that wait for one client, bounded in number and in bytes.

    `size` is the number of bytes that wait, those of a begun frame included. `dropped`
    counts the volatile and the replaced frames since the beginning, `refused` the frames
    that the last `put` did not keep.
    """

    __slots__ = ("_begun", "_count", "_frames", "_max_bytes", "_max_frames", "_newest", "dropped", "refused", "size")

    def __init__(self, max_frames: int | None, max_bytes: int | None) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._begun = b""  # the rest of the chunk that is being sent
        self._frames: deque[bytes] = deque()  # with replaced ones, which are skipped later
        self._newest: dict[Hashable, CoalescedFrame] = {}
        self._count = 0  # of the frames that were not replaced
        self.size = 0
        self.dropped = 0
        self.refused = 0

    def begin(self, rest: bytes) -> None:
        """Keep the rest of a frame whose first bytes were sent; the outbox must be empty."""
        self._begun = rest
        self.size = len(rest)

    def put(self, frames: Sequence[bytes], start: int = 0) -> bool:
        """Keep frames[start:]; return False if a bound is exceeded.

        The frame that exceeds it is not kept, nor are those after it. A frame of any size fits into an empty outbox.
        """
        for at, frame in enumerate(islice(frames, start, None), start):
            if frame.__class__ is VolatileFrame:
                self.dropped += 1
                continue
            older = self._newest.get(frame.key) if isinstance(frame, CoalescedFrame) else None
            count, size = self._count, self.size
            if older is not None:
                count -= 1
                size -= len(older)
            if size and (
                (self._max_frames is not None and count >= self._max_frames)
                or (self._max_bytes is not None and size + len(frame) > self._max_bytes)
            ):
                self.refused = len(frames) - at
                return False
            self._frames.append(frame)
            self._count = count + 1
            self.size = size + len(frame)
            if isinstance(frame, CoalescedFrame):
                self._newest[frame.key] = frame
                self.dropped += older is not None
        if len(self._frames) > 2 * self._count + 64:
            self._frames = deque(frame for frame in self._frames if self._is_live(frame))
        return True

    def append(self, frame: bytes) -> None:
        """Keep one frame in spite of the bounds: the Close, which is the last."""
        self._frames.append(frame)
        self._count += 1
        self.size += len(frame)

    def next_bytes(self, most: int = 65_536) -> bytes:
        """Return the next bytes to send: those that were begun, or else whole frames of about `most` bytes.

        They count as begun until `sent` is called.
        """
        if not self._begun:
            chunk: list[bytes] = []
            room = most
            while self._frames and room > 0:
                frame = self._frames.popleft()
                if not self._is_live(frame):
                    continue
                if isinstance(frame, CoalescedFrame):
                    del self._newest[frame.key]
                chunk.append(frame)
                room -= len(frame)
                self._count -= 1
            self._begun = b"".join(chunk)
        return self._begun

    def sent(self, count: int) -> None:
        """Note that the first `count` of the next bytes were sent."""
        self._begun = self._begun[count:]
        self.size -= count

    def clear(self) -> None:
        """Drop all frames: the connection ends."""
        self._begun = b""
        self._frames.clear()
        self._newest.clear()
        self._count = self.size = 0

    def _is_live(self, frame: bytes) -> bool:
        return not isinstance(frame, CoalescedFrame) or self._newest.get(frame.key) is frame
