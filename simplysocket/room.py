"""The room, as users write and see it: options, hooks, and what can be done in it and with it.

Laws: `broadcast` and `send` never wait for a client and are no cancellation
points. What makes it live is in runtime.py; the one attribute for that is `_runtime`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVarTuple

import trio

from ._protocol import codec
from ._protocol.names import check_said
from ._rooms.runtime import RoomRuntime
from ._rooms.tasks import does_nothing
from ._sessions.session import Session
from .client import Client, State
from .message import Message

Args = TypeVarTuple("Args")


class Room(Generic[State]):
    """A room. Subclass it, set the options, write hooks and `@action` methods.

    The attributes you set in `on_create` are the room's state; they need no lock,
    since hooks, handlers and timers run one at a time. A hook may take fewer
    arguments than it is offered. `Room[Player]` is a room whose clients have a
    `Player` as their `state`.

    Options of the class: `capacity` (members at most), `announce` (tell members who
    joins and leaves), `relay` (send on what no handler takes), `open` (a join may
    create it), `empty_ttl` (seconds it lives on without members; 0).

    Attributes: `name`, `members`, `creator`, `options` (of the join that created it),
    `server`, `is_open`.
    """

    capacity: ClassVar[int | None] = None
    """How many members at most; None: `Limits.members_per_room`. Beyond: `room-full`."""
    relay: ClassVar[bool | None] = None
    """Whether a message that no handler takes goes to everyone in the room; None: as the server does."""
    announce: ClassVar[bool] = False
    """Whether members are told who joins and leaves (`client-joined-room`, `client-left-room`)."""
    open: ClassVar[bool] = True
    """Whether a client's join may create it; False: only `Server.open_room` does."""
    empty_ttl: ClassVar[float | None] = 0.0
    """Seconds that it lives on without members; None: until it is closed."""

    name: str
    """Its name; the target of its messages."""
    creator: Client[State] | None
    """Whose join created it; None when the server's code did."""
    options: dict[str, Any]
    """What the join that created it brought beside the name."""
    server: Any
    """The `Server` it belongs to."""

    def __init__(self, runtime: RoomRuntime | None = None) -> None:
        """Made by the server; set up yours in `on_create`."""
        if runtime is None:
            raise TypeError(
                f"{type(self).__name__}(): rooms are made by the server; `await server.open_room(name)` opens one"
            )
        self.name = runtime.name
        self.creator = runtime.creator
        self.options = runtime.options
        self.server = runtime.home.server
        self._runtime = runtime

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} with {len(self._runtime.members)}>"

    # --- hooks: yours to override

    @does_nothing
    async def on_create(self) -> None:
        """Set up the state; runs before the first join. `ActionError` here refuses the joins that wait."""

    @does_nothing
    async def on_auth(self, client: Client[State], options: dict[str, Any]) -> None:
        """Refuse a join by raising `ActionError`; `options` is what the join brought beside the name."""

    @does_nothing
    async def on_join(self, client: Client[State]) -> None:
        """Greet a new member, already in `members`. If it raises, the join is undone."""

    @does_nothing
    async def on_leave(self, client: Client[State], reason: str) -> None:
        """See a member off, no longer in `members`. Not called when the room closes.

        In the global room it may be cut short when the server stops: `Server.on_disconnect` is not.
        """

    @does_nothing
    async def on_message(self, client: Client[State], message: Message) -> object:
        """Handle what no action takes; the result is the reply. By its annotations it asks for what it needs."""

    @does_nothing
    async def on_error(self, error: Exception, client: Client[State] | None) -> None:
        """Learn of a bug in a handler, hook or timer of this room, which has been logged; `client` is whose it was."""

    @does_nothing
    async def on_close(self, reason: str) -> None:
        """Wind up, with the members still there, within `Limits.close_seconds`."""

    # --- yours to call

    @property
    def members(self) -> Mapping[str, Client[State]]:
        """Who is in the room, {client id: client}; a live view."""
        return MappingProxyType(self._runtime.members)

    @property
    def is_open(self) -> bool:
        """False: it is closing or closed, and takes nothing any more."""
        return self._runtime.is_open

    async def broadcast(
        self,
        action: str,
        body: object = codec.EMPTY,
        *,
        sender: Client[Any] | str | None = None,
        exclude: Client[Any] | Iterable[Client[Any]] = (),
        volatile: bool = False,
        coalesce: str | None = None,
    ) -> None:
        """Send a message to everyone in the room, its sender included. Never waits.

        `sender` is a client or a name, else the server's. `exclude`: one client or
        several who do not get it. `volatile`: whoever cannot take it at once never
        gets it. `coalesce`: of what waits under the same key only the newest goes
        out. Raises `EncodeError` for a body that is no JSON, `RoomClosed` behind the end.
        """
        check_said(action)
        self._runtime.home.check_thread()
        self._runtime.publish(action, body, sender, exclude, volatile, coalesce)

    async def send(self, client: Client[Any], action: str, body: object = codec.EMPTY) -> bool:
        """Send a message to one member, in its place among the room's; False when it is gone. Never waits.

        `not-a-member` for a client that is connected but not here (`client.send` reaches it anyway),
        `RoomClosed` behind the end.
        """
        self._runtime.home.check_thread()
        member = self._runtime.member(client)
        check_said(action)
        return member.tell(action, body, room=self.name)

    def start_soon(self, function: Callable[[*Args], Awaitable[object]], *args: *Args) -> None:
        """Start a task that ends with the room; it runs beside the turns, and if it raises, the room closes."""
        self._runtime.start_soon(function, *args)

    def after(self, seconds: float, function: Callable[[], Awaitable[object]]) -> trio.CancelScope:
        """Call `function` once, in the room's turn, after `seconds`; the scope returned cancels that."""
        return self._runtime.start_timer(seconds, function, repeat=False)

    def every(self, seconds: float, function: Callable[[], Awaitable[object]]) -> trio.CancelScope:
        """Call `function` in the room's turn every `seconds`; a call that comes late is not made up for."""
        return self._runtime.start_timer(seconds, function, repeat=True)

    async def kick(self, client: Client[Any], reason: str = "kicked") -> bool:
        """Take a member out; it is told why by `client-left-room`. False when it was none."""
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"nobody leaves {self.name!r} but by disconnecting: client.close() does that")
        if not isinstance(client, Session):
            raise TypeError(f"kick whom? {client!r} is no Client: give room.members[id], not the id")
        return bool(await runtime.in_turn("on_leave", lambda: runtime.remove(client, reason, tell=True)))

    async def close(self, reason: str = "closed") -> None:
        """Close the room and wait until it is closed.

        From a handler, timer or task of this very room it only begins: what has the
        turn runs to its end, its reply is sent, then the room closes. A task, or a
        handler with `turn=False`, ends with the room.
        """
        self._runtime.home.check_thread()
        if self._runtime.is_global:
            raise ValueError(f"{self.name!r} is there as long as the server: it never closes")
        await self._runtime.close(reason)
