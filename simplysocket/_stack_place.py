"""The place on a stack: which line of whose code a thread runs, in words for the log.

Law: it looks at frames and keeps none, since a frame holds all that its function has.
"""

import inspect
import os
import sysconfig
from types import FrameType
from typing import Final

import outcome
import trio

OWN_CODE: Final = "simplysocket's own code"
"""How a place begins that is in this package, and that no code of the application has called."""

_PACKAGE: Final = os.path.dirname(__file__) + os.sep
_WATCH: Final = f"{_PACKAGE}_loop_watch.py"
_MACHINERY: Final = (  # whose lines are never the application's
    _PACKAGE,
    *(os.path.dirname(inspect.getfile(each)) + os.sep for each in (trio, outcome)),
    "<frozen ",
    "<attrs ",
)
_LIBRARY: Final = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
_INSTALLED: Final = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
_SCHEDULER: Final = tuple(os.path.join(os.path.dirname(trio.__file__), "_core", name) for name in ("_io_", "_instr"))
_DEPTH: Final = 10_000  # of a stack, at most: beyond Python's own limit a task runs for sure
_FRAMES: Final = 200  # looked at: how deep a function calls itself may be a client's choice


def place_of(frame: FrameType | None, base: FrameType | None) -> str:
    """Say which line runs: that of the application, and the innermost one if it is another.

    `base` is the frame of the scheduler, at which the stack of a task ends. Without a line of the
    application it is the package's own code, or a library's, and the text says so.

    >>> place_of(sys._getframe(), None)
    '/srv/game/words.py:12 in look_up, in json/decoder.py:353 in raw_decode'
    """
    application = installed = package = innermost = ""
    for _ in range(_FRAMES):
        if frame is None or frame is base:
            break
        if frame.f_code.co_filename == _WATCH:  # it is called when a collection begins and ends
            frame = frame.f_back
            continue
        path, line = frame.f_code.co_filename, f"{frame.f_lineno} in {frame.f_code.co_qualname}"
        innermost = innermost or f"{_short(path)}:{line}"
        if path.startswith(_PACKAGE):
            package = package or f"{_short(path)}:{line}"
        elif not path.startswith(_MACHINERY):
            if any(each in path for each in _INSTALLED):
                installed = installed or f"{path}:{line}"
            elif not path.startswith(_LIBRARY):
                application = f"{path}:{line}"
                break
        frame = frame.f_back
    owner = application or installed or (package and f"{OWN_CODE}, {package}")
    return owner if owner.endswith(innermost) else f"{owner}, in {innermost}" if owner else innermost


def runs_task(frame: FrameType | None, base: FrameType | None) -> bool:
    """Tell whether a task runs, or else the scheduler waits for I/O or is between two tasks."""
    for _ in range(_DEPTH):
        if frame is None or frame is base or base is None:
            return False
        if frame.f_back is base:
            return not frame.f_code.co_filename.startswith(_SCHEDULER)
        frame = frame.f_back
    return True


def _short(path: str) -> str:
    """Return the path of a module below its package, or the last two parts of another path."""
    if path.startswith(_PACKAGE):
        return f"simplysocket/{path[len(_PACKAGE) :]}"
    return os.sep.join(path.split(os.sep)[-2:])
