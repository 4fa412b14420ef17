"""A part: what one ring keeps of a stretch, its own or one of the history of a room."""

from typing import Final

from .stretch import Stretch

PART_BYTES: Final = 112  # of the object


class Part:
    """Frames of a stretch that one ring keeps: those from `low` to `high` of its list, after the number `number`.

    `frames` and `bytes` are how many of them are no holes, and their bytes.
    """

    __slots__ = ("bytes", "frames", "high", "low", "number", "stretch")

    def __init__(self, stretch: Stretch, low: int, high: int, number: int) -> None:
        self.stretch = stretch
        self.low, self.high = low, high
        self.number = number
        if high - low == len(stretch.frames):
            self.frames, self.bytes = stretch.held, stretch.bytes
        else:
            held = [frame for frame in stretch.frames[low:high] if frame is not None]
            self.frames, self.bytes = len(held), sum(map(len, held))

    @property
    def last_held(self) -> int:
        """The number of its last frame that is no hole."""
        last = self.number + self.high - self.low
        for frame in reversed(self.stretch.frames[self.low : self.high]):
            if frame is not None:
                break
            last -= 1
        return last
