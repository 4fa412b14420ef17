"""The boundaries: what passes through every one of them, and so ends more than the code that raised it.

All else that code of the application raises is a bug, and costs only what the boundary is around: also a BaseException
of one's own, `GeneratorExit`, or the `CancelledError` of asyncio, which no scope of trio's has asked for.

>>> try:
...     await call()
... except* PASSING:
...     raise
... except* BaseException:
...     logger.exception("a bug")

An exception whose repr raises would end the whole program, since trio asks for the repr of what a task raises. So every
task that runs code of the application runs it inside of `SHOWN`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

import trio

from .errors import ActionError, Refuse, first_of, is_refusal

PASSING: Final = (trio.Cancelled, KeyboardInterrupt, SystemExit)


@contextmanager
def alone() -> Iterator[None]:
    """Raise a SystemExit or KeyboardInterrupt that comes inside of groups without them, so that its code counts."""
    try:
        yield
    except BaseExceptionGroup as group:
        for kind in (SystemExit, KeyboardInterrupt):
            found = group.subgroup(kind)
            if found is not None:
                raise first_of(found) from group
        raise


def check_shown(error: BaseException) -> None:
    """Raise a RuntimeError instead of an exception that cannot be shown, split or answered with; it is the cause.

    What passes through every boundary still does.
    """
    fault = _fault_of(error)
    if fault:
        instead: list[BaseException] = [RuntimeError(f"{_name_of(error)} was raised, {fault}")]
        passing = [_passing(each) for each in _plain(error) if isinstance(each, PASSING)]
        if not passing:
            raise instead[0] from error
        if not isinstance(error, BaseExceptionGroup):
            raise passing[0] from None
        raise BaseExceptionGroup("several exceptions", passing + instead) from error


class _Shown:
    """The context manager of `check_shown`: a class, since one that is made of a generator takes five times as long."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is not None:
            check_shown(error)


SHOWN: Final = _Shown()
"""Around code of the application: what it raises can be shown, split and answered with (`check_shown`).

>>> with SHOWN:
...     await call()
"""


def _fault_of(error: BaseException) -> str:
    """Return what is wrong with an exception, to follow "it was raised, "; "" if nothing is."""
    for each in _plain(error):
        is_half = isinstance(each, ActionError) and not is_refusal(each)
        if is_half or (isinstance(each, Refuse) and not hasattr(each, "expired")):  # which `Refuse` sets last
            base = "ActionError" if is_half else "Refuse"
            return f"which is not whole: its __init__ must call that of {base}, with all that this takes"
    try:
        repr(error)
        str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        return f"and its text cannot be shown: its repr or str raises {type(exc).__qualname__}"
    if isinstance(error, BaseExceptionGroup):
        try:
            error.split(PASSING)
        except Exception as exc:
            return f"and it cannot be split: that raises {type(exc).__qualname__}"
    return ""


def _plain(error: BaseException) -> Iterator[BaseException]:
    """Yield the plain exceptions inside of groups, however deep."""
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        else:
            yield each


def _passing(error: BaseException) -> BaseException:
    """Return an exception that ends the program as this one does, and can be shown."""
    if isinstance(error, trio.Cancelled):
        return error
    if isinstance(error, KeyboardInterrupt):
        return KeyboardInterrupt()
    code = getattr(error, "code", None)
    return SystemExit(code if code is None or isinstance(code, (int, str)) else 1)


def _name_of(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
