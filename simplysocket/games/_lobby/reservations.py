"""Reservations: places in rooms that are kept for clients which are about to join.

Laws:
- A place is kept from the moment at which it was found until its client has it, or the join has failed, was given up,
  or has taken too long.
- To take one and to give it back never waits.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..._sessions.session import Session
from ..._wakeup import Wakeup
from .places import has_seats, is_seated

if TYPE_CHECKING:
    from ..._rooms.runtime import RoomRuntime


class Reservation:
    """One place that is kept for one client."""

    __slots__ = ("is_over", "runtime", "session", "until")

    def __init__(self, runtime: "RoomRuntime", session: Session, until: float) -> None:
        self.runtime = runtime
        self.session = session
        self.until = until
        self.is_over = False


class Reservations:
    """The places of one server that are kept for clients."""

    def __init__(self, seconds: float, freed: Callable[["RoomRuntime"], None]) -> None:
        """`freed` is called with a room in which a place is no longer kept."""
        self.seconds = seconds  # for which a place is kept
        self._freed = freed
        self._by_runtime: dict[RoomRuntime, dict[Session, Reservation]] = {}
        self._due: deque[Reservation] = deque()  # the first to end first
        self._wakeup = Wakeup()

    def __len__(self) -> int:
        return sum(map(len, self._by_runtime.values()))

    def take(self, runtime: "RoomRuntime", session: Session) -> Reservation:
        """Keep a place for a client that has none there."""
        reservation = Reservation(runtime, session, trio.current_time() + self.seconds)
        self._by_runtime.setdefault(runtime, {})[session] = reservation
        self._due.append(reservation)
        self._wakeup.wake()
        return reservation

    def release(self, reservation: Reservation) -> None:
        """Keep the place no longer, if it is still kept."""
        if reservation.is_over:
            return
        reservation.is_over = True
        kept = self._by_runtime[reservation.runtime]
        del kept[reservation.session]
        if not kept:
            del self._by_runtime[reservation.runtime]
        while self._due and self._due[0].is_over:
            self._due.popleft()
        self._freed(reservation.runtime)

    def joined(self, runtime: "RoomRuntime", session: Session) -> None:
        """Note that a client has become a member: the place that was kept is its own, unless it still needs a seat."""
        kept = self._by_runtime.get(runtime)
        reservation = kept.get(session) if kept else None
        if reservation is not None and not has_seats(runtime.room):
            self.release(reservation)

    def count(self, runtime: "RoomRuntime") -> int:
        """Return for how many clients that do not have their places yet a room keeps some."""
        kept = self._by_runtime.get(runtime)
        if not kept:
            return 0
        return sum(not is_seated(runtime, each) for each in kept) if has_seats(runtime.room) else len(kept)

    def others(self, runtime: "RoomRuntime", session: Session) -> int:
        """Return for how many others a room keeps places; 0 to a client that has such a place."""
        kept = self._by_runtime.get(runtime)
        return 0 if not kept or session in kept else self.count(runtime)

    async def run(self) -> None:
        """End the reservations whose time is over, for as long as the server runs."""
        while True:
            if not self._due:
                await self._wakeup.wait()
                continue
            await trio.sleep_until(self._due[0].until)
            while self._due and (self._due[0].is_over or self._due[0].until <= trio.current_time()):
                self.release(self._due[0])
                if self._due and self._due[0].is_over:
                    self._due.popleft()
