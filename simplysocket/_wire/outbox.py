"""The outbox: what waits to go to one client, once its socket takes no more.

Laws: put() never waits. A frame that was begun is finished before anything else.
Order is kept. A volatile frame never waits here; of coalesced frames with one
key only the newest does. Knows nothing of sockets, tasks or clocks.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from itertools import islice

from .._protocol.delivery import CoalescedFrame, VolatileFrame


class Outbox:
    """Frames on their way to one client, bounded in number and in bytes.

    `size` counts all bytes that wait, the begun frame included. `dropped` counts
    the volatile and the replaced frames, `refused` those that the last `put` did not keep.
    """

    __slots__ = ("_begun", "_count", "_frames", "_max_bytes", "_max_frames", "_newest", "dropped", "refused", "size")

    def __init__(self, max_frames: int | None, max_bytes: int | None) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._begun = b""  # what is left of the chunk being written
        self._frames: deque[bytes] = deque()  # live ones, and replaced ones that are skipped later
        self._newest: dict[Hashable, CoalescedFrame] = {}
        self._count = 0  # of live frames
        self.size = 0
        self.dropped = 0
        self.refused = 0

    def begin(self, rest: bytes) -> None:
        """Keep the rest of a frame whose first bytes the socket has taken; only into an empty outbox."""
        self._begun = rest
        self.size = len(rest)

    def put(self, frames: Sequence[bytes], start: int = 0) -> bool:
        """Keep frames[start:]; False when a bound is passed, with the frames from there on not kept.

        One frame alone may be larger than the bound: it is refused only behind others.
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
        """Keep one frame whatever the bounds say: the Close, which is the last."""
        self._frames.append(frame)
        self._count += 1
        self.size += len(frame)

    def next_bytes(self, most: int = 65_536) -> bytes:
        """Return the next bytes to write, about `most` of them; they count as begun until `sent` says so."""
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
        """Note that the first `count` of the next bytes are on their way."""
        self._begun = self._begun[count:]
        self.size -= count

    def clear(self) -> None:
        """Forget everything: the connection is cut."""
        self._begun = b""
        self._frames.clear()
        self._newest.clear()
        self._count = self.size = 0

    def _is_live(self, frame: bytes) -> bool:
        return not isinstance(frame, CoalescedFrame) or self._newest.get(frame.key) is frame
