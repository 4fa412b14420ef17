"""Tasks: code that runs in a room outside its turn: users' tasks, timers, handlers with `turn=False`.

Laws:
- All of them are in the room's nursery, so that none outlives the room.
- A task does not hold the turn, even if a handler in the turn has started it.
- A task that raises crashes the room, unless `on_crash` is "keep". What it raises can be shown, since trio asks for
  its repr.
"""

import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import attrs
import trio

from .._boundary import PASSING, SHOWN
from .._functions import coroutine_of, name_of
from .._sessions.handler_scope import CURRENT_SCOPE
from ..errors import RoomClosed, first_of
from .creation import on_crash_of
from .jobs import TURN

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")

CURRENT_ROOM: Final[contextvars.ContextVar["RoomRuntime | None"]] = contextvars.ContextVar(
    "simplysocket.room", default=None
)
"""The room whose task or handler is running; None in code of no room."""


@attrs.frozen
class UnderWay:
    """A task of a room, and the time by trio's clock at which it began."""

    name: str
    since: float


class Tasks:
    """The tasks of one room."""

    __slots__ = ("_runtime", "nursery", "under_way")

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime
        self.nursery: trio.Nursery | None = None  # while the room runs
        self.under_way: dict[object, UnderWay] = {}  # {a key of its own: task}

    def start(self, name: str, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task in the room's nursery; `name` is for `tree()`. `RoomClosed` if the room is not open."""
        room = self._runtime.name
        if self.nursery is None or not self._runtime.is_open:
            raise RoomClosed(f"room {room!r} is not open: nothing can be started in it")
        try:
            self.nursery.start_soon(self.run, name, function, args, name=function)
        except RuntimeError:  # a crash has just ended the nursery
            raise RoomClosed(f"room {room!r} is closing: nothing can be started in it") from None

    def start_user_task(self, function: Callable[..., Awaitable[object]], *args: object, name: str = "") -> None:
        """Start a task of the application, under the name of its function if no other is given."""
        self.start(name or name_of(function), self._run_user_task, function, *args)

    async def _run_user_task(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a task of the application. What it raises crashes the room, unless `on_crash` is "keep"."""
        runtime = self._runtime
        try:
            # A task of its own, so that scopes and nurseries that it leaves open end with it, as in the turn.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_call, function, *args)
            if nursery.cancel_scope.cancelled_caught:
                raise RuntimeError("a task left a cancel scope open and was cancelled by it")
        except* PASSING:
            raise
        except* BaseException as group:
            if on_crash_of(runtime) != "keep":
                raise
            runtime.home.metrics.handlers_failed += 1
            logger.exception("a task of room %.200r crashed, and the room goes on", runtime.name)
            await runtime.hooks.report(first_of(group), None)

    async def run(self, name: str, function: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        """Run a function as a task of this room that `tree()` shows."""
        key = object()
        self.under_way[key] = UnderWay(name, trio.current_time())
        try:
            await self.run_inside(function, *args)
        finally:
            del self.under_way[key]

    async def run_inside(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a function as code of this room, outside its turn."""
        TURN.set(None)  # a task that a handler has started does not share its turn
        CURRENT_ROOM.set(self._runtime)
        CURRENT_SCOPE.set(None)  # nor is it part of the handler
        with SHOWN:
            await function(*args)

    @property
    def is_cancelled(self) -> bool:
        """Whether the tasks were cancelled, by the end of the room or by a crash."""
        return self.nursery is not None and self.nursery.cancel_scope.cancel_called


async def _call(function: Callable[..., Awaitable[object]], *args: object) -> None:
    with SHOWN:
        await coroutine_of(function, *args)
