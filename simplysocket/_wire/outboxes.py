"""The outboxes of a server together: how many bytes wait, which clients are slow, and which are closed to free memory.

Laws:
- A frame that waits for many clients counts once. A client for which nothing waits costs nothing.
- No call looks at all clients: they are kept in the orders in which they are asked for.
- The time is an argument. Only `watch` reads the clock.

Knows nothing of sockets and connections.
"""

import math
from collections import OrderedDict
from operator import attrgetter
from typing import Final, Protocol

import trio

from .._wakeup import Wakeup
from ..limits import Limits
from .outbox import PLACE_BYTES
from .stretch import Holder

FRAME_BYTES: Final = 128  # for each frame, in addition to its payload: the head of the object, and its entry here
_STALLED_SECONDS: Final = 1.0  # without progress; a client that reads at all takes some bytes in that time
_MOST_CLOSED: Final = 64  # clients closed by one call, so that the loop is not held up: about 1 ms
_MOST_EMPTIED: Final = 4_096  # frames dropped from holders by one call: about 1 ms
_FREED: Final = 7 / 8  # of the bound are left when holders are emptied
_bytes_of: Final = attrgetter("bytes")


class Waiting(Protocol):
    """A client for which frames wait, as it is seen here: its writer. Its methods never wait."""

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait for it."""

    @property
    def is_above(self) -> bool:
        """Whether more waits for it than a bound of one outbox allows."""

    def too_slow(self) -> None:
        """It has been above a bound for `slow_seconds`: drop what waits for it and close it."""

    def give_way(self) -> None:
        """Drop what waits for it and close it, or cut it if it is closing already."""


class Outboxes:
    """What waits in all outboxes of one server. `bytes` is how much memory that takes.

    An outbox calls `keep` and `release` for each frame, and a writer says when its outbox has grown,
    has made progress, or is not used any more.
    """

    __slots__ = (
        "_above",
        "_class_of",
        "_classes",
        "_holders",
        "_is_freeing",
        "_largest",
        "_places",
        "_progress",
        "_put_off",
        "_slow_seconds",
        "_wakeup",
        "bytes",
        "giver",
        "most",
    )

    def __init__(self, limits: Limits) -> None:
        self.bytes = 0
        self.most = math.inf if limits.outboxes_bytes is None else limits.outboxes_bytes
        self._slow_seconds = limits.slow_seconds
        self._places: dict[int, int] = {}  # {id() of a frame: in how many places it waits}
        self._above: OrderedDict[Waiting, float] = OrderedDict()  # {client above a bound: since when}, oldest first
        self._progress: OrderedDict[Waiting, float] = OrderedDict()  # {client: its last progress}, oldest first
        # Clients by the size of their outboxes: {bit length of the size: clients}, and where each of them is.
        self._classes: dict[int, OrderedDict[Waiting, None]] = {}
        self._class_of: dict[Waiting, int] = {}
        self._wakeup = Wakeup()  # of `watch`
        self._holders: dict[Holder, None] = {}  # the rings and histories that keep something
        self._largest: list[Holder] = []  # those to be emptied next, the largest last; some are empty already
        # The history whose pass is given in this moment, in which no holder is emptied and no client closed; or None.
        self.giver: object = None
        self._put_off: float | None = None  # since then clients are to be closed, after `let_go`
        self._is_freeing = False  # a client that is closed meanwhile puts its Close into its outbox

    # --- frames

    def keep(self, frame: bytes) -> None:
        """Count one more place in which a frame waits. It must exist until it is released."""
        key, places = id(frame), self._places
        if key in places:
            places[key] += 1
            self.bytes += PLACE_BYTES
        else:
            places[key] = 1
            self.bytes += len(frame) + FRAME_BYTES + PLACE_BYTES

    def release(self, frame: bytes) -> None:
        """Count one place less in which a frame waits."""
        key, places = id(frame), self._places
        count = places[key] - 1
        if count:
            places[key] = count
            self.bytes -= PLACE_BYTES
        else:
            del places[key]
            self.bytes -= len(frame) + FRAME_BYTES + PLACE_BYTES

    # --- what is kept for clients that may come back

    def let_go(self) -> None:
        """Do what was put off while a pass was given: too much is held in all."""
        put_off, self._put_off = self._put_off, None
        if put_off is None:
            self.settle()
        else:
            self._relieve(put_off)

    def add_holder(self, holder: Holder) -> None:
        """Know a holder that keeps something."""
        self._holders[holder] = None

    def remove_holder(self, holder: Holder) -> None:
        """Forget a holder, which is empty."""
        self._holders.pop(holder, None)

    def settle(self) -> None:
        """If too much is held in all, empty the largest holders, until an eighth of the bound is free."""
        if self.bytes <= self.most or self.giver is not None:
            return
        emptied = 0
        while self._holders and self.bytes > self.most * _FREED and emptied < _MOST_EMPTIED:
            # Sorted seldom: a holder that is emptied has taken at least one frame since it was empty.
            self._largest = self._largest or sorted(self._holders, key=_bytes_of)
            holder = self._largest.pop()
            emptied += holder.frames
            holder.give_way()
        if not self._holders or self.bytes <= self.most * _FREED:
            self._largest = []

    # --- clients

    def grown(self, client: Waiting, now: float) -> None:
        """Note that frames were put into a client's outbox. If too much waits in all, close clients."""
        self._progress.setdefault(client, now)
        self._note_size(client, now)
        if self.bytes > self.most:
            self._relieve(now)

    def progressed(self, client: Waiting, now: float) -> None:
        """Note that a client's transport has taken bytes."""
        if client not in self._progress:
            return
        if not client.waiting_bytes:
            self.forget(client)
        else:
            self._progress[client] = now
            self._progress.move_to_end(client)
            self._note_size(client, now)

    def forget(self, client: Waiting) -> None:
        """Note that nothing waits for a client any more."""
        self._above.pop(client, None)
        self._progress.pop(client, None)
        old = self._class_of.pop(client, None)
        if old is not None:
            self._leave_class(client, old)

    async def watch(self) -> None:
        """Close the clients that are above a bound for `slow_seconds`, for as long as the server runs."""
        while True:
            if self._above:
                await trio.sleep_until(next(iter(self._above.values())) + self._slow_seconds)
                self.close_slow(trio.current_time())
            else:
                await self._wakeup.wait()

    def close_slow(self, now: float) -> None:
        """Close the clients that have been above a bound for `slow_seconds` without interruption."""
        while self._above:
            client, since = next(iter(self._above.items()))
            if since + self._slow_seconds > now:
                return
            del self._above[client]
            client.too_slow()

    def _note_size(self, client: Waiting, now: float) -> None:
        """Put a client where it belongs by the size of its outbox."""
        if not client.is_above:
            self._above.pop(client, None)
        elif client not in self._above:
            if not self._above:
                self._wakeup.wake()
            self._above[client] = now
        old, new = self._class_of.get(client), client.waiting_bytes.bit_length()
        if new != old:
            if old is not None:
                self._leave_class(client, old)
            self._class_of[client] = new
            self._classes.setdefault(new, OrderedDict())[client] = None

    def _leave_class(self, client: Waiting, number: int) -> None:
        clients = self._classes[number]
        del clients[client]
        if not clients:
            del self._classes[number]

    def _relieve(self, now: float) -> None:
        """Free memory: empty the largest holders, and if that is not enough close clients."""
        if self.giver is not None:
            self._put_off = now
        elif not self._is_freeing:
            self._is_freeing = True
            self.settle()
            self._free(now)
            self._is_freeing = False

    def _free(self, now: float) -> None:
        """Close clients until the bound is kept: first those without progress, longest first, then the largest."""
        for _ in range(_MOST_CLOSED):
            if self.bytes <= self.most or not self._progress:
                return
            client, since = next(iter(self._progress.items()))
            if now - since < _STALLED_SECONDS:
                client = next(iter(self._classes[max(self._classes)]))  # the largest, within a factor of 2
            client.give_way()
            self.progressed(client, now)  # counts as the newest, so that it may send its Close while others go first
