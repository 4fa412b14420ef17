"""Overdue: refuses the messages that have been held for `inbox_seconds`, since their rooms do not keep up.

Laws:
- One task for all rooms of a server. It sleeps while nothing is held.
- What is due is refused in the order in which it came.
"""

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import trio

from .._pass_budget import PassBudget
from .._wakeup import Wakeup
from ..limits import Limits

if TYPE_CHECKING:
    from .inbox import Entry, Inbox


class Overdue:
    """The messages that are held by the inboxes of one server, the oldest first."""

    def __init__(self, limits: Limits, budget: PassBudget) -> None:
        self._seconds = math.inf if limits.inbox_seconds is None else limits.inbox_seconds
        self._budget = budget
        self._waiting: OrderedDict[int, tuple[Inbox, Entry]] = OrderedDict()  # {id() of an entry: (inbox, entry)}
        self._wakeup = Wakeup()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, inbox: "Inbox", entry: "Entry") -> None:
        """Note that an entry is held from now on."""
        if not self._waiting:
            self._wakeup.wake()
        self._waiting[id(entry)] = (inbox, entry)

    def remove(self, entry: "Entry") -> None:
        """Note that an entry is not held any more."""
        self._waiting.pop(id(entry), None)

    async def run(self) -> None:
        """Refuse what is due, for as long as the server runs."""
        while True:
            if not self._waiting:
                await self._wakeup.wait()
                continue
            inbox, entry = next(iter(self._waiting.values()))
            due = entry[3] + self._seconds
            if trio.current_time() < due:
                await trio.sleep_until(due)
                continue
            self.remove(entry)
            inbox.refuse(entry)
            if self._budget.is_spent():
                await self._budget.turn()
