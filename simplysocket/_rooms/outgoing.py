"""Outgoing messages: encodes and frames each message of a room once, and gives it its place in the room's sequence.

Laws: plain functions that never wait. A body that cannot be encoded is refused here, inside the
error boundary of the code that sends it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from .._protocol import codec
from .._protocol.delivery_classes import CoalescedFrame, VolatileFrame
from .._protocol.frames import text_frame
from .._protocol.names import clean_sender
from .._sessions.session import Session
from ..client import Client
from ..errors import ActionError, RoomClosed
from .state import RoomState

if TYPE_CHECKING:
    from .runtime import RoomRuntime

_CLOSED: Final = RoomState.CLOSED  # looking it up in the class would cost 0.05 us a message


class Outgoing:
    """Sends the messages of one room to its members."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime

    def broadcast(
        self,
        action: str,
        body: object,
        sender: Client[Any] | str | None = None,
        exclude: Client[Any] | Iterable[Client[Any]] = (),
        volatile: bool = False,
        coalesce: str | None = None,
    ) -> None:
        """Encode and frame a message for the members, and give it its place in the room's sequence."""
        runtime = self._runtime
        if runtime.state is _CLOSED:
            raise RoomClosed(f"room {runtime.name!r} is closed: nobody would hear {action!r}")
        home = runtime.home
        if sender is None:
            sender = home.server_name
        elif isinstance(sender, Client):
            sender = sender.id
        else:
            sender = clean_sender(sender, home.limits.name_length)
        if runtime.announcements is not None:
            runtime.announcements.before(sender)
        if home.outbound.hooks:
            message = home.outbound.pass_through(action, body, runtime.name, sender)
            if message is None:
                return
            action, body, sender = message.action, message.body, message.sender
        frame = text_frame(codec.encode(action, body, runtime.name, sender))
        if volatile:
            frame = VolatileFrame(frame)
        elif coalesce is not None:
            if not isinstance(coalesce, str):  # a key without a hash would fail where the frame waits for a slow client
                raise TypeError(f"coalesce={coalesce!r:.100}: give a text, the same for all that replace each other")
            frame = CoalescedFrame.of(frame, (runtime.name, coalesce))
        ids: tuple[str, ...] = ()
        if exclude:
            try:
                ids = (exclude.id,) if isinstance(exclude, Client) else tuple(client.id for client in exclude)
            except (AttributeError, TypeError):
                raise TypeError(f"exclude={exclude!r}: give a Client or several, not their ids") from None
        home.metrics.broadcasts += 1
        runtime.fanout.add(frame, ids)

    def tell(self, session: Session, action: str, body: object) -> bool:
        """Give a message for one member its place in the room's sequence. Return False if the client is gone."""
        runtime = self._runtime
        if runtime.state is _CLOSED:
            raise RoomClosed(f"room {runtime.name!r} is closed")
        if session not in runtime.members:
            if session.is_gone:
                return False
            text = f"{session.client!r} is not in room {runtime.name!r}: client.send reaches it anyway"
            raise ActionError("not-a-member", text)
        frame = self.frame_for(session, action, body)
        if frame is not None:
            runtime.fanout.add(frame, only=session.id)
        return session.is_reachable

    def frame_for(self, session: Session, action: str, body: object) -> bytes | None:
        """Return the frame of a message for one member alone; None if it is stopped by a hook or the client is gone."""
        runtime = self._runtime
        home = runtime.home
        sender = home.server_name
        if home.outbound.hooks:
            message = home.outbound.pass_through(action, body, session.id, sender, target_client=True)
            if message is None:
                return None
            action, body, sender = message.action, message.body, message.sender
        if not session.is_reachable:
            return None
        return text_frame(codec.encode(action, body, session.id, sender, target_client=True, room=runtime.name))
