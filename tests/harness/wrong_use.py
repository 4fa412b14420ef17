"""Wrong uses of the package, and a judge of what is said about each: where it is, and what to write instead.

A wrong use is a function that takes a server. A plain one declares something: it
must raise an error of the class that is named, which says everything by itself, before
anything is served. An `async def` one happens while a server runs: what is raised,
logged and warned counts together, with the tracebacks.
"""

import contextlib
import gc
import inspect
import logging
import re
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Server
from simplysocket.testing import ConnectionEnded, open_server

Use = Callable[[Any], Awaitable[None] | None]

HERE: Final = "the file of the wrong use, and a line of its function"


@attrs.frozen
class WrongUse:
    """A wrong use, and what must be said about it."""

    use: Use
    place: str
    words: tuple[str, ...]
    error: type[BaseException] | None
    """The class of the error that a plain use raises; None where several are possible."""

    def judge(self, caplog: pytest.LogCaptureFixture) -> None:
        """Make the wrong use; AssertionError if a word or the place is missing, or the error is of another class."""
        raised, said, tracebacks = _hear(self.use, caplog)
        is_placed = _names_a_line_of(self.use, said + tracebacks)
        words = said.replace(_file_of(self.use), "")  # a file's name is no part of the answer,
        words = words.replace(self.use.__name__, "snippet")  # nor is the function's
        wanted = self.words if self.place == HERE else (*self.words, self.place)
        missing = [word for word in wanted if word not in words]
        if self.place == HERE and not is_placed:
            missing.append(HERE)
        assert not missing, f"this was said:\n{words or 'nothing'}"
        if self.error is not None and not inspect.iscoroutinefunction(self.use):
            assert raised is not None
            assert issubclass(raised, self.error), raised


class WrongUses:
    """A table of wrong uses: `wrong(...)` decorates one, `wrong.parametrize` the test that judges them."""

    def __init__(self, error: type[BaseException] | None = None) -> None:
        """`error`: the class of the error that each plain use raises, unless it names another one."""
        self._cases: list[Any] = []
        self._error = error

    def __call__(
        self, *words: str, place: str = HERE, error: type[BaseException] | None = None
    ) -> Callable[[Use], Use]:
        """Put a wrong use into the table: `words` and `place` must stand in what is said about it."""

        def add(use: Use) -> Use:
            self._cases.append(pytest.param(WrongUse(use, place, words, error or self._error), id=use.__name__))
            return use

        return add

    @property
    def parametrize(self) -> pytest.MarkDecorator:
        """Run a test for each wrong use in the table so far."""
        return pytest.mark.parametrize("case", self._cases)


async def play(server: Server, target: str = "hall") -> None:
    """Let Ana connect, join the hall, request the action `act` there, and stay for a while."""
    async with open_server(server) as net:
        with contextlib.suppress(ActionError, ConnectionEnded):  # what counts is what the server says
            ana = await net.connect("Ana")
            await ana.join("hall")
            await ana.request("act", {}, target=target)
        await trio.sleep(3)


def _hear(use: Use, caplog: pytest.LogCaptureFixture) -> tuple[type[BaseException] | None, str, str]:
    """Make a wrong use; return the class of the error, what is said, and the tracebacks if a server was running.

    Whatever is raised, logged or warned is said.
    """
    server = Server("test")
    is_running = inspect.iscoroutinefunction(use)
    raised: type[BaseException] | None = None
    words: list[str] = []
    places: list[str] = []

    def note(error: BaseException) -> None:
        words.extend(_texts_of(error))
        places.extend(traceback.format_exception(error))

    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.WARNING, "simplysocket"):
        warnings.simplefilter("always")
        try:
            if is_running:
                trio.run(use, server, clock=MockClock(autojump_threshold=0))
            else:
                use(server)
        except (Exception, SystemExit) as error:
            raised = type(error)
            note(error)
        for record in caplog.records:
            words.append(record.getMessage())
            if record.exc_info and record.exc_info[1]:
                note(record.exc_info[1])
            record.exc_info = None  # it keeps coroutines that were never awaited;
        gc.collect()  # they must be warned of now, not in another test
    for warning in warned:
        words.append(str(warning.message))
        places.append(f"{warning.filename}:{warning.lineno}")
    return raised, "\n".join(words), "\n".join(places) if is_running else ""


def _texts_of(error: BaseException) -> list[str]:
    """Return the text of an exception, and of those in its group."""
    inside = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [str(error), *(text for each in inside for text in _texts_of(each))]


def _names_a_line_of(use: Use, said: str) -> bool:
    """Tell whether a line of the wrong use is named; the one that calls `play` does not count, all happens under it."""
    source, first = inspect.getsourcelines(use)
    lines = {first + at for at, line in enumerate(source) if "play(" not in line}
    named = re.findall(rf'{re.escape(_file_of(use))}(?:"?, line |:)(\d+)', said)
    return bool(lines & set(map(int, named)))


def _file_of(use: Use) -> str:
    return inspect.unwrap(use).__code__.co_filename
