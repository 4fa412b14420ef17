"""Stepping: a coroutine that is run step by step in a context of its own.

Laws:
- Each handler runs in its own copy of the context, so that no other sees what it sets.
- A cancel scope must be entered before a coroutine is stepped, and be left after its last step.
"""

import contextvars
import types
from collections.abc import Callable, Coroutine, Generator
from time import perf_counter
from typing import Any, Final, Protocol

import trio


class Held(Protocol):
    """What is said in a turn and held back: the fan-out of the room."""

    def hold(self) -> None:
        """Hold back what is said from now on: more may follow in this step."""

    def pause(self) -> None:
        """Send what was said in the next pass of the scheduler, since the handler waits."""

    def release(self) -> None:
        """Send what was said now."""


class _NothingHeld:
    """For turns in which nothing is held back: those of one client among many in the global room."""

    def hold(self) -> None: ...

    def pause(self) -> None: ...

    def release(self) -> None: ...


NOTHING_HELD: Final = _NothingHeld()


def innermost_scope(task: trio.lowlevel.Task) -> object:
    """Return a value that changes when a cancel scope is opened in `task`, and changes back when it is closed.

    trio has no public name for the innermost scope of a task. Its effective deadline,
    which is public, takes 1 us under seven scopes, a fifth of a message, and misses
    scopes without a deadline; so it is used only where trio has changed inside.
    """
    status: object = getattr(task, "_cancel_status", None)
    return trio.current_effective_deadline() if status is None else status


@types.coroutine
def go_on(
    context: contextvars.Context,
    held: Held,
    coroutine: Coroutine[Any, Any, None],
    trap: Any,  # Any: what trio's own code yields
    look: Callable[[float], None],
) -> Generator[Any, Any, None]:
    """Await the rest of `coroutine`, which has yielded `trap` at its first step.

    Every step is run in `context`; what was said is sent whenever it waits. `look`
    is told when each step began.
    """
    step: Callable[[Any], Any]
    value: Any
    while True:
        held.pause()
        try:
            value = yield trap
            step = coroutine.send
        except BaseException as exc:
            value = exc
            step = coroutine.throw
        held.hold()
        began = perf_counter()
        try:
            trap = context.run(step, value)
        except StopIteration:
            return
        finally:
            look(began)
