"""Authentication: asks the application who a client is."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from .._functions import check_hook, name_place
from .._rooms.hub import Hub
from ..errors import Refuse, RegistrationError
from ..request import Identity, Request
from .hook_calls import call_hook

logger = logging.getLogger("simplysocket.admission")

Authenticate: TypeAlias = Callable[[Request], Awaitable[Identity]]
"""Returns the identity of a client, or raises `Refuse`."""
Asked = TypeVar("Asked", bound=Authenticate)


class Authentication:
    """The function `authenticate` of one server."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._function: Authenticate | None = None

    def register(self, function: Authenticate) -> None:
        """Register the function; `RegistrationError` for a second one."""
        if self._function is not None:
            raise RegistrationError(f"authenticate is registered twice: {name_place(function)} is the second")
        check_hook("authenticate", function, ("request",))
        self._function = function

    @property
    def is_registered(self) -> bool:
        """Whether the application authenticates its clients."""
        return self._function is not None

    async def identify(self, request: Request, turn: Callable[[], Awaitable[None]]) -> Identity | None:
        """Return the identity of the client that sends this request; None without `authenticate`.

        `turn` is awaited directly before `authenticate`, so that those of a crowd do not all run in one pass.
        `Refuse` if the application refuses the client, or if its credentials have expired. Any
        other exception of `authenticate` is raised as it is.
        """
        if self._function is None:
            return None
        identity = await call_hook(self._hub, self._function, request, turn=turn)
        if not isinstance(identity, Identity):
            place = name_place(self._function)
            logger.error("authenticate, %.300r, returned %.200r: return an Identity, or raise Refuse", place, identity)
            raise Refuse(401, "")
        if identity.expires_at is not None and identity.expires_at <= time.time():
            raise Refuse(401, "the credentials have expired", expired=True)
        return identity
