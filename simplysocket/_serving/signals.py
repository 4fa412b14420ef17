"""Signals: a server runs until a signal comes, and then stops gracefully.

Laws:
- The first signal begins a graceful stop. A second one ends the process at once, and so does one that comes before
  the server listens.
- The end of the grace ends the process, too, a moment after what was left has been cancelled.
- None of this needs the event loop: it may be stuck. A handler of signals takes no lock and writes nothing.
- A failure to listen is returned, not raised.
"""

import _thread
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import trio

from .._boundary import alone
from .._process_end import FLUSH_SECONDS, end_process, stop_signals
from .collector import Collector

logger = logging.getLogger("simplysocket.program")

_LAST_SECONDS: Final = 1.0  # after the grace: what was cancelled tells its clients, and ends


class StopSignals:
    """Takes the signals that stop a program, in the main thread, while a server runs."""

    def __init__(self, grace: float, *, ends_process: bool) -> None:
        self.asked = trio.Event()  # the server shall stop
        self.is_listening = False
        self._grace = grace
        self._ends_process = ends_process
        self._token = trio.lowlevel.current_trio_token()
        self._first: signal.Signals | None = None
        self._began = 0.0  # when it came, by the monotonic clock
        self._ended = _locked()  # released when the grace counts no more
        self._told = _locked()  # released when the log has said that the server stops

    @contextlib.contextmanager
    def taken(self, signals: Iterable[signal.Signals]) -> Iterator[None]:
        """Take these signals during the block."""
        before = {number: signal.signal(number, self._take) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            if not self._ends_process:
                self._ended.release()

    def end(self) -> None:
        """Note that the server has ended: if the grace was over by then, the process ends, too."""
        if self._first is None:
            return
        if time.monotonic() - self._began >= self._grace:
            end_process(self._first, self._say_over)
        self._told.acquire(timeout=FLUSH_SECONDS)

    def _take(self, number: int, _: object) -> None:
        """Handle a signal: it comes between any two steps of the main thread."""
        if self._first is not None or not self.is_listening:
            end_process(number, partial(logger.info, "stopping at once"))
        self._first, self._began = signal.Signals(number), time.monotonic()
        with contextlib.suppress(RuntimeError):  # no thread can be started: the loop keeps the grace
            _thread.start_new_thread(self._keep_grace, (number,))
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self.asked.set)

    def _keep_grace(self, number: int) -> None:
        """Say that the server stops, and end the process if that takes too long; run in a thread of its own."""
        logger.info("stopping, within %g seconds (once more: at once)", self._grace)
        self._told.release()
        if not self._ended.acquire(timeout=min(self._grace + _LAST_SECONDS, threading.TIMEOUT_MAX)):
            end_process(number, self._say_over)

    def _say_over(self) -> None:
        logger.warning("not all was done within %g seconds: the rest is cut", self._grace)


def _locked() -> _thread.LockType:
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock


def run_program(
    serving: Callable[..., Awaitable[object]],
    stop: Callable[[float], Awaitable[object]],
    *,
    grace: float,
    tune_gc: bool,
    listens: Callable[[], object],
    signals: Sequence[signal.Signals] | None = None,
    ends_process: bool = False,
) -> OSError | None:
    """Run `serving` in the main thread until a signal comes; return the error if it could not listen.

    `serving` is a function as `nursery.start` takes it, and has started when the
    server listens: then `listens` is called. `stop` is called with `grace`, in seconds.
    `signals`: those that stop it; None: `stop_signals()`. With `ends_process` the grace
    also bounds what comes after, up to the end of the process.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("run() is for the main thread, which gets signals: here, `trio.run(server.serve, ...)`")
    collector = Collector(is_tuned=tune_gc)

    async def run() -> OSError | None:
        taker = StopSignals(grace, ends_process=ends_process)
        with taker.taken(stop_signals() if signals is None else signals):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stop_when_asked, taker, stop, grace)
                async with trio.open_nursery() as inner:
                    try:
                        await inner.start(serving)
                    except OSError as error:
                        nursery.cancel_scope.cancel()
                        return error
                    taker.is_listening = True
                    collector.freeze()
                    listens()
                nursery.cancel_scope.cancel()
            taker.end()
        return None

    with collector.tuned(), alone():
        return trio.run(run)


async def _stop_when_asked(taker: StopSignals, stop: Callable[[float], Awaitable[object]], grace: float) -> None:
    await taker.asked.wait()
    await stop(grace)


def name_places(
    server: Any, host: str | None, unix: object, *, is_tls: bool
) -> str:  # Any: a Server, whose module imports this one
    """Say where a server listens: a URL, a Unix socket, or both; "" when it was given other listeners."""
    places = [] if unix is None else [f"unix:{unix}"]
    try:
        port: int = server.port
    except RuntimeError:
        return " and ".join(places)
    name = f"[{host}]" if host and ":" in host else host or "0.0.0.0"
    return " and ".join([f"{'https' if is_tls else 'http'}://{name}:{port}", *places])
