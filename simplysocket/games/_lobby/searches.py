"""Searches: a few of those that clients ask for run in each pass of the scheduler, in the order in which they came.

Laws:
- Who asks nothing of the lobby waits for a few searches, however many clients search at once.
- To wait here holds up no room: only a client's own turn in the global room.
"""

from typing import Final

import trio

from ..._wakeup import Wakeup

_AT_A_TIME: Final = 4  # of up to a millisecond each: a fifth of a pass


class Searches:
    """The searches of one server that run in this pass, and those that wait for the next ones."""

    def __init__(self) -> None:
        self._left = _AT_A_TIME  # that may yet run in this pass
        self._waiting = trio.lowlevel.ParkingLot()
        self._wakeup = Wakeup()

    async def turn(self) -> None:
        """Go on at once, or in a later pass, after those that came before. A cancellation point if it waits."""
        self._wakeup.wake()
        if self._left and not self._waiting:
            self._left -= 1
        else:
            await self._waiting.park()

    async def run(self) -> None:
        """Let those go on that wait, some in each pass, for as long as the server runs."""
        while True:
            await self._wakeup.wait()
            while self._left < _AT_A_TIME or self._waiting:
                await trio.lowlevel.checkpoint()
                count = min(_AT_A_TIME, len(self._waiting))
                self._left = _AT_A_TIME - count
                self._waiting.unpark(count=count)
