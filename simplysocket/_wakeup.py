"""The wakeup: lets one task sleep until other code wakes it.

Law: the task looks for work before it sleeps, with no checkpoint in between, so a
call of `wake` while it is awake need not be remembered. Pumps wait on it: it takes
less time and memory than an Event or a memory channel.
"""

import trio


class Wakeup:
    """Wakes the one task that waits for it."""

    __slots__ = ("_sleeper",)

    def __init__(self) -> None:
        self._sleeper: trio.lowlevel.Task | None = None

    async def wait(self) -> None:
        """Sleep until the next `wake`; a checkpoint and a cancellation point."""
        self._sleeper = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._sleeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self) -> None:
        """Wake the task, if it sleeps."""
        sleeper = self._sleeper
        if sleeper is not None:
            trio.lowlevel.reschedule(sleeper)  # raises in another thread, and the task must then still count as asleep
            self._sleeper = None
