"""Stretches: frames with consecutive numbers, as the histories of rooms and the rings of clients keep them.

Laws:
- A volatile frame has a number and takes no memory: None stands for it.
- A stretch exists for as long as a place refers to it: the history that it belongs to, and the parts of it in rings.
- A small frame counts once for its stretch. A large one counts once in all, also if it waits in outboxes.

Knows nothing of sockets, tasks or clocks.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from .._protocol.delivery_classes import VolatileFrame
from .outbox import Counts as FrameCounts

MOST_FRAMES: Final = 64  # a stretch of so many takes no more, nor one
MOST_BYTES: Final = 16_384  # of so many bytes: it is freed as a whole
LARGE: Final = 1_024  # bytes of a frame that counts once in all
STRETCH_BYTES: Final = 256  # the object, and its list
FRAME_BYTES: Final = 48  # for each frame, in addition to its payload: the head of the object, and its entry in the list

_Bytes = bytes  # a class with a field `bytes` cannot name the type


class Holder(Protocol):
    """What keeps frames for clients that may come back: the history of a room, or the ring of a client."""

    @property
    def frames(self) -> int:
        """How many frames it keeps."""

    @property
    def bytes(self) -> int:
        """How many bytes they have."""

    def give_way(self) -> None:
        """Free the memory."""


class Counts(FrameCounts, Protocol):
    """What counts the memory of all that is kept, as one holder sees it: `Outboxes`."""

    bytes: int
    most: float  # of these bytes
    giver: object  # the history whose pass is given in this moment: no holder is emptied and no client closed; or None

    def let_go(self) -> None:
        """Do what was put off while a pass was given: too much is held in all."""

    def settle(self) -> None:
        """If too much is held in all, empty the largest holders."""

    def add_holder(self, holder: Holder) -> None:
        """Know a holder that keeps something."""

    def remove_holder(self, holder: Holder) -> None:
        """Forget a holder, which is empty."""


def holes_of(frames: Sequence[bytes]) -> list[bytes | None]:
    """Return the frames with None in the places of volatile ones."""
    return [None if frame.__class__ is VolatileFrame else frame for frame in frames]


class Stretch:
    """Frames with consecutive numbers. `first` is the number before them; `bytes` are those of all.

    `places` is how many refer to it. While it is not full, more frames may be appended.
    """

    __slots__ = ("_counts", "_holes", "_large", "bytes", "first", "frames", "places")

    def __init__(self, first: int, counts: Counts) -> None:
        self._counts = counts
        self._large: tuple[_Bytes, ...] = ()  # those of the frames that count once in all
        self.first = first
        self.frames: list[_Bytes | None] = []
        self.bytes = self._holes = 0
        self.places = 1
        counts.bytes += STRETCH_BYTES

    @property
    def held(self) -> int:
        """How many of the frames are no holes."""
        return len(self.frames) - self._holes

    @property
    def is_full(self) -> bool:
        """Whether no more frames are to be appended."""
        return len(self.frames) >= MOST_FRAMES or self.bytes >= MOST_BYTES

    def add(self, frames: Sequence[_Bytes], size: int) -> None:
        """Append frames, none of which is volatile; together they have `size` bytes."""
        self.frames += frames
        self.bytes += size
        self._counts.bytes += size + FRAME_BYTES * len(frames)
        if size > LARGE:
            self.count_large(frames)

    def add_holes(self, frames: Sequence[_Bytes | None]) -> tuple[int, int]:
        """Append frames, with None for volatile ones. Return how many are held, and their bytes."""
        held = [frame for frame in frames if frame is not None]
        size = sum(map(len, held))
        self.frames += frames
        self._holes += len(frames) - len(held)
        self.bytes += size
        self._counts.bytes += size + FRAME_BYTES * len(held)
        self.count_large(held)
        return len(held), size

    def count_large(self, frames: Sequence[_Bytes]) -> None:
        """Count the large ones of these frames, which were appended, as those of outboxes."""
        large = [frame for frame in frames if len(frame) > LARGE]
        for frame in large:
            self._counts.bytes -= len(frame)
            self._counts.keep(frame)
        self._large += tuple(large)

    def let_go(self) -> None:
        """Count one place less; the last one frees the memory."""
        self.places -= 1
        if not self.places:
            counts = self._counts
            counts.bytes -= STRETCH_BYTES + FRAME_BYTES * self.held + self.bytes - sum(map(len, self._large))
            for frame in self._large:
                counts.release(frame)
