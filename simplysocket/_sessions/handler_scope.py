"""The scope: a handler that ends with its caller.

Laws: it is ended when its caller takes the request back, when the request's time
is over, and when the caller is gone. Whoever waits is told which of them it was.
"""

import math
from collections.abc import Awaitable, Callable

import trio

from .._protocol.codec import Envelope
from ..errors import ActionError, Gone
from .session import Session


class HandlerScope:
    """A handler that is under way for a client, from its making to the end of `run`, or to `forget`."""

    __slots__ = ("_client", "error", "id", "scope")

    def __init__(self, client: Session, envelope: Envelope) -> None:
        """`Gone` when there is nobody any more to run it for."""
        if client.is_gone:
            raise Gone(f"client {client.id} has disconnected")
        self.id = envelope.id
        # The dispatch has made a point in time of the timeout.
        self.scope = trio.CancelScope(deadline=math.inf if envelope.timeout is None else envelope.timeout)
        self.error: ActionError | None = None  # why it is cancelled
        self._client = client
        client.handler_scopes.append(self)

    async def run(self, handle: Callable[[], Awaitable[object]]) -> object:
        """Run the handler; `ActionError` says why it was ended."""
        try:
            with self.scope:
                return await handle()
            raise self.error or ActionError("timeout", "it took longer than its caller would wait")
        finally:
            self.forget()

    def end(self, error: ActionError) -> None:
        """Cancel it; its caller is told `error`."""
        if self.error is None:
            self.error = error
        self.scope.cancel()

    def forget(self) -> None:
        """Let it be none of the client's any more."""
        self._client.handler_scopes.remove(self)
