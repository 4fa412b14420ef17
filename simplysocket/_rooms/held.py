"""Held: the messages that wait outside the inbox of a room, since this or the share of their client is used up.

Laws:
- The messages of one client keep their order. Of the clients, each has one message taken in at a time, in turn, and
  a client whose message is large comes later by as much: who asks little does not wait for all who ask much.
- What is held counts in the intake of its client, and is refused after `inbox_seconds` (overdue.py).
- A plain machine: it never waits.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from .jobs import Job

if TYPE_CHECKING:
    from .._sessions.session import Session
    from .inbox import Entry, Inbox
    from .overdue import Overdue


_LEAST_COST: Final = 4_096  # bytes that a message counts for at least, so that small ones are taken in in turn


class _Line:
    """What is held of one client that waits for places in the inbox, in order."""

    __slots__ = ("cost", "due", "entries")

    def __init__(self, entries: "Iterable[Entry]") -> None:
        self.entries = deque(entries)
        self.cost = 0  # of the first entry, in bytes: a power of two
        self.due = 0  # which of the first entries of all clients is taken in first: the one that has the least here


class Held:
    """What is held of one inbox. It is made when the first message must wait, and forgotten after the last."""

    __slots__ = ("_closed", "_inbox", "_lines", "_overdue", "_queues", "_taken", "is_delayed")

    def __init__(self, inbox: "Inbox", overdue: "Overdue") -> None:
        self._inbox = inbox
        self._overdue = overdue
        self.is_delayed = False  # True: nothing is taken in, since the room has said enough for now
        self._lines: dict[Session, _Line] = {}
        # {cost: the clients whose first entries have it}; within one of these queues who is due first comes first.
        self._queues: dict[int, OrderedDict[Session, _Line]] = {}
        self._taken = 0  # `due` of the entry that was taken in last
        self._closed: dict[Session, deque[Entry]] = {}  # of the clients that `close` makes wait

    def __len__(self) -> int:
        return sum(len(line.entries) for line in self._lines.values()) + sum(map(len, self._closed.values()))

    def __contains__(self, client: "Session") -> bool:
        return client in self._lines or client in self._closed

    @property
    def is_empty(self) -> bool:
        return not self.is_holding and not self.is_delayed

    @property
    def is_holding(self) -> bool:
        """Whether anything is held."""
        return bool(self._lines or self._closed)

    @property
    def is_waiting(self) -> bool:
        """Whether anything waits for a place in the inbox."""
        return bool(self._lines)

    @property
    def clients(self) -> int:
        """The number of clients that wait for a place in the inbox."""
        return len(self._lines)

    # --- in

    def add(self, entry: "Entry") -> None:
        """Put an entry behind what is held of its client."""
        client = entry[1]
        if client in self._closed:
            self._closed[client].append(entry)
        else:
            self._watch(entry)
            if client in self._lines:
                self._lines[client].entries.append(entry)
            else:
                self._queue(client, _Line((entry,)))
        self._count(entry)

    def close(self, client: "Session", before: "Iterable[Entry]" = ()) -> None:
        """Let a client's messages wait until `open`; `before` are entries of it that come before those held already."""
        behind = self._end(client).entries if client in self._lines else ()
        for entry in behind:
            self._overdue.remove(entry)
        self._closed[client] = deque((*before, *behind))
        for entry in before:
            self._count(entry)

    def open(self, client: "Session", now: float) -> None:
        """End what `close` has begun. From now on the client's messages wait for a place."""
        line = self._closed.pop(client, deque())
        waiting = [(work, client, item, now, size) for work, _, item, _, size in line]
        if waiting:
            self._queue(client, _Line(waiting))
            for entry in waiting:
                self._watch(entry)

    # --- out

    def first(self) -> "tuple[Session, Entry]":
        """Return the client whose turn it is, and its first entry."""
        queues = self._queues
        queue = next(iter(queues.values())) if len(queues) == 1 else min(queues.values(), key=_due_of_first)
        client = next(iter(queue))
        return client, queue[client].entries[0]

    def put_off(self, client: "Session") -> None:
        """Let the client whose turn it is come later."""
        self._queue(client, self._end(client))

    def take_first(self, client: "Session") -> "Entry":
        """Remove and return the first entry of the client whose turn it is; its next turn comes later."""
        line = self._end(client)
        self._taken = line.due
        entry = line.entries.popleft()
        if line.entries:
            self._queue(client, line)
        self._left(entry)
        return entry

    def of(self, client: "Session") -> "Iterable[Entry]":
        """Return the entries of one client, to look at."""
        return self._lines[client].entries if client in self._lines else self._closed.get(client, ())

    def behind(self, client: "Session") -> "Sequence[Entry]":
        """Return the entries of one client, without the first one of those that `close` makes wait."""
        line = self._lines.get(client)
        return tuple(self._closed.get(client, ()))[1:] if line is None else tuple(line.entries)

    def take_out(self, entry: "Entry") -> None:
        """Remove one entry."""
        client = entry[1]
        is_closed = client in self._closed  # then its line stays until `open`
        entries = self._closed[client] if is_closed else self._lines[client].entries
        at = next(at for at, each in enumerate(entries) if each is entry)
        del entries[at]
        if not at and not is_closed:
            line = self._end(client)
            if entries:
                self._queue(client, line)
        self._left(entry)

    def take_any(self) -> "Entry":
        """Remove and return the first entry of any client, also of one that `close` makes wait."""
        if self._lines:
            return self.take_first(self.first()[0])
        client, entries = next(iter(self._closed.items()))
        entry = entries.popleft()
        if not entries:
            del self._closed[client]
        self._left(entry)
        return entry

    # --- the order of the clients

    def _queue(self, client: "Session", line: _Line) -> None:
        """Let a client wait from now on, with this line, which is not empty."""
        self._lines[client] = line
        size = line.entries[0][4]
        cost = line.cost = _LEAST_COST if size <= _LEAST_COST else 1 << (size - 1).bit_length()
        line.due = self._taken + cost
        queue = self._queues.get(cost)
        if queue is None:
            queue = self._queues[cost] = OrderedDict()
        queue[client] = line

    def _end(self, client: "Session") -> _Line:
        """Take a client out of those that wait, and return its line."""
        line = self._lines.pop(client)
        queue = self._queues[line.cost]
        del queue[client]
        if not queue:
            del self._queues[line.cost]
        return line

    # --- what counts and watches; a job does neither

    def _watch(self, entry: "Entry") -> None:
        if not isinstance(entry[2], Job):
            self._overdue.add(self._inbox, entry)

    def _count(self, entry: "Entry") -> None:
        if not isinstance(entry[2], Job):
            entry[1].take_in(entry[4])

    def _left(self, entry: "Entry") -> None:
        if not isinstance(entry[2], Job):
            self._overdue.remove(entry)
            entry[1].intake.remove(entry[4])


def _due_of_first(queue: "OrderedDict[Session, _Line]") -> int:
    return next(iter(queue.values())).due
