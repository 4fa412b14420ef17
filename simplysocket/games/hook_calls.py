"""The calls of a game's hooks: in order, one after the other, and guarded.

Laws:
- A hook that another hook causes is called after that one has returned: hooks never run inside of each other.
- An exception of a hook changes nothing. It is logged, counted and given to `on_error`.
"""

import functools
import inspect
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import trio

from ..client import Client
from ..errors import first_of

if TYPE_CHECKING:
    from .game_room import GameRoom

PASSING: Final = (trio.Cancelled, KeyboardInterrupt, SystemExit)
"""What is no bug of a hook's, and ends more than the hook."""

logger: logging.Logger = logging.getLogger("simplysocket.room")


class HookCalls:
    """The hooks of one game that are to be called, and other steps between them."""

    def __init__(self, room: "GameRoom[Any]") -> None:
        self._room = room
        self._steps: deque[Callable[[], Awaitable[object]]] = deque()
        self._is_running = False

    @property
    def are_waiting(self) -> bool:
        """Whether a hook is to be called."""
        return bool(self._steps)

    def add(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Call a hook of the game's class, or of a bot's, with as many of these arguments as it takes."""
        self._steps.append(functools.partial(self._call, function, args[: _takes(function)]))

    def add_next(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Call a hook before all others that are to be called: what has been looked at for it is then still so."""
        self.add(function, *args)
        self._steps.rotate(1)

    def then(self, step: Callable[..., Awaitable[object]], *args: object) -> None:
        """Take a step of the package's own after the hooks that are to be called by now."""
        self._steps.append(functools.partial(step, *args))

    async def run(self) -> bool:
        """Call what is to be called. Return False, at once, if a hook runs: then it is called after that one."""
        if self._is_running:
            return False
        self._is_running = True
        try:
            while self._steps and self._room.is_open:
                await self._steps.popleft()()
        finally:
            self._is_running = False
        return True

    async def _call(self, function: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        try:
            await function(*args)
        except* PASSING:
            raise
        except* BaseException as group:
            self._room.server.metrics.handlers_failed += 1
            logger.exception("the hook %.500r of the game in room %.200r failed", _place(function), self._room.name)
            await self._report(first_of(group), next((each for each in args if isinstance(each, Client)), None))

    async def _report(self, error: BaseException, client: Client[Any] | None) -> None:
        """Give an exception to the room's `on_error`, which may raise one itself."""
        report = self._room.on_error
        try:
            await report(*(error, client)[: _takes(report)])
        except* PASSING:
            raise
        except* BaseException:
            self._room.server.metrics.handlers_failed += 1
            logger.exception("on_error of room %.200r failed", self._room.name)


def _place(function: Callable[..., object]) -> str:
    """Return the name of a hook, and where it is defined, for logs."""
    name = getattr(function, "__qualname__", None) or repr(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def _takes(function: Callable[..., object]) -> int:
    """Return how many arguments a bound method takes: a hook may be written without the last ones."""
    return _takes_plainly(getattr(function, "__func__", function)) - 1


@functools.cache
def _takes_plainly(function: Callable[..., object]) -> int:
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return sys.maxsize
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)
