"""Members: who is in one room.

Laws: this is the only membership map. It changes in the room's turn and at the
room's end, by what joining.py does; nothing here calls the code of users.
"""

import itertools
from typing import TYPE_CHECKING, Final

from .._sessions.clients_view import ClientsView
from .._sessions.session import Session

if TYPE_CHECKING:
    from .runtime import RoomRuntime

_LIST_MOST: Final = 100  # members of the global room in an answer


class Members:
    """The members of one room."""

    __slots__ = ("_runtime", "by_id", "was_joined")

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime
        self.by_id: dict[str, Session] = {}  # {client id: session}
        self.was_joined = False  # a join has succeeded

    def __len__(self) -> int:
        return len(self.by_id)

    def __contains__(self, session: Session) -> bool:
        return session.id in self.by_id

    @property
    def view(self) -> ClientsView:
        """The members as users see them."""
        return ClientsView(self.by_id)

    @property
    def capacity(self) -> int | None:
        """How many members the room takes at most; None: any number."""
        runtime = self._runtime
        capacity: int | None = runtime.room.capacity
        return runtime.home.limits.members_per_room if capacity is None else capacity

    def list(self) -> "list[dict[str, str]]":
        """Return the members as `join-room` and `who` answer them; of the global room only the first 100."""
        first = itertools.islice(self.by_id.values(), _LIST_MOST if self._runtime.is_global else None)
        return [{"client": session.id, "name": session.client.name} for session in first]

    def enter(self, session: Session) -> None:
        """Put a client into the map; it sees what is said from now on."""
        runtime = self._runtime
        self.by_id[session.id] = session
        session.rooms[runtime.name] = runtime
        runtime.fanout.joined(session)

    def forget(self, session: Session) -> None:
        """Take a client out of the map, after it was given all that was said before."""
        if self.by_id.pop(session.id, None) is not None:
            self._runtime.fanout.left(session)
            session.rooms.pop(self._runtime.name, None)
