"""Timers: functions of the application that are called in the room's turn, once or at intervals.

Laws: a call waits for its turn like a message. If it raises, this is logged, and the timer goes on.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from .._boundary import PASSING
from .._functions import name_of
from ..errors import RoomClosed, first_of
from .long_turns import TookTooLong, bounded

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")

Call = Callable[[], Awaitable[object]]


class Timers:
    """The timers of one room; each is one of its tasks."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime

    def start(self, seconds: float, function: Call, *, repeat: bool) -> trio.CancelScope:
        """Call a function in the room's turn after `seconds`, or with `repeat` every `seconds`.

        The scope that is returned cancels the timer.
        """
        scope = trio.CancelScope()
        name = f"{'every' if repeat else 'once after'} {seconds:g} s: {name_of(function)}"
        self._runtime.tasks.start(name, self._run, seconds, function, repeat, scope)
        return scope

    async def _run(self, seconds: float, function: Call, repeat: bool, scope: trio.CancelScope) -> None:
        runtime = self._runtime
        name = f"the timer {name_of(function)}"

        async def call() -> None:
            if not scope.cancel_called:  # it may have been cancelled while the call waited for its turn
                await bounded(runtime, name, function)

        due = trio.current_time() + seconds
        with scope:
            while True:
                await trio.sleep_until(due)
                try:
                    await runtime.in_turn(name, call)
                except* (RoomClosed, TookTooLong):
                    pass  # the room closed while the call waited or ran
                except* PASSING:
                    raise
                except* BaseException as group:
                    runtime.home.metrics.handlers_failed += 1
                    logger.exception("a timer of room %.200r failed", runtime.name)
                    await runtime.hooks.report(first_of(group), None)
                if not repeat:
                    break
                # Calls whose time has passed, because a turn took long, are skipped.
                due += seconds * max(1, math.ceil((trio.current_time() - due) / seconds))
