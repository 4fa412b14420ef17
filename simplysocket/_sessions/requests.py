"""Requests: those that the server has sent to one client, until the client answers.

Laws:
- Every request ends: by the client's reply or error, by its timeout, or when the client disconnects.
- What a client says in its error is bounded before anything keeps it.
"""

from collections.abc import Callable
from typing import Any, Final

import trio

from .._protocol import codec
from ..errors import ActionError, Gone, PeerError


class Requests:
    """The requests to one client that wait for an answer."""

    __slots__ = ("_last_id", "_pending")

    def __init__(self) -> None:
        self._last_id = 0
        self._pending: dict[str | int, _Pending] = {}  # {id: request}

    async def ask(self, send: Callable[[int], bool], action: str, client_id: str, timeout: float) -> Any:
        """Send a request under a new id, and return the body of its reply.

        `send` is called with the id, and returns False if the client is not connected.
        `action` and `client_id` are for error texts. `timeout` is in seconds. Raises
        `PeerError` if the client answers with an error, `timeout`, or `Gone` when the client disconnects.
        """
        self._last_id += 1
        id = self._last_id
        pending = self._pending[id] = _Pending()
        try:
            if not send(id):
                raise Gone(f"client {client_id} is not connected")
            with trio.move_on_after(timeout):
                await pending.done.wait()
            if pending.error is not None:
                raise pending.error
            if not pending.done.is_set():
                raise ActionError("timeout", f"client {client_id} did not answer {action!r} within {timeout:g} seconds")
            return codec.decode_body(pending.body)
        finally:
            del self._pending[id]

    def answer(self, id: str | int | None, body: codec.Raw, *, is_error: bool) -> bool:
        """Take the client's reply or error. Return False if no request waits under this id."""
        pending = self._pending.get(id) if id is not None else None
        if pending is None or pending.done.is_set():
            return False
        if is_error:
            pending.error = _to_error(body)
        pending.body = body
        pending.done.set()
        return True

    def fail_all(self, error: ActionError) -> None:
        """End every request that still waits, with `error`."""
        for pending in self._pending.values():
            if not pending.done.is_set():
                pending.error = error
                pending.done.set()


class _Pending:
    """One request that waits for its answer."""

    __slots__ = ("body", "done", "error")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.body = codec.EMPTY
        self.error: ActionError | None = None


class _ErrorBody(codec.Struct):
    """The body of a client's `error`. A key that is absent has its default."""

    code: str = "internal"
    message: str = ""
    path: str | None = None
    retry_after: float | None = None


_read_error: Final[Callable[[codec.Raw], Any]] = codec.body_decoder(_ErrorBody)


def _to_error(body: codec.Raw) -> PeerError:
    try:
        read = _read_error(body)
    except ActionError:
        return PeerError("internal", "the client answered with an error that cannot be read")
    return PeerError(read.code, read.message, path=read.path, retry_after=read.retry_after)
