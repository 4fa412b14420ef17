"""Long turns: names in the log what holds its turn for long while it waits, since all others in the room wait for it.

Laws:
- One task for all rooms of a server. It sleeps while no handler waits.
- Of each handler there is one line.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import trio

from .._functions import waits_at
from .._log_limit import PLACE
from .._wakeup import Wakeup
from ..errors import ActionError
from ..limits import Limits

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.turns")

Result = TypeVar("Result")


class TookTooLong(ActionError):
    """A handler, hook or timer was cancelled at its bound; this is counted and logged already."""


class Holder(Protocol):
    """The turns of a room or of a client, or a join that `on_auth` is asked about."""

    @property
    def name(self) -> str:
        """The name of the room."""

    @property
    def running(self) -> str:
        """The name of what holds the turn."""


class LongTurns:
    """The turns of one server whose handlers wait for something, who began to wait first first."""

    def __init__(self, limits: Limits) -> None:
        self._seconds = math.inf if limits.waiting_seconds is None else limits.waiting_seconds
        self._since: dict[Holder, tuple[float, object]] = {}  # {whose turn: (when it began to wait, its coroutine)}
        self._wakeup = Wakeup()

    def begin(self, holder: Holder, now: float, coroutine: object) -> None:
        """Note that what has the turn waits from now on; `coroutine` shows where."""
        if not self._since:
            self._wakeup.wake()
        self._since[holder] = now, coroutine

    def end(self, holder: Holder) -> None:
        """Note that the turn has ended."""
        self._since.pop(holder, None)

    async def run(self) -> None:
        """Warn of each long turn, for as long as the server runs."""
        while True:
            if not self._since:
                await self._wakeup.wait()
                continue
            holder, (since, coroutine) = next(iter(self._since.items()))
            if trio.current_time() < since + self._seconds:
                await trio.sleep_until(since + self._seconds)
                await trio.lowlevel.checkpoint()  # what ends at this moment is not named
                continue
            del self._since[holder]
            place = waits_at(coroutine)
            logger.warning(
                "%s in room %.200r has been waiting for %g s at %.300r, and what comes after it waits, too: what takes"
                " long belongs outside the turn, as with turn=False",
                holder.running,
                holder.name,
                self._seconds,
                place or "a place outside your code",
                extra={PLACE: place or holder.running},
            )


async def bounded(runtime: "RoomRuntime", name: str, function: Callable[[], Awaitable[Result]]) -> Result:
    """Await a handler, hook or timer of the application for at most `Limits.handler_seconds`; then cancel it.

    `name` is for the log. `TookTooLong` if it was cancelled.
    """
    seconds = runtime.home.limits.handler_seconds
    if seconds is None:
        return await function()
    with trio.move_on_after(seconds):
        return await function()
    runtime.home.metrics.handlers_failed += 1
    logger.error("%s in room %.200r took over %g s and was cancelled", name, runtime.name, seconds, extra={PLACE: name})
    raise TookTooLong("timeout", f"it took over {seconds:g} seconds")
