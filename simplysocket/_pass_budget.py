"""The budget of a pass: the time that all loops together may use before trio looks for I/O again.

Laws:
- A loop that a peer can lengthen asks `is_spent()` after each entry, and ends or waits for its turn when it is.
- Who waits goes on in the order in which it began to wait, and does at least one entry then.
- Each kind of work has a line of its own, and some of each line go on in every pass, whatever the others need: rooms
  whose handlers each use up a pass hold up neither reading nor arrivals.
- The clock is trio's: in virtual time a pass takes no time, so that only counts and bytes end a loop.

One step of the application's code can take longer than the whole budget; nothing can interrupt it.
"""

import enum
import math
import threading
from collections.abc import Callable
from itertools import islice
from time import perf_counter
from typing import Final

import trio

from ._wakeup import Wakeup

SECONDS: Final = 0.02  # of one pass


class Line(enum.IntEnum):
    """What those who wait do: the index of their line."""

    WORK = 0  # handlers
    READING = 1  # reading where the epoll reader does not, as over TLS, and answers in HTTP
    ARRIVALS = 2  # accepting, handshakes, request heads and `authenticate`


# How many of each line go on in a pass that is spent: a handler may take all of it, and so may `authenticate`, while a
# turn of reading takes up to 1 ms.
_LEAST: Final = (1, 8, 1)


class PassBudget(trio.abc.Instrument):
    """The budget of one server. Without `run`, as before the server starts, it is never spent, and nobody waits."""

    def __init__(self) -> None:
        self.ends = math.inf  # the time at which the budget of this pass is spent
        self.ask_from = math.inf  # by `perf_counter`, for loops that have read it: `is_spent` is False before
        self.began = perf_counter()  # when the last pass began
        # For the loop watch: it is called when a pass begins, if the one before may have been long, with the time, and
        # the seconds for which the loop would have waited for I/O.
        self.look_back: Callable[[float, float], None] | None = None
        self.watched_seconds = math.inf  # that a pass may take, with a wait for I/O that ends late
        self.is_suspect = False  # the pass was seen running for long
        self.wakeup: threading.Event | None = None  # set when the next pass begins
        self._is_running = False  # whether somebody will give those who wait their turns
        self._clock = perf_counter  # trio's while it runs; read only if it is virtual
        self._offset: float | None = None  # what trio's clock shows more than `perf_counter`; None in virtual time
        self._was_spent = False  # in the pass before
        self._lines: tuple[dict[trio.lowlevel.Task, None], ...] = tuple({} for _ in Line)  # dicts as ordered sets
        self._wakeup = Wakeup()

    def is_spent(self) -> bool:
        """Tell whether the loops have used up the time of this pass. Takes 0.1 us."""
        return trio.current_time() > self.ends

    @property
    def waiting(self) -> int:
        """The number of tasks that wait for their turn."""
        return sum(map(len, self._lines))

    async def turn(self, line: Line = Line.WORK, *, shielded: bool = False) -> None:
        """Wait until a later pass has time for the caller; a checkpoint, and unless `shielded` a cancellation point."""
        if not self._is_running:
            with trio.CancelScope(shield=shielded):
                await trio.lowlevel.checkpoint()
            return
        task, waiting = trio.lowlevel.current_task(), self._lines[line]
        waiting[task] = None
        self._wakeup.wake()

        def abort(_: object) -> trio.lowlevel.Abort:
            if shielded:
                return trio.lowlevel.Abort.FAILED
            del waiting[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def share(self, line: Line) -> None:
        """Go on at once, or after those who wait in this line: if it is spent, or if there are any.

        For loops that go on by themselves in the next pass: otherwise a few of them would use every pass up.
        """
        if self._lines[line] or self.is_spent():
            await self.turn(line)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Renew the budget in each pass, and give those who wait their turns, until cancelled."""
        trio.lowlevel.add_instrument(self)
        self._is_running = True
        clock = trio.lowlevel.current_clock()
        self._clock = clock.current_time
        self._offset = self._clock() - perf_counter() if type(clock).__name__ == "SystemClock" else None
        try:
            task_status.started()
            while True:
                while not any(self._lines):
                    await self._wakeup.wait()
                at_a_time = 1
                while any(self._lines):
                    # Those who are let go run in the next pass. What this pass took is known one later.
                    for _ in range(2):
                        await trio.lowlevel.checkpoint()
                        self._let_go_on(at_a_time)
                    at_a_time = max(1, at_a_time // 2) if self._was_spent else at_a_time * 2
        finally:
            trio.lowlevel.remove_instrument(self)
            self._is_running = False
            self.ends = self.ask_from = math.inf
            for waiting in self._lines:
                for task in waiting:
                    trio.lowlevel.reschedule(task)
                waiting.clear()

    def _let_go_on(self, most: int) -> None:
        """Let the first of each line go on."""
        for waiting, least in zip(self._lines, _LEAST, strict=True):
            for task in list(islice(waiting, max(most, least))):
                del waiting[task]
                trio.lowlevel.reschedule(task)

    # --- for trio

    def after_io_wait(self, timeout: float) -> None:
        """Begin a new pass. Runs in every pass: 0.3 us."""
        if self._offset is None:
            now, self.ask_from = self._clock(), -math.inf
        else:
            began = perf_counter()
            now, self.ask_from = began + self._offset, began + SECONDS
            if self.is_suspect or began - self.began - timeout > self.watched_seconds:
                self.is_suspect = False
                if self.look_back is not None:
                    self.look_back(began, timeout)
            self.began = began
            if self.wakeup is not None:
                self.wakeup.set()
                self.wakeup = None
        self._was_spent = now > self.ends
        self.ends = now + SECONDS
