"""Direct messages: those of one client to another, which must share a room other than the global one.

Laws:
- A direct message has its turn in a room that both are in: of these, the one that its sender joined last.
- The middleware of the server and of that room is around its delivery, and its exception handlers. No action and no
  `on_message` is called for it.
"""

from collections.abc import Awaitable

from .._protocol.codec import Envelope
from .._rooms.hub import Hub
from .._rooms.inbox import RETRY_BUSY, busy
from .._rooms.runtime import RoomRuntime
from .._sessions.session import Session
from ..errors import ActionError
from ..middleware import Call
from .registry import Registry


class Direct:
    """Takes the direct messages of one server, if it allows them."""

    def __init__(self, hub: Hub, registry: Registry, *, is_allowed: bool) -> None:
        self._hub = hub
        self._registry = registry
        self._is_allowed = is_allowed

    def post(self, session: Session, envelope: Envelope, now: float, size: int) -> None:
        """Put a direct message into the inbox of the room in which it has its turn."""
        if not self._is_allowed:
            raise ActionError("forbidden", "this server lets no client write to another")
        target = self._hub.clients.get(envelope.target or "")
        shared = [] if target is None else [each for each in _shared(session, target) if each.is_open]
        if not shared:
            raise _unknown()
        if not shared[-1].post(self._handle, session, envelope, now, size):
            raise busy(shared[-1].name)

    def _handle(self, runtime: RoomRuntime, session: Session, envelope: Envelope) -> Awaitable[object]:
        """Return the coroutine of the delivery, with the middleware around it: the work of its entry in the inbox."""
        self._registry.check(runtime, session, envelope)
        if runtime.deliver_direct is None:
            runtime.deliver_direct = self._registry.surround(runtime, self._deliver)
        return runtime.deliver_direct(self._registry.server, runtime.room, session.client, envelope)

    async def _deliver(self, call: Call) -> None:
        """Deliver the message: the innermost handler. They may share no room any more."""
        session = call.client._session
        target = self._hub.clients.get(call.envelope.target or "")
        if target is None or not _shared(session, target):
            raise _unknown()
        if target.is_behind:  # else others could make it too slow, and it would be closed
            raise ActionError("busy", f"client {target.id} does not read fast enough", retry_after=RETRY_BUSY)
        target.tell(call.envelope.action, call.envelope.message_body, sender=session.id)


def _shared(session: Session, other: Session) -> list[RoomRuntime]:
    """Return the rooms that both are in but for the global one, in the order in which the first has joined them."""
    return [each for name, each in session.rooms.items() if name in other.rooms and not each.is_global]


def _unknown() -> ActionError:
    return ActionError("unknown-target", "no client of this id is in a room with you")
