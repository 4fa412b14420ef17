"""Stepping: runs a coroutine step by step, in a context of its own.

Laws:
- Each handler runs in its own copy of the context, so that no other handler sees the variables it sets.
- A cancel scope must be entered before the first step of a coroutine, and left after its last step.
"""

import contextvars
import types
from collections.abc import Callable, Coroutine, Generator
from time import perf_counter
from typing import Any, Final, Protocol

import trio


class StepOutput(Protocol):
    """What is told when a step of a coroutine begins and ends."""

    def hold(self) -> None:
        """Hold back the frames from now on, since more may follow in this step."""

    def pause(self) -> None:
        """Let the frames leave in the next pass of the scheduler, since the handler waits."""

    def release(self) -> None:
        """Let the frames leave now."""


class TurnOutput(StepOutput, Protocol):
    """The fan-out of a room, which holds frames back while a step of its turn runs."""

    @property
    def is_heavy(self) -> bool:
        """Whether it is served in slices because it has said much; False costs the worker least."""

    @property
    def is_full(self) -> bool:
        """Whether it is heavy and has said more since: the next entry waits until that has begun to leave."""

    @property
    def said(self) -> float:
        """How many bytes clients have made rooms say since the last `charge`."""

    def say_in(self, room: Any, size: int) -> None:
        """Count bytes that a step of this output says in a room of another one."""

    def charge(self, now: float) -> float:
        """Charge what was said; return the time at which clients may make the room say more."""


class _DirectOutput:
    """Holds nothing back, and charges nobody: for `on_auth`."""

    is_heavy = is_full = False
    said = 0

    def say_in(self, room: object, size: int) -> None: ...

    def charge(self, now: float) -> float:
        return now

    def hold(self) -> None: ...

    def pause(self) -> None: ...

    def release(self) -> None: ...


DIRECT_OUTPUT: Final = _DirectOutput()


def innermost_scope(task: trio.lowlevel.Task) -> object:
    """Return a value that changes when a cancel scope is opened in `task`, and changes back when it is closed.

    trio has no public name for the innermost scope of a task. Its public effective deadline
    takes 1 us inside of seven scopes, a fifth of the time of a message, and does not show
    scopes without a deadline. So the deadline is used only if trio has no `_cancel_status`.
    """
    status: object = getattr(task, "_cancel_status", None)
    return trio.current_effective_deadline() if status is None else status


def has_left_open(task: trio.lowlevel.Task, scope: object) -> bool:
    """Tell whether a nursery or scope is open in `task` that was not when `innermost_scope` returned `scope`."""
    return bool(task.child_nurseries) or innermost_scope(task) != scope


@types.coroutine
def go_on(
    context: contextvars.Context,
    output: StepOutput,
    coroutine: Coroutine[Any, Any, None],
    trap: Any,  # Any: the value is trio's own
    look: Callable[[float], None],
) -> Generator[Any, Any, None]:
    """Await the rest of `coroutine`, which has yielded `trap` at its first step.

    Every step is run in `context`. Frames are held back during a step, and leave whenever the
    coroutine waits. `look` is called after each step with the time at which it began.
    """
    step: Callable[[Any], Any]
    value: Any
    while True:
        output.pause()
        try:
            value = yield trap
            step = coroutine.send
        except BaseException as exc:
            value = exc
            step = coroutine.throw
        output.hold()
        began = perf_counter()
        try:
            trap = context.run(step, value)
        except StopIteration:
            return
        finally:
            value = None  # an exception that is raised again refers to this frame
            look(began)
