"""The sampler: a thread that looks at the loop's thread while one pass of the scheduler takes long.

Laws:
- It sleeps while the loop waits for I/O, and is woken by the next pass.
- It records. The loop's thread reads the records and says what they mean; only of a pass that does not end it cannot.

It names the line at which the loop is blocked, also inside of a C function that keeps the interpreter's lock: such a
function's thread gives the lock to the thread that waits for it as soon as the function returns, before the next line.
"""

import contextlib
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from types import FrameType
from typing import Final

from ._pass_budget import PassBudget
from ._stack_place import place_of, runs_task

_LOOK: Final = 0.025  # seconds between two looks: four in the default of `Limits.blocked_seconds`
_LATE: Final = 0.05  # seconds by which a look is late if the process did not run, or if another thread kept it waiting
ENDLESS: Final = 400  # looks at one pass, 10 s, after which it is told that it has not ended
_KEPT: Final = 1_000  # looks at one pass, about 100 bytes each; and pauses


class Sampler:
    """Looks at the thread that made it, from `start` to `stop`.

    `base` is the frame at which stacks end. `tell` is called in the sampler's thread, once for a pass that does not
    end, with its seconds and the place.
    """

    def __init__(self, budget: PassBudget, base: FrameType | None, tell: Callable[[float, str], None]) -> None:
        self._tell = tell
        self._budget = budget
        self._base = base
        self._looked_at = threading.get_ident()
        self._usage = Usage()
        self._thread = threading.Thread(target=self._run, name="simplysocket's loop watch", daemon=True)
        self._wakeup = threading.Event()
        self._is_over = False
        self._due = math.inf  # the time of the next look
        self._pass = -math.inf  # the time at which the pass began that was last looked at
        self._used = self._used_before = self._usage.read()  # at the last look, and at the last one before that pass
        self._marked_at, self._used_then = -math.inf, self._used  # at the last call of `idle`
        self._places: deque[tuple[float, str]] = deque(maxlen=_KEPT)  # (time, place) of the looks at that pass
        self._pauses: deque[tuple[float, float]] = deque(maxlen=_KEPT)  # from when a look was due until it came

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end."""
        self._is_over = True
        self._wakeup.set()

    # --- for the thread that is looked at

    def places(self) -> list[tuple[float, str]]:
        """Return the places at which the thread was seen in the pass that runs, with the time of each look."""
        return list(self._places)  # made in one step of the interpreter: the sampler cannot add to it meanwhile

    def pauses(self, now: float) -> list[tuple[float, float]]:
        """Return the times, as (from, to), in which the sampler should have looked and could not."""
        pauses = list(self._pauses)
        if self._due < math.inf:
            due = min(self._due, now)
        elif self._pass == self._budget.began:
            return pauses  # it sleeps, since it saw the end of the pass
        else:
            due = self._budget.began  # it was woken when the pass began
        return [*pauses, (due, now)] if now - due > _LATE else pauses

    def busy_until(self, began: float) -> float:
        """Return until when the pass that began then ran, to 25 ms: until the look after the last that saw it run."""
        return self._places[-1][0] + _LOOK if self._pass == began and self._places else began

    def idle(self, now: float) -> tuple[float, float]:
        """Return for how long the thread has not computed, and how much of this it has waited for a processor.

        In seconds, of the pass that runs, or since the last call in it. What came between the last look before the
        pass and its beginning, at most 25 ms, makes the first too small and the second too large.
        """
        began = self._budget.began
        before = self._used_before if self._pass == began else self._used
        computed, starved = (max(pair) for pair in zip(before, self._used_then, strict=True))
        since = max(began, self._marked_at)
        self._marked_at, self._used_then = now, self._usage.read()
        return max(0.0, now - since - (self._used_then[0] - computed)), self._used_then[1] - starved

    # --- the sampler's thread

    def _run(self) -> None:
        budget, wakeup = self._budget, self._wakeup
        while not self._is_over:
            now = perf_counter()
            if now - self._due > _LATE:
                self._pauses.append((self._due, now))
            is_idle = self._look(now)
            wakeup.clear()
            if is_idle:
                self._due = math.inf
                budget.wakeup = wakeup
                if budget.began == self._pass and not self._is_over:  # otherwise a pass has begun meanwhile
                    wakeup.wait()
                if budget.wakeup is wakeup:
                    budget.wakeup = None
                self._due = min(perf_counter(), budget.began)
            else:
                self._due = now + _LOOK  # from before this look, in which the process may have been stopped, too
                wakeup.wait(max(0.0, self._due - perf_counter()))
        self._usage.close()

    def _look(self, now: float) -> bool:
        """Record what the thread does; return whether it has waited for I/O since the look before."""
        frame = sys._current_frames().get(self._looked_at)
        is_over = not runs_task(frame, self._base)
        began = self._budget.began  # after the stack: a task that runs belongs to this pass or to the one before
        is_idle = is_over and began == self._pass
        if began != self._pass:
            self._pass, self._used_before = began, self._used
            self._places.clear()
        self._used = self._usage.read()
        if not is_over and now - began >= _LOOK:
            place = place_of(frame, self._base)
            self._places.append((now, place))
            self._budget.is_suspect = True
            if len(self._places) == ENDLESS:
                self._tell(now - began, place)
        return is_idle


class Usage:
    """What the thread that makes it has used; any thread may read it.

    Elsewhere than on Linux the time of computing is that of all threads, and nothing tells who waited for a processor.
    """

    def __init__(self) -> None:
        self._clock: Callable[[], float] = time.process_time
        self._file: int | None = None
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # a kernel without them
                self._clock = partial(time.clock_gettime, time.pthread_getcpuclockid(threading.get_ident()))
                self._file = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)

    def close(self) -> None:
        """Close what it reads from."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def read(self) -> tuple[float, float]:
        """Return the seconds for which the thread has computed, and those for which it could but had no processor."""
        waited = 0
        if self._file is not None:
            # "computed waited slices", the first two in nanoseconds (Documentation/scheduler/sched-stats.rst).
            waited = int(os.pread(self._file, 100, 0).split()[1])
        return self._clock(), waited / 1e9
