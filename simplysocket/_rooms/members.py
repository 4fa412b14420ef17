"""Members: the map of the clients in one room.

Laws:
- This is the only membership map.
- Only joining.py changes it, in the room's turn and at the room's end.
- Nothing here calls code of the application.
"""

import itertools
from typing import TYPE_CHECKING, Final

from .._sessions.clients_view import ClientsView
from .._sessions.session import Session

if TYPE_CHECKING:
    from .runtime import RoomRuntime

_LIST_MOST: Final = 100  # members of the global room in one answer


class Members:
    """The members of one room."""

    __slots__ = ("_runtime", "by_id", "was_joined")

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime
        self.by_id: dict[str, Session] = {}  # {client id: session}
        self.was_joined = False  # True: a join has succeeded

    def __len__(self) -> int:
        return len(self.by_id)

    def __contains__(self, session: Session) -> bool:
        return session.id in self.by_id

    @property
    def view(self) -> ClientsView:
        """The members as the application sees them, {client id: client}."""
        return ClientsView(self.by_id)

    @property
    def capacity(self) -> int | None:
        """How many members the room takes at most; None: any number. `Room.capacity`, or else the limit."""
        runtime = self._runtime
        capacity: int | None = runtime.room.capacity
        return runtime.home.limits.members_per_room if capacity is None else capacity

    def list(self) -> "list[dict[str, str]]":
        """Return the members as in the answers to `join-room` and `who`; of the global room only the first 100."""
        first = itertools.islice(self.by_id.values(), _LIST_MOST if self._runtime.is_global else None)
        return [{"client": session.id, "name": session.client.name} for session in first]

    def add(self, session: Session) -> None:
        """Add a client. It gets the messages that the room sends from now on."""
        runtime = self._runtime
        self.by_id[session.id] = session
        session.rooms[runtime.name] = runtime
        runtime.fanout.joined(session)

    def remove(self, session: Session) -> None:
        """Remove a client, after delivering the messages that the room has sent before."""
        if self.by_id.pop(session.id, None) is not None:
            self._runtime.fanout.left(session)
            session.rooms.pop(self._runtime.name, None)
