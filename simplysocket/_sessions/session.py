"""The session: one client as the server keeps it, with its connection, its rooms, its rates and its requests.

Laws:
- Only the session knows its connection.
- A message to this client alone is sent after the messages that its rooms have sent before, so that the client gets
  all of them in order. Only what has no number (`welcome`, the answers to `ping`) waits for none.
- Nothing here waits for the peer to read.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import trio

from .._protocol import codec
from .._protocol.delivery_classes import UncountedFrame
from .._protocol.frames import text_frame
from .._protocol.names import PING, clean_sender
from .._wire.connection import Connection
from ..client import Client
from ..errors import ActionError, BadMessage, CloseCode, Gone, PeerError, SimplySocketError
from ..metrics import Metrics
from ..reasons import Reason
from ..request import Identity
from .home import Home
from .intake import Intake
from .line import Line
from .rates import Rates
from .refusals import body_of, hide
from .requests import Requests
from .running import Running

if TYPE_CHECKING:
    from .._rooms.global_room import OwnTurns
    from .._rooms.inbox import Inbox
    from .._rooms.runtime import RoomRuntime

_SECONDS_BETWEEN_REFUSALS: Final = 1.0  # of messages without an id: more refusals are not answered


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
        "ended_with",
        "global_turns",
        "handler_scopes",
        "home",
        "id",
        "intake",
        "is_away",
        "is_gone",
        "is_greeted",
        "leaving",
        "line",
        "lost_as",
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
        self.is_away = False  # it has lost its connection, and its client may come back
        self.ended_with: tuple[int, str] | None = None  # the code and the reason, if the server has ended it while away
        self.is_greeted = False  # it has been sent `welcome`
        self.lost_as: Reason | None = None  # why it has lost its connection, while it is away
        self.line: Line | None = None  # None for clients that have not asked to come back
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
        """Send a message of the application, unless an outbound hook stops it. Return False if it reaches nobody."""
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
        is_counted: bool = True,
    ) -> bool:
        """Send one message, after those that its rooms have sent before. Return False if it reaches nobody.

        `is_counted=False`: it has no number among those that a client that comes back is sent again.
        """
        connection = self.connection
        if (connection is None or not connection.is_open) and not self.is_reachable:
            return False
        sender = self.home.server_name if sender is None else sender
        frame = text_frame(
            codec.encode(action, body, self.id, sender, target_client=True, id=id, timeout=timeout, room=room)
        )
        self.deliver_after_rooms(frame if is_counted else UncountedFrame(frame))
        # False if the client was closed because too much waits in all outboxes.
        return (connection is not None and connection.is_open) or self.is_reachable

    def deliver_after_rooms(self, frame: bytes) -> None:
        """Send a frame after those that its rooms have said before, in one piece; an uncounted one waits for none."""
        frames = [] if frame.__class__ is UncountedFrame else self._take_from_rooms()
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
            error = hide(error, action, self.home.metrics)
        self.home.metrics.count_refused(error.code)
        if id is None and error.code in ("busy", "rate-limited"):
            now = trio.current_time()
            if now - self._last_refusal < _SECONDS_BETWEEN_REFUSALS:
                self.home.metrics.refusals_unanswered += 1
                return
            self._last_refusal = now
        try:
            self.say("error", body_of(error, action), id=id, is_counted=action != PING)
        except SimplySocketError:  # a text of the application's cannot be written as JSON
            self.say("error", {"code": "internal", "message": "", "action": ""}, id=id)

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

    def update_reading(self) -> None:
        """Read from the client, or no more since too much is held already, or since it has sent again too fast."""
        connection, intake, line = self.connection, self.intake, self.line
        if connection is not None:
            waits = (intake is not None and intake.is_paused) or (line is not None and line.is_waiting)
            (connection.pause if waits else connection.resume)()

    def owe(self, size: int, now: float) -> None:
        """Charge a message beyond the rate that the client had to send again; read no more until that is paid."""
        wait = self.rates.owe_message(size, now)
        if self.line is not None and not self.line.is_waiting:
            self.line.is_waiting = True
            self.update_reading()
            self.home.start(self._read_later, self.line, wait)

    async def _read_later(self, line: Line, seconds: float) -> None:
        await trio.sleep(seconds)
        line.is_waiting = False
        self.update_reading()

    # --- the connection

    @property
    def is_connected(self) -> bool:
        """Whether a message that is sent now goes to the client at once."""
        return self.connection is not None and self.connection.is_open

    @property
    def is_reachable(self) -> bool:
        """Whether a message that is sent now goes to the client at once, or when it comes back."""
        connection = self.connection
        if connection is None:
            return self.is_away
        return connection.is_open or (self.line is not None and self.line.is_confirmed and connection.is_held)

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
        connection, line = self.connection, self.line
        if connection is not None:
            connection.beat(seconds)
            if line is not None and not line.beat(seconds, is_read=not connection.is_paused):
                connection.close(CloseCode.SILENT, "nothing was acknowledged")

    def attach(self, connection: Connection) -> None:
        """Go on over a connection, for a client that may come back."""
        if self.line is not None:
            connection.count_in(self.line.ring)
        self.connection, self.deliver = connection, connection.deliver
        self.is_away, self.lost_as = False, None
        self.update_reading()

    def lose(self, reason: Reason) -> None:
        """Go on without a connection: what is said waits for the client to come back."""
        if self.line is not None:
            self.connection, self.deliver = None, self.line.ring.wait
            self.is_away, self.lost_as = True, reason

    def give_up_requests(self, error: ActionError) -> None:
        """End the requests to the client, and the handlers that end with their caller."""
        if self._requests is not None:
            self._requests.fail_all(error)
        for scope in list(self.handler_scopes):  # some leave the list at once
            scope.end(error)

    def disconnected(self) -> None:
        """Mark the client as gone; end the requests to it and the handlers that end with it."""
        self.is_gone = True
        self.is_away = False
        self.connection = None
        if self.line is not None:
            self.line.ring.end()
        self.rates.end(trio.current_time())
        self.deliver = functools.partial(_drop, self.home.metrics)
        self.give_up_requests(Gone(f"client {self.id} disconnected"))


def _drop(metrics: Metrics, _: bytes, frames: Sequence[bytes], start: int = 0, __: object = None) -> None:
    """Count the frames for a client that has no connection."""
    metrics.frames_dropped += len(frames) - start
