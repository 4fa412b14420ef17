"""Fixtures for pytest: a test that uses `net` runs in trio, in virtual time, beside any other plugin.

>>> pytest_plugins = ["simplysocket.testing.fixtures"]  # in conftest.py

Law: an async test or fixture that uses one of these fixtures, directly or through others, is made a
plain function before another plugin sees it. All others are left alone.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from ..server import Server
from .guest_run import GuestRun, Held
from .net import Net, open_server

_RUN: Final = "in_trio"  # the fixture that all others of this module use
_WEEK: Final = 7 * 86_400.0  # seconds of the test's clock, after which a test that still waits fails
_USERS: Final = pytest.StashKey[set[str]]()  # of a test: its fixtures that use the run

OpenNet = Callable[[Server], Awaitable[Net]]
"""What the fixture `open_net` is."""


@pytest.fixture
def net_clock() -> trio.abc.Clock | None:
    """The clock of a test that uses `net`: virtual, and it jumps when all tasks wait. None is real time."""
    return MockClock(autojump_threshold=0)


@pytest.fixture
def in_trio(net_clock: trio.abc.Clock | None) -> Iterator[GuestRun]:
    """Trio, for one test and its fixtures. Name it where an async test or fixture shall run in trio without a net."""
    run = GuestRun(net_clock)
    yield run
    run.close()


@pytest.fixture
def open_net(in_trio: GuestRun) -> Iterator[OpenNet]:
    """A function: `net = await open_net(server)` serves in memory until the test has ended."""
    opened: list[Held] = []

    async def open_net(server: Server) -> Net:
        net, held = await in_trio.start(open_server(server))
        opened.append(held)
        return net

    yield open_net
    for held in reversed(opened):
        in_trio.release(held)


@pytest.fixture
def net(server: Server, in_trio: GuestRun) -> Iterator[Net]:
    """The `Net` around your own fixture `server`, which is served in memory until the test has ended."""
    with in_trio.holding(open_server(server)) as net:
        yield net


@pytest.hookimpl(wrapper=True, trylast=True)  # around pytest itself, and within all other plugins
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:  # Any: what pytest has collected
    """Make the async tests that use the run plain functions."""
    collected = yield
    for item in collected if isinstance(collected, list) else [collected]:
        if isinstance(item, pytest.Function) and _RUN in item.fixturenames and inspect.iscoroutinefunction(item.obj):
            item.obj = _in_run(item, item.obj)
    return collected


def _in_run(item: pytest.Function, test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run_test(**arguments: object) -> None:
        async def within_a_week() -> None:
            try:
                with trio.fail_after(_WEEK) as scope:
                    await test(**arguments)
            except trio.TooSlowError as error:
                if scope.cancelled_caught:
                    error.add_note("The test still waited after a week of its clock.")
                raise

        run = item.funcargs[_RUN]
        assert isinstance(run, GuestRun)
        run.call(within_a_week)

    run_test._trio_test_runner_wrapped = True  # type: ignore[attr-defined]  # so pytest-trio does not wrap it again
    return run_test


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around all other plugins
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:  # Any: fixtures have any type
    """Set up the async fixtures that use the run in it, and the others as ever."""
    users = request.node.stash.setdefault(_USERS, {_RUN})
    if users.isdisjoint(fixturedef.argnames):
        return (yield)
    users.add(fixturedef.argname)
    function = fixturedef.func
    if not inspect.iscoroutinefunction(function) and not inspect.isasyncgenfunction(function):
        return (yield)
    plain = _plain(_bound(function, request.instance), request.getfixturevalue(_RUN))
    fixturedef.func = plain  # type: ignore[misc]  # pytest has no better way, and other plugins look at it
    try:
        return (yield)
    finally:
        fixturedef.func = function  # type: ignore[misc]


def _bound(function: Any, instance: object) -> Any:
    """Return the fixture of a class bound to the instance of the test."""
    is_of_class = inspect.ismethod(function) and isinstance(instance, type(function.__self__))
    return function.__func__.__get__(instance) if is_of_class else function


def _plain(function: Callable[..., Any], run: GuestRun) -> Callable[..., Any]:
    """Return an async fixture as one that is not async."""

    def hold(**arguments: object) -> Iterator[Any]:
        with run.holding(asynccontextmanager(function)(**arguments)) as value:
            yield value

    def call(**arguments: object) -> Any:
        return run.call(partial(function, **arguments))

    return hold if inspect.isasyncgenfunction(function) else call
