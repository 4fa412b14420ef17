"""Members: the map of the clients in one room.

Laws:
- This is the only membership map.
- Only membership.py changes it, in the room's turn and at the room's end.
- Nothing here calls code of the application.
"""

import itertools
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from .._live_view import LiveView
from .._sessions.session import Session
from ..client import Client
from ..errors import ActionError, BadBody, Gone
from ..message import GLOBAL_ROOM
from .holds import Place
from .member_order import PAGE, MemberOrder
from .options import Options, digest_of

if TYPE_CHECKING:
    from .runtime import RoomRuntime

_client_of: Final = attrgetter("client")


class Members:
    """The members of one room."""

    __slots__ = ("_order", "_runtime", "by_id", "is_locked", "joined_with", "places", "was_joined")

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime
        self.by_id: dict[str, Session] = {}  # {client id: session}
        # Of the global room, in which every client is, only the first page is shown: it keeps no order.
        self._order = None if runtime.is_global else MemberOrder()
        self.is_locked = False  # True: nobody else joins
        self.was_joined = False  # True: a join has succeeded
        self.places: dict[str, Place] = {}  # {client id: its place}, of members that are away, or were
        self.joined_with: dict[str, bytes] = {}  # {client id: digest of the options that `on_join` was last given}

    def __len__(self) -> int:
        return len(self.by_id)

    def __contains__(self, session: Session) -> bool:
        return session.id in self.by_id

    @property
    def view(self) -> LiveView[Session, Client[Any]]:
        """The members as the application sees them, {client id: client}."""
        return LiveView(self.by_id, _client_of)

    @property
    def capacity(self) -> int | None:
        """How many members the room takes at most; None: any number. `Room.capacity`, or else the limit."""
        runtime = self._runtime
        capacity: int | None = runtime.room.capacity
        return runtime.home.limits.members_per_room if capacity is None else capacity

    def check_place(self, session: Session) -> None:
        """Refuse a client that is gone or being closed, a room that is locked or full, a client in too many rooms."""
        name, most = self._runtime.name, self.capacity
        if not session.is_reachable:
            raise Gone(f"client {session.id} has disconnected")
        if session in self:
            return
        if self.is_locked:
            raise ActionError("forbidden", "the room is locked")
        if most is not None:
            directory = self._runtime.home.listing.directory
            reserved = 0 if directory is None else directory.reserved(self._runtime, session)
            if len(self.by_id) + reserved >= most:
                kept = f", and {reserved} places are kept for others" if reserved else ""
                raise ActionError("room-full", f"room {name!r} holds {len(self.by_id)} of {most} members{kept}")
        most = self._runtime.home.limits.rooms_per_client
        if most is not None and len(session.rooms) - (GLOBAL_ROOM in session.rooms) >= most:
            raise ActionError("too-many", f"a client may be in {most} rooms")

    def place_of(self, session: Session) -> Place:
        """Return the place of a member that is away, or was, or has missed something."""
        place = self.places.get(session.id)
        if place is None:
            place = self.places[session.id] = Place(self._runtime, session)
        return place

    def count_away(self) -> int:
        """Return how many members are away."""
        return sum(place.session.is_away for place in self.places.values())

    def is_other_join(self, session: Session, options: Options) -> bool:
        """Tell whether a join is for `on_auth` and `on_join`: of no member, or with other options where these count."""
        if session not in self:
            return True
        return bool(self._runtime.room.rejoin) and self.joined_with.get(session.id) != digest_of(options)

    def page(self, cursor: str | None = None) -> dict[str, Any]:
        """Return `{members, total, next?}`, as in the answer to `who`: the first members, or those after a cursor.

        `BadBody` for a text that is no cursor. Of the global room there is only the first page.
        """
        following = None
        if self._order is not None:
            sessions, following = self._order.page(cursor)
        elif cursor is None:
            sessions = list(itertools.islice(self.by_id.values(), PAGE))
        else:
            raise BadBody("the global room is not listed further", path="$.after")
        listed = [{"client": session.id, "name": session.client.name} for session in sessions]
        page = {"members": listed, "total": len(self.by_id)}
        return page if following is None else {**page, "next": following}

    def add(self, session: Session) -> None:
        """Add a client. It gets the messages that the room sends from now on."""
        runtime = self._runtime
        self.by_id[session.id] = session
        session.rooms[runtime.name] = runtime
        if self._order is not None:
            self._order.add(session)
        runtime.fanout.joined(session)
        if runtime.home.listing.directory is not None:
            runtime.home.listing.directory.joined(runtime, session)

    def remove(self, session: Session) -> None:
        """Remove a client, after delivering the messages that the room has sent before."""
        if self.by_id.pop(session.id, None) is not None:
            if self._order is not None:
                self._order.remove(session)
            self._runtime.fanout.left(session)
            session.rooms.pop(self._runtime.name, None)
            self.joined_with.pop(session.id, None)
            place = self.places.pop(session.id, None)
            if place is not None:
                self._runtime.home.holds.cancel(place)
            self._runtime.home.listing.changed(self._runtime)
