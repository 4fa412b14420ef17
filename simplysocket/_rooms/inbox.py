"""The inbox: the entries that wait for a turn, in the order of arrival.

Laws:
- No entry is dropped: each is run, taken out, or handed back by `take_all`.
- A plain machine: it never waits. It wakes the worker, which does.
"""

import math
from collections import deque
from collections.abc import Hashable
from typing import Any, Final

from .._wakeup import Wakeup
from ..errors import ActionError
from ..limits import Limits
from .jobs import Job, Work

_RETRY_BUSY: Final = 0.5  # seconds: a full inbox of 128 is mostly handled by then

Entry = tuple[Work, Any, Any]
"""(the work, the session of its client or None, its envelope or job)"""


class Inbox:
    """Entries that wait for their turn, bounded in number for all clients together and for each.

    The worker takes the entries out itself, since this is the hot path of every message.
    """

    __slots__ = ("_max_entries", "_max_per_client", "clients", "entries", "jobs", "wakeup")

    def __init__(self, limits: Limits) -> None:
        self._max_entries = math.inf if limits.inbox_messages is None else limits.inbox_messages
        self._max_per_client = math.inf if limits.inbox_per_client is None else limits.inbox_per_client
        self.entries: deque[Entry] = deque()
        self.clients: dict[Hashable, int] = {}  # {client: its messages in the inbox}
        self.wakeup = Wakeup()  # the worker waits on it
        self.jobs = 0  # how many entries are jobs, which no bound counts

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, work: Work, client: Hashable, item: object) -> bool:
        """Add a client's message. Return False if the inbox, or this client's share of it, is full."""
        clients = self.clients
        waiting = clients.get(client, 0)
        if waiting >= self._max_per_client or len(self.entries) - self.jobs >= self._max_entries:
            return False
        clients[client] = waiting + 1
        self.entries.append((work, client, item))
        self.wakeup.wake()
        return True

    def put_always(self, work: Work, client: Hashable, item: object) -> None:
        """Add an entry that no bound may refuse: a job, or a message that waited in another inbox."""
        if isinstance(item, Job):
            self.jobs += 1
        else:
            self.clients[client] = self.clients.get(client, 0) + 1
        self.entries.append((work, client, item))
        self.wakeup.wake()

    def take_out(self, client: Hashable, id: str | int) -> Any:
        """Remove the waiting message of `client` with this `id` and return it, or None."""
        if self.clients.get(client):
            for entry in self.entries:
                if entry[1] is client and getattr(entry[2], "id", None) == id:
                    self.entries.remove(entry)
                    self.clients[client] -= 1
                    if not self.clients[client]:
                        del self.clients[client]
                    return entry[2]
        return None

    def take_all(self) -> list[Entry]:
        """Remove and return all entries, since the room runs them no more."""
        entries = list(self.entries)
        self.entries.clear()
        self.clients.clear()
        self.jobs = 0
        return entries


def busy(room: str) -> ActionError:
    """Return the error for a message that finds the inbox of a room full."""
    return ActionError("busy", f"too much waits in room {room!r}", retry_after=_RETRY_BUSY)
