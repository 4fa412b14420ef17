"""Held: the messages that wait outside the inbox of a room, since this or the share of their client is used up.

Laws:
- The messages of one client keep their order. Of the clients, each has one message taken in at a time, in turn.
- What is held counts in the intake of its client, and is refused after `inbox_seconds` (overdue.py).
- A plain machine: it never waits.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .jobs import Job

if TYPE_CHECKING:
    from .._sessions.session import Session
    from .inbox import Entry, Inbox
    from .overdue import Overdue


class Held:
    """What is held of one inbox. It is made when the first message must wait, and forgotten after the last."""

    __slots__ = ("_closed", "_inbox", "_lines", "_overdue", "is_delayed")

    def __init__(self, inbox: "Inbox", overdue: "Overdue") -> None:
        self._inbox = inbox
        self._overdue = overdue
        self.is_delayed = False  # True: nothing is taken in, since the room has said enough for now
        self._lines: OrderedDict[Session, deque[Entry]] = OrderedDict()  # {client: its entries}, who is next first
        self._closed: dict[Session, deque[Entry]] = {}  # of the clients that `close` makes wait

    def __len__(self) -> int:
        return sum(map(len, self._lines.values())) + sum(map(len, self._closed.values()))

    def __contains__(self, client: "Session") -> bool:
        return client in self._lines or client in self._closed

    @property
    def is_empty(self) -> bool:
        return not self._lines and not self._closed and not self.is_delayed

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
        line = self._closed.get(client)
        if line is None:
            line = self._lines.get(client)
            if line is None:
                line = self._lines[client] = deque()
            self._watch(entry)
        line.append(entry)
        self._count(entry)

    def close(self, client: "Session", before: "Iterable[Entry]" = ()) -> None:
        """Let a client's messages wait until `open`; `before` are entries of it that come before those held already."""
        line = self._lines.pop(client, deque())
        for entry in line:
            self._overdue.remove(entry)
        self._closed[client] = deque((*before, *line))
        for entry in before:
            self._count(entry)

    def open(self, client: "Session", now: float) -> None:
        """End what `close` has begun. From now on the client's messages wait for a place."""
        line = self._closed.pop(client, deque())
        waiting = [(work, client, item, now, size) for work, _, item, _, size in line]
        if waiting:
            self._lines.setdefault(client, deque()).extend(waiting)
            for entry in waiting:
                self._watch(entry)

    # --- out

    def first(self) -> "tuple[Session, Entry]":
        """Return the client whose turn it is, and its first entry."""
        client, line = next(iter(self._lines.items()))
        return client, line[0]

    def turn_to_next(self) -> None:
        """Let the client whose turn it is come last."""
        self._lines.move_to_end(next(iter(self._lines)))

    def take_first(self) -> "Entry":
        """Remove and return the first entry of the client whose turn it is; its next turn comes last."""
        client, line = next(iter(self._lines.items()))
        entry = line.popleft()
        if line:
            self._lines.move_to_end(client)
        else:
            del self._lines[client]
        self._left(entry)
        return entry

    def of(self, client: "Session") -> "Iterable[Entry]":
        """Return the entries of one client, to look at."""
        return self._lines.get(client) or self._closed.get(client) or ()

    def take_out(self, entry: "Entry") -> None:
        """Remove one entry."""
        client = entry[1]
        is_closed = client in self._closed
        line = self._closed[client] if is_closed else self._lines[client]
        del line[next(at for at, each in enumerate(line) if each is entry)]
        if not line and not is_closed:  # a closed line stays until `open`
            del self._lines[client]
        self._left(entry)

    def take_all(self) -> "list[Entry]":
        """Remove and return all entries, those of each client in order."""
        entries = [entry for lines in (self._lines, self._closed) for line in lines.values() for entry in line]
        for entry in entries:
            self._left(entry)
        self._lines.clear()
        self._closed.clear()
        return entries

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
