"""The end of the process by a signal: at once, whatever the program does meanwhile.

Laws:
- It imports nothing of the package: `simplysocket` imports it before all else.
- It waits for no lock that other code may hold. What may have to wait is done by a thread, which has little time.
"""

import _thread
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn

FLUSH_SECONDS: Final = 0.5  # for the last line of the log and for what stdout, stderr and the log have not written yet

_COMMAND: Final = ("simplysocket", "-msimplysocket")  # as a script or after -m

_is_ending = False


def stop_signals() -> list[signal.Signals]:
    """Return the signals that stop a program, as far as the platform has them. `nohup` ignores SIGHUP: it stays so."""
    found = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return [each for each in found if each.name != "SIGHUP" or signal.getsignal(each) != signal.SIG_IGN]


def end_process(number: int, last_words: Callable[[], object] | None = None) -> NoReturn:
    """End the process with the exit code 128 + `number`, as shells report signals. It runs no `finally` and no atexit.

    Before, `last_words` is called, and the log, stdout and stderr are flushed, in `FLUSH_SECONDS` at most.
    """
    global _is_ending
    if not _is_ending:  # otherwise one more signal came meanwhile
        _is_ending = True
        flushed = _thread.allocate_lock()
        flushed.acquire()
        with contextlib.suppress(RuntimeError):  # no thread can be started
            _thread.start_new_thread(_flush, (flushed, last_words))
            flushed.acquire(timeout=FLUSH_SECONDS)
    os._exit(128 + number)


def _flush(flushed: _thread.LockType, last_words: Callable[[], object] | None) -> None:
    try:
        if last_words is not None:
            last_words()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # it is full, closed, or none
                stream.flush()
        if "logging" in sys.modules:
            sys.modules["logging"].shutdown()
    finally:
        flushed.release()


def take_signals() -> None:
    """Let every signal that stops a program end this process, until there is a server to drain.

    The kernel drops such a signal for process 1, that of a container, as long as nobody takes it.
    """
    for number in stop_signals():
        signal.signal(number, lambda number, _: end_process(number))


def _is_command() -> bool:
    """Tell whether this process runs the command line, whose first act is to import the package.

    Processes that it starts may have its `sys.argv`, but not its `sys.orig_argv`: there, the script or the module that
    Python runs stands before the arguments.
    """
    (name,) = sys.orig_argv[-len(sys.argv) :][:1] or ("",)
    return os.path.basename(name).removesuffix(".exe") in _COMMAND


if _is_command():
    take_signals()
