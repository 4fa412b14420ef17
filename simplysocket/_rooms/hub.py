"""The hub: the only registry of clients and rooms, and the way between them.

Laws:
- There is one live room of a name. While one closes, its successor takes the
  joins that come, and lives when the name is free.
- One path for every broadcast: Room -> Broker -> Hub -> Connection.
- Fan-out is a plain def that never waits.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from threading import get_ident
from typing import Any, Final

import trio

from .._protocol.codec import Envelope
from .._protocol.names import clean_name, is_room_name
from .._sessions.outbound_hooks import OutboundHooks
from .._sessions.session import Session
from .._wire.connection import Connection
from ..broker import Broker
from ..errors import ActionError, RoomClosed
from ..limits import Limits
from ..message import GLOBAL_ROOM
from ..metrics import Metrics
from ..request import Identity
from ..room import Room
from .flush import Flusher, TurnVoice
from .global_room import GlobalRoomRuntime
from .room_classes import RoomClasses
from .runtime import RoomRuntime, job_work
from .turns import Entry, Job, NeverBegun, Voice

_ID_BYTES: Final = 9  # of randomness in a client's id: it is no secret, but must not be met twice
_JOIN_TRIES: Final = 3  # by the server's own code, to a room that closes before the join has its turn
_NAME_RULE: Final = "a room's name has 1 to {} characters and no control characters"


class Joining:
    """The work of a join: makes the client a member of whatever room of the name runs it."""

    __slots__ = ("options",)

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    async def __call__(self, runtime: RoomRuntime, client: Session, envelope: Envelope) -> dict[str, Any]:
        result = await runtime.admit(client, self.options)
        client.tell_without_id(envelope, result)
        return result


class Hub:
    """Rooms and clients of one server. What is not `async def` never waits."""

    def __init__(
        self, server: Any, name: str, limits: Limits, metrics: Metrics, broker: Broker, *, open_rooms: bool
    ) -> None:
        """`server` is handed to rooms, which hand it to users; nothing up here looks into it."""
        self.server = server
        self.server_name = name
        self.limits = limits
        self.metrics = metrics
        self.broker = broker
        self.runtimes: dict[str, RoomRuntime] = {}  # {room's name: its life}
        self.clients: dict[str, Session] = {}  # {client id: client}
        self.classes = RoomClasses()
        self.outbound = OutboundHooks(metrics)
        self.is_stopping = False
        self._thread = 0  # whose loop the server runs in
        self.place_of: Callable[[RoomRuntime, str], str] = lambda _, __: ""  # where an action's handler is written
        self._open_rooms = open_rooms
        self._node = secrets.token_hex(3)
        self._nursery: trio.Nursery | None = None
        self._flusher = Flusher()
        self._global_room: GlobalRoomRuntime | None = None
        broker.subscribe(self.deliver)

    @property
    def global_room(self) -> GlobalRoomRuntime:
        """The life of the global room; RuntimeError while nothing is served."""
        if self._global_room is None:
            raise RuntimeError("the server is not running: await server.serve(...) first")
        return self._global_room

    def begin(self, nursery: trio.Nursery) -> None:
        """Begin: rooms and the tick live in `nursery`."""
        self._nursery = nursery
        self._thread = get_ident()
        self.is_stopping = False
        nursery.start_soon(self._flusher.run)
        self._global_room = GlobalRoomRuntime(self, GLOBAL_ROOM, self.classes.find(GLOBAL_ROOM) or Room, None, {})
        self.runtimes[GLOBAL_ROOM] = self._global_room
        nursery.start_soon(self._global_room.live)

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""
        if self._nursery is None:
            raise RuntimeError("the server is not running: await server.serve(...) first")
        self._nursery.start_soon(function, *args)

    def check_thread(self) -> None:
        """Refuse to speak from another thread, where it would be lost or tear things apart: 0.04 us."""
        if get_ident() != self._thread:
            raise RuntimeError(
                "not the thread of the server: write simplysocket.from_thread.run(server, room.broadcast, ...)"
            )

    # --- clients

    def make_client(
        self, connection: Connection, name: str, address: str, state: Any, identity: Identity | None = None
    ) -> Session:
        """Make a client, which nobody sees until it is connected."""
        id = f"{self._node}.{secrets.token_urlsafe(_ID_BYTES)}"
        name = clean_name(name, self.limits.name_length)
        return Session(id, name, address, connection, self, state=state, identity=identity)

    def connect(self, client: Session) -> None:
        """Register a new client and put it into the global room."""
        self.clients[client.id] = client
        self.global_room.connected(client)

    def disconnect(self, client: Session, reason: str) -> None:
        """Forget a client whose connection has ended; it leaves its rooms in their turns."""
        is_known = self.clients.pop(client.id, None) is not None
        client.disconnected()
        for name in list(client.rooms_by_name):
            runtime = self.runtimes[name]
            if runtime.is_open and not runtime.is_global:
                runtime.post_always(job_work, client, Job("on_leave", partial(runtime.remove, client, reason)))
        if is_known:  # else it ended in on_connect
            self.global_room.disconnected(client, reason)

    # --- rooms

    def runtime_to_join(self, name: str, creator: Session | None, options: dict[str, Any]) -> RoomRuntime:
        """Return what takes a join to the room `name`, made if need be; `ActionError` when there may be none."""
        runtime = self.runtime_for(name)
        if runtime is not None:
            return runtime
        if self.is_stopping:
            raise RoomClosed("the server is stopping")
        if not is_room_name(name, self.limits.name_length):
            raise ActionError("bad-body", _NAME_RULE.format(self.limits.name_length), path="$.roomname")
        found = self.classes.find(name)
        if creator is not None and not (found.open if found is not None else self._open_rooms):
            raise ActionError("unknown-target", f"there is no room {name!r}, and a join may not open it")
        return self._make(name, found or Room, creator, options)

    def runtime_for(self, name: str) -> RoomRuntime | None:
        """Return what takes messages to the room `name`: while one closes its successor, which knows who joins."""
        runtime = self.runtimes.get(name)
        return runtime if runtime is None or runtime.is_open else runtime.successor

    def _make(
        self,
        name: str,
        room_class: Callable[[RoomRuntime], Room[Any]],
        creator: Session | None,
        options: dict[str, Any],
    ) -> RoomRuntime:
        runtime = RoomRuntime(self, name, room_class, creator, options)
        closing = self.runtimes.get(name)
        if closing is not None:
            closing.successor = runtime
        else:
            self.runtimes[name] = runtime
            self.start(runtime.live)
        return runtime

    def closing(self, runtime: RoomRuntime, entries: list[Entry]) -> None:
        """See to what was left in the inbox of a room that closes: joins, and what stands behind them, move on."""
        joining: set[Session] = set()
        for work, client, ask in entries:
            if isinstance(ask, Job):
                ask.fail(NeverBegun(f"room {runtime.name!r} is closed"))
            elif (isinstance(work, Joining) or client in joining) and runtime.is_created and not self.is_stopping:
                # A room that was never set up would only be set up in vain once more.
                options = work.options if isinstance(work, Joining) else {}
                successor = runtime.successor or self._make(runtime.name, type(runtime.room), client, options)
                successor.post_always(work, client, ask)
                joining.add(client)
            else:
                client.refuse(ask.id, ask.action, runtime.failure or RoomClosed(f"room {runtime.name!r} is closed"))

    def closed(self, runtime: RoomRuntime) -> None:
        """Free a closed room's name, for its successor if there is one."""
        del self.runtimes[runtime.name]
        successor = runtime.successor
        if successor is not None:
            self.runtimes[runtime.name] = successor
            if self.is_stopping:
                successor.begin_close("shutdown")
            self.start(successor.live)

    async def join(self, client: Session, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Make a client a member by the server's own code."""
        for _ in range(_JOIN_TRIES):
            runtime = self.runtime_to_join(name, client, options)
            if runtime.is_global:
                return {"roomname": name, "created": False, "members": runtime.list_members()}
            try:
                admit = partial(runtime.admit, client, options)
                result: dict[str, Any] = await runtime.in_turn("on_join", admit, otherwise=runtime.end_if_empty)
                return result
            except NeverBegun:
                if runtime.failure is not None:
                    raise runtime.failure from None
                # It closed before our turn came: on to the next room of the name.
        raise RoomClosed(f"room {name!r} closed again and again")

    async def leave(self, client: Session, name: str, reason: str) -> bool:
        """Take a client out of a room by the server's own code."""
        runtime = self.runtimes.get(name)
        if runtime is None or name not in client.rooms_by_name:
            return False
        if runtime.is_global:
            raise ActionError("forbidden", f"nobody leaves {GLOBAL_ROOM!r} but by disconnecting")
        try:
            return bool(await runtime.in_turn("on_leave", partial(runtime.remove, client, reason)))
        except RoomClosed:
            return False  # it let everyone go

    async def open_room(self, name: str, options: dict[str, Any]) -> Room[Any]:
        """Return the room of a name, made by the server's own code if need be."""
        runtime = self.runtime_to_join(name, None, options)
        await runtime.wait_created()
        room: Room[Any] = runtime.room
        return room

    async def close_rooms(self, reason: str) -> None:
        """Close every room but the global one, all at once, and wait for them."""
        self.is_stopping = True
        runtimes = [runtime for runtime in self.runtimes.values() if not runtime.is_global]
        for runtime in runtimes:
            runtime.begin_close(reason)
        for runtime in runtimes:
            await runtime.wait_closed()

    # --- the way of a broadcast

    def deliver(self, name: str, frame: bytes, exclude: Sequence[str]) -> None:
        """Take a broadcast back from the broker: it goes out at the end of the turn, or with the next tick."""
        runtime = self.runtimes.get(name)
        if runtime is not None:
            if runtime is not self._flusher.speaking and not runtime.fanout.is_pending:
                self._flusher.mark(runtime)
            runtime.deliver(frame, exclude)

    def voice_of(self, runtime: RoomRuntime) -> Voice:
        """Return what holds back and lets out what is said in a turn of a room."""
        return TurnVoice(self._flusher, runtime)
