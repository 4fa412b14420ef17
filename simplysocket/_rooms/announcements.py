"""Announcements: tells the members of a room that announces it who has joined and who has left.

Laws:
- In a room of up to 100 members each join and each leave is a message of its own. In a larger
  one those of one pass of the scheduler are one message, `members-changed`.
- `members-changed` comes before anything that a client which it names as joined says, before
  anything that the server says after the joins, and after everything that a client which it
  names as left has said.
- No message grows with the room: a list has at most 100 entries.
"""

from typing import TYPE_CHECKING, Final

from .._protocol import codec
from .._sessions.session import Session
from .state import RoomState

if TYPE_CHECKING:
    from .runtime import RoomRuntime

_SINGLY: Final = 100  # members that are told of each join by itself: N joins are N messages to each of N members
_LIST_MOST: Final = 100  # entries in a list of `members-changed`


def announcements_of(runtime: "RoomRuntime") -> "Announcements | None":
    """Return the announcements of a room; None if it announces nothing."""
    if not runtime.room.announce:
        return None
    if runtime.announcements is None:
        runtime.announcements = Announcements(runtime)
    return runtime.announcements


class Announcements:
    """The joins and leaves of one room that its members have not been told of yet."""

    __slots__ = ("_joined", "_left", "_runtime", "is_marked")

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime
        self._joined: dict[str, codec.Raw] = {}  # {client id: its entry in the list}
        self._left: dict[str, codec.Raw] = {}
        self.is_marked = False  # True: the flusher will call `flush`

    def joined(self, session: Session) -> None:
        """Tell the members of a join, now or with the others of this pass."""
        client = session.client
        body = codec.encode_body({"client": client.id, "name": client.name})
        if self._is_single():
            self._runtime.outgoing.broadcast("client-joined-room", body, exclude=client)
            return
        self._left.pop(client.id, None)
        if len(self._joined) < _LIST_MOST:
            self._joined[client.id] = body
        self._mark()

    def left(self, session: Session, body: codec.Raw) -> None:
        """Tell the members of a leave; `body` is that of `client-left-room`."""
        if self._is_single():
            self._runtime.outgoing.broadcast("client-left-room", body)
            return
        self._joined.pop(session.id, None)
        if len(self._left) < _LIST_MOST:
            self._left[session.id] = body
        self._mark()

    def _is_single(self) -> bool:
        return not self.is_marked and len(self._runtime.members) <= _SINGLY

    def _mark(self) -> None:
        if not self.is_marked:
            self.is_marked = True
            self._runtime.home.flusher.mark(self)

    def before(self, sender: str) -> None:
        """Say what waits before a broadcast of a client that has joined, or of the server, which may speak of it."""
        if self._joined and (sender in self._joined or sender not in self._runtime.members.by_id):
            self._say()

    def flush(self) -> bool:
        """Say what waits; called by the flusher in the pass after the first of it. Return False: no further call."""
        self._say()
        return False

    def _say(self) -> None:
        joined, left, self._joined, self._left = self._joined, self._left, {}, {}
        runtime = self._runtime
        if (not joined and not left) or runtime.state is RoomState.CLOSED:
            return
        body = {"joined": list(joined.values()), "left": list(left.values()), "total": len(runtime.members)}
        runtime.outgoing.broadcast("members-changed", codec.encode_body(body, may_hold_floats=False))
