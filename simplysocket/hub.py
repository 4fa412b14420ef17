"""The hub: the only registry of clients and rooms, and the way between them.

Laws:
- There is one live room of a name. While one closes, its successor takes the
  joins that come, and lives when the name is free.
- One path for every broadcast: Room -> Broker -> Hub -> Connection.
- Fan-out is a plain def; the tick runs it in the pass of the scheduler behind the first frame.
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import trio

from .bell import Bell
from .broker import Broker
from .client import Client
from .codec import Envelope
from .connection import Connection
from .errors import ActionError, RegistrationError, RoomClosed
from .limits import Limits
from .message import GLOBAL_ROOM, clean_name, is_room_name
from .metrics import Metrics
from .room import Room, call_work
from .turns import Call, Entry, Voice

_ID_BYTES: Final = 9  # of randomness in a client's id: it is no secret, but must not be met twice


class Joining:
    """The work of a join: makes the client a member of whatever room of the name runs it."""

    __slots__ = ("options",)

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    async def __call__(self, room: Room, client: Client, envelope: Envelope) -> dict[str, Any]:
        result = await room.admit(client, self.options)
        client.tell_without_id(envelope, result)
        return result


class RoomClasses:
    """Which class a room of a name has: patterns know only `*`, the longest literal prefix wins."""

    def __init__(self) -> None:
        self._patterns: dict[str, tuple[re.Pattern[str], type[Room]]] = {}

    def add(self, pattern: str, room_class: type[Room]) -> None:
        """Register a class; `RegistrationError` for a pattern that is used already."""
        if pattern in self._patterns:
            other = self._patterns[pattern][1].__name__
            raise RegistrationError(f"the pattern {pattern!r} is used twice, for {other} and {room_class.__name__}")
        expression = ".*".join(map(re.escape, pattern.split("*")))
        self._patterns[pattern] = re.compile(expression, re.DOTALL), room_class
        # Tried in this order: the longest literal prefix first, then names without a star, then the longest pattern.
        order = sorted(self._patterns, key=lambda each: (len(each.split("*")[0]), "*" not in each, len(each)))[::-1]
        self._patterns = {each: self._patterns[each] for each in order}

    def find(self, name: str) -> type[Room] | None:
        """Return the class for a room of this name; None when no pattern has its shape.

        The global room is like no other: it takes only a class registered for its very name.
        """
        if name == GLOBAL_ROOM:
            exact = self._patterns.get(name)
            return exact[1] if exact is not None else None
        return next((room_class for shape, room_class in self._patterns.values() if shape.fullmatch(name)), None)


class Hub:
    """Rooms and clients of one server. All but `join`, `leave` and the tasks are plain functions that never wait."""

    def __init__(
        self, server: Any, name: str, limits: Limits, metrics: Metrics, broker: Broker, *, open_rooms: bool
    ) -> None:
        """`server` is handed to rooms, which hand it to users; nothing up here looks into it."""
        self.server = server
        self.server_name = name
        self.limits = limits
        self.metrics = metrics
        self.rooms: dict[str, Room] = {}  # {name: room}
        self.clients: dict[str, Client] = {}  # {client id: client}
        self.classes = RoomClasses()
        self.is_stopping = False
        self._open_rooms = open_rooms
        self.broker = broker
        self._node = secrets.token_hex(3)
        self._nursery: trio.Nursery | None = None
        self._spoken: list[Room] = []  # rooms with frames for the next tick
        self._tick_bell = Bell()
        self.speaking: Room | None = None  # whose turn runs in this very step: what it says goes out at the step's end
        broker.subscribe(self.deliver)

    @property
    def global_room(self) -> Room:
        """The room everyone is in."""
        return self.rooms[GLOBAL_ROOM]

    def start_life(self, nursery: trio.Nursery) -> None:
        """Begin: rooms and the tick live in `nursery`."""
        self._nursery = nursery
        self.is_stopping = False
        nursery.start_soon(self._tick)
        self._make(GLOBAL_ROOM, self.classes.find(GLOBAL_ROOM) or Room, None, {})

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""
        if self._nursery is None:
            raise RuntimeError("the server is not running: await server.serve(...) first")
        self._nursery.start_soon(function, *args)

    # --- clients

    def connect(self, connection: Connection, name: str, address: str) -> Client:
        """Register a new client and put it into the global room."""
        id = f"{self._node}.{secrets.token_urlsafe(_ID_BYTES)}"
        client = Client(id, clean_name(name, self.limits.name_length), address, connection, self)
        self.clients[id] = client
        self.global_room.enter_global(client)
        return client

    def disconnect(self, client: Client, reason: str) -> None:
        """Forget a client whose connection has ended; it leaves its rooms in their turns."""
        if self.clients.pop(client.id, None) is None:
            return
        client.disconnected()
        for name in list(client.rooms_by_name):
            room = self.rooms.get(name)
            if room is None:
                continue
            if room.is_global:
                room.leave_global(client, reason)
            elif room.is_open:
                room.post_always(call_work, client, Call(partial(room.remove, client, reason)))

    # --- rooms

    def room_to_join(self, name: str, creator: Client | None, options: dict[str, Any]) -> Room:
        """Return the room that takes a join to `name`, made if need be; `ActionError` when there may be none."""
        room = self.rooms.get(name)
        if room is not None and (room.is_open or room.successor is not None):
            return room if room.is_open else room.successor  # type: ignore[return-value]  # not None, as just seen
        if self.is_stopping or self._nursery is None:
            raise RoomClosed("the server is stopping")
        if not is_room_name(name, self.limits.name_length):
            raise ActionError("bad-body", _NAME_RULE.format(self.limits.name_length), path="$.roomname")
        found = self.classes.find(name)
        if creator is not None and not (found.open if found is not None else self._open_rooms):
            raise ActionError("unknown-target", f"there is no room {name!r}, and a join may not open it")
        return self._make(name, found or Room, creator, options)

    def room_for(self, name: str) -> Room | None:
        """Return the room that takes messages to `name`: while one closes, its successor, which knows who joins."""
        room = self.rooms.get(name)
        if room is not None and not room.is_open:
            return room.successor
        return room

    def _make(self, name: str, room_class: type[Room], creator: Client | None, options: dict[str, Any]) -> Room:
        room = room_class(self, name, creator=creator, options=options)
        closing = self.rooms.get(name)
        if closing is not None:
            closing.successor = room
        else:
            self.rooms[name] = room
            self.start(room.live)
        return room

    def closing(self, room: Room, entries: list[Entry]) -> None:
        """See to what was left in the inbox of a room that closes: joins, and what stands behind them, move on."""
        joining: set[Client] = set()
        for work, client, ask in entries:
            if isinstance(ask, Call):
                ask.fail(RoomClosed(f"room {room.name!r} is closed"))
            elif (isinstance(work, Joining) or client in joining) and not self.is_stopping and room.failure is None:
                if room.successor is None:
                    self._make(room.name, type(room), client, work.options if isinstance(work, Joining) else {})
                joining.add(client)
                if room.successor is not None:
                    room.successor.post_always(work, client, ask)
            else:
                client.refuse(ask.id, ask.action, room.failure or RoomClosed(f"room {room.name!r} is closed"))

    def closed(self, room: Room) -> None:
        """Free a closed room's name, for its successor if there is one."""
        del self.rooms[room.name]
        if room.successor is not None:
            self.rooms[room.name] = room.successor
            self.start(room.successor.live)

    async def join(self, client: Client, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Make a client a member by the server's own code."""
        while True:
            room = self.room_to_join(name, client, options)
            if room.is_global:
                return {"roomname": name, "created": False, "members": room.list_members()}
            try:
                result: dict[str, Any] = await room.in_turn(partial(room.admit, client, options))
                return result
            except RoomClosed:
                if room.is_open or room.failure is not None or self.is_stopping:
                    raise
                await room.wait_closed()  # it closed before our turn came: on to the next of the name

    async def leave(self, client: Client, name: str, reason: str) -> bool:
        """Take a client out of a room by the server's own code."""
        room = self.rooms.get(name)
        if room is None or name not in client.rooms_by_name:
            return False
        if room.is_global:
            raise ActionError("forbidden", f"nobody leaves {GLOBAL_ROOM!r} but by disconnecting")
        try:
            return bool(await room.in_turn(partial(room.remove, client, reason)))
        except RoomClosed:
            return False  # it let everyone go

    async def open_room(self, name: str, options: dict[str, Any]) -> Room:
        """Return the room of a name, made by the server's own code if need be."""
        room = self.room_to_join(name, None, options)
        await room.wait_created()
        return room

    async def close_rooms(self, reason: str) -> None:
        """Close every room but the global one, all at once, and wait for them."""
        self.is_stopping = True
        rooms = [room for room in self.rooms.values() if not room.is_global]
        for room in rooms:
            room.begin_close(reason)
        for room in rooms:
            await room.wait_closed()

    # --- the way of a broadcast

    def deliver(self, room_name: str, frame: bytes, exclude: Sequence[str]) -> None:
        """Take a broadcast back from the broker: it goes out with the next tick."""
        room = self.rooms.get(room_name)
        if room is None:
            return
        metrics = self.metrics
        metrics.broadcasts += 1
        metrics.deliveries += room.count - len(exclude)
        fanout = room.fanout
        if room is not self.speaking and not fanout.is_pending:
            self.mark(room)
        fanout.add(frame, room.members_of(exclude) if exclude else ())

    def mark(self, room: Room) -> None:
        """Let a room's frames out with the next tick."""
        if not self._spoken:
            self._tick_bell.ring()
        self._spoken.append(room)

    def voice_of(self, room: Room) -> Voice:
        """Return what holds back and lets out what is said in a turn of a room."""
        return _RoomVoice(self, room)

    def flush(self, room: Room) -> None:
        """Send the members of a room now what they lack, however many they are."""
        while room.flush():
            pass

    async def _tick(self) -> None:
        """Let out what rooms have said, one pass of the scheduler after the first of it."""
        while True:
            if self._spoken:
                await trio.lowlevel.checkpoint()
            else:
                await self._tick_bell.wait()
            spoken, self._spoken = self._spoken, []
            for room in spoken:
                if room.flush():
                    self._spoken.append(room)  # a very large room: its next slice, behind everyone else's


class _RoomVoice:
    """A room's own worker lets out what the room said, so that no tick need be woken for it.

    Saves the echo column one switch of tasks in three. What others say into the room, and
    what it says into other rooms, goes out with the tick, where all of a pass comes together.
    """

    __slots__ = ("_fanout", "_hub", "_room")

    def __init__(self, hub: Hub, room: Room) -> None:
        self._hub = hub
        self._room = room
        self._fanout = room.fanout

    def begin(self) -> None:
        self._hub.speaking = self._room

    def pause(self) -> None:
        self._hub.speaking = None
        if self._fanout.is_pending:
            self._hub.mark(self._room)

    def end(self) -> None:
        self._hub.speaking = None
        if self._fanout.frames and self._room.flush():
            self._hub.mark(self._room)


_NAME_RULE: Final = "a room's name has 1 to {} characters and no control characters"
