"""The handler scope: cancels a handler when its caller no longer waits for it.

Laws: the handler is cancelled when its caller cancels the request, when the request's
time is over, and when the caller is gone. Its answer says which of them it was.
"""

import math
from collections.abc import Awaitable, Callable

import trio

from .._protocol.codec import Envelope
from ..errors import ActionError, Gone
from .session import Session


class HandlerScope:
    """Around one handler that is under way for a client, from its making to the end of `run`, or to `forget`."""

    __slots__ = ("_session", "error", "id", "scope")

    def __init__(self, session: Session, envelope: Envelope) -> None:
        """`Gone` when the client has disconnected: the handler has no caller any more."""
        if session.is_gone:
            raise Gone(f"client {session.id} has disconnected")
        self.id = envelope.id
        # The dispatch has turned the timeout into a point in time.
        self.scope = trio.CancelScope(deadline=math.inf if envelope.timeout is None else envelope.timeout)
        self.error: ActionError | None = None  # why it is cancelled
        self._session = session
        session.handler_scopes.append(self)

    async def run(self, handle: Callable[[], Awaitable[object]]) -> object:
        """Run the handler; `ActionError` says why it was cancelled."""
        try:
            with self.scope:
                return await handle()
            raise self.error or ActionError("timeout", "it took longer than its caller would wait")
        finally:
            self.forget()

    def end(self, error: ActionError) -> None:
        """Cancel the handler; its caller is answered with `error`."""
        if self.error is None:
            self.error = error
        self.scope.cancel()

    def forget(self) -> None:
        """Remove this handler from the client's list."""
        self._session.handler_scopes.remove(self)
