"""The bell: one task sleeps, anyone wakes it.

Law: the sleeper looks for work before it sleeps, with no checkpoint between, so
that a ring while it is awake need not be remembered. Cheaper than an Event or a
memory channel, both in time and in memory: it is what a pump waits on.
"""

import trio


class Wakeup:
    """Wakes the one task that waits on it."""

    __slots__ = ("_sleeper",)

    def __init__(self) -> None:
        self._sleeper: trio.lowlevel.Task | None = None

    async def wait(self) -> None:
        """Sleep until the next ring; a checkpoint, and a cancellation point."""
        self._sleeper = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._sleeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self) -> None:
        """Wake the sleeper, if there is one."""
        sleeper = self._sleeper
        if sleeper is not None:
            trio.lowlevel.reschedule(sleeper)  # raises in another thread: then it still sleeps
            self._sleeper = None
