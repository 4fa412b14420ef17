"""The session: one client as the server keeps it, with its connection, its rooms, its rates and its requests.

Laws: only the session knows its connection. A message to this client alone goes out
after what its rooms have said before, so that the client sees each in its place.
Nothing here waits for the peer to read.
"""

import functools
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from .._protocol import codec
from .._protocol.frames import text_frame
from .._wire.connection import Connection
from ..client import Client
from ..errors import ActionError, BadMessage, CloseCode, Gone, SimplySocketError
from ..limits import Limits
from ..metrics import Metrics
from ..request import Identity
from .outbound_hooks import OutboundHooks
from .rates import Rates
from .requests import Requests

if TYPE_CHECKING:
    from .._rooms.joining import Joins
    from .._rooms.runtime import RoomRuntime
    from .._rooms.turns import Turns

_SECONDS_BETWEEN_REFUSALS: Final = 1.0  # of messages that have no id to be answered under


class Running(Protocol):
    """What a session knows of a handler that ends with it: a `HandlerScope`."""

    id: str | int | None

    def end(self, error: ActionError) -> None:
        """Cancel it, and say why."""


class Home(Protocol):
    """What a session asks of the hub."""

    limits: Limits
    metrics: Metrics
    server_name: str
    outbound: OutboundHooks
    joins: "Joins"

    @property
    def clients(self) -> "dict[str, Session]":
        """The clients that are connected, by id."""

    def check_thread(self) -> None:
        """Refuse a call from a thread other than the server's."""


class Session:
    """One client, and all that the server keeps of it and does with it. `client` is what users see."""

    __slots__ = (
        "_last_refusal",
        "_requests",
        "client",
        "connection",
        "deliver",
        "global_turns",
        "handler_scopes",
        "home",
        "id",
        "is_gone",
        "outside_turns",
        "rates",
        "rooms",
    )

    def __init__(
        self,
        id: str,
        name: str,
        address: str,
        connection: Connection,
        home: Home,
        *,
        state: Any,  # Any: the application's own
        identity: Identity | None = None,
    ) -> None:
        self.id = id
        self.home = home
        self.connection: Connection | None = connection
        self.deliver: Callable[..., None] = connection.deliver  # rebound with the connection: the fan-out's hot path
        self.is_gone = False
        self.rooms: dict[str, RoomRuntime] = {}  # {name: room}: the other direction of a room's members
        self.global_turns: Turns | None = None  # its turns in the global room, from its first message there
        self.handler_scopes: list[Running] = []  # handlers under way that end with it
        self.outside_turns = 0  # how many of them run outside the turn
        self.rates = Rates(home.limits, trio.current_time())
        self._requests: Requests | None = None  # from the first request on
        self._last_refusal = -_SECONDS_BETWEEN_REFUSALS
        self.client: Client[Any] = Client(self)
        self.client.id = id
        self.client.name = name or f"guest-{secrets.token_hex(2)}"
        self.client.address = address
        self.client.identity = identity
        self.client.state = state

    def __repr__(self) -> str:
        return f"<Session of {self.client!r}>"

    # --- messages to the client

    def tell(self, action: str, body: object, *, sender: str | None = None, room: str | None = None) -> bool:
        """Send what the application says, unless an outbound hook stops it; False when the client is gone."""
        outbound = self.home.outbound
        if outbound.hooks:
            sender = self.home.server_name if sender is None else sender
            message = outbound.pass_through(action, body, self.id, sender, target_client=True)
            if message is None:
                return not self.is_gone
            action, body, sender = message.action, message.body, message.sender
        return self.say(action, body, sender=sender, room=room)

    def say(
        self,
        action: str,
        body: object,
        *,
        sender: str | None = None,
        id: str | int | None = None,
        timeout: float | None = None,
        room: str | None = None,
    ) -> bool:
        """Send one message after what the rooms said before; False when the client is gone."""
        connection = self.connection
        if connection is None or not connection.is_open:
            return False
        frame = text_frame(
            codec.encode(
                action,
                body,
                self.id,
                self.home.server_name if sender is None else sender,
                target_client=True,
                id=id,
                timeout=timeout,
                room=room,
            )
        )
        self.deliver_after_rooms(frame)
        return connection.is_open  # not when this very message was one too many

    def deliver_after_rooms(self, frame: bytes) -> None:
        """Send a frame together with what the rooms have said to this client before, in one piece."""
        frames: list[bytes] = []
        for runtime in self.rooms.values():
            fanout = runtime.fanout
            if fanout.frames or fanout.is_behind:
                frames += fanout.take(self)
        frames.append(frame)
        self.home.metrics.deliveries += 1
        self.deliver(b"".join(frames) if len(frames) > 1 else frame, frames)

    def reply(self, id: str | int, result: object) -> None:
        """Answer a request with what its handler returned."""
        self.say("reply", result, id=id)

    def tell_without_id(self, envelope: codec.Envelope, result: object) -> None:
        """Answer a built-in action that was sent without an id, by a message of the same action."""
        if envelope.id is None:
            self.say(envelope.action, result)

    def refuse(self, id: str | int | None, action: str, error: ActionError) -> None:
        """Answer a message with an error; without an id, `busy` and `rate-limited` at most once a second."""
        self.home.metrics.messages_refused[error.code] += 1
        if id is None and error.code in ("busy", "rate-limited"):
            now = trio.current_time()
            if now - self._last_refusal < _SECONDS_BETWEEN_REFUSALS:
                self.home.metrics.refusals_unanswered += 1
                return
            self._last_refusal = now
        body: dict[str, object] = {"code": error.code, "message": error.message, "action": action}
        if error.path is not None:
            body["path"] = error.path
        if error.retry_after is not None:
            body["retry_after"] = round(error.retry_after, 3)
        try:
            self.say("error", body, id=id)
        except SimplySocketError:  # the application's own words do not fit into JSON
            self.say("error", {"code": "internal", "message": "", "action": ""}, id=id)

    def refuse_bad(self, error: BadMessage) -> None:
        """Answer bytes that are not a message; too many of them end the connection."""
        self.home.metrics.messages_refused["bad-message"] += 1
        body = {"code": "bad-message", "message": error.message, "action": ""}
        if error.path is not None:
            body["path"] = error.path
        self.say("error", body, id=error.id)
        if not self.rates.charge_protocol_error(trio.current_time()):
            self.close(CloseCode.BAD_REQUESTS, "too many messages that are none")

    def refuse_beyond_rate(self, id: str | int | None, action: str, wait: float, now: float) -> None:
        """Answer a message beyond the rate; a client that goes on far beyond it is closed."""
        if self.rates.is_overrun(now):
            self.close(CloseCode.OVER_RATE, "far over the rate, for too long")
        self.refuse(id, action, ActionError("rate-limited", "too many messages", retry_after=wait))

    # --- requests to the client, and its requests

    async def request(self, action: str, body: object, timeout: float) -> Any:
        """Send a request to the client, and return the body of its reply."""
        if self.id not in self.home.clients and not self.is_gone:
            raise RuntimeError("on_connect cannot ask the client: nothing is read from it before it returns")
        if self._requests is None:
            self._requests = Requests()

        def send(id: int) -> bool:
            return self.say(action, body, id=id, timeout=timeout)

        return await self._requests.ask(send, action, self.id, timeout)

    def answer(self, id: str | int | None, body: codec.Raw, *, is_error: bool) -> bool:
        """Take the client's reply or error to a request of the server; False when none waits under this id."""
        return self._requests is not None and self._requests.answer(id, body, is_error=is_error)

    def cancel(self, id: str | int) -> bool:
        """End the handler of its own request `id`; False when no handler is under way that would end so."""
        for scope in self.handler_scopes:
            if scope.id == id:
                scope.end(ActionError("cancelled", "cancelled by its caller"))
                return True
        return False

    # --- the connection

    @property
    def is_connected(self) -> bool:
        """Whether what is sent now can reach the client."""
        return self.connection is not None and self.connection.is_open

    def close(self, code: int, reason: str) -> None:
        """Close the connection after what is queued."""
        if self.connection is not None:
            self.connection.close(code, reason)

    def beat(self, seconds: float) -> None:
        """Pass on a round of the heartbeat."""
        if self.connection is not None:
            self.connection.beat(seconds)

    def disconnected(self) -> None:
        """Note that the connection has ended, and tell those who wait for the client's replies."""
        self.is_gone = True
        self.connection = None
        self.deliver = functools.partial(_drop, self.home.metrics)
        if self._requests is not None:
            self._requests.fail_all(Gone(f"client {self.id} disconnected"))
        for scope in self.handler_scopes:
            scope.end(Gone(f"client {self.id} disconnected"))


def _drop(metrics: Metrics, _: bytes, frames: Sequence[bytes], start: int = 0) -> None:
    """Count frames for a client without a connection."""
    metrics.frames_dropped += len(frames) - start
