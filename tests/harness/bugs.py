"""Exceptions that are bugs, whatever they are: no `Exception`, or one that cannot be shown, or half of a refusal."""

import asyncio

import pytest

from simplysocket import ActionError, PeerError, Refuse


class Own(BaseException):
    """A BaseException of the application's."""


class Unshowable(RuntimeError):
    """One whose text cannot be asked for, as that of an object whose database session is closed."""

    def __repr__(self) -> str:
        raise LookupError("no repr")

    __str__ = __repr__


class UnshowableGroup(BaseExceptionGroup[Exception]):
    """A group that can neither be shown nor split."""

    def __new__(cls) -> "UnshowableGroup":
        return super().__new__(cls, "several", [Unshowable()])

    def derive(self, _: object) -> BaseExceptionGroup[Exception]:
        raise LookupError("no derive")


class NoCode(ActionError):
    """A refusal without a code: its `__init__` has not called that of its base class."""

    def __init__(self) -> None:
        pass


class NoPeerCode(PeerError):
    """A client's error without a code."""

    def __init__(self) -> None:
        pass


class NoStatus(Refuse):
    """A refusal without a status."""

    def __init__(self) -> None:
        pass


_MENDED = (Unshowable, UnshowableGroup, NoCode, NoPeerCode, NoStatus)
BUGS = (asyncio.CancelledError, GeneratorExit, Own, KeyError, *_MENDED)
IS_ANY_BUG = pytest.mark.parametrize("bug", BUGS)


def name_seen(bug: type[BaseException]) -> str:
    """Return the name of the class that `on_error` is given for a bug: of some, a RuntimeError that names them."""
    return "RuntimeError" if bug in _MENDED else bug.__name__
