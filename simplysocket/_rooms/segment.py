"""A segment of a room's sequence: frames in order, some of which are not for all members.

Laws: a plain machine. The work for one member does not grow with the number of other members
that are excluded or have frames of their own.
"""

import math
from bisect import bisect_left

from ..brokers.broker import Batch


class Segment:
    """Frames of a room in the order of their places, and the members that each is for."""

    __slots__ = ("common", "exclude", "first", "frames", "marks", "only", "places")

    def __init__(self, first: int, frames: list[bytes]) -> None:
        """Begin with `frames`, which are for everyone; the first of them has the place `first`."""
        self.first = first
        self.frames = frames  # all of them, in the order of their places
        self.common = frames  # without those for one member alone; the same list as `frames` while there are none
        self.exclude: dict[int, tuple[str, ...]] = {}  # as in Batch
        self.only: dict[int, str] = {}
        self.places: list[int] = []  # those of `only`, in order
        # {id of a member: (place, index in `common`, the frame to insert there, or None to leave out the one there)}
        self.marks: dict[str, list[tuple[int, int, bytes | None]]] = {}

    @classmethod
    def of(cls, batch: Batch) -> "Segment":
        """Return the segment of a batch."""
        if not batch.exclude and not batch.only:
            return cls(batch.first, batch.frames)
        segment = cls(batch.first, [])
        for place, frame in enumerate(batch.frames, batch.first):
            segment.add(frame, batch.exclude.get(place, ()), batch.only.get(place))
        return segment

    def add(self, frame: bytes, exclude: tuple[str, ...], only: str | None) -> None:
        """Append a frame: for all members except those in `exclude`, or for the member `only`."""
        place, index = self.first + len(self.frames), len(self.common)
        if only is not None:
            if self.common is self.frames:
                self.common = list(self.frames)
            self.only[place] = only
            self.places.append(place)
            self.marks.setdefault(only, []).append((place, index, frame))
        else:
            if exclude:
                self.exclude[place] = exclude
                for id in exclude:
                    self.marks.setdefault(id, []).append((place, index, None))
            if self.common is not self.frames:
                self.common.append(frame)
        self.frames.append(frame)

    def pieces(self, most_bytes: int) -> "list[Segment]":
        """Return segments of the same frames, in order, each of at most `most_bytes`, or of one larger frame."""
        if sum(map(len, self.frames)) <= most_bytes:
            return [self]
        pieces, size = [Segment(self.first, [])], 0
        for place, frame in enumerate(self.frames, self.first):
            if size and size + len(frame) > most_bytes:
                pieces.append(Segment(place, []))
                size = 0
            pieces[-1].add(frame, self.exclude.get(place, ()), self.only.get(place))
            size += len(frame)
        return pieces

    def part(self, id: str, cursor: int) -> list[bytes]:
        """Return the frames for one member, from the place `cursor` on."""
        start = 0
        if cursor > self.first:
            start = cursor - self.first - bisect_left(self.places, cursor)
        part: list[bytes] = []
        for place, index, frame in self.marks.get(id, ()):
            if place >= cursor:
                if index > start:
                    part += self.common[start:index]
                    start = index
                if frame is None:
                    start = index + 1
                else:
                    part.append(frame)
        part += self.common[start:]
        return part


def weigh(size: int, segment: Segment | None, members: int, most: int) -> float:
    """Return how many bytes all members are given together; infinite if one of them is given more than `most`.

    `size` is that of all frames. Without a segment, they are for everyone.
    """
    if segment is None:
        return math.inf if size > most else size * members
    common = sum(map(len, segment.common))
    own = {id: sum(len(frame) for _, _, frame in marks if frame is not None) for id, marks in segment.marks.items()}
    return math.inf if common + max(own.values(), default=0) > most else common * members + sum(own.values())
