"""What is left open: tasks, descriptors, and code that leaves cancel scopes and nurseries open."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

IGNORE_LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
"""For tests that leave a generator open: the interpreter warns of it when it is collected."""


def living_tasks() -> int:
    """Return how many tasks the event loop has."""
    return trio.lowlevel.current_statistics().tasks_living


def open_descriptors() -> int:
    """Return how many descriptors the process has open."""
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))


async def _in_scope(scope: trio.CancelScope) -> AsyncIterator[int]:
    with scope:
        while True:
            yield 1


def leak_deadline(seconds: float = 0.5) -> AsyncIterator[int]:
    """Return a generator that opens a scope with a deadline and, unless it is run to its end, leaves it open."""
    return _in_scope(trio.CancelScope(deadline=trio.current_time() + seconds))


def leak_cancelled() -> AsyncIterator[int]:
    """Return a generator that opens a cancelled scope."""
    scope = trio.CancelScope()
    scope.cancel()
    return _in_scope(scope)


async def leak_nursery() -> AsyncIterator[int]:
    """A generator that opens a nursery with a task in it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        while True:
            yield 1


async def leave_open(kept: list[Any], seconds: float = 1) -> None:
    """Leave a scope with a deadline open in the calling task; `kept` keeps its generator from being collected."""
    generator = leak_deadline(seconds)
    kept.append(generator)
    async for _ in generator:
        break
