"""Views: messages of a room of which every member gets a body of its own, such as its hand of cards.

Laws:
- All bodies of a view are made and encoded before any is sent, so they are of one moment, and all are sent or none.
- A body is framed for one member alone, in the room's sequence: it waits, is kept and is lost with that member's other
  messages, and no other member is ever given it.
- Who has missed a view for good gets the newest one, made anew. Who has joined since is not asked about.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from .._boundary import SHOWN
from .._functions import name_place
from .._sessions.session import Session
from ..client import Client
from ..errors import RoomClosed
from .state import RoomState

if TYPE_CHECKING:
    from .runtime import RoomRuntime

View = Callable[[Client[Any]], object]
"""Returns the body for one member, or None: it gets no message."""


@attrs.frozen
class _Sent:
    view: View
    members: frozenset[str]  # the ids of those that were members then


class Views:
    """The views of one room. It keeps the newest one of each action, for members that come back after a gap."""

    __slots__ = ("_runtime", "_sent")

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime
        self._sent: dict[str, _Sent] = {}  # {action: the newest view}

    def send(self, view: View, action: str) -> None:
        """Send each member its body. If `view` raises for one of them, or returns what is no body, none is sent."""
        by_id = self._runtime.members.by_id
        self._send(view, action, list(by_id.values()))
        self._sent[action] = _Sent(view, frozenset(by_id))

    async def give_missed(self, session: Session) -> None:
        """Make the newest view of each action anew, in the turn, for a member that has missed messages for good."""
        for action in list(self._sent):

            async def give(action: str = action) -> None:
                sent = self._sent[action]
                if session.id in sent.members and session in self._runtime.members:
                    with SHOWN:
                        self._send(sent.view, action, [session])

            await self._runtime.hooks.guard("send_view", give, session)

    def _send(self, view: View, action: str, sessions: list[Session]) -> None:
        runtime = self._runtime
        if runtime.state is RoomState.CLOSED:
            raise RoomClosed(f"room {runtime.name!r} is closed")
        bodies = [(session, _body_of(view, session)) for session in sessions]
        frames = [
            (frame, session.id)
            for session, body in bodies
            if body is not None and (frame := runtime.outgoing.frame_for(session, action, body)) is not None
        ]
        for frame, id in frames:
            runtime.fanout.add(frame, only=id)


def _body_of(view: View, session: Session) -> object:
    body = view(session.client)
    if inspect.isawaitable(body):
        if inspect.iscoroutine(body):
            body.close()
        raise TypeError(f"the view {name_place(view)} is no plain function: it returned {body!r:.100}; write `def`")
    return body
