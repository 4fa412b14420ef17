"""The supervisor of `run --reload`: runs one server process, and a new one when a file has changed.

Laws: the supervisor never imports the user's code. No server process outlives its
supervisor, even a killed one: it holds a pipe, and stops when the supervisor's end
of it closes.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio
import watchfiles

from .._process_end import stop_signals

logger = logging.getLogger("simplysocket.supervisor")

UNUSABLE: Final = 2  # exit code of a server that a change of a file cannot help, such as a port in use

_PIPE: Final = "_SIMPLYSOCKET_SUPERVISOR"  # environment variable with the server process's end of the pipe
_KILL_SECONDS: Final = 2.0  # after the grace; a server whose handler never awaits is then killed
# Code and static files. Not .json, .db or .txt: a server that writes one would restart itself.
_SUFFIXES: Final = (".py", ".html", ".css", ".js", ".mjs", ".svg", ".png", ".jpg", ".jpeg", ".webp", ".ico", ".wasm")
_NAMES_SHOWN: Final = 3
_OF_TERMINAL: Final = frozenset(stop_signals()) - {signal.SIGTERM}  # it sends them to all its processes


class Supervisor:
    """Runs a command as the server process until a signal comes, and restarts it after changes.

    `directories` are watched with everything below them. A server process is
    stopped with SIGTERM and has `grace` seconds to end. When one fails, the next
    starts after the next change.
    """

    def __init__(self, command: Sequence[str], directories: Sequence[Path], grace: float) -> None:
        self._command = command
        self._directories = directories
        self._grace = grace
        self._child: subprocess.Popen[bytes] | None = None
        self._changed = trio.Event()
        self._stop_asked = trio.Event()
        self._signal = 0  # the last one that came

    async def run(self) -> int:
        """Run until SIGINT, SIGTERM or SIGHUP, and return the exit code; a second signal stops at once.

        The code is 0 if the server has stopped gracefully, and 128 + the signal's number otherwise.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals, nursery)
            nursery.start_soon(self._watch_files, nursery)
            await trio.lowlevel.checkpoint()  # watch the files before the server process reads them
            code = 0
            while not self._stop_asked.is_set():
                self._changed = trio.Event()
                ended_with = await self._run_child()
                if self._changed.is_set():
                    if self._stop_asked.is_set() and ended_with:
                        code = 128 + self._signal
                    continue
                if ended_with == UNUSABLE:
                    code = UNUSABLE
                    self._stop_asked.set()
                else:
                    logger.warning("the server has ended with %d: waiting for a change", ended_with)
                    await self._changed.wait()
            nursery.cancel_scope.cancel()
        return code

    async def _run_child(self) -> int:
        """Run one server process to its end and return its exit code."""
        theirs, ours = os.pipe()
        try:
            child = _start(self._command, theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._child = child
        try:
            return await trio.to_thread.run_sync(child.wait, abandon_on_cancel=True)
        finally:
            self._child = None
            child.kill()  # does something only when the wait was cancelled: otherwise the process has ended
            child.wait()
            os.close(ours)

    def _end_child(self, nursery: trio.Nursery, grace: float) -> None:
        """Stop the server process; `run` starts the next, unless a signal asked to stop."""
        self._changed.set()
        if self._child is not None:
            self._child.terminate()
            nursery.start_soon(self._kill_later, self._child, grace)

    async def _kill_later(self, child: subprocess.Popen[bytes], grace: float) -> None:
        await trio.sleep(grace + _KILL_SECONDS)
        if self._child is child:
            logger.warning("the server did not stop within %g seconds and is killed", grace)
            child.kill()

    async def _watch_signals(
        self, nursery: trio.Nursery, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(*stop_signals()) as signals:
            task_status.started()
            async for number in signals:
                self._signal = number
                self._end_child(nursery, 0.0 if self._stop_asked.is_set() else self._grace)
                self._stop_asked.set()

    async def _watch_files(self, nursery: trio.Nursery) -> None:
        # A cancellation does not end the thread of watchfiles; the event does.
        async for changes in watchfiles.awatch(
            *self._directories, watch_filter=_Filter(), stop_event=self._stop_asked, ignore_permission_denied=True
        ):
            names = sorted({Path(path).name for _, path in changes})
            logger.info("changed: %r: restarting", names[:_NAMES_SHOWN])
            if not self._changed.is_set():  # a server that is stopping would take this for the second signal
                self._end_child(nursery, self._grace)


class _Filter(watchfiles.DefaultFilter):
    """Accepts the changes of code and static files."""

    ignore_dirs = (*watchfiles.DefaultFilter.ignore_dirs, "venv", "site-packages", ".ruff_cache")

    def __call__(self, change: watchfiles.Change, path: str) -> bool:
        return path.endswith(_SUFFIXES) and super().__call__(change, path)


def _start(command: Sequence[str], pipe: int) -> subprocess.Popen[bytes]:
    """Start a server process with the terminal's signals blocked until it calls `heed`; the mask is inherited."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINAL)
    try:
        return subprocess.Popen(command, env={**os.environ, _PIPE: str(pipe)}, pass_fds=(pipe,))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in the server process


def is_supervised() -> bool:
    """Tell whether a supervisor started this process."""
    return _PIPE in os.environ


def heed(grace: float) -> None:
    """Ignore the terminal's signals, and end when the supervisor has ended; called in the server process.

    The terminal sends them to both processes. If the server stopped on one, it would
    take the supervisor's SIGTERM for the second signal, which ends it at once.
    """
    sys.dont_write_bytecode = True  # Python would use the .pyc of a file that was changed twice within a second
    for number in _OF_TERMINAL:
        signal.signal(number, lambda _, __: None)  # not SIG_IGN, which processes that this one starts would inherit
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_TERMINAL)
    pipe = int(os.environ.pop(_PIPE))  # so that no child of this process takes itself for the server process
    os.set_inheritable(pipe, False)
    threading.Thread(target=_end_with, args=(pipe, grace), name="supervisor's end", daemon=True).start()


def _end_with(pipe: int, grace: float) -> None:
    """Wait until the supervisor has ended; then stop this process, by force if needed."""
    os.read(pipe, 1)  # nothing is written: it returns when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace + _KILL_SECONDS)
    os._exit(1)


def this_command() -> list[str]:
    """Return the command line of this process, to start it again."""
    return [sys.executable, *sys.orig_argv[1:]]
