"""Hooks: the methods that users override in a room class, and how they are called.

Laws:
- A hook may have fewer parameters than it is offered arguments: it gets the first ones.
- An exception of a guarded hook changes nothing. It is logged, counted and given to `on_error`.
"""

import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from .._boundary import PASSING, SHOWN
from .._functions import is_overridden, takes
from .._sessions.session import Session
from ..errors import ActionError, first_of
from .long_turns import TookTooLong, bounded

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")

_takes: Final = functools.cache(takes)


class Hooks:
    """The hooks of one room."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime

    def is_written(self, name: str) -> bool:
        """Tell whether the user's class has this hook."""
        return is_overridden(getattr(type(self._runtime.room), name))

    def takes(self, name: str) -> int:
        """Return how many arguments a hook takes."""
        return _takes(getattr(type(self._runtime.room), name)) - 1  # self is bound

    async def call(self, name: str, *args: object) -> None:
        """Call a hook; its exceptions are for the caller to handle."""
        room = self._runtime.room
        hook = functools.partial(getattr(room, name), *args[: self.takes(name)])
        with SHOWN:
            await bounded(self._runtime, name, hook)

    async def call_guarded(self, name: str, *args: object, session: Session | None = None) -> None:
        """Call a hook, and log and report its exceptions; `session` is the client that it is called for."""
        await self.guard(name, functools.partial(self.call, name, *args), session)

    async def guard(self, name: str, function: Callable[[], Awaitable[object]], session: Session | None) -> None:
        """Call a function that belongs to a hook, and log and report its exceptions."""
        try:
            await function()
        except* TookTooLong:
            pass
        except* PASSING:
            raise
        except* BaseException as group:
            self._runtime.home.metrics.handlers_failed += 1
            logger.exception("%s of room %.200r failed", name, self._runtime.name)
            if name != "on_error":
                await self.report(first_of(group), session)

    async def report(self, error: BaseException | None, session: Session | None) -> None:
        """Call the room's `on_error` with a bug, in the room's turn, unless the room has ended."""
        if self.is_written("on_error"):
            client = None if session is None else session.client
            tell = functools.partial(self.call_guarded, "on_error", error, client)
            with contextlib.suppress(ActionError):
                await self._runtime.in_turn("on_error", tell)
