"""The departure: the leaves of a client that is gone, from all of its rooms.

Law: whoever waits for it sees `on_leave` ended, or never called, in each of these rooms.
"""

from collections.abc import Sequence

import trio

from .jobs import Job


class Departure:
    """The leaves that wait for their turns, and those that were under way when the client went.

    `last` is that of the global room, which does not wait for others; None if no hook is called there.
    """

    def __init__(self, jobs: Sequence[Job], under_way: Sequence[trio.Event], last: Job | None) -> None:
        self._jobs = (*jobs, last) if last is not None else jobs
        self._under_way = under_way
        self._last = last

    async def wait(self, seconds: float) -> None:
        """Wait until all have ended. Cancelled, wait at most `seconds` for those that have begun; no other begins."""
        try:
            await self._wait_for(self._jobs)
        finally:
            for job in self._jobs:
                job.is_wanted = job.has_begun or job is self._last
            with trio.CancelScope(shield=True, deadline=trio.current_time() + seconds):
                await self._wait_for([job for job in self._jobs if job.is_wanted])
            for job in self._jobs:
                job.is_wanted = False

    async def _wait_for(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            await job.done.wait()
        for event in self._under_way:
            await event.wait()
