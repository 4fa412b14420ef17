"""The room, as users write and see it: options to set, and methods to call; its hooks are in _room_hooks.py.

Laws:
- A facade. It checks its arguments and hands them on to the room runtime.
- `broadcast` and `send` never wait for a client, and are not cancellation points.
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVarTuple

from ._functions import check_task, check_tick, check_timer, check_view
from ._listing_option import Listed
from ._own_names import keeps_names
from ._protocol import codec
from ._protocol.names import check_said
from ._room_hooks import RoomHooks
from .client import Client, State
from .event import Event
from .timer import Timer

if TYPE_CHECKING:
    from ._rooms.runtime import RoomRuntime
    from .server import Server

Args = TypeVarTuple("Args")


# The options except `open` may differ from room to room: `on_create` may set them.
@keeps_names(
    *("name", "creator", "server", "_runtime"),
    free=("capacity", "announce", "relay", "empty_ttl", "unjoined_ttl", "hold_seconds", "rejoin", "on_crash"),
)
class Room(RoomHooks[State], Listed):
    """A room. Write a subclass with options, hooks and `@action` methods, and register it with `Server.room`.

    The attributes that you set in `on_create` are the room's state. They need no lock, since
    the hooks, handlers and timers of a room run one at a time: each has the room's turn until
    it returns. `Room[Player]` is a room whose clients have a `Player` as their `state`.

    A hook gets its arguments by position, and may be written without the last ones:
    `async def on_leave(self, client)` works, too. Only `on_message` gets them by annotation.

    Options of the class: `capacity` (members at most), `announce` (tell members who
    joins and leaves), `relay` (send on messages that no handler takes), `open` (a join may
    create it), `empty_ttl` (seconds that it stays open without members; 0), `unjoined_ttl`
    (seconds that it waits for its first member if `Server.open_room` has opened it),
    `hold_seconds` (for which a client that has lost its connection keeps its place), `rejoin`
    (a member's join with other options is a join), `on_crash` (what a crash of a task costs),
    `listing` (what lists of rooms show of it).

    Attributes: `name`, `members`, `creator`, `options` (of the join that created it),
    `server`, `is_open`. These, the hooks and the methods cannot be set: AttributeError.
    """

    capacity: ClassVar[int | None] = None
    """Members at most; None: `Limits.members_per_room`. Further joins are refused with `room-full`."""
    relay: ClassVar[bool | None] = None
    """Whether a message that no handler takes is sent to everyone in the room; None: as `Server(relay=)` says."""
    announce: ClassVar[bool] = False
    """Whether members are told who joins and leaves: `client-joined-room`, `client-left-room`; above 100 members
    `members-changed`, which names those of one pass of the scheduler together."""
    open: ClassVar[bool] = True
    """Whether a client's join may create the room; False: only `Server.open_room` creates it."""
    empty_ttl: ClassVar[float | None] = 0.0
    """Seconds that the room stays open without members; None: until it is closed. Refused joins do not prolong them."""
    unjoined_ttl: ClassVar[float | None] = None
    """Seconds that a room which `Server.open_room` has opened waits for its first member; None: until it is closed."""

    hold_seconds: ClassVar[float | None] = None
    """Seconds for which a member that has lost its connection keeps its place; None: `Limits.resume_seconds`.

    If they are fewer than these, it leaves this room then and keeps its other places. If they are more, the
    client is kept that long, and leaves its other rooms at their own time. In the global room only more count."""
    rejoin: ClassVar[bool] = False
    """Whether a join of a member with other options than before is for `on_auth`, `on_join` and `on_snapshot` again."""
    on_crash: ClassVar[Literal["close", "keep", "restart"]] = "close"
    """What happens when a task of the room (`start_soon`, `run`) raises, which is a crash.

    "close": the room closes with the reason "crashed". "keep": the error is logged and given to `on_error`, and all
    but this task goes on. "restart": the room's tasks and timers end, and it is made anew with its members: a new
    object of the class, `on_create`, then `on_snapshot` for each member and `on_drop` for those that are away. What
    waits is handled by the new object. After three restarts within a minute a further crash closes it."""

    name: str
    """The room's name, which is the target of its messages."""
    creator: Client[State] | None
    """The client whose join created the room; None if `Server.open_room` did."""
    server: "Server"
    """The server that the room belongs to."""

    # Any is a RoomRuntime: a type in the signature of a public class is public, and so is all that it leads to.
    def __init__(self, runtime: Any = None) -> None:
        """Rooms are made by the server. Set up the state of a room in `on_create`."""
        if runtime is None:
            raise TypeError(
                f"{type(self).__name__}(): rooms are made by the server; `await server.open_room(name)` opens one"
            )
        self.name = runtime.name
        self.creator = None if runtime.creator is None else runtime.creator.client
        self.server = runtime.home.server
        self._runtime: RoomRuntime = runtime

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} with {len(self._runtime.members)}>"

    @functools.cached_property
    def options(self) -> dict[str, Any]:
        """The options that the room was created with: a dict of JSON values.

        They are the body of the join that created it, without the room's name, or the `options`
        of `Server.open_room`. They come from a client, so check them in `on_create`. They are
        decoded when they are first looked at; a body has at most `Limits.join_bytes`.
        """
        return self._runtime.options

    @property
    def members(self) -> Mapping[str, Client[State]]:
        """The members, {client id: client}. A live view; an iteration goes over a snapshot."""
        return self._runtime.members.view

    @property
    def is_open(self) -> bool:
        """Whether the room accepts joins, messages and tasks; False once it has begun to close."""
        return self._runtime.is_open

    @property
    def is_locked(self) -> bool:
        """Whether nobody else may join: `lock` was called."""
        return self._runtime.members.is_locked

    def lock(self) -> None:
        """Refuse further joins, with `forbidden`: those of clients that are no members, and `Client.join`, too.

        A member that is away comes back all the same, and a join of a member is none. A join that waits for
        `on_auth` is refused after it. A room that is locked in `on_create` refuses the join that creates it.
        ValueError in the global room, which every client is in.
        """
        self._set_locked(True)

    def unlock(self) -> None:
        """Let clients join again."""
        self._set_locked(False)

    @property
    def is_hidden(self) -> bool:
        """Whether `list-rooms` does not show the room: `hide` was called."""
        return self._runtime.is_hidden

    def hide(self) -> None:
        """Show the room in no answer to `list-rooms`, nor count it there. Who knows its name may join it.

        A room is not listed before the end of its `on_create`. ValueError in the global room, which is never listed.
        """
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"{self.name!r} is never listed")
        runtime.home.listing.hide(runtime)

    def unhide(self) -> None:
        """Show the room again."""
        self._runtime.home.check_thread()
        self._runtime.home.listing.unhide(self._runtime)

    async def broadcast(
        self,
        action: str,
        body: object = codec.NO_BODY,
        *,
        sender: Client[Any] | str | None = None,
        exclude: Client[Any] | Iterable[Client[Any]] = (),
        volatile: bool = False,
        coalesce: str | None = None,
    ) -> None:
        """Send a message to every member of the room, its sender included. Never waits.

        `body` is anything that JSON can hold: dicts, lists, strings, numbers, attrs classes,
        dataclasses, msgspec structs; `{}` if left out. `sender` is a client or a name; None is the
        server's name. `exclude` is one client, or several, that do not get the message. With
        `volatile=True` a client that cannot take the message at once misses it. With
        `coalesce="key"` only the newest of the room's messages with this key waits for a client
        that cannot take it at once.

        Raises `EncodeError` for a body that JSON cannot hold, `RoomClosed` after the room has
        closed, ValueError for an action that is reserved for the protocol, and TypeError for a
        `coalesce` that is no text.
        """
        check_said(action)
        runtime = self._runtime
        runtime.home.check_thread()
        runtime.outgoing.broadcast(action, body, sender, exclude, volatile, coalesce)

    async def send(self, client: Client[Any], action: str, body: object = codec.NO_BODY) -> bool:
        """Send a message to one member, in order with the room's broadcasts. Never waits.

        The message names the room it comes from, unlike one of `client.send`. Returns False if the
        client has disconnected. Raises `ActionError` with the code `not-a-member` for a connected
        client that is not a member (`client.send` reaches it anyway), `EncodeError` for a body that
        JSON cannot hold, and `RoomClosed` after the room has closed.
        """
        runtime = self._runtime
        runtime.home.check_thread()
        if not isinstance(client, Client):
            raise TypeError(f"send to whom? {client!r} is no Client: give room.members[id], not the id")
        check_said(action)
        return runtime.outgoing.tell(client._session, action, body)

    async def send_view(self, view: Callable[[Client[State]], object], action: str = "view") -> None:
        """Send each member a body of its own, such as its hand of cards, in order with the broadcasts. Never waits.

        `view` is a plain function that returns the body for one client, or None: that one gets no message. It is
        called for all members before anything is sent, so that all see one moment; if it raises for one of them,
        or returns what JSON cannot hold, nothing is sent to anyone and the caller gets the exception.

        The message is as one of `send`. A member that is away gets it when it comes back. If it has missed messages
        for good, the newest `view` of each action that was sent while it was a member is called for it once more,
        after its `on_snapshot`: so let it read the room's state. For who joins later, call `send` in `on_snapshot`.
        """
        check_said(action)
        runtime = self._runtime
        runtime.home.check_thread()
        check_view(view)
        runtime.show(view, action)

    def start_soon(self, function: Callable[[*Args], Awaitable[object]], *args: *Args) -> None:
        """Start `function(*args)` as a task of the room, outside the turn, and return at once.

        The task is cancelled when the room closes. The room handles messages meanwhile, so its
        state may change whenever the task waits. If the task raises, the room closes with the
        reason "crashed", or does what `on_crash` says. Raises `RoomClosed` if the room is closing or closed.
        """
        check_task("start_soon", function, args)
        self._runtime.tasks.start_user_task(function, *args)

    def events(self) -> AsyncIterator[Event[State]]:
        """Iterate in `run` over what happens: messages that no `@action` takes, joins and leaves, one at a time.

        Each `Event` is handed over in the room's turn, which ends when the loop asks for the next one: until
        then no handler, hook or timer runs, and the loop needs no lock. Nothing waits in a queue of its own.
        It comes before `on_message` and a relay, and after `on_join` and `on_leave`.

        What happens before the loop asks for its first event goes the way it goes without a loop, and so it
        does after `break` or the end of `run`. With `Limits.handler_seconds`, a loop that does not ask for the
        next event in time is cancelled, which is a crash. ValueError in the global room, RuntimeError outside of `run`.

        >>> async for event in self.events():
        ...     if event.kind == "message" and event.message.action == "say":
        ...         await self.broadcast("said", event.message.body, sender=event.client)
        """
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"each client has turns of its own in {self.name!r}: write hooks and actions")
        return runtime.stream_events()

    def after(self, seconds: float, function: Callable[[*Args], Awaitable[object]], *args: *Args) -> Timer:
        """Call `function(*args)` once, in the room's turn, after `seconds`; 0 or less is as soon as the turn comes.

        `cancel()` of the returned `Timer` ends it, and `seconds_left` tells how long it still takes.
        An exception of `function` is logged and given to `on_error`. Raises `RoomClosed` if the room
        is closing or closed, TypeError for a function that is no `async def` or does not take the
        arguments, and ValueError for seconds that are not finite.
        """
        check_timer("after", seconds, function, args)
        return self._runtime.timers.start(seconds, function, *args, repeat=False)

    def every(self, seconds: float, function: Callable[[*Args], Awaitable[object]], *args: *Args) -> Timer:
        """Call `function(*args)` in the room's turn every `seconds`, the first time after `seconds`.

        A call whose time has passed because the turn was busy is skipped, not made up for.
        An exception of `function` is logged and given to `on_error`, and the timer goes on. All
        else is as in `after`, but `seconds` must be above 0.
        """
        check_timer("every", seconds, function, args)
        if not seconds > 0:
            raise ValueError(f"every({seconds!r}, ...): give a time above 0; `after(0, ...)` calls it once, now")
        return self._runtime.timers.start(seconds, function, *args, repeat=True)

    def tick(self, hz: float, function: Callable[[float], Awaitable[object]]) -> Timer:
        """Call `function(dt)` in the room's turn `hz` times a second, for a simulation; the first time after 1 / hz.

        The n-th call is due at start + n / hz, so it does not drift, and a late call moves no other. A call
        whose time has passed is skipped; `dt` is the seconds since the last call began, so no time is lost.
        A call that is due waits for the running handler and for at most one message of each client.
        An exception of `function` is logged and given to `on_error`, and the tick goes on. Raises
        ValueError for an `hz` that is not above 0 and at most 1000; all else is as in `after`.
        """
        check_tick(hz, function)
        return self._runtime.timers.tick(hz, function)

    async def kick(self, client: Client[Any], reason: str = "kicked") -> bool:
        """Remove a member from the room, in the room's turn; return False if it was not a member.

        The client gets `client-left-room` with the reason, and stays connected; `client.close` ends
        the connection. What waits from it in this room is refused, and its handlers here with `turn=False` or
        `cancel=True` are cancelled, but for the one that calls this. `on_leave` is called. Raises `RoomClosed` if the
        room closes first, and, from a handler of another room, `busy` if the turn does not come within
        `Limits.turn_seconds`. ValueError in the global room.
        """
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"nobody leaves {self.name!r} but by disconnecting: client.close() does that")
        if not isinstance(client, Client):
            raise TypeError(f"kick whom? {client!r} is no Client: give room.members[id], not the id")
        return await runtime.home.joins.kick(runtime, client._session, reason)

    async def release(self, client: Client[Any]) -> bool:
        """Give the place of a member that is away to others now, in the room's turn; return False if it is not away.

        `on_leave` is called with the reason why it is away. The client keeps its other places, and
        is told by `client-left-room` when it comes back. Also False for a client that is no member,
        or after the room has closed. Raises `busy` as `kick` does, and ValueError in the global room.
        """
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"nobody leaves {self.name!r} but by disconnecting: client.close() does that")
        if not isinstance(client, Client):
            raise TypeError(f"release whom? {client!r} is no Client: give room.members[id], not the id")
        return await runtime.home.joins.release(runtime, client._session)

    async def close(self, reason: str = "closed") -> None:
        """Close the room, and wait until it has closed.

        The room accepts no more messages; a join creates a new room of the name. The room's tasks
        are cancelled, `on_close` is called, and each member gets `room-closed` with the reason.
        `on_leave` is not called.

        Called from a handler, timer or task of this room, it returns at once. The handler that has
        the turn runs to its end, its reply is sent, and then the room closes. Tasks and handlers
        with `turn=False` are cancelled when it closes, the caller included.

        Called from a handler of another room, it raises `busy` if the room has not closed within
        `Limits.turn_seconds` and `close_seconds` together. ValueError in the global room.
        """
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"{self.name!r} is there as long as the server: it never closes")
        await runtime.closing.close(reason)

    def _set_locked(self, is_locked: bool) -> None:
        runtime = self._runtime
        runtime.home.check_thread()
        if runtime.is_global:
            raise ValueError(f"{self.name!r} cannot be locked: every client is in it; on_connect may refuse one")
        runtime.members.is_locked = is_locked
        runtime.home.listing.changed(runtime)
