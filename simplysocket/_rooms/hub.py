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
from .._sessions.outbound_hooks import OutboundHooks
from .._sessions.session import Session
from .._wire.connection import Connection
from ..broker import Broker
from ..errors import ActionError, RoomClosed
from ..limits import Limits
from ..message import GLOBAL_ROOM, clean_name, is_room_name
from ..metrics import Metrics
from ..request import Identity
from ..room import Room
from .life import Life, job_work
from .lobby import Lobby
from .patterns import RoomClasses
from .tick import Tick, TurnVoice
from .turns import Entry, Job, NeverBegun, Voice

_ID_BYTES: Final = 9  # of randomness in a client's id: it is no secret, but must not be met twice
_JOIN_TRIES: Final = 3  # by the server's own code, to a room that closes before the join has its turn
_NAME_RULE: Final = "a room's name has 1 to {} characters and no control characters"


class Joining:
    """The work of a join: makes the client a member of whatever room of the name runs it."""

    __slots__ = ("options",)

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    async def __call__(self, life: Life, client: Session, envelope: Envelope) -> dict[str, Any]:
        result = await life.admit(client, self.options)
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
        self.lives: dict[str, Life] = {}  # {room's name: its life}
        self.clients: dict[str, Session] = {}  # {client id: client}
        self.classes = RoomClasses()
        self.outbound = OutboundHooks(metrics)
        self.is_stopping = False
        self._thread = 0  # whose loop the server runs in
        self.place_of: Callable[[Life, str], str] = lambda _, __: ""  # where an action's handler is written
        self._open_rooms = open_rooms
        self._node = secrets.token_hex(3)
        self._nursery: trio.Nursery | None = None
        self._tick = Tick()
        self._lobby: Lobby | None = None
        broker.subscribe(self.deliver)

    @property
    def lobby(self) -> Lobby:
        """The life of the global room; RuntimeError while nothing is served."""
        if self._lobby is None:
            raise RuntimeError("the server is not running: await server.serve(...) first")
        return self._lobby

    def begin(self, nursery: trio.Nursery) -> None:
        """Begin: rooms and the tick live in `nursery`."""
        self._nursery = nursery
        self._thread = get_ident()
        self.is_stopping = False
        nursery.start_soon(self._tick.run)
        self._lobby = Lobby(self, GLOBAL_ROOM, self.classes.find(GLOBAL_ROOM) or Room, None, {})
        self.lives[GLOBAL_ROOM] = self._lobby
        nursery.start_soon(self._lobby.live)

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
        self.lobby.connected(client)

    def disconnect(self, client: Session, reason: str) -> None:
        """Forget a client whose connection has ended; it leaves its rooms in their turns."""
        is_known = self.clients.pop(client.id, None) is not None
        client.disconnected()
        for name in list(client.rooms_by_name):
            life = self.lives[name]
            if life.is_open and not life.is_global:
                life.post_always(job_work, client, Job("on_leave", partial(life.remove, client, reason)))
        if is_known:  # else it ended in on_connect
            self.lobby.disconnected(client, reason)

    # --- rooms

    def life_to_join(self, name: str, creator: Session | None, options: dict[str, Any]) -> Life:
        """Return what takes a join to the room `name`, made if need be; `ActionError` when there may be none."""
        life = self.life_for(name)
        if life is not None:
            return life
        if self.is_stopping:
            raise RoomClosed("the server is stopping")
        if not is_room_name(name, self.limits.name_length):
            raise ActionError("bad-body", _NAME_RULE.format(self.limits.name_length), path="$.roomname")
        found = self.classes.find(name)
        if creator is not None and not (found.open if found is not None else self._open_rooms):
            raise ActionError("unknown-target", f"there is no room {name!r}, and a join may not open it")
        return self._make(name, found or Room, creator, options)

    def life_for(self, name: str) -> Life | None:
        """Return what takes messages to the room `name`: while one closes its successor, which knows who joins."""
        life = self.lives.get(name)
        return life if life is None or life.is_open else life.successor

    def _make(
        self, name: str, room_class: Callable[[Life], Room[Any]], creator: Session | None, options: dict[str, Any]
    ) -> Life:
        life = Life(self, name, room_class, creator, options)
        closing = self.lives.get(name)
        if closing is not None:
            closing.successor = life
        else:
            self.lives[name] = life
            self.start(life.live)
        return life

    def closing(self, life: Life, entries: list[Entry]) -> None:
        """See to what was left in the inbox of a room that closes: joins, and what stands behind them, move on."""
        joining: set[Session] = set()
        for work, client, ask in entries:
            if isinstance(ask, Job):
                ask.fail(NeverBegun(f"room {life.name!r} is closed"))
            elif (isinstance(work, Joining) or client in joining) and life.is_created and not self.is_stopping:
                # A room that was never set up would only be set up in vain once more.
                options = work.options if isinstance(work, Joining) else {}
                successor = life.successor or self._make(life.name, type(life.room), client, options)
                successor.post_always(work, client, ask)
                joining.add(client)
            else:
                client.refuse(ask.id, ask.action, life.failure or RoomClosed(f"room {life.name!r} is closed"))

    def closed(self, life: Life) -> None:
        """Free a closed room's name, for its successor if there is one."""
        del self.lives[life.name]
        successor = life.successor
        if successor is not None:
            self.lives[life.name] = successor
            if self.is_stopping:
                successor.begin_close("shutdown")
            self.start(successor.live)

    async def join(self, client: Session, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Make a client a member by the server's own code."""
        for _ in range(_JOIN_TRIES):
            life = self.life_to_join(name, client, options)
            if life.is_global:
                return {"roomname": name, "created": False, "members": life.list_members()}
            try:
                admit = partial(life.admit, client, options)
                result: dict[str, Any] = await life.in_turn("on_join", admit, otherwise=life.end_if_empty)
                return result
            except NeverBegun:
                if life.failure is not None:
                    raise life.failure from None
                # It closed before our turn came: on to the next room of the name.
        raise RoomClosed(f"room {name!r} closed again and again")

    async def leave(self, client: Session, name: str, reason: str) -> bool:
        """Take a client out of a room by the server's own code."""
        life = self.lives.get(name)
        if life is None or name not in client.rooms_by_name:
            return False
        if life.is_global:
            raise ActionError("forbidden", f"nobody leaves {GLOBAL_ROOM!r} but by disconnecting")
        try:
            return bool(await life.in_turn("on_leave", partial(life.remove, client, reason)))
        except RoomClosed:
            return False  # it let everyone go

    async def open_room(self, name: str, options: dict[str, Any]) -> Room[Any]:
        """Return the room of a name, made by the server's own code if need be."""
        life = self.life_to_join(name, None, options)
        await life.wait_created()
        room: Room[Any] = life.room
        return room

    async def close_rooms(self, reason: str) -> None:
        """Close every room but the global one, all at once, and wait for them."""
        self.is_stopping = True
        lives = [life for life in self.lives.values() if not life.is_global]
        for life in lives:
            life.begin_close(reason)
        for life in lives:
            await life.wait_closed()

    # --- the way of a broadcast

    def deliver(self, name: str, frame: bytes, exclude: Sequence[str]) -> None:
        """Take a broadcast back from the broker: it goes out at the end of the turn, or with the next tick."""
        life = self.lives.get(name)
        if life is not None:
            if life is not self._tick.speaking and not life.fanout.is_pending:
                self._tick.mark(life)
            life.deliver(frame, exclude)

    def voice_of(self, life: Life) -> Voice:
        """Return what holds back and lets out what is said in a turn of a room."""
        return TurnVoice(self._tick, life)
