"""Inbound: takes the bytes of each message, and puts it into the inbox of its room or refuses it.

Laws:
- It runs where the sockets are read, so it never waits and never raises.
- It calls no code of the application.
- Every message gets into an inbox or is answered.
"""

import logging

from .._protocol import codec
from .._protocol.names import PING
from .._rooms.hub import Hub
from .._rooms.inbox import busy
from .._sessions.session import Session
from ..errors import ActionError, BadMessage, EncodeError
from ..message import GLOBAL_ROOM
from .builtins import Builtins
from .direct import Direct
from .registry import Registry

logger = logging.getLogger("simplysocket.inbound")


class Inbound:
    """Takes every message of every client of one server."""

    def __init__(self, hub: Hub, registry: Registry, *, direct: bool) -> None:
        self._hub = hub
        self._registry = registry
        self._builtins = Builtins(hub, registry)
        self._reserved = self._builtins.to_requests.keys() | self._builtins.by_action.keys()
        self._direct = Direct(hub, registry, is_allowed=direct)

    def receive(self, session: Session, payload: bytes, now: float) -> None:
        """Take one message that a client's connection has read at `now`. The hot path of all incoming messages."""
        hub = self._hub
        hub.metrics.messages_received += 1
        try:
            envelope = codec.decode(payload)
        except BadMessage as exc:
            if self._is_within_rate(session, len(payload), now, exc.id, ""):
                session.refuse_bad(exc)
            return
        is_reserved = envelope.action in self._reserved
        to_request = self._builtins.to_requests.get(envelope.action) if is_reserved else None
        if to_request is not None:
            # A client may always answer and cancel: only what no request waits for is charged. It has no answer.
            if not to_request(session, envelope):
                self._is_within_rate(session, len(payload), now, envelope.id, envelope.action)
            return
        messages, volume, size = session.rates.messages, session.rates.volume, len(payload)
        if messages.since == now and messages.tokens >= 1.0 and volume.since == now and volume.tokens >= size:
            messages.tokens -= 1.0  # of several messages in one read, only the first refills the buckets
            volume.tokens -= size
        elif not self._is_within_rate(session, size, now, envelope.id, envelope.action):
            return
        if envelope.timeout is not None:
            envelope.timeout += now  # from here on it is a point in time
        try:
            builtin = self._builtins.by_action.get(envelope.action) if is_reserved else None
            if builtin is not None and not self._registry.overrides(envelope.action):
                builtin(session, envelope, now, size)
                return
            if envelope.IsTargetClient:
                self._direct.post(session, envelope, now, size)
                return
            name = envelope.target or GLOBAL_ROOM
            runtime = hub.runtimes.get(name)
            if runtime is None or not runtime.is_open:
                runtime = hub.room_for_message(name)
            if not runtime.post(self._registry.handle, session, envelope, now, size):
                raise busy(name)
        except ActionError as exc:
            session.refuse(envelope.id, envelope.action, exc)
        except EncodeError:  # an answer holds what the application has set, such as a capacity that is no number
            logger.exception("the answer to %.64r cannot be written", envelope.action)
            session.refuse(envelope.id, envelope.action, ActionError("internal", "a fault of the server"))

    def receive_counted(self, session: Session, payload: bytes, now: float) -> None:
        """Take one message of a client that may come back, and count it."""
        line = session.line
        if line is not None:
            line.received += 1
            if line.is_unheard:
                line.hear(now)
        self.receive(session, payload, now)

    def _is_within_rate(self, session: Session, size: int, now: float, id: str | int | None, action: str) -> bool:
        wait = session.rates.charge_message(size, now)
        if wait is None:
            return True
        line = session.line
        if line is not None:
            if line.is_sent_again:
                session.owe(size, now)
                return True
            if action == PING:
                line.uncount()
        session.refuse_beyond_rate(id, action, wait, now)
        return False
