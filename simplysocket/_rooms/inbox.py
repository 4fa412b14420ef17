"""The inbox: the entries that wait for a turn, in the order of arrival.

Laws:
- No entry is dropped: each is run, taken out, refused with `busy`, or handed back by `take_some`.
- The entries of one client keep their order.
- A job of the room itself, such as a timer, waits behind at most one entry of each client.
- A plain machine: it never waits. It wakes the worker, which does.

What finds no place here is held outside (held.py), and taken in when there is a place.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from .._wakeup import Wakeup
from ..errors import ActionError
from ..limits import Limits
from .held import Held
from .jobs import Job, Work

if TYPE_CHECKING:
    from .._sessions.session import Session
    from .overdue import Overdue

LARGE: Final = 4_096  # bytes: smaller messages are bounded by their number alone
_CALM_SECONDS: Final = 0.25  # for which an entry may wait before the room counts as behind
RETRY_BUSY: Final = 0.5  # seconds: a full inbox of 128 is mostly handled by then

Entry = tuple[Work, Any, Any, float, int]
"""(the work, the session of its client or None, its envelope or job, when it came, bytes that it holds on to)"""


class Inbox:
    """Entries that wait for their turn, bounded in number and bytes for all clients together and for each.

    The worker takes the entries out itself, since this is the hot path of every message.
    """

    __slots__ = (
        "_calm_below",
        "_calm_seconds",
        "_last_served",
        "_max_bytes",
        "_max_entries",
        "_max_per_client",
        "_overdue",
        "_seconds",
        "_served",
        "bytes",
        "clients",
        "entries",
        "held",
        "jobs",
        "name",
        "wakeup",
    )

    def __init__(self, name: str, limits: Limits, overdue: "Overdue") -> None:
        """Make the inbox of the room `name`."""
        self.name = name
        self._overdue = overdue
        self._max_entries = math.inf if limits.inbox_messages is None else limits.inbox_messages
        self._max_per_client = math.inf if limits.inbox_per_client is None else limits.inbox_per_client
        self._max_bytes = math.inf if limits.inbox_bytes is None else limits.inbox_bytes
        self._seconds = math.inf if limits.inbox_seconds is None else limits.inbox_seconds
        self._calm_below = max(1, self._max_entries / 4)  # entries; from there on a client may have one of them
        self._calm_seconds = min(self._seconds, _CALM_SECONDS)
        self.entries: deque[Entry] = deque()  # of clients: their messages, and the jobs that come after these
        self.clients: dict[Any, int] = {}  # {client: how many of the entries are its}
        self.bytes = 0  # of the large messages in the inbox
        self.held: Held | None = None  # None while nothing is held
        self.wakeup = Wakeup()  # the worker waits on it
        # Jobs of the room itself: (entry, entries served before it was posted, the most that may be served before it).
        self.jobs: deque[tuple[Entry, int, int]] = deque()
        self._served = 0  # entries of clients that were taken out while a job waited
        self._last_served: dict[Any, int] = {}  # {client: the number of its last entry among these}

    def __len__(self) -> int:
        return len(self.entries) + len(self.jobs) + (0 if self.held is None else len(self.held))

    # --- in

    def put(self, work: Work, client: "Session", item: Any, now: float, size: int) -> bool:
        """Add a message of `size` bytes that a client has sent, or hold it. Return False if it must be refused.

        It is refused if the room does not keep up: its oldest entry has waited for `inbox_seconds`.
        """
        if item.id is not None:
            client.waiting[item.id] = self
        entries, clients = self.entries, self.clients
        waiting = clients.get(client, 0)
        if size > LARGE or waiting >= self._max_per_client or self.held is not None:
            return self._put_or_hold((work, client, item, now, size))
        if entries and (len(entries) >= self._calm_below or now - entries[0][3] >= self._calm_seconds):
            return self._put_or_hold((work, client, item, now, size))
        clients[client] = waiting + 1
        if not entries:  # otherwise the worker is awake, or will be
            self.wakeup.wake()
        entries.append((work, client, item, now, size))
        return True

    def put_always(self, work: Work, client: "Session | None", item: object, now: float) -> None:
        """Add a job, which no bound refuses: behind all that its client has sent, or among the room's own."""
        entry = (work, client, item, now, 0)
        if client is None:
            self.jobs.append((entry, self._served, self._served + len(self.entries)))
        elif self.held is not None and client in self.held:
            self.held.add(entry)
        else:
            self._append(entry)
        self.wakeup.wake()

    def put_first(self, work: Work, item: object, now: float) -> None:
        """Add a job of the room's own before all that waits."""
        self.jobs.appendleft(((work, None, item, now, 0), self._served, self._served))
        self.wakeup.wake()

    def _put_or_hold(self, entry: Entry) -> bool:
        """Add a message if its client and the room have a place for it; otherwise hold it, or return False."""
        _, client, _, now, size = entry
        entries, held = self.entries, self.held
        if entries and now - entries[0][3] >= self._seconds:
            _forget_id(entry)
            return False
        is_behind = held is not None and (held.is_waiting or held.is_delayed)
        if not is_behind and (held is None or client not in held):
            is_calm = not entries or (len(entries) < self._calm_below and now - entries[0][3] < self._calm_seconds)
            share = self._max_per_client if is_calm else 1
            if self.clients.get(client, 0) < share and self._has_place(size):
                self._append(entry)
                self.wakeup.wake()
                return True
        if client.intake is not None and client.intake.must_refuse:
            _forget_id(entry)
            return False
        if held is None:
            held = self.held = Held(self, self._overdue)
        held.add(entry)
        return True

    def _has_place(self, size: int) -> bool:
        """Whether one more message fits in. Any fits into an empty inbox."""
        if not self.entries:
            return True
        return len(self.entries) < self._max_entries and (size <= LARGE or self.bytes + size <= self._max_bytes)

    def _append(self, entry: Entry) -> None:
        client, size = entry[1], entry[4]
        self.clients[client] = self.clients.get(client, 0) + 1
        self.entries.append(entry)
        if size > LARGE:
            self.bytes += size

    # --- what is held

    def admit(self, now: float) -> bool:
        """Take in what is held, one message of each client in turn, as long as there is a place. False if none was."""
        held = self.held
        if held is None or held.is_delayed:
            return False
        before = len(self.entries)
        for _ in range(held.clients):
            client, entry = held.first()
            if client in self.clients:  # it has its share already
                held.put_off(client)
            elif self._has_place(entry[4]):
                work, _, item, _, size = held.take_first(client)
                self._append((work, client, item, now, size))
            else:
                break
        self._drop_if_empty(held)
        return len(self.entries) > before

    def delay(self) -> bool:
        """Take in no message until `go_on`. Return False if it is so already."""
        if self.held is None:
            self.held = Held(self, self._overdue)
        was_delayed, self.held.is_delayed = self.held.is_delayed, True
        return not was_delayed

    def hold_back(self, client: "Session", now: float) -> None:
        """Let what a client has in the inbox wait for the end of the delay, too, with what is held of it behind."""
        assert self.held is not None  # `delay` has made it
        self.held.close(client, self._pull(client))
        self.held.open(client, now)

    def go_on(self) -> None:
        """End what `delay` has begun."""
        if self.held is not None:
            self.held.is_delayed = False
            self._drop_if_empty(self.held)
            self.wakeup.wake()

    def refuse(self, entry: Entry) -> None:
        """Refuse a message that was held for too long."""
        if self.held is not None:
            self.held.take_out(entry)
            self._drop_if_empty(self.held)
        _forget_id(entry)
        _, client, item, _, _ = entry
        client.refuse(item.id, item.action, busy(self.name))

    def hold(self, client: "Session", first: Entry) -> None:
        """Hold `first`, which has been taken out, and behind it all that its client has sent and sends to this room.

        Who calls this must call `let_in` or `drop_held` at the end, unless the room closes. Until
        then the time of what is held does not run. The bounds of the client's intake hold.
        """
        if self.held is None:
            self.held = Held(self, self._overdue)
        self.held.close(client, (first, *self._pull(client)))

    def _pull(self, client: "Session") -> list[Entry]:
        """Remove and return what a client has in the inbox."""
        entries = [entry for entry in self.entries if entry[1] is client] if self.clients.pop(client, 0) else []
        for entry in entries:
            _remove(self.entries, entry)
            if entry[4] > LARGE:
                self.bytes -= entry[4]
        return entries

    def drop_held(self, client: "Session", item: object, now: float) -> None:
        """Take the entry of `item` out of what `hold` holds of this client, and let in the rest."""
        held = self.held
        assert held is not None  # the entry is in it
        held.take_out(next(entry for entry in held.of(client) if entry[2] is item))
        self._open(held, client, now)

    def let_in(self, client: "Session", now: float) -> None:
        """End what `hold` has begun: what is held of the client waits for its turn, from now on, in order.

        The message that `hold` was called with has a place at once, since it has had one before.
        """
        held = self.held
        assert held is not None  # it holds this message
        first = next(iter(held.of(client)))
        held.take_out(first)
        work, _, item, _, size = first
        self._append((work, client, item, now, size))
        if item.id is not None:
            client.waiting[item.id] = self
        self._open(held, client, now)

    def _open(self, held: Held, client: "Session", now: float) -> None:
        held.open(client, now)
        self._drop_if_empty(held)
        self.wakeup.wake()

    def _drop_if_empty(self, held: Held) -> None:
        if held.is_empty:
            self.held = None

    # --- out

    def next(self) -> Entry:
        """Take out the next entry, while jobs of the room wait: a job, after at most one entry of each client."""
        job, posted, most = self.jobs[0]
        if self.entries and self._served < most:
            client = self.entries[0][1]
            if self._last_served.get(client, 0) <= posted:
                self._served += 1
                self._last_served[client] = self._served
                entry = self.entries.popleft()
                self._forget(entry)
                return entry
        self.jobs.popleft()
        if not self.jobs:
            self._last_served.clear()
        return job

    def _forget(self, entry: Entry) -> None:
        """Count an entry no more that has been taken out."""
        client = entry[1]
        left = self.clients[client] - 1
        if left:
            self.clients[client] = left
        else:
            del self.clients[client]
        _forget_id(entry)

    def take_out(self, client: "Session", id: str | int) -> Entry | None:
        """Remove the waiting message of `client` with this `id` and return it, or None."""
        return next(self._messages_of(client, lambda item: item.id == id), None)

    def take_out_all(self, client: "Session") -> list[Entry]:
        """Remove and return the messages of `client` that wait, but for the one that `hold` was called with."""
        return list(self._messages_of(client, lambda _: True))

    def _messages_of(self, client: "Session", is_meant: Callable[[Any], bool]) -> Iterator[Entry]:
        """Take out and yield the messages of `client` that are meant."""
        for entry in [each for each in self.entries if each[1] is client] if client in self.clients else ():
            if not isinstance(entry[2], Job) and is_meant(entry[2]):
                self._forget(entry)
                _remove(self.entries, entry)
                if entry[4] > LARGE:
                    self.bytes -= entry[4]
                yield entry
        held = self.held
        if held is not None:
            for entry in held.behind(client):
                if not isinstance(entry[2], Job) and is_meant(entry[2]):
                    held.take_out(entry)
                    self._drop_if_empty(held)
                    _forget_id(entry)
                    yield entry

    def take_some(self, most: int) -> list[Entry]:
        """Remove and return the next entries, at most `most`, those that are held last: the room runs them no more."""
        taken: list[Entry] = []
        while len(taken) < most:
            if self.jobs:
                taken.append(self.jobs.popleft()[0])
            elif self.entries:
                entry = self.entries.popleft()
                self._forget(entry)
                if entry[4] > LARGE:
                    self.bytes -= entry[4]
                taken.append(entry)
            elif self.held is not None and self.held.is_holding:
                entry = self.held.take_any()
                _forget_id(entry)
                taken.append(entry)
            else:
                break
        if self.held is not None:
            self._drop_if_empty(self.held)
        return taken


def _forget_id(entry: Entry) -> None:
    """Let `cancel` find the message no more."""
    client, item = entry[1], entry[2]
    if item.id is not None:
        client.waiting.pop(item.id, None)


def _remove(entries: deque[Entry], entry: Entry) -> None:
    """Remove an entry, and not one that is equal."""
    del entries[next(at for at, each in enumerate(entries) if each is entry)]


def busy(room: str) -> ActionError:
    """Return the error for a message to a room that does not keep up."""
    return ActionError("busy", f"room {room!r} does not keep up", retry_after=RETRY_BUSY)
