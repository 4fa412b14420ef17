"""A run of trio inside a program that is not async: it goes on only while one of its calls does.

Laws:
- Between two calls nothing happens, and virtual time stands still.
- What is held is in a task of its own. If that fails, the run is over, and the call that is under way raises the error.

Knows nothing of pytest, whose fixtures and tests are such calls.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import trio

T = TypeVar("T")


class Held:
    """An open context manager, in a task of its own."""

    def __init__(self) -> None:
        self._is_released = trio.Event()
        self._has_ended = trio.Event()

    async def hold(
        self, manager: AbstractAsyncContextManager[T], *, task_status: trio.TaskStatus[T] = trio.TASK_STATUS_IGNORED
    ) -> None:
        async with manager as value:
            task_status.started(value)
            await self._is_released.wait()
        self._has_ended.set()

    async def release(self) -> None:
        """Leave the context manager, and wait until it has ended."""
        self._is_released.set()
        await self._has_ended.wait()


class GuestRun:
    """Trio as the guest of a program that calls it. `clock`: None is real time."""

    def __init__(self, clock: trio.abc.Clock | None) -> None:
        self._ticks: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._work: Callable[[], Awaitable[Any]] | None = None  # Any: each call has a type of its own
        self._value: Any = None
        self._error: BaseException | None = None
        self._is_closing = False
        self._end: Callable[[], object] | None = None  # once the run is over: raises its error
        trio.lowlevel.start_guest_run(
            self._main,
            clock=clock,
            run_sync_soon_threadsafe=self._ticks.put,
            done_callback=self._note_end,
            host_uses_signal_set_wakeup_fd=True,  # other plugins may have a loop of their own
        )

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run an async function to its end, with all other tasks; return what it returns, or raise what it raises."""
        if self._work is not None:
            raise RuntimeError(
                "an async fixture was asked for while the test or another fixture runs: name it as an argument instead"
            )
        if self._end is not None:
            raise RuntimeError("the run is over, since something in it has failed")
        self._work = function
        while self._work is not None and self._end is None:
            self._ticks.get()()
        value, error = self._value, self._error
        self._work = self._value = self._error = None
        if self._end is not None or (error is not None and self._nursery.cancel_scope.cancel_called):
            self.close()  # raises what has failed
        if error is not None:
            raise error
        result: T = value
        return result

    async def start(self, manager: AbstractAsyncContextManager[T]) -> tuple[T, Held]:
        """Enter a context manager in a task; return its value, and what leaves it again."""
        held = Held()
        value: T = await self._nursery.start(held.hold, manager)
        return value, held

    def release(self, held: Held) -> None:
        """Leave a context manager, unless the end of the run has done it."""
        if self._end is None:
            self.call(held.release)

    @contextlib.contextmanager
    def holding(self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Hold a context manager open for as long as the block lasts."""
        value, held = self.call(partial(self.start, manager))
        try:
            yield value
        finally:
            self.release(held)

    def close(self) -> None:
        """End the run, and raise the error if something that was held has failed."""
        self._is_closing = True
        while self._end is None:
            self._ticks.get()()
        end, self._end = self._end, lambda: None
        try:
            end()
        except BaseException as error:
            while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]
            raise error from None

    async def _main(self) -> None:
        async with trio.open_nursery() as self._nursery:
            while not self._is_closing:
                # Not blocked between two calls, or a clock that jumps would jump before the next one.
                await trio.lowlevel.cancel_shielded_checkpoint()
                if self._work is not None:
                    try:
                        self._value = await self._work()
                    except BaseException as error:
                        self._error = error
                    self._work = None
            self._nursery.cancel_scope.cancel()

    def _note_end(self, outcome: Any) -> None:  # Any: of a library that trio stands on
        self._end = outcome.unwrap
