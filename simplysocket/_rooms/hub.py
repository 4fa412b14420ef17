"""The hub: the only registry of the clients and the rooms of one server.

Laws:
- At most one room of a name runs. While it closes, its successor takes the joins that come,
  and begins when the name is free.
- It only registers. No message passes through here.
"""

import math
import secrets
from collections.abc import Awaitable, Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

import trio

from .._accounts import Accounts
from .._loop_watch import LoopWatch
from .._pass_budget import PassBudget
from .._protocol.names import is_room_name
from .._sessions.outbound_hooks import OutboundHooks
from .._sessions.session import Session
from ..brokers.broker import Broker
from ..errors import ActionError, RoomClosed
from ..limits import Limits
from ..message import GLOBAL_ROOM
from ..metrics import Metrics
from ..reasons import Reason
from ..room import Room
from .authorizing import Authorizer
from .callers import Callers
from .census import Census
from .charges import Cause
from .departure import Departure
from .flush import Flusher
from .global_room import make_global_room
from .holds import Holds
from .joining import Joins
from .listing import Listing
from .long_turns import LongTurns
from .membership import give_up
from .options import Options
from .overdue import Overdue
from .room_classes import RoomClasses
from .runtime import RoomRuntime

if TYPE_CHECKING:
    from .._serving.renewal import Renewal
    from ..server import Server

_ID_BYTES: Final = 9  # of randomness in a client's id, which is not secret but must be unique
_NAME_RULE: Final = "a room's name has 1 to {} characters, one of them visible, and none that is hidden"


class Hub:
    """The rooms and the clients of one server. Its plain functions never wait."""

    renewal: "Renewal"  # of credentials; the assembly sets it

    def __init__(
        self,
        server: "Server",
        name: str,
        limits: Limits,
        metrics: Metrics,
        broker: Broker,
        budget: PassBudget,
        *,
        open_rooms: bool,
    ) -> None:
        self.server = server  # `Room.server`
        self.server_name = name
        self.limits = limits
        self.metrics = metrics
        self.broker = broker
        self.budget = budget
        self.watch = LoopWatch(limits, budget)
        self.accounts = Accounts(limits)
        self.runtimes: dict[str, RoomRuntime] = {}  # {name: the room that has the name}
        self.clients: dict[str, Session] = {}  # {client id: session}
        self.listing = Listing()
        self.census = Census(limits)
        self.classes = RoomClasses()
        self.outbound = OutboundHooks(metrics)
        self.flusher = Flusher(budget)
        self.cause = Cause()
        self.overdue = Overdue(limits, budget)
        self.long_turns = LongTurns(limits)
        self.joins = Joins(self)
        self.holds = Holds(budget, give_up)
        self.callers = Callers(self)
        self.authorizer = Authorizer(limits)
        self.is_stopping = False
        self.stops_at = math.inf  # when a stop ends the games that are played; nobody joins any more
        self.see_off: Callable[[Session, Reason, Departure], None] = lambda _, __, ___: None  # a client that is gone
        self.place_of: Callable[[RoomRuntime, str], str] = lambda _, __: ""  # where an action's handler is written
        self._open_rooms = open_rooms
        self._node = secrets.token_hex(3)  # the first part of each client's id
        self._thread = 0  # the thread in which the server runs
        self._nursery: trio.Nursery | None = None
        self._global_room: RoomRuntime | None = None

    @property
    def global_room(self) -> RoomRuntime:
        """The global room; RuntimeError before the server has begun to serve."""
        if self._global_room is None:
            raise RuntimeError("the server is not running: await server.serve(...) first")
        return self._global_room

    def begin(self, nursery: trio.Nursery) -> None:
        """Start the global room, and the tasks for all rooms, in `nursery`, in which all rooms will run."""
        self._nursery = nursery
        self._thread = get_ident()
        self.is_stopping, self.stops_at = False, math.inf
        nursery.start_soon(self.flusher.run)
        nursery.start_soon(self.overdue.run)
        nursery.start_soon(self.long_turns.run)
        nursery.start_soon(self.holds.run)
        global_room = make_global_room(self, self.classes.find(GLOBAL_ROOM) or Room)
        self._begin_room(global_room)
        self._global_room = global_room
        if self.listing.directory is not None:
            self.listing.directory.begin()

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""
        if self._nursery is None:
            raise RuntimeError("the server is not running: await server.serve(...) first")
        self._nursery.start_soon(function, *args)

    def check_thread(self) -> None:
        """Refuse a call from another thread, which could lose or tear a message. Takes 0.04 us."""
        if get_ident() != self._thread:
            raise RuntimeError(
                "not the thread of the server: write simplysocket.from_thread.run(server, room.broadcast, ...)"
            )

    # --- clients

    def make_id(self) -> str:
        """Return the id of a new client."""
        return f"{self._node}.{secrets.token_urlsafe(_ID_BYTES)}"

    def connect(self, session: Session) -> None:
        """Register a new client and put it into the global room."""
        self.clients[session.id] = session
        self.joins.connect(session)

    def disconnect(self, session: Session, reason: Reason) -> None:
        """Remove a client that is gone for good. It leaves its rooms in their turns."""
        is_registered = self.clients.pop(session.id, None) is not None  # False: it ended during on_connect
        session.disconnected()
        self.see_off(session, reason, self.joins.disconnect(session, reason, is_registered=is_registered))

    def end(self, session: Session, code: int, reason: str) -> None:
        """Close a client by the server's own will, and remove it at once, connected or away."""
        if not session.is_gone:
            connection = session.connection
            reason = reason.encode(errors="replace").decode()  # no lone surrogates, as in a Close
            session.close(code, reason)  # nothing, if it is closing already
            session.ended_with = code, reason
            ended = Reason.of_close(code, reason) if connection is None else connection.why_it_ended
            self.disconnect(session, ended)

    def tell_of_stop(self, session: Session) -> None:
        """Tell a client in how many seconds the server stops, if it is about to: one that knows of `welcome`."""
        if session.is_greeted and self.stops_at < math.inf:
            session.say("server-stopping", {"seconds": round(max(0.0, self.stops_at - trio.current_time()), 1)})

    # --- rooms

    def runtime_to_join(self, name: str, creator: Session | None, options: Options) -> RoomRuntime:
        """Return the room that takes a join to this name, and make it if there is none.

        `ActionError` if such a room may not be made. `creator` is None for the server's own code.
        """
        runtime = self.runtime_for(name)
        is_member = creator is not None and name in creator.rooms
        if runtime is not None and (is_member or self.stops_at == math.inf):
            return runtime
        self.check_running()
        if not is_room_name(name, self.limits.name_length):
            raise ActionError("bad-body", _NAME_RULE.format(self.limits.name_length), path="$.roomname")
        found = self.classes.find(name)
        if creator is not None and not (found.open if found is not None else self._open_rooms):
            raise ActionError("unknown-target", f"there is no room {name!r}, and a join may not open it")
        return self.make(name, found or Room, creator, options)

    def check_running(self) -> None:
        """Refuse whoever wants to join a room, or make one, while the server stops."""
        if self.is_stopping or self.stops_at < math.inf:
            raise RoomClosed("the server is stopping")

    def runtime_for(self, name: str) -> RoomRuntime | None:
        """Return the room that takes messages under this name; None if there is none.

        While a room closes, that is its successor.
        """
        runtime = self.runtimes.get(name)
        return runtime if runtime is None or runtime.is_open else runtime.successor

    def handing_over(self, name: str) -> RoomRuntime | None:
        """Return the closing room of this name if it still hands over what waited: what clients send waits behind."""
        runtime = self.runtimes.get(name)
        return runtime if runtime is not None and runtime.closing.is_handing_over else None

    def room_for_message(self, name: str) -> RoomRuntime:
        """Return the room that takes messages to this name; `ActionError` for the sender if there is none."""
        runtime = self.handing_over(name) or self.runtime_for(name)
        if runtime is None:
            if name in self.runtimes:
                raise RoomClosed(f"room {name!r} is closed")
            raise ActionError("unknown-target", f"there is no room {name!r}")
        return runtime

    def successor_of(self, runtime: RoomRuntime, creator: Session, options: Options) -> RoomRuntime:
        """Return the next room of the name of a closing room, and make it if there is none.

        `ActionError` if there are too many rooms.
        """
        return runtime.successor or self.make(runtime.name, type(runtime.room), creator, options)

    def make(
        self,
        name: str,
        room_class: Callable[[RoomRuntime], Room[Any]],
        creator: Session | None,
        options: Options,
    ) -> RoomRuntime:
        """Make a room; it begins now, or when a closing room has freed the name.

        `ActionError` if its creator is a client and there are too many rooms.
        """
        closing = self.runtimes.get(name)
        counted_as = None if creator is None else creator.counted_as
        if creator is not None:
            replaces_own = closing is not None and closing.creator is not None and closing.counted_as == counted_as
            self.census.check(counted_as, replaces=closing is not None, replaces_own=replaces_own)
        runtime = RoomRuntime(self, name, room_class, creator, options)
        self.census.add(runtime.counted_as)
        if closing is not None:
            self.census.remove(closing.counted_as)  # from now on its successor counts for the name
            closing.successor = runtime
        else:
            self._begin_room(runtime)
        return runtime

    def _begin_room(self, runtime: RoomRuntime) -> None:
        runtime.begin()
        self.runtimes[runtime.name] = runtime
        self.start(runtime.live)

    def closed(self, runtime: RoomRuntime) -> None:
        """Free a closed room's name, for its successor if there is one."""
        del self.runtimes[runtime.name]
        self.listing.closed(runtime)
        successor = runtime.successor
        if successor is None and not runtime.is_global:
            self.census.remove(runtime.counted_as)
        if successor is not None:
            if self.is_stopping:
                successor.closing.begin("shutdown")
            self._begin_room(successor)

    async def open_room(self, name: str, options: dict[str, Any]) -> Room[Any]:
        """Return the room of a name after its `on_create`, and make it if there is none."""
        runtime = self.runtime_to_join(name, None, options)
        await runtime.wait_created()
        return runtime.room

    async def close_rooms(self, reason: str) -> None:
        """Close every room except the global one, all at the same time, and wait until they have closed."""
        self.is_stopping = True
        runtimes = [runtime for runtime in self.runtimes.values() if not runtime.is_global]
        for runtime in runtimes:
            runtime.closing.begin(reason)
        for runtime in runtimes:
            await runtime.closing.wait()
