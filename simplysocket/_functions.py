"""The application's functions: where each is defined, for errors and logs, and which arguments it takes.

Law: words only. No function of the application is called here.
"""

import functools
import inspect
import os
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any, Final

from .errors import RegistrationError

_PACKAGE: Final = os.path.dirname(__file__) + os.sep
TICKS_MOST: Final = 1_000  # calls a second of `Room.tick`: beyond it, the calls would be most of what the loop does
_TRIO: Final = f"{os.sep}site-packages{os.sep}trio{os.sep}"


def source_of(function: object) -> str:
    """Return "file.py:12", where a function or class is defined; "" when that is not known."""
    if isinstance(function, type):
        methods = [each for each in vars(function).values() if inspect.isfunction(each)]
        return source_of(methods[0]) if methods else ""
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, types.CodeType) else ""


def line_of(error: BaseException) -> str:
    """Return "file.py:12", the last line outside this package that an exception came through; "" if there is none."""
    found, traceback = "", error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if not name.startswith(_PACKAGE):
            found = f"{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def waits_at(coroutine: object) -> str:
    """Return "file.py:12", the innermost line outside this package and trio at which a coroutine waits; or ""."""
    found = ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        name = "" if frame is None else frame.f_code.co_filename
        if frame is not None and not name.startswith(_PACKAGE) and _TRIO not in name:
            found = f"{name}:{frame.f_lineno}"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return found


def name_place(function: object) -> str:
    """Return the name of a function or class, and where it is defined; of a partial, those of its function."""
    function = _innermost(function)
    where = source_of(function)
    return f"{getattr(function, '__qualname__', None) or repr(function)}{f' ({where})' if where else ''}"


def check_hook(what: str, hook: Callable[..., object], arguments: tuple[str, ...]) -> None:
    """Refuse a hook that is not a coroutine function, or that does not take these arguments."""
    written = f"`async def ({', '.join(arguments)})`"
    if not callable(hook):
        raise RegistrationError(f"{what} is {hook!r:.200}: write {written}")
    if not inspect.iscoroutinefunction(hook):
        raise RegistrationError(f"{what}, {name_place(hook)}, is no coroutine function: write {written}")
    try:
        inspect.signature(hook).bind(*arguments)
    except TypeError as exc:
        raise RegistrationError(f"{what}, {name_place(hook)}, does not take {written}: {exc}") from None


def takes(function: Callable[..., object]) -> int:
    """Return how many positional arguments a function takes: it may leave out those it does not need."""
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return sys.maxsize
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)


def name_of(function: Callable[..., object]) -> str:
    """Return the name of a function of the user's."""
    inner = _innermost(function)
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))


def check_task(what: str, function: object, args: tuple[object, ...]) -> None:
    """Refuse a function that cannot be started as a task, before the room crashes with it; `what` was called."""
    if _is_coroutine_function_of(function, len(args)):
        return
    if inspect.iscoroutine(function):
        name = function.__qualname__
        function.close()
        raise TypeError(f"{what}() got the coroutine {name}(...): give the function itself, and its arguments")
    if not callable(function):
        raise TypeError(f"{what}() got {function!r:.200}: give an async function")
    inner = _innermost(function)
    is_plain = inspect.isroutine(inner) and not inspect.iscoroutinefunction(inner)
    if is_plain and name_of(inner).rpartition(".")[2] != "<lambda>":  # which may well return a coroutine
        raise TypeError(f"{what}() got {name_place(inner)}, which is no coroutine function: write `async def`")
    try:
        inspect.signature(function).bind(*args)
    except TypeError as exc:
        raise TypeError(f"{what}() cannot call {name_place(inner)} with {len(args)} arguments: {exc}") from None


def _is_coroutine_function_of(function: object, count: int) -> bool:
    """Tell whether it is an `async def` of so many arguments, by a look at its code: 1 us, and a signature takes 45.

    False also where only the signature can tell.
    """
    if isinstance(function, types.MethodType):
        function, count = function.__func__, count + 1
    if not isinstance(function, types.FunctionType):
        return False
    code = function.__code__
    least = code.co_argcount - len(function.__defaults__ or ())
    is_simple = not code.co_kwonlyargcount and bool(code.co_flags & inspect.CO_COROUTINE)
    return is_simple and least <= count <= code.co_argcount


def check_timer(what: str, seconds: object, function: object, args: tuple[object, ...]) -> None:
    """Refuse a timer that cannot work; `what` was called."""
    if not isinstance(seconds, (int, float)):
        raise TypeError(f"{what}({seconds!r:.200}, ...): give the seconds first")
    if not abs(seconds) <= sys.float_info.max:  # an int may be larger than any float
        raise ValueError(f"{what}({seconds!r:.200}, ...): give a finite number of seconds")
    check_task(what, function, args)


def check_tick(hz: object, function: object) -> None:
    """Refuse a tick that cannot work."""
    if not isinstance(hz, (int, float)):
        raise TypeError(f"tick({hz!r:.200}, ...): give the calls a second first, then the function")
    if isinstance(hz, bool) or not 0 < hz <= TICKS_MOST:
        raise ValueError(f"tick({hz!r:.200}, ...): give the calls a second, above 0 and at most {TICKS_MOST}")
    check_task("tick", function, (1 / hz,))


def check_view(view: object) -> None:
    """Refuse a view that is no plain function."""
    if not callable(view) or inspect.iscoroutinefunction(_innermost(view)):
        name = name_place(view) if callable(view) else repr(view)[:200]
        raise TypeError(f"send_view({name}, ...): give a plain `def (client)` that returns the body for one client")


def coroutine_of(function: Callable[..., Awaitable[object]], *args: object) -> Awaitable[object]:
    """Call a function that `check_task` has accepted; TypeError with its place if it returns no coroutine."""
    result = function(*args)
    if not inspect.isawaitable(result):
        raise TypeError(
            f"{name_place(function)} is no coroutine function: it returned {result!r:.100}; write `async def`"
        )
    return result


def _innermost(function: Any) -> Any:  # Any: what somebody gave as a function
    while isinstance(function, functools.partial):
        function = function.func
    return function


def inherited(owner: type, attribute: str, mark: str) -> Any:  # Any: whatever the decorator leaves there
    """Return what a decorator has left as `mark` on a method, or on the one that it overrides; None if nothing."""
    found = (getattr(vars(each).get(attribute), mark, None) for each in owner.__mro__)
    return next((each for each in found if each is not None), None)


_DOES_NOTHING: Final = "_simplysocket_does_nothing"


def does_nothing(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a hook of Room as not overridden, so that no turn is waited for to call it."""
    setattr(hook, _DOES_NOTHING, True)
    return hook


def is_overridden(hook: Callable[..., Any]) -> bool:
    """Tell whether a hook is a user's."""
    return not hasattr(hook, _DOES_NOTHING)
