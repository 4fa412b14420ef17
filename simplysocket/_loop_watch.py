"""The loop watch: names what blocked the event loop, whether in a handler or not.

Laws:
- What was told of a step is not told again of the pass in which it ran.
- Code is blamed for its own time only: not for a garbage collection, nor while the process did not run.
- A message costs nothing, and a pass one comparison: only one that may have been long is looked back at.
- In virtual time only handlers are told of, by the turns.

Times are those of `perf_counter`. Why it is done with a thread that looks at the stack: decision 17.
"""

import contextlib
import gc
import logging
import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from time import perf_counter, thread_time
from typing import Final

import attrs
import trio

from ._log_limit import PLACE
from ._loop_sampler import Sampler
from ._pass_budget import PassBudget
from ._stack_place import OWN_CODE
from .limits import Limits

logger = logging.getLogger("simplysocket.loop")

_COLLECTIONS: Final = 64  # remembered; more in one step are due to the code that makes so many objects
_TOLD: Final = 256  # steps of one pass that are not told of again; each was long
_PLACES: Final = 3  # named in one line


@attrs.frozen
class Stall:
    """What a span of time was spent on: three shares, in seconds, and where the code was seen."""

    own: float
    collected: float
    paused: float
    freed: int  # objects found by the collections
    doing: str  # such as "waiting at game.py:12 in look_up"; "" when nobody has looked


class LoopWatch:
    """Watches the loop of one server. If several servers share a loop, one of them watches its passes."""

    def __init__(self, limits: Limits, budget: PassBudget) -> None:
        self._blocked_seconds = math.inf if limits.blocked_seconds is None else limits.blocked_seconds
        self._budget = budget
        self._sampler: Sampler | None = None  # while it watches the passes
        self._collections: deque[tuple[float, float, int]] = deque(
            maxlen=_COLLECTIONS
        )  # (when, seconds, objects found)
        self._collecting_since = 0.0
        self._told: deque[tuple[float, float]] = deque(maxlen=_TOLD)  # (from, to), of the pass that runs

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch the loop until cancelled; not at all if `Limits.blocked_seconds` is None."""
        if self._blocked_seconds == math.inf:
            task_status.started()
            return
        gc.callbacks.append(self._look_at_collection)
        try:
            task_status.started()
            if type(trio.lowlevel.current_clock()).__name__ == "SystemClock":
                async with _turn_to_watch():
                    with self._watching():
                        await trio.sleep_forever()
            await trio.sleep_forever()
        finally:
            gc.callbacks.remove(self._look_at_collection)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        frame = getattr(trio.lowlevel.current_task().coro, "cr_frame", None)
        base = frame and frame.f_back  # what runs the tasks is below each
        self._sampler = Sampler(self._budget, base, _tell_endless)
        self._sampler.start()
        _WATCH.set(self)
        budget = self._budget
        budget.began, budget.look_back, budget.watched_seconds = perf_counter(), self.look_back, self._blocked_seconds
        try:
            yield
        finally:
            budget.look_back, budget.watched_seconds = None, math.inf
            _WATCH.set(None)
            self._sampler.stop()
            self._sampler = None
            self._told.clear()

    # --- what is told

    def look_at_step(self, began: float, ended: float) -> Stall:
        """Return what a long step was spent on, and log what was not its own time."""
        watch = _WATCH.get(None) or self  # it may be another server's
        stall = watch._spent([(began, ended)])
        watch._told.append((began, ended))
        watch._tell_others(stall)
        return stall

    def look_back(self, now: float, timeout: float) -> None:
        """Log what the last pass was spent on if it was long, and a wait for I/O that took longer than `timeout`."""
        began = ended = self._budget.began
        if timeout <= 0:
            ended = now  # there was no wait
        elif self._sampler is not None:
            ended = max(began, min(now, self._sampler.busy_until(began)))
        self._tell_wait(ended + timeout, now)
        self._tell_pass(began, ended)
        self._told.clear()

    def _tell_wait(self, due: float, ended: float) -> None:
        """Log it if the loop waited for I/O for longer than it wanted to."""
        seconds = ended - due
        if seconds > self._blocked_seconds:
            seconds -= self._collected([(due, ended)])[0]
            if seconds > self._blocked_seconds:
                self._tell_pause(seconds)

    def _tell_pass(self, began: float, ended: float) -> None:
        """Log what a pass was spent on, if it was long also without what was told before."""
        spans = _without(self._told, began, ended)
        if sum(to - since for since, to in spans) <= self._blocked_seconds:
            return
        stall = self._spent(spans)
        self._tell_others(stall)
        if stall.own <= self._blocked_seconds:
            return
        if OWN_CODE in stall.doing:
            logger.warning(
                "the loop was blocked for %.2f s, and with it every client, %s: if this comes again, please report it",
                stall.own,
                stall.doing,
                extra={PLACE: stall.doing},
            )
        else:
            logger.warning(
                "the loop was blocked for %.2f s, and with it every client, %s: await something meanwhile, or hand the"
                " work to `await trio.to_thread.run_sync(...)`",
                stall.own,
                stall.doing or "by code that nobody has seen",
                extra={PLACE: stall.doing},
            )

    def _tell_others(self, stall: Stall) -> None:
        """Log what was nobody's own time: each cause that was long, or the larger of two that explain it together."""
        enough = self._blocked_seconds
        if stall.own <= enough:
            enough = min(enough, max(stall.collected, stall.paused))
        if 0 < stall.collected >= enough:
            logger.warning(
                "a garbage collection stopped the server for %.2f s, and with it every client; it found %d objects:"
                " `Server.run` and `simplysocket run` make full collections rare; with `serve`, call `gc.freeze()` and"
                " `gc.set_threshold(...)` when everything is loaded",
                stall.collected,
                stall.freed,
            )
        if 0 < stall.paused >= enough:
            self._tell_pause(stall.paused)

    def _tell_pause(self, seconds: float) -> None:
        logger.warning(
            "the process did not run for %.2f s, and no client was served: it was stopped, other processes had the CPU,"
            " or another thread kept the interpreter's lock",
            seconds,
        )

    # --- what is known

    def _spent(self, spans: "_Spans") -> Stall:
        """Return what the time of `spans` was spent on, which are in the pass that runs and end now."""
        total, ended = sum(to - since for since, to in spans), spans[-1][1]
        collected, freed = self._collected(spans)
        if self._sampler is None:
            return Stall(total - collected, collected, 0.0, freed, "")
        idle, starved = self._sampler.idle(ended)
        late = _overlap(self._sampler.pauses(ended), spans) - collected
        paused = min(idle, total, max(starved, late, 0.0))
        own = max(0.0, total - collected - paused)
        seen = Counter(place for at, place in self._sampler.places() if _is_in(at, spans))
        places = "; ".join(place for place, _ in seen.most_common(_PLACES))
        verb = "waiting" if idle - paused > own / 2 else "computing"
        return Stall(own, collected, paused, freed, places and f"{verb} at {places}")

    def _collected(self, spans: "_Spans") -> tuple[float, int]:
        """Return for how long collections computed that ended in `spans`, and how many objects they found."""
        those = [each for each in list(self._collections) if _is_in(each[0], spans)]
        return sum(seconds for _, seconds, _ in those), sum(found for _, _, found in those)

    def _look_at_collection(self, phase: str, info: dict[str, int]) -> None:
        """Note how long a collection takes, in whatever thread: no code of Python runs meanwhile."""
        if not info["generation"]:
            return  # of at most some thousands of objects: short, and due to the code that makes them
        if phase == "start":
            self._collecting_since = thread_time()
        else:
            self._collections.append((perf_counter(), thread_time() - self._collecting_since, info["collected"]))


def overlook(began: float) -> None:
    """Let nothing be told of what the caller has done since `began`, by `perf_counter`, in the pass that runs."""
    watch = _WATCH.get(None) if trio.lowlevel.in_trio_run() else None
    if watch is not None:
        watch._told.append((began, perf_counter()))


def _tell_endless(seconds: float, place: str) -> None:
    logger.warning(
        "the loop has been blocked for %.0f s and still is, and with it every client, at %s: if this does not end, only"
        " SIGKILL stops the process",
        seconds,
        place,
    )


_Spans = Sequence[tuple[float, float]]  # (from, to), one after the other
_WATCH: Final[trio.lowlevel.RunVar[LoopWatch | None]] = trio.lowlevel.RunVar("simplysocket.loop watch", None)
_LOCK: Final[trio.lowlevel.RunVar[trio.Lock]] = trio.lowlevel.RunVar("simplysocket.loop watch's lock")


def _turn_to_watch() -> trio.Lock:
    """Return the lock that the one server holds which watches the passes of this loop."""
    try:
        return _LOCK.get()
    except LookupError:
        lock = trio.Lock()
        _LOCK.set(lock)
        return lock


def _is_in(at: float, spans: _Spans) -> bool:
    return any(since < at <= to for since, to in spans)


def _overlap(times: _Spans, spans: _Spans) -> float:
    """Return for how long two lists of spans overlap."""
    return sum(max(0.0, min(end, to) - max(begin, since)) for begin, end in times for since, to in spans)


def _without(told: _Spans, began: float, ended: float) -> list[tuple[float, float]]:
    """Return what remains of a time without the spans in it, at least one span."""
    remaining, since = [], began
    for start, to in told:
        remaining.append((since, max(since, start)))
        since = max(since, to)
    return [*remaining, (since, max(since, ended))]
