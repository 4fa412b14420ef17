"""Timers: functions of the application that are called in the room's turn: once, at intervals, or as a tick.

Laws: a call waits for its turn like a message. If it raises, this is logged, and the timer goes on.
"""

import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from .._boundary import PASSING, SHOWN
from .._functions import coroutine_of, name_of, name_place
from ..errors import RoomClosed, first_of
from ..timer import Timer
from .long_turns import TookTooLong, bounded
from .schedule import Beat, Interval, Once, Schedule

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")


class Timers:
    """The timers of one room; each is one of its tasks."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime

    def start(self, seconds: float, function: Callable[..., Awaitable[object]], *args: object, repeat: bool) -> Timer:
        """Call `function(*args)` in the room's turn after `seconds`, or with `repeat` every `seconds`.

        Without `repeat`, 0 or less is as soon as the turn comes.
        """
        name = f"{'every' if repeat else 'once after'} {seconds:g} s: {name_of(function)}"
        due = trio.current_time() + seconds
        schedule = Interval(due, seconds) if repeat else Once(due)
        return self._start(name, functools.partial(function, *args), schedule)

    def tick(self, hz: float, function: Callable[[float], Awaitable[object]]) -> Timer:
        """Call `function(dt)` in the room's turn `hz` times a second; `dt` is the seconds since the last call began."""
        began = trio.current_time()

        @functools.wraps(function, updated=())
        def step() -> Awaitable[object]:
            nonlocal began
            before, began = began, trio.current_time()
            return function(began - before)

        return self._start(f"{hz:g} times a second: {name_of(function)}", step, Beat(began, hz))

    def _start(self, name: str, function: Callable[[], Awaitable[object]], schedule: Schedule) -> Timer:
        timer = Timer(name, schedule.first)
        self._runtime.tasks.start(name, self._run, timer, function, schedule)
        return timer

    async def _run(self, timer: Timer, function: Callable[[], Awaitable[object]], schedule: Schedule) -> None:
        """Call the function whenever it is due; only this sets `_due`."""
        runtime = self._runtime
        name = f"the timer {name_of(function)}"

        async def call() -> None:
            if timer._scope.cancel_called:
                return  # while the call waited for its turn
            try:
                with SHOWN:
                    await bounded(runtime, name, lambda: coroutine_of(function))
            except* (RoomClosed, TookTooLong):
                pass  # the room closed while the call ran; or it is logged already
            except* PASSING:
                raise
            except* BaseException as group:
                # Here and not in the task, which no longer listens if the timer was cancelled.
                runtime.home.metrics.handlers_failed += 1
                logger.exception("the timer %.500r of room %.200r failed", name_place(function), runtime.name)
                await runtime.hooks.report(first_of(group), None)

        try:
            with timer._scope:
                while timer._due is not None:
                    await trio.sleep_until(timer._due)
                    with contextlib.suppress(RoomClosed):  # while the call waited
                        await runtime.in_turn(name, call)
                    timer._due = schedule.after(trio.current_time())
        finally:
            timer._due = None
