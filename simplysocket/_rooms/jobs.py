"""Jobs: functions of the server's own code that wait for a room's turn, such as a timer or a kick.

Laws:
- The caller of a job that waits gets its result, its error, or `busy`.
- An error that no caller gets is logged.
"""

import contextvars
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from .._boundary import PASSING, SHOWN
from ..errors import ActionError, RoomClosed, first_of

logger = logging.getLogger("simplysocket.room")

Work = Callable[[Any, Any, Any], Awaitable[object]]
"""The work of an entry in the inbox: called with (runtime, session or None, envelope or job).

For a message: `Registry.handle` (_dispatch/registry.py).
"""
# Any, here and below: only the work itself knows the types of its arguments.


TURN: Final[contextvars.ContextVar[object]] = contextvars.ContextVar("simplysocket.turn", default=None)
"""The envelope or job of the entry whose turn it is, or was: tasks started in a turn still see it later."""


class NeverBegun(RoomClosed):
    """The room closed before the job had its turn."""


class CutShort(RoomClosed):
    """The room closed while the job ran."""


class Job:
    """A function that waits for the room's turn."""

    __slots__ = ("done", "error", "function", "has_begun", "is_awaited", "is_wanted", "name", "otherwise", "result")

    id = None  # as of an envelope without an id: no client waits for an answer

    def __init__(
        self,
        name: str,
        function: Callable[[], Awaitable[object]],
        *,
        otherwise: Callable[[], object] | None = None,
        is_awaited: bool = True,
    ) -> None:
        """`name` is for logs. If the caller no longer waits, the turn calls `otherwise` instead.

        `is_awaited=False`: no caller takes the result or the error.
        """
        self.name = name
        self.is_awaited = is_awaited
        self.function = function
        self.otherwise = otherwise
        self.is_wanted = True  # False: the caller no longer waits; the job is skipped unless it has begun
        self.has_begun = False
        self.result: object = None
        self.error: BaseException | None = None
        self.done = trio.Event()

    async def run(self) -> None:
        """Run the function in the turn, and keep its result or error for the caller."""
        if not self.is_wanted:
            if self.otherwise is not None:
                self.otherwise()
        else:
            self.has_begun = True
            self.error = CutShort("the room closed meanwhile")  # stays if the function is cancelled
            try:
                with SHOWN:
                    self.result = await self.function()
                self.error = None
            except* PASSING:
                raise
            except* BaseException as group:
                self.error = first_of(group)
            finally:
                self.done.set()

    def fail(self, error: ActionError) -> None:
        """End the job with an error, since its turn never came."""
        self.error = error
        self.done.set()

    async def wait(self, turn_seconds: float = math.inf) -> Any:
        """Wait, and return the result or raise the error; `busy` if the job has not begun within `turn_seconds`."""
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


def name_item(item: object) -> str:
    """Return the name of an entry, for logs and `tree()`, by its envelope or job."""
    return item.name if isinstance(item, Job) else f"the handler of {getattr(item, 'action', '')!r:.200}"


async def run_job(runtime: Any, _: Any, job: Job) -> None:
    """Run a job: the work of its entry in the inbox. What it makes the room say is not its clients'."""
    runtime.fanout.spared += 1
    try:
        await job.run()
    finally:
        runtime.fanout.spared -= 1
    error = job.error
    if error is not None and not (job.is_awaited and job.is_wanted) and not isinstance(error, ActionError):
        runtime.home.metrics.handlers_failed += 1
        logger.error("%.200r in room %.200r failed, and nobody waits for it", job.name, runtime.name, exc_info=error)
