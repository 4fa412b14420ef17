"""The handler scope: cancels a handler when its caller no longer waits for it.

Laws:
- The handler is cancelled when its caller cancels the request, when the request times out,
  and when the caller disconnects.
- The answer to the request says which of these it was.
"""

import contextvars
import math
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from .._protocol.codec import Envelope
from ..errors import ActionError, Gone
from .running import Running
from .session import Session

CURRENT_SCOPE: Final[contextvars.ContextVar[Running | None]] = contextvars.ContextVar(
    "simplysocket.scope", default=None
)
"""The handler that runs, if it is one that ends with its client."""


class HandlerScope:
    """The scope around one handler. The session holds it until `run` has ended, or `forget` is called."""

    __slots__ = ("_session", "error", "id", "runtime", "scope")

    def __init__(self, session: Session, envelope: Envelope, runtime: object) -> None:
        """Put the handler, which runs in a room, into the client's list; `Gone` if the client has disconnected."""
        if session.is_gone:
            raise Gone(f"client {session.id} has disconnected")
        self.id = envelope.id
        self.runtime = runtime
        # Inbound has turned the timeout into a point in time.
        self.scope = trio.CancelScope(deadline=math.inf if envelope.timeout is None else envelope.timeout)
        self.error: ActionError | None = None  # why the handler is cancelled; the answer to its caller
        self._session = session
        session.handler_scopes.append(self)

    async def run(self, handle: Callable[[], Awaitable[object]]) -> object:
        """Run the handler and return its result; `ActionError` says why it was cancelled."""
        CURRENT_SCOPE.set(self)
        try:
            with self.scope:
                return await handle()
            raise self.error or ActionError("timeout", "it took longer than its caller would wait")
        finally:
            self.forget()

    def end(self, error: ActionError) -> None:
        """Cancel the handler, and answer its caller with `error`."""
        if self.error is None:
            self.error = error
        self.scope.cancel()

    def forget(self) -> None:
        """Remove this handler from the client's list."""
        self._session.handler_scopes.remove(self)
