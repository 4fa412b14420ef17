"""The session: one client as the server keeps it, with its connection, its rooms, its rates and its requests.

Laws:
- Only the session knows its connection.
- A message to this client alone is sent after the messages that its rooms have sent before,
  so that the client gets all of them in order.
- Nothing here waits for the peer to read.
- What one client says in an error is never said to another in the server's name.
"""

import functools
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from .._accounts import Accounts
from .._functions import line_of
from .._log_limit import PLACE
from .._protocol import codec
from .._protocol.error_texts import shorten
from .._protocol.frames import text_frame
from .._protocol.names import clean_sender
from .._wire.connection import Connection
from ..client import Client
from ..errors import ActionError, BadMessage, CloseCode, Gone, PeerError, SimplySocketError
from ..limits import Limits
from ..metrics import Metrics
from ..request import Identity
from .intake import Intake
from .outbound_hooks import OutboundHooks
from .rates import Rates
from .requests import Requests
from .running import Running

if TYPE_CHECKING:
    from .._rooms.callers import Callers
    from .._rooms.global_room import OwnTurns
    from .._rooms.inbox import Inbox
    from .._rooms.joining import Joins
    from .._rooms.runtime import RoomRuntime

logger = logging.getLogger("simplysocket.session")

_SECONDS_BETWEEN_REFUSALS: Final = 1.0  # of messages without an id: more refusals are not answered


class Home(Protocol):
    """The hub, as a session sees it."""

    limits: Limits
    metrics: Metrics
    accounts: Accounts
    server_name: str
    outbound: OutboundHooks
    joins: "Joins"
    callers: "Callers"

    @property
    def clients(self) -> "dict[str, Session]":
        """The clients that are connected, by id."""

    def check_thread(self) -> None:
        """Refuse a call from a thread other than the server's."""


class Session:
    """One client and all that the server keeps for it. `client` is the object that the application sees."""

    __slots__ = (
        "_asked",
        "_last_refusal",
        "_requests",
        "client",
        "connection",
        "counted_as",
        "deliver",
        "global_turns",
        "handler_scopes",
        "home",
        "id",
        "intake",
        "is_gone",
        "leaving",
        "outside_turns",
        "rates",
        "rooms",
        "waiting",
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
        accounts: Sequence[str] = (),
    ) -> None:
        """`accounts` names what its connections count as together: its user and its address, those that are known."""
        self.id = id
        self.counted_as = accounts[0] if accounts else None  # its user, else its address; None if neither is known
        self.home = home
        self.connection: Connection | None = connection
        self.deliver: Callable[..., None] = connection.deliver  # the connection's own method: the fan-out's hot path
        self.is_gone = False
        self.rooms: dict[str, RoomRuntime] = {}  # {name: room}: each room that has this session among its members
        self.global_turns: OwnTurns | None = None  # its turns in the global room; None before its first message there
        self.leaving: tuple[trio.Event, ...] = ()  # each is set when an `on_leave` that runs for it has ended
        self.handler_scopes: list[Running] = []  # of its running handlers that end with it
        self.outside_turns = 0  # how many of its handlers run outside the turn
        self.rates = Rates(home.limits, trio.current_time(), home.accounts, accounts)
        self.intake: Intake | None = None  # of its messages that are held; None before the first of them
        self.waiting: dict[str | int, Inbox] = {}  # {id of a request that waits for its turn: where it waits}
        self._requests: Requests | None = None  # None before the first request
        self._asked = 0  # how many requests of the server wait for its answer
        self._last_refusal = -_SECONDS_BETWEEN_REFUSALS
        self.client: Client[Any] = Client(self, id, address, identity)
        self.client.name = name
        self.client.state = state

    def __repr__(self) -> str:
        return f"<Session of {self.client!r}>"

    # --- messages to the client

    def tell(self, action: str, body: object, *, sender: str | None = None, room: str | None = None) -> bool:
        """Send a message of the application, unless an outbound hook stops it. Return False if the client is gone."""
        if sender is not None:
            sender = clean_sender(sender, self.home.limits.name_length)
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
        """Send one message, after those that its rooms have sent before. Return False if the client is gone."""
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
        return connection.is_open  # False if the client was closed because too much waits in all outboxes

    def deliver_after_rooms(self, frame: bytes) -> None:
        """Send a frame after the frames of its rooms that this client has not been given yet, in one piece."""
        frames = self._take_from_rooms()
        frames.append(frame)
        self.home.metrics.deliveries += 1
        self.deliver(b"".join(frames) if len(frames) > 1 else frame, frames)

    def _take_from_rooms(self) -> list[bytes]:
        """Return the frames that the rooms have for this client and have not sent yet."""
        frames: list[bytes] = []
        for runtime in self.rooms.values():
            fanout = runtime.fanout
            if fanout.frames or fanout.is_behind:
                frames += fanout.take(self)
        return frames

    def reply(self, id: str | int, result: object) -> None:
        """Answer a request with the result of its handler."""
        self.say("reply", result, id=id)

    def tell_without_id(self, envelope: codec.Envelope, result: object) -> None:
        """Answer a built-in action that came without an id by a message of the same action."""
        if envelope.id is None:
            self.say(envelope.action, result)

    def refuse(self, id: str | int | None, action: str, error: ActionError) -> None:
        """Answer a message with an error. Without an id, `busy` and `rate-limited` are sent at most once a second."""
        if isinstance(error, PeerError):
            error = self._hide(error, action)
        self.home.metrics.count_refused(error.code)
        if id is None and error.code in ("busy", "rate-limited"):
            now = trio.current_time()
            if now - self._last_refusal < _SECONDS_BETWEEN_REFUSALS:
                self.home.metrics.refusals_unanswered += 1
                return
            self._last_refusal = now
        body: dict[str, object] = {"code": error.code, "message": shorten(error.message), "action": action}
        if error.path is not None:
            body["path"] = shorten(error.path)
        if error.retry_after is not None:
            body["retry_after"] = round(error.retry_after, 3)
        try:
            self.say("error", body, id=id)
        except SimplySocketError:  # a text of the application's cannot be written as JSON
            self.say("error", {"code": "internal", "message": "", "action": ""}, id=id)

    def _hide(self, error: PeerError, action: str) -> ActionError:
        """Log and count an error of a client that no code caught; return the one for the caller, without its words."""
        self.home.metrics.peer_errors += 1
        place = line_of(error)
        logger.warning(
            "the handler of %.64r did not catch an error at %.300r: %.500r",
            action,
            place or "a place outside your code",
            str(error),
            extra={PLACE: place},
        )
        return ActionError("internal", "a client that was asked has answered with an error")

    def refuse_bad(self, error: BadMessage) -> None:
        """Answer bytes that are not a valid message. After too many of them, close the connection."""
        self.home.metrics.count_refused("bad-message")
        body = {"code": "bad-message", "message": error.message, "action": ""}
        if error.path is not None:
            body["path"] = error.path
        self.say("error", body, id=error.id)
        if not self.rates.charge_protocol_error(trio.current_time()):
            self.home.callers.expel(self, CloseCode.BAD_REQUESTS, "too many messages that are not valid")

    def refuse_beyond_rate(self, id: str | int | None, action: str, wait: float, now: float) -> None:
        """Refuse a message beyond the rate. Close a client that goes on far beyond it."""
        if self.rates.is_overrun(now):
            self.home.callers.expel(self, CloseCode.OVER_RATE, "far over the rate, for too long")
        self.refuse(id, action, ActionError("rate-limited", "too many messages", retry_after=wait))

    # --- requests: of the server to the client, and of the client

    async def request(self, action: str, body: object, timeout: float) -> Any:
        """Send a request to the client, and return the body of its reply; `timeout` is in seconds."""
        if self.id not in self.home.clients and not self.is_gone:
            raise RuntimeError("on_connect cannot ask the client: nothing is read from it before it returns")
        if self._requests is None:
            self._requests = Requests()

        def send(id: int) -> bool:
            return self.say(action, body, id=id, timeout=timeout)

        self._asked += 1
        try:
            if self.intake is not None:
                self.intake.update()
            return await self._requests.ask(send, action, self.id, timeout)
        finally:
            self._asked -= 1
            if self.intake is not None:
                self.intake.update()

    def answer(self, id: str | int | None, body: codec.Raw, *, is_error: bool) -> bool:
        """Take the client's answer to a request of the server. Return False if no request waits under this id."""
        return self._requests is not None and self._requests.answer(id, body, is_error=is_error)

    def cancel(self, id: str | int) -> bool:
        """Cancel the handler of the client's request `id`. Return False if no handler of it can be cancelled."""
        for scope in self.handler_scopes:
            if scope.id == id:
                scope.end(ActionError("cancelled", "cancelled by its caller"))
                return True
        return False

    # --- messages that are held

    def take_in(self, size: int) -> None:
        """Count a message of `size` bytes that is held since its room has no place for it."""
        if self.intake is None:
            self.intake = Intake(self, self.home.limits)
        self.intake.add(size)

    @property
    def is_asked(self) -> bool:
        """Whether the server waits for an answer of the client."""
        return self._asked > 0

    def pause_reading(self) -> None:
        """Read nothing more from the client until `resume_reading`, since too much is held already."""
        if self.connection is not None:
            self.connection.pause()

    def resume_reading(self) -> None:
        """Read from the client again."""
        if self.connection is not None:
            self.connection.resume()

    # --- the connection

    @property
    def is_connected(self) -> bool:
        """Whether a message that is sent now can reach the client."""
        return self.connection is not None and self.connection.is_open

    @property
    def is_behind(self) -> bool:
        """Whether more waits for the client than its outbox allows: if that lasts, it is closed."""
        return self.connection is not None and self.connection.is_behind

    def close(self, code: int, reason: str) -> None:
        """Close the connection after the messages that are queued, those of the rooms included."""
        if self.connection is None:
            return
        if self.connection.is_open and (frames := self._take_from_rooms()):
            self.deliver(b"".join(frames), frames)
        self.connection.close(code, reason)

    def beat(self, seconds: float) -> None:
        """Hand a round of the heartbeat, `seconds` long, to the connection."""
        if self.connection is not None:
            self.connection.beat(seconds)

    def disconnected(self) -> None:
        """Mark the client as gone; end the requests to it and the handlers that end with it."""
        self.is_gone = True
        self.connection = None
        self.rates.end(trio.current_time())
        self.deliver = functools.partial(_drop, self.home.metrics)
        if self._requests is not None:
            self._requests.fail_all(Gone(f"client {self.id} disconnected"))
        for scope in list(self.handler_scopes):  # some leave the list at once
            scope.end(Gone(f"client {self.id} disconnected"))


def _drop(metrics: Metrics, _: bytes, frames: Sequence[bytes], start: int = 0) -> None:
    """Count the frames for a client that has no connection."""
    metrics.frames_dropped += len(frames) - start
