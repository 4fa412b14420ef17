"""Holds: for how long rooms keep the places of members that are away.

Laws:
- One task for all rooms of a server. It sleeps until the first place is due.
- A member that is back, or has left, has no hold. Old entries are at most as many as those that count.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

import trio

from .._pass_budget import PassBudget
from .._sessions.session import Session
from .._wakeup import Wakeup

if TYPE_CHECKING:
    from .jobs import Job
    from .runtime import RoomRuntime

_SPARE: Final = 64  # old entries of the heap that may be kept beside those that count


class Place:
    """The membership of a client that is away, or was, for as long as it is a member."""

    __slots__ = ("hold", "is_due", "is_leaving", "pending", "runtime", "session", "since", "snapshot")

    def __init__(self, runtime: "RoomRuntime", session: Session) -> None:
        self.runtime = runtime
        self.session = session
        self.since = 0.0  # when the client went away the last time, or joined while it was away
        self.hold: int | None = None  # the number of its entry; None: it is kept for as long as the session
        self.is_due = False  # the hold is over, and the client has not come back
        self.is_leaving = False  # the leave at the end of a hold waits for its turn
        self.pending: tuple[Job, ...] = ()  # the `on_drop` and `on_resume` that wait for their turns
        self.snapshot: Job | None = None  # the `on_snapshot` that waits for its turn

    @property
    def was_told_away(self) -> bool:
        """Whether the room was told, by `on_drop`, that the client is away, and not yet that it is back."""
        return self.pending[0].name == "on_resume" if self.pending else self.session.is_away

    @property
    def is_kept(self) -> bool:
        """Whether the client is still the member that it was."""
        return self.runtime.members.places.get(self.session.id) is self


class Holds:
    """The places of one server that are given up at their time, the first first."""

    def __init__(self, budget: PassBudget, give_up: Callable[[Place], None]) -> None:
        """`give_up` is called with each place that is due."""
        self._budget = budget
        self._give_up = give_up
        self._heap: list[tuple[float, int, Place]] = []  # (when it is due, its number, the place)
        self._number = 0  # of the newest entry
        self._count = 0  # of the entries that count, and of those that were given up and are still members
        self._wakeup = Wakeup()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, place: Place, seconds: float) -> None:
        """Give up a place that has no hold `seconds` after its client went away, unless `cancel` is called before."""
        self._number += 1
        self._count += 1
        place.hold = self._number
        heappush(self._heap, (place.since + seconds, self._number, place))
        self._wakeup.wake()

    def cancel(self, place: Place) -> None:
        """Keep a place from now on, or forget it."""
        if place.hold is None:
            return
        place.hold, place.is_due = None, False
        self._count -= 1
        if len(self._heap) > 2 * self._count + _SPARE:
            self._heap = [entry for entry in self._heap if entry[2].hold == entry[1]]
            heapify(self._heap)

    async def run(self) -> None:
        """Give up what is due, for as long as the server runs."""
        while True:
            if not self._heap:
                await self._wakeup.wait()
                continue
            due, number, place = self._heap[0]
            if trio.current_time() < due:
                with trio.move_on_at(due):
                    await self._wakeup.wait()  # another one may be due before
                continue
            heappop(self._heap)
            if place.hold == number:
                place.is_due = True
                self._give_up(place)
            if self._budget.is_spent():
                await self._budget.turn()
