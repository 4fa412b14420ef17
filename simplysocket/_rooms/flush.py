"""The flusher: has each room's frames sent one pass of the scheduler after the first of them was said.

Law: all that is said into a room in one pass goes out in one piece, whoever says it.
A room that was marked twice in a pass is flushed once, and a very large one is served
in slices, between which everyone else has a turn.
"""

from typing import Protocol

import trio

from .._wakeup import Wakeup


class Flushable(Protocol):
    """What is flushed: the fan-out of a room."""

    is_marked: bool

    def flush(self) -> bool:
        """Send what is there; True when another call is needed."""


class Flusher:
    """The fan-outs that have something to send."""

    def __init__(self) -> None:
        self._marked: list[Flushable] = []
        self._wakeup = Wakeup()

    def mark(self, fanout: Flushable) -> None:
        """Flush a fan-out in the next pass. It sets its `is_marked` itself, and is marked once."""
        if not self._marked:
            self._wakeup.wake()
        self._marked.append(fanout)

    async def run(self) -> None:
        """Flush what is marked, for as long as the server runs."""
        while True:
            if self._marked:
                await trio.lowlevel.checkpoint()
            else:
                await self._wakeup.wait()
            marked, self._marked = self._marked, []
            for fanout in marked:
                fanout.is_marked = False
                if fanout.flush() and not fanout.is_marked:
                    fanout.is_marked = True
                    self._marked.append(fanout)
