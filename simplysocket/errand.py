"""The errand: a handler that ends with its caller.

Laws: it is ended when its caller takes the request back, when the request's time
is over, and when the caller is gone. Whoever waits is told which of them it was.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from .client import Client
from .codec import Envelope
from .errors import ActionError, Gone


async def run_errand(client: Client[Any], envelope: Envelope, handle: Callable[[], Awaitable[object]]) -> object:
    """Run a handler for `client`; `ActionError` says why it was ended."""
    if client.is_gone:
        raise Gone(f"client {client.id} has disconnected")
    # The dispatch has made a point in time of the timeout.
    deadline = math.inf if envelope.timeout is None else envelope.timeout
    errand = Errand(envelope.id, deadline)
    client.errands.append(errand)
    try:
        with errand.scope:
            return await handle()
        raise errand.error or ActionError("timeout", "it took longer than its caller would wait")
    finally:
        client.errands.remove(errand)


class Errand:
    """What is under way for a client, under the id of its request if it has one."""

    __slots__ = ("error", "id", "scope")

    def __init__(self, id: str | int | None, deadline: float) -> None:
        self.id = id
        self.scope = trio.CancelScope(deadline=deadline)
        self.error: ActionError | None = None  # why it is cancelled

    def end(self, error: ActionError) -> None:
        """Cancel it; its caller is told `error`."""
        if self.error is None:
            self.error = error
        self.scope.cancel()
