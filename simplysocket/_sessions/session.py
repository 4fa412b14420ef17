"""The seat: what the server does with a client, whatever wire he is on; what users see of it is in client.py.

Laws: only the seat knows its connection. What concerns it alone is sent
behind what its rooms have said before, so that it sees each in its place.
Nothing here waits for the peer to read.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final, Protocol

import trio

from .._protocol import codec
from .._protocol.frames import text_frame
from .._protocol.names import check_said
from .._rooms.fanout import Fanout
from .._rooms.turns import Turns
from .._token_bucket import TokenBucket
from .._wire.connection import Connection
from ..client import Client
from ..errors import ActionError, BadMessage, CloseCode, Gone, SimplySocketError
from ..limits import Limits
from ..metrics import Metrics
from ..request import Identity
from .outbound_hooks import OutboundHooks

_SECONDS_BETWEEN_REFUSALS: Final = 1.0  # of messages that have no id to be answered under
_FORGIVEN_PER_SECOND: Final = 1 / 60  # protocol errors
_OVERRUN: Final = 5.0  # times the burst: how much of what is too much is answered before the connection is closed


class Place(Protocol):
    """What a client knows of a room it is in."""

    fanout: Fanout  # what the room is about to say
    room: Any  # the Room, of which no module up here knows more


class Running(Protocol):
    """What a client knows of a handler that ends with it: an `HandlerScope`."""

    id: str | int | None

    def end(self, error: ActionError) -> None:
        """Cancel it, and say why."""


class Rooms(Protocol):
    """What a client asks of the hub."""

    limits: Limits
    metrics: Metrics
    server_name: str
    clients: dict[str, "Session"]
    outbound: OutboundHooks

    def check_thread(self) -> None:
        """Refuse to speak from another thread than the server's."""

    async def join(self, client: "Session", name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Make `client` a member of a room."""

    async def leave(self, client: "Session", name: str, reason: str) -> bool:
        """Take `client` out of a room."""


class Session(Client[Any]):
    """A client, and all that the package keeps of it and does with it."""

    __slots__ = (
        "_connection",
        "_errors",
        "_hub",
        "_joins",
        "_last_id",
        "_last_refusal",
        "_overrun",
        "_requests",
        "apart",
        "deliver",
        "global_turns",
        "handler_scopes",
        "messages",
        "rooms_by_name",
        "volume",
    )

    def __init__(
        self,
        id: str,
        name: str,
        address: str,
        connection: Connection,
        hub: Rooms,
        *,
        state: Any,  # Any: the application's own
        identity: Identity | None = None,
    ) -> None:
        self.id = id
        self.name = name or f"guest-{secrets.token_hex(2)}"
        self.address = address
        self.identity = identity
        self.state = state
        self.is_gone = False
        self.deliver = connection.deliver  # bound once: the fan-out's hot path
        self.global_turns: Turns | None = None  # its turns in the global room, from its first message there
        self._connection = connection
        self._hub = hub
        self.rooms_by_name: dict[str, Place] = {}  # the other direction of Room.members, kept by the rooms
        self.handler_scopes: list[Running] = []  # handlers under way that end with it
        self.apart = 0  # how many of them run beside the turns
        self._last_id = 0
        self._requests: dict[str | int, _Pending] = {}  # {id: the server's request under way}
        self._last_refusal = -_SECONDS_BETWEEN_REFUSALS
        limits, now = hub.limits, trio.current_time()
        self.messages = TokenBucket(limits.messages_per_second, limits.messages_burst, now)
        self._overrun = TokenBucket(limits.messages_per_second, limits.messages_burst * _OVERRUN, now)
        self.volume = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now)
        self._joins = TokenBucket(limits.joins_per_second, limits.joins_burst, now)
        errors = limits.protocol_errors
        self._errors = TokenBucket(None if errors is None else _FORGIVEN_PER_SECOND, errors or 1, now)

    @property
    def rooms(self) -> dict[str, Any]:
        return {name: place.room for name, place in self.rooms_by_name.items()}

    async def send(self, action: str, body: object = codec.EMPTY, *, sender: str | None = None) -> bool:
        check_said(action)
        self._hub.check_thread()
        return self.tell(action, body, sender=sender)

    async def request(self, action: str, body: object = codec.EMPTY, *, timeout: float = 10.0) -> Any:
        check_said(action)
        if self.id not in self._hub.clients and not self.is_gone:
            raise RuntimeError("on_connect cannot ask the client: nothing is read from it before it returns")
        self._last_id += 1
        id = self._last_id
        pending = self._requests[id] = _Pending()
        try:
            if not self.say(action, body, id=id, timeout=timeout):
                raise Gone(f"client {self.id} is not connected")
            with trio.move_on_after(timeout):
                await pending.done.wait()
            if pending.error is not None:
                raise pending.error
            if not pending.done.is_set():
                raise ActionError("timeout", f"client {self.id} did not answer {action!r} within {timeout:g} seconds")
            return codec.decode_body(pending.body)
        finally:
            del self._requests[id]

    async def join(self, name: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
        if not isinstance(name, str):
            raise TypeError(f"join({name!r:.200}): give the room's name")
        return await self._hub.join(self, name, options or {})

    async def leave(self, name: str, reason: str = "left") -> bool:
        return await self._hub.leave(self, name, reason)

    async def close(self, code: int = CloseCode.APPLICATION, reason: str = "") -> None:
        if not isinstance(code, int):
            raise TypeError(f"close({code!r}): give the code first, then the reason, or reason=")
        if not (code in (1000, 1001, 1008, 1011, 1012, 1013) or 3000 <= code <= 4999):
            raise ValueError(f"{code} may not be sent as a close code: take one of 3000-4999 (RFC 6455, 7.4.2)")
        self._connection.close(code, reason)

    # --- for the package: plain functions that never wait

    def tell(self, action: str, body: object, *, sender: str | None = None, room: str | None = None) -> bool:
        """Send what the application says, if no outbound hook stops it; False when the client is gone."""
        outbound = self._hub.outbound
        if outbound.hooks:
            sender = self._hub.server_name if sender is None else sender
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
        """Send one message behind what the rooms said before; False when the client is gone."""
        if self.is_gone or not self._connection.is_open:
            return False
        frame = text_frame(
            codec.encode(
                action,
                body,
                self.id,
                self._hub.server_name if sender is None else sender,
                target_client=True,
                id=id,
                timeout=timeout,
                room=room,
            )
        )
        self.deliver_behind(frame)
        return self._connection.is_open  # not when this very message was one too many

    def deliver_behind(self, frame: bytes) -> None:
        """Send a frame together with what its rooms have said to it before, in one piece."""
        frames: list[bytes] = []
        for room in self.rooms_by_name.values():
            if room.fanout.is_pending:
                frames += room.fanout.take(self)
        frames.append(frame)
        self._hub.metrics.deliveries += 1
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
        self._hub.metrics.messages_refused[error.code] += 1
        if id is None and error.code in ("busy", "rate-limited"):
            now = trio.current_time()
            if now - self._last_refusal < _SECONDS_BETWEEN_REFUSALS:
                self._hub.metrics.refusals_unanswered += 1
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
        """Answer what is no message; too many of them end the connection."""
        self._hub.metrics.messages_refused["bad-message"] += 1
        body = {"code": "bad-message", "message": error.message, "action": ""}
        if error.path is not None:
            body["path"] = error.path
        self.say("error", body, id=error.id)
        if not self._errors.take(1, trio.current_time()):
            self._connection.close(CloseCode.BAD_REQUESTS, "too many messages that are none")

    def may_send(self, size: int, now: float) -> float | None:
        """Take one message of `size` bytes from the buckets: None, or in how many seconds one may come."""
        if self.messages.take(1, now):
            if self.volume.take(size, now):
                return None
            wait = self.volume.seconds_until(size)
        else:
            wait = self.messages.seconds_until(1)
        if not self._overrun.take(1, now):
            self._connection.close(CloseCode.OVER_RATE, "far over the rate, for too long")
        return wait

    def may_join(self) -> float | None:
        """Take one join from its bucket: None, or in how many seconds one may come."""
        return None if self._joins.take(1, trio.current_time()) else self._joins.seconds_until(1)

    def answer(self, id: str | int | None, body: codec.Raw, *, is_error: bool) -> bool:
        """Take the client's reply or error to a request of the server; False when there is none of this id."""
        pending = self._requests.get(id) if id is not None else None
        if pending is None or pending.done.is_set():
            return False
        if is_error:
            pending.error = _to_error(body)
        pending.body = body
        pending.done.set()
        return True

    def beat(self, seconds: float) -> None:
        """Pass on a round of the heartbeat."""
        self._connection.beat(seconds)

    def disconnected(self) -> None:
        """Note that it is gone, and tell who waits for its replies."""
        self.is_gone = True
        for pending in self._requests.values():
            if not pending.done.is_set():
                pending.error = Gone(f"client {self.id} disconnected")
                pending.done.set()
        for scope in self.handler_scopes:
            scope.end(Gone(f"client {self.id} disconnected"))

    def cancel(self, id: str | int) -> bool:
        """End the handler of its own request `id`; False when none is under way that would end so."""
        for scope in self.handler_scopes:
            if scope.id == id:
                scope.end(ActionError("cancelled", "cancelled by its caller"))
                return True
        return False


for _method in (Session.send, Session.request, Session.join, Session.leave, Session.close):
    _method.__qualname__ = f"Client.{_method.__name__}"  # what Python calls it that was never awaited


class _Pending:
    """A request of the server that waits for the client's answer."""

    __slots__ = ("body", "done", "error")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.body = codec.EMPTY
        self.error: ActionError | None = None


class _ErrorBody(codec.Struct):
    code: str = "internal"
    message: str = ""
    path: str | None = None
    retry_after: float | None = None


_read_error: Final[Callable[[codec.Raw], Any]] = codec.body_decoder(_ErrorBody)


def _to_error(body: codec.Raw) -> ActionError:
    try:
        read = _read_error(body)
    except ActionError:
        return ActionError("internal", "the client answered with an error that cannot be read")
    return ActionError(read.code, read.message, path=read.path, retry_after=read.retry_after)
