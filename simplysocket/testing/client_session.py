"""The session of a test client that may come back: one client over its connections.

Laws:
- What is sent has its place in the order before anything waits, and each message that comes is handed on once.
- Of a connection that was given up nothing is heard any more.

The counts are those of `_protocol/client_side.py`; here they are driven.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import trio

from .._protocol.client_side import ClientSide, Id
from ..errors import CloseCode
from .client_connection import ClientConnection, ConnectionEnded, Upgrade


class ClientSession:
    """A session. With a nursery it reads and acknowledges all the time, otherwise while one of its methods waits."""

    def __init__(
        self,
        upgrade: Upgrade,
        on_message: Callable[[dict[str, Any]], None],  # Any: JSON
        nursery: trio.Nursery | None,
    ) -> None:
        self.id: str = ""  # of the client, from `welcome`
        self._upgrade = upgrade
        self._on_message = on_message
        self._nursery = nursery
        self._side = ClientSide()
        self._connection: ClientConnection | None = None
        self.resume: dict[str, Any] | None = None  # of the newest `welcome`
        self._is_heard = False  # the server has answered a ping over this connection

    def forget(self) -> None:
        """Forget everything but the token, as a page does that is loaded anew."""
        self._side = ClientSide(self._side.token)

    def authenticate(self, token: str) -> None:
        """Use other credentials from the next connection on."""
        headers = {**self._upgrade.headers, "Authorization": f"Bearer {token}"}
        self._upgrade = attrs.evolve(self._upgrade, headers=headers)

    async def shake_hands(self, connection: ClientConnection) -> None:
        """Offer to go on over a new connection; `ActionError` if the request is refused."""
        await connection.shake_hands(self._upgrade.head(self._side.offer()))
        self._connection, self.resume, self._is_heard = connection, None, False
        if self._nursery is not None:
            connection.start_reading(self._nursery)

    async def go_on(self) -> dict[str, Any]:
        """Go on; return `resume` of the `welcome` once the server has heard the client over this connection."""
        connection = self._connection
        assert connection is not None
        while self.resume is None:
            await _wait(connection)
        resume = self.resume
        # A session is kept only for a client that was heard; if the connection ends first, it may be gone next time.
        with contextlib.suppress(ConnectionEnded):
            await self._ping()
            while not self._is_heard:
                await _wait(connection)
        if self._nursery is not None:
            self._nursery.start_soon(self._acknowledge, connection)
        return resume

    # --- sending

    async def send(self, text: bytes, action: str, id: Id | None) -> None:
        """Send a message now, or when the client is back."""
        connection = self._connection
        assert connection is not None
        if connection.ended is not None and self._side.is_open:
            self._side.closed(connection.ended.code)
        if self._side.sending(text, action, id):
            connection.queue(text)
            await connection.flush()
        else:
            await trio.lowlevel.checkpoint()

    def give_up(self, id: Id) -> None:
        """Forget a request whose caller waits no longer."""
        self._side.give_up(id)

    async def _ping(self) -> None:
        body = self._side.ping(trio.current_time())
        await self.send(msgspec.json.encode({"action": "ping", "message_body": body}), "ping", None)

    async def _acknowledge(self, connection: ClientConnection) -> None:
        """Ping when it is due, as long as the connection lives."""
        while connection.is_live:
            with trio.move_on_at(self._side.ping_due):
                await connection.changed.park()
            if connection.is_live and self._side.ping_due <= trio.current_time():
                await self._ping()

    # --- receiving

    def take(self, message: dict[str, Any]) -> None:
        """Count a message that has come, and hand it on unless it is of the session itself."""
        if message["action"] == "welcome":
            self._begin(message["message_body"])
            return
        self._side.received(message)
        if message["action"] == "ping":  # answers one of ours
            self._is_heard = True
        else:
            self._on_message(message)

    def _begin(self, welcome: dict[str, Any]) -> None:
        assert self._connection is not None
        opened = self._side.opened(welcome, trio.current_time())
        self.id, self.resume = welcome["client"], welcome.get("resume", {"outcome": opened.outcome})
        for text in opened.frames:
            self._connection.queue(text)
        for id in opened.gone:
            self._on_message(gone(id))


async def _wait(connection: ClientConnection) -> None:
    """Wait until something has come; `ConnectionEnded` also if the connection was given up."""
    if connection.ended is None and not connection.is_live:
        raise ConnectionEnded(CloseCode.ABNORMAL, "given up")
    await connection.wait()


def gone(id: Id) -> dict[str, Any]:
    """Return the answer to a request to which no answer will come."""
    return {"action": "error", "message_body": {"code": "gone", "message": "the answer was lost"}, "id": id}
