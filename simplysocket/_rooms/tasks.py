"""Tasks: code that runs in a room outside its turn: users' tasks, timers, handlers with `turn=False`.

Laws:
- All of them are in the room's nursery, so that none outlives the room.
- A task does not hold the turn, even if a handler in the turn has started it.
- A task that raises crashes the room. What it raises can be shown, since trio asks for its repr.
"""

import contextvars
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import attrs
import trio

from .._boundary import SHOWN
from .._functions import coroutine_of, name_of
from .._sessions.handler_scope import CURRENT_SCOPE
from ..errors import RoomClosed
from .jobs import TURN

if TYPE_CHECKING:
    from .runtime import RoomRuntime

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

    def start_user_task(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task of the application under the name of its function."""
        self.start(name_of(function), _run_user_task, function, *args)

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


async def _run_user_task(function: Callable[..., Awaitable[object]], *args: object) -> None:
    await coroutine_of(function, *args)
