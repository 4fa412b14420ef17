"""The history of a room: what all its members were given, kept once for those that may come back.

Laws:
- A ring follows a history while its client is given each pass whole and directly, and nothing else: then a pass costs
  the client nothing. Whatever comes in between, the ring breaks off before, and refers to its part.
- So no ring may follow that is not given a pass. Who gives one sees to that.
- Kept is what the slowest of the followers has not acknowledged, within the bounds of one ring.

Knows nothing of sockets, tasks or clocks.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from .._protocol.delivery_classes import VolatileFrame
from ..limits import Limits
from .stretch import FRAME_BYTES, LARGE, MOST_BYTES, MOST_FRAMES, Counts, Stretch, holes_of

_Bytes = bytes  # a class with a property `bytes` cannot name the type


class Follower(Protocol):
    """A ring, as a history sees it."""

    @property
    def followed_from(self) -> int:
        """Which frames of the history it does not need any more: those up to this number."""

    def break_off(self, end: int | None = None) -> None:
        """Follow no more; it was given the passes up to the number `end`, or all of them."""


class History:
    """The frames that the members of a room were given together; `end` is the number of the last.

    `last` is the number before the pass that is given now, or was given last. `first`: the frames up to
    this number are not kept.
    """

    __slots__ = (
        "_acknowledged",
        "_all_have",
        "_counts",
        "_full_bytes",
        "_full_frames",
        "_having_all",
        "_limits",
        "_most_bytes",
        "_most_frames",
        "_open",
        "_stretches",
        "end",
        "first",
        "followers",
        "last",
    )

    def __init__(self, limits: Limits, counts: Counts) -> None:
        self._limits = limits
        self._most_frames = math.inf if limits.resume_frames is None else limits.resume_frames
        self._most_bytes = math.inf if limits.resume_bytes is None else limits.resume_bytes
        self._counts = counts
        self._stretches: list[Stretch] = []  # few of them
        self._open: Stretch | None = None  # the last of them, while it is not full
        self._acknowledged = 0  # how often a follower has acknowledged something since the last trim
        self._all_have = self._having_all = 0  # so many of the followers have all up to this number
        self.followers: dict[Follower, None] = {}
        self.first = self.last = self.end = 0
        self._full_frames = self._full_bytes = 0  # in all that are full

    def successor(self) -> "History":
        """Return another one like it, which keeps nothing."""
        return History(self._limits, self._counts)

    def begin(self, frames: Sequence[_Bytes], size: int) -> None:
        """Keep a pass, of `size` bytes, which the members are given next, until `done`."""
        counts = self._counts
        counts.giver = self
        self.last = end = self.end
        count = len(frames)
        self.end = end + count
        if frames[0].__class__ is VolatileFrame if count == 1 else VolatileFrame in map(type, frames):
            self._keep_holes(holes_of(frames))
            return
        stretch = self._open or self._begin_stretch()
        # As `stretch.add`, whose call would cost as much as the rest.
        stretch.frames += frames
        stretch.bytes += size
        counts.bytes += size + FRAME_BYTES * count
        if size > LARGE:
            stretch.count_large(frames)
        if len(stretch.frames) >= MOST_FRAMES or stretch.bytes >= MOST_BYTES:
            self._end_stretch(stretch)

    def done(self) -> None:
        """Note that all members were given the pass."""
        counts = self._counts
        counts.giver = None
        if not self.followers:
            self._empty()
        if counts.bytes > counts.most:
            counts.let_go()

    def leave(self, follower: Follower) -> None:
        """Forget a follower. What nobody follows is not kept."""
        del self.followers[follower]
        if self._all_have == self.end:
            self._having_all -= follower.followed_from == self.end
        else:
            self._all_have, self._having_all = self.end, 0
        if self._having_all == len(self.followers) and self._counts.giver is not self:  # else others may follow next
            self._empty()

    def keep_only(self, followers: "set[Follower]") -> None:
        """Let all others break off: they are not given the next pass."""
        for each in self.followers.keys() - followers:
            each.break_off()

    def acknowledged(self, number: int) -> None:
        """Note that a follower has all up to this number, and did not before.

        When all followers have all, nothing is kept. Otherwise what none of them needs is dropped now and then.
        """
        self._acknowledged += 1
        if number == self.end:
            if self._all_have != number:
                self._all_have, self._having_all = number, 0
            self._having_all += 1
            if self._having_all == len(self.followers):
                self._empty()
        if self._acknowledged >= len(self.followers):
            self._acknowledged = 0
            least = min((each.followed_from for each in self.followers), default=self.end)
            while self._stretches and self._end_of_first <= least:
                self._drop_first()

    def slices(self, first: int, end: int) -> Iterator[tuple[Stretch, int, int]]:
        """Return where the frames after the number `first` and up to `end` are: (stretch, from, to) in its list."""
        found = []
        for stretch in reversed(self._stretches):
            if stretch.first + len(stretch.frames) <= first:
                break
            low, high = max(0, first - stretch.first), min(end - stretch.first, len(stretch.frames))
            if low < high:
                found.append((stretch, low, high))
        return reversed(found)

    def give_way(self) -> None:
        """Free the memory: for all followers this is lost."""
        self._empty()

    @property
    def frames(self) -> int:
        """How many frames are kept."""
        return self._full_frames + (0 if self._open is None else self._open.held)

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return self._full_bytes + (0 if self._open is None else self._open.bytes)

    def _begin_stretch(self) -> Stretch:
        """Begin a stretch with the pass that is given now."""
        if not self._stretches:
            self._counts.add_holder(self)
        self._open = stretch = Stretch(self.last, self._counts)
        self._stretches.append(stretch)
        return stretch

    def _end_stretch(self, stretch: Stretch) -> None:
        """Append no more to a stretch that is full, and keep the bounds."""
        self._open = None
        self._full_frames += stretch.held
        self._full_bytes += stretch.bytes
        self._make_room()

    def _keep_holes(self, holes: list[_Bytes | None]) -> None:
        """Keep a pass with volatile frames."""
        stretch = self._open
        if stretch is None:
            if holes.count(None) == len(holes):
                return
            stretch = self._begin_stretch()
        stretch.add_holes(holes)
        if stretch.is_full:
            self._end_stretch(stretch)

    @property
    def _end_of_first(self) -> int:
        first = self._stretches[0]
        return first.first + len(first.frames)

    def _make_room(self) -> None:
        """Drop the oldest stretches that no ring can hold: without them there is as much as a ring may hold."""
        while len(self._stretches) > 1 and (
            self._full_frames - self._stretches[0].held >= self._most_frames
            or self._full_bytes - self._stretches[0].bytes >= self._most_bytes
        ):
            self._drop_first()

    def _drop_first(self) -> None:
        self.first = self._end_of_first
        stretch = self._stretches.pop(0)
        if stretch is self._open:
            self._open = None
        else:
            self._full_frames -= stretch.held
            self._full_bytes -= stretch.bytes
        stretch.let_go()
        if not self._stretches:
            self._counts.remove_holder(self)

    def _empty(self) -> None:
        while self._stretches:
            self._drop_first()


NO_HISTORY: Final = object()  # what a ring follows that follows none
