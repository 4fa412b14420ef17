"""Tasks: what runs in a room beside its handlers: hooks, the user's tasks, timers.

Laws: all of it is in the room's nursery, so that nothing outlives the room. A
task does not hold the turn, whoever started it; a timer's call takes its turn
like a message. What a room's tasks raise closes the room; what a timer's call or
a guarded hook raises is logged.
"""

import contextlib
import contextvars
import functools
import inspect
import logging
import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
import trio

from .._functions import takes
from .._sessions.session import Session
from ..errors import ActionError, RoomClosed, first_of
from ..limits import Limits
from ..metrics import Metrics
from .members import Members
from .turns import TURN

logger = logging.getLogger("simplysocket.room")

CURRENT_ROOM: Final[contextvars.ContextVar["Tasks | None"]] = contextvars.ContextVar("simplysocket.room", default=None)
"""Whose task or handler is running: a `RoomRuntime`; None outside of all rooms."""


@attrs.frozen
class UnderWay:
    """What runs in a room beside its turns, and since when by trio's clock."""

    name: str
    since: float


class Tasks(Members):
    """What a room's life knows of its tasks."""

    is_global = False
    home: Any  # Any: the hub; what is asked of it stands in runtime.py

    def __init__(self, limits: Limits, metrics: Metrics, name: str, creator: Session | None) -> None:
        super().__init__(limits, name, creator)
        self.nursery: trio.Nursery | None = None
        self.under_way: dict[object, UnderWay] = {}  # {a key of its own: what runs beside the turns}
        self._metrics = metrics

    @abstractmethod
    async def in_turn(self, name: str, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run a function in the room's turn."""

    async def call_hook(self, name: str, *args: object) -> None:
        hook = getattr(self.room, name)
        await hook(*args[: _takes(getattr(type(self.room), name)) - 1])  # self is there already

    async def call_guarded(self, name: str, *args: object) -> None:
        """Call a hook whose failure changes nothing: it is logged."""
        try:
            await self.call_hook(name, *args)
        except* Exception as group:
            self._metrics.handlers_failed += 1
            logger.exception("%s of room %.200r failed", name, self.name)
            if name != "on_error":
                await self.report(first_of(group), next((each for each in args if isinstance(each, Session)), None))

    async def report(self, error: BaseException | None, client: Session | None) -> None:
        """Tell the room's `on_error` of a bug, in its turn; behind the end of the room nobody is told."""
        if is_overridden(type(self.room).on_error):
            with contextlib.suppress(ActionError):
                await self.in_turn("on_error", functools.partial(self.call_guarded, "on_error", error, client))

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task of the user's in the room's nursery, outside of its turns."""
        _check_function("start_soon", function, args)
        self.start(name_of(function), function, *args)

    def start(self, name: str, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task in the room's nursery; `name` says what it does."""
        if self.nursery is None or not self.is_open:
            raise RoomClosed(f"room {self.name!r} is not open: nothing can be started in it")
        try:
            self.nursery.start_soon(self._task, name, function, args, name=function)
        except RuntimeError:  # it has just been closed, by a crash
            raise RoomClosed(f"room {self.name!r} is closing: nothing can be started in it") from None

    async def _task(self, name: str, function: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        key = object()
        self.under_way[key] = UnderWay(name, trio.current_time())
        try:
            await self.run_inside(function, *args)
        finally:
            del self.under_way[key]

    async def run_inside(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a task as one of this room, outside of its turns."""
        TURN.set(None)  # it may have been started by a handler, and does not share its turn
        CURRENT_ROOM.set(self)
        await function(*args)

    def start_timer(
        self, seconds: float, function: Callable[[], Awaitable[object]], *, repeat: bool
    ) -> trio.CancelScope:
        """Call a function in the room's turn after `seconds`, or every so many; the scope cancels that."""
        if not isinstance(seconds, (int, float)):
            raise TypeError(f"{'every' if repeat else 'after'}({seconds!r:.200}, ...): give the seconds first")
        if not seconds > 0:
            raise ValueError(f"{seconds!r} seconds: give a time above 0")
        _check_function("every" if repeat else "after", function, ())
        scope = trio.CancelScope()
        name = f"{'every' if repeat else 'once after'} {seconds:g} s: {name_of(function)}"
        self.start(name, self._timer, seconds, function, repeat, scope)
        return scope

    async def _timer(
        self, seconds: float, function: Callable[[], Awaitable[object]], repeat: bool, scope: trio.CancelScope
    ) -> None:
        async def call() -> None:
            if not scope.cancel_called:  # it may have been cancelled while the call waited for its turn
                await function()

        due = trio.current_time() + seconds
        with scope:
            while True:
                await trio.sleep_until(due)
                try:
                    await self.in_turn(f"the timer {name_of(function)}", call)
                except* RoomClosed:
                    pass  # the call was under way when the room closed
                except* Exception as group:
                    self._metrics.handlers_failed += 1
                    logger.exception("a timer of room %.200r failed", self.name)
                    await self.report(first_of(group), None)
                if not repeat:
                    break
                # What a long turn made late is left out, not made up for.
                due += seconds * max(1, math.ceil((trio.current_time() - due) / seconds))


def _check_function(what: str, function: object, args: tuple[object, ...]) -> None:
    """Refuse what is no coroutine function, before a task crashes the room with it."""
    if inspect.iscoroutine(function):
        name = function.__qualname__
        function.close()
        raise TypeError(f"{what}() got the coroutine {name}(...): give the function itself, and its arguments")
    if not callable(function):
        raise TypeError(f"{what}() got {function!r:.200}: give an async function")
    is_plain = inspect.isroutine(function) and not inspect.iscoroutinefunction(function)
    if is_plain and name_of(function).rpartition(".")[2] != "<lambda>":  # which may well return a coroutine
        raise TypeError(f"{what}() got {name_of(function)}, which is no coroutine function: write `async def`")
    try:
        inspect.signature(function).bind(*args)
    except TypeError as exc:
        raise TypeError(f"{what}() cannot call {name_of(function)} with {len(args)} arguments: {exc}") from None


def name_of(function: Callable[..., object]) -> str:
    """Return what a function of the user's is called."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__qualname__))


_DOES_NOTHING: Final = "_simplysocket_does_nothing"


def does_nothing(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a hook of Room as not overridden, so that nobody need wait for a turn to call it."""
    setattr(hook, _DOES_NOTHING, True)
    return hook


def is_overridden(hook: Callable[..., Any]) -> bool:
    """Tell whether a hook is a user's."""
    return not hasattr(hook, _DOES_NOTHING)


_takes: Final = functools.cache(takes)
