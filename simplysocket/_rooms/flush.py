"""The flusher: sends the frames of each room one pass of the scheduler after the first of them.

Laws:
- The frames that a room is given in one pass leave in one piece, whatever code sent them.
- A room that is marked twice in a pass is flushed once.
- A very large room is served in slices, and other tasks run between two of them.
- When the budget of the pass is spent, the others follow in the next pass, in the same order.
"""

from typing import Protocol

import trio

from .._pass_budget import PassBudget
from .._wakeup import Wakeup


class Flushable(Protocol):
    """The fan-out of a room, or its announcements, as the flusher sees them."""

    is_marked: bool

    def flush(self) -> bool:
        """Send the frames that wait. Return True if another call is needed."""


class Flusher:
    """Flushes the fan-outs that have frames to send, in one task for all rooms of a server."""

    def __init__(self, budget: PassBudget) -> None:
        self._budget = budget
        self._marked: list[Flushable] = []
        self._wakeup = Wakeup()

    def mark(self, fanout: Flushable) -> None:
        """Flush a fan-out in the next pass. The caller sets `is_marked`, and does not call while it is True."""
        if not self._marked:
            self._wakeup.wake()
        self._marked.append(fanout)

    async def run(self) -> None:
        """Flush the fan-outs that are marked, for as long as the server runs."""
        while True:
            if self._marked:
                await trio.lowlevel.checkpoint()
            else:
                await self._wakeup.wait()
            marked, self._marked = self._marked, []
            for number, fanout in enumerate(marked, 1):
                fanout.is_marked = False
                if fanout.flush() and not fanout.is_marked:
                    fanout.is_marked = True
                    self._marked.append(fanout)
                if number < len(marked) and self._budget.is_spent():
                    self._marked = marked[number:] + self._marked
                    break
