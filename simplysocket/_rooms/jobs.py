"""Jobs: functions of the server's own code that wait for a turn, such as a timer, a join or a kick."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ..errors import ActionError, RoomClosed, first_of

Work = Callable[[Any, Any, Any], Awaitable[object]]
"""What an entry of the inbox does: called with (runtime, session or None, envelope or job)."""
# Any, here and below: only the functions that run an entry know what is asked, and who asks.


class NeverBegun(RoomClosed):
    """The room closed before the job had its turn."""


class Job:
    """A function that waits for its turn."""

    id = None  # no caller on the wire waits for it

    def __init__(
        self, name: str, function: Callable[[], Awaitable[object]], *, otherwise: Callable[[], object] | None = None
    ) -> None:
        """`name` is for logs. `otherwise` is called in the turn instead, when the caller no longer waits."""
        self.name = name
        self.function = function
        self.otherwise = otherwise
        self.is_wanted = True  # False: the caller has gone; the job is skipped unless it has begun
        self.has_begun = False
        self.result: object = None
        self.error: BaseException | None = None
        self.done = trio.Event()

    async def run(self) -> None:
        """Run the function in the turn; its result or error is for the caller that waits."""
        if not self.is_wanted:
            if self.otherwise is not None:
                self.otherwise()
        else:
            self.has_begun = True
            self.error = RoomClosed("the room closed meanwhile")  # stands if it is cancelled
            try:
                self.result = await self.function()
                self.error = None
            except* Exception as group:
                self.error = first_of(group)
            finally:
                self.done.set()

    def fail(self, error: ActionError) -> None:
        """End it with an error, since its turn never came."""
        self.error = error
        self.done.set()

    async def wait(self, turn_seconds: float = math.inf) -> Any:
        """Return the result, or raise; `busy` when the turn has not come within `turn_seconds`."""
        try:
            with trio.move_on_after(turn_seconds):
                await self.done.wait()
            if not self.done.is_set():
                if not self.has_begun:
                    raise ActionError("busy", f"no turn within {turn_seconds:g} seconds", retry_after=turn_seconds)
                await self.done.wait()
        finally:
            self.is_wanted = False
        if self.error is not None:
            raise self.error
        return self.result


async def run_job(_: Any, __: Any, job: Job) -> None:
    """Run a job: the work of its entry in the inbox."""
    await job.run()
