"""Members: who is in a room, and how one comes in and goes.

Laws: `members` is the only membership map. It changes only in the room's turn,
and at the room's end. Whoever comes in has passed `on_auth` and `on_join`; a room
that its last member has left ends.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import trio

from .._protocol import codec
from .._sessions.session import Session
from ..errors import ActionError, Gone
from ..limits import Limits
from ..message import GLOBAL_ROOM
from .fanout import Fanout


class Members(ABC):
    """What a room's life knows of its members. The life itself is in runtime.py, which is built on this."""

    def __init__(self, limits: Limits, name: str, creator: Session | None) -> None:
        self.name = name
        self.creator = creator  # whose join made the room; None: the server's own code did
        self.is_open = True  # False: it takes nothing any more
        self.fanout = Fanout()
        self.members: dict[str, Session] = {}  # {client id: client}
        self.room: Any = None  # Any: a user's class, whose options and hooks are looked up by name
        self._limits = limits
        self._was_joined = False
        self._empty_timer: trio.CancelScope | None = None
        self.empty_until = 0.0  # when it ends, while it is empty

    # --- what the life gives

    @abstractmethod
    async def call_hook(self, name: str, *args: object) -> None:
        """Call a hook of the user's."""

    @abstractmethod
    async def call_guarded(self, name: str, *args: object) -> None:
        """Call a hook whose failure changes nothing."""

    @abstractmethod
    def publish(self, action: str, body: object, *, exclude: Session | Iterable[Session] = ()) -> None:
        """Say something to everyone in the room."""

    @abstractmethod
    def begin_close(self, reason: str) -> None:
        """Let the room end."""

    @abstractmethod
    def start_timer(
        self, seconds: float, function: Callable[[], Awaitable[object]], *, repeat: bool
    ) -> trio.CancelScope:
        """Call a function in the room's turn after `seconds`."""

    # --- coming and going, always in the turn

    async def admit(self, client: Session, options: dict[str, Any]) -> dict[str, Any]:
        """Make a client a member, or raise why not; returns the answer to the join."""
        try:
            return await self._admit(client, options)
        finally:
            self.end_if_empty()

    async def _admit(self, client: Session, options: dict[str, Any]) -> dict[str, Any]:
        created = False
        if client.id not in self.members:
            created = self.creator is client and not self._was_joined
            self._check_places(client)
            await self.call_hook("on_auth", client, options)
            self._check_places(client)  # while on_auth waited, it may have gone or joined elsewhere
            self.enter(client)
            try:
                await self.call_hook("on_join", client)
            except BaseException:
                self.forget(client)
                raise
            if client.id not in self.members:
                raise ActionError("forbidden", f"room {self.name!r} did not keep you")
            self._was_joined = True
            if self.room.announce:
                self.publish("client-joined-room", {"client": client.id, "name": client.name}, exclude=client)
        return {"roomname": self.name, "created": created, "members": self.list_members()}

    def _check_places(self, client: Session) -> None:
        limits = self._limits
        most = self.places
        if client.is_gone:
            raise Gone(f"client {client.id} has disconnected")
        if most is not None and len(self.members) >= most:
            raise ActionError("room-full", f"room {self.name!r} holds {most} of {most} members")
        rooms = len(client.rooms_by_name.keys() - {GLOBAL_ROOM})
        if limits.rooms_per_client is not None and rooms >= limits.rooms_per_client:
            raise ActionError("too-many", f"a client may be in {limits.rooms_per_client} rooms")

    @property
    def places(self) -> int | None:
        """How many members it takes at most; None: any number."""
        most: int | None = self.room.capacity
        return self._limits.members_per_room if most is None else most

    def list_members(self) -> list[dict[str, str]]:
        """Return who is here, as `join-room` and `who` answer it."""
        return [{"client": member.id, "name": member.name} for member in self.members.values()]

    async def remove(self, client: Session, reason: str, *, tell: bool = False) -> bool:
        """Take a member out; False when it was none. `tell`: also the one who is taken out."""
        if client.id not in self.members:
            return False
        body = codec.encode_body({"client": client.id, "name": client.name, "reason": reason})
        self.forget(client)
        try:
            await self.call_guarded("on_leave", client, reason)
            if self.room.announce:
                self.publish("client-left-room", body)
            if tell:
                client.tell("client-left-room", body, room=self.name)
        finally:
            self.end_if_empty()
        return True

    def enter(self, client: Session) -> None:
        """Put a client into the map; it sees what is said from now on."""
        self.members[client.id] = client
        client.rooms_by_name[self.name] = self
        self.fanout.joined(client)

    def forget(self, client: Session) -> None:
        """Take a client out of the map; it has had all that was said before."""
        if self.members.pop(client.id, None) is not None:
            self.fanout.left(client)
            client.rooms_by_name.pop(self.name, None)

    def end_if_empty(self) -> None:
        """End a room that its last member has left, now or after `empty_ttl`."""
        is_waiting_for_first = self.creator is None and not self._was_joined
        seconds: float | None = self.room.empty_ttl
        if self.members or not self.is_open or is_waiting_for_first or seconds is None:
            return
        if self._empty_timer is not None:
            self._empty_timer.cancel()
        if seconds:
            self.empty_until = trio.current_time() + seconds
            self._empty_timer = self.start_timer(seconds, self._close_if_empty, repeat=False)
        else:
            self.begin_close("empty")

    async def _close_if_empty(self) -> None:
        if not self.members:
            self.begin_close("empty")
