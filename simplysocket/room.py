"""The room, as users write and see it: options, hooks, and what can be done in it and with it.

Laws: a facade. It checks what users give and hands on to the room runtime. `broadcast` and
`send` never wait for a client and are no cancellation points.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVarTuple

import trio

from ._functions import check_task, does_nothing
from ._protocol import codec
from ._protocol.names import check_said
from .client import Client, State
from .message import Message

if TYPE_CHECKING:
    from ._rooms.runtime import RoomRuntime
    from .server import Server

Args = TypeVarTuple("Args")


class Room(Generic[State]):
    """A room. Subclass it, set the options, write hooks and `@action` methods.

    The attributes that you set in `on_create` are the room's state; they need no lock,
    since hooks, handlers and timers run one at a time. A hook may be written with fewer
    parameters than it has here. `Room[Player]` is a room whose clients have a
    `Player` as their `state`.

    Options of the class: `capacity` (members at most), `announce` (tell members who
    joins and leaves), `relay` (send on messages that no handler takes), `open` (a join may
    create it), `empty_ttl` (seconds it stays open without members; 0).

    Attributes: `name`, `members`, `creator`, `options` (of the join that created it),
    `server`, `is_open`.
    """

    capacity: ClassVar[int | None] = None
    """How many members at most; None: `Limits.members_per_room`. Further joins are refused with `room-full`."""
    relay: ClassVar[bool | None] = None
    """Whether a message that no handler takes goes to everyone in the room; None: as the server does."""
    announce: ClassVar[bool] = False
    """Whether members are told who joins and leaves (`client-joined-room`, `client-left-room`)."""
    open: ClassVar[bool] = True
    """Whether a client's join may create it; False: only `Server.open_room` does."""
    empty_ttl: ClassVar[float | None] = 0.0
    """Seconds that it stays open without members; None: until it is closed."""

    name: str
    """Its name; the target of its messages."""
    creator: Client[State] | None
    """The client whose join created it; None when the server's code did."""
    options: dict[str, Any]
    """The options of the join that created it: its body without the name."""
    server: "Server"
    """The `Server` it belongs to."""

    def __init__(self, runtime: "RoomRuntime | None" = None) -> None:
        """Made by the server; set up yours in `on_create`."""
        if runtime is None:
            raise TypeError(
                f"{type(self).__name__}(): rooms are made by the server; `await server.open_room(name)` opens one"
            )
        self.name = runtime.name
        self.creator = None if runtime.creator is None else runtime.creator.client
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
        """Refuse a join by raising `ActionError`; `options` is the body of the join without the room's name."""

    @does_nothing
    async def on_join(self, client: Client[State]) -> None:
        """Greet a new member, already in `members`. If it raises, the join is undone."""

    @does_nothing
    async def on_leave(self, client: Client[State], reason: str) -> None:
        """Called after a member has left; it is no longer in `members`. Not called when the room closes.

        In the global room the call may be cut short when the server stops; `Server.on_disconnect` is not.
        """

    @does_nothing
    async def on_message(self, client: Client[State], message: Message) -> object:
        """Handle a message that no action takes; the result is the reply. Parameters are given by annotation."""

    @does_nothing
    async def on_error(self, error: Exception, client: Client[State] | None) -> None:
        """Called after a bug in a handler, hook or timer of this room, which has been logged.

        `client` is the client it happened for, if there was one.
        """

    @does_nothing
    async def on_close(self, reason: str) -> None:
        """Called when the room closes, with the members still there; it has `Limits.close_seconds`."""

    # --- yours to call

    @property
    def members(self) -> Mapping[str, Client[State]]:
        """The members, {client id: client}. A live view; an iteration goes over a snapshot."""
        return self._runtime.members.view

    @property
    def is_open(self) -> bool:
        """False after it has begun to close: it accepts no joins, messages and tasks then."""
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

        `sender` is a client or a name; by default the server's name. `exclude`: one client or
        several that do not get it. `volatile`: a client that cannot take it at once does
        not get it. `coalesce`: of the messages that wait under the same key only the newest
        is sent. Raises `EncodeError` for a body that is not JSON, `RoomClosed` after the room has closed.
        """
        check_said(action)
        runtime = self._runtime
        runtime.home.check_thread()
        runtime.messages.broadcast(action, body, sender, exclude, volatile, coalesce)

    async def send(self, client: Client[Any], action: str, body: object = codec.EMPTY) -> bool:
        """Send a message to one member, in its place among the room's; False when it is gone. Never waits.

        `not-a-member` for a client that is connected but not a member (`client.send` reaches it anyway),
        `RoomClosed` after the room has closed.
        """
        runtime = self._runtime
        runtime.home.check_thread()
        if not isinstance(client, Client):
            raise TypeError(f"send to whom? {client!r} is no Client: give room.members[id], not the id")
        check_said(action)
        return runtime.messages.tell(client._session, action, body)

    def start_soon(self, function: Callable[[*Args], Awaitable[object]], *args: *Args) -> None:
        """Start a task that ends with the room. It runs outside the turn; if it raises, the room closes."""
        check_task("start_soon", function, args)
        self._runtime.tasks.start_user_task(function, *args)

    def after(self, seconds: float, function: Callable[[], Awaitable[object]]) -> trio.CancelScope:
        """Call `function` once, in the room's turn, after `seconds`; the scope returned cancels that."""
        _check_timer("after", seconds, function)
        return self._runtime.timers.start(seconds, function, repeat=False)

    def every(self, seconds: float, function: Callable[[], Awaitable[object]]) -> trio.CancelScope:
        """Call `function` in the room's turn every `seconds`; calls that come too late are skipped."""
        _check_timer("every", seconds, function)
        return self._runtime.timers.start(seconds, function, repeat=True)

    async def kick(self, client: Client[Any], reason: str = "kicked") -> bool:
        """Take a member out; `client-left-room` tells it why. False when the client was not a member."""
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"nobody leaves {self.name!r} but by disconnecting: client.close() does that")
        if not isinstance(client, Client):
            raise TypeError(f"kick whom? {client!r} is no Client: give room.members[id], not the id")
        return await runtime.home.joins.kick(runtime, client._session, reason)

    async def close(self, reason: str = "closed") -> None:
        """Close the room and wait until it is closed.

        Called from a handler, timer or task of this room it returns at once: the handler that
        has the turn runs to its end, its reply is sent, then the room closes. A task, or a
        handler with `turn=False`, ends with the room.
        """
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"{self.name!r} is there as long as the server: it never closes")
        await runtime.closing.close(reason)


def _check_timer(what: str, seconds: float, function: object) -> None:
    """Refuse a timer that cannot work; `what` was called."""
    if not isinstance(seconds, (int, float)):
        raise TypeError(f"{what}({seconds!r:.200}, ...): give the seconds first")
    if not seconds > 0:
        raise ValueError(f"{seconds!r} seconds: give a time above 0")
    check_task(what, function, ())
