"""The runtime of a room: its state and nursery, and the parts that it is composed of.

Laws:
- A room is a nursery: nothing that was started in it outlives it. (In the global room the turns of
  each client end with the client.)
- A bug in one handler costs one message. A crash of one of its tasks costs the room, or what `on_crash` says.
- Rooms work with sessions. `session.client` is the client that the application sees.

The runtime and `Room` are two objects, so that a user's subclass may have attributes of any name.
"""

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import trio

from .._boundary import PASSING, SHOWN
from .._loop_watch import LoopWatch
from .._pass_budget import PassBudget
from .._protocol.codec import Envelope
from .._sessions.outbound_hooks import OutboundHooks
from .._sessions.session import Session
from ..brokers.broker import Batch, Broker, Channel
from ..client import Client
from ..errors import ActionError, RoomClosed, first_of
from ..event import Event
from ..limits import Limits
from ..metrics import Metrics
from .announcements import Announcements
from .authorizing import Authorizer
from .charges import Cause
from .closing import Closing
from .crashes import CrashPolicy
from .creation import Creation
from .events import Events, Stream
from .fanout import PIECE_BYTES, Fanout
from .flush import Flusher
from .holds import Holds
from .hooks import Hooks
from .jobs import TURN, Job, NeverBegun, run_job
from .listing import Listing
from .long_turns import LongTurns
from .members import Members
from .options import Options, read_options
from .outgoing import Outgoing
from .overdue import Overdue
from .pace import Pace
from .state import ACCEPTING, RoomState, check_transition
from .tasks import CURRENT_ROOM, Tasks
from .timers import Timers
from .turn_boundary import TurnBoundary
from .turns import Turns
from .views import View, Views

if TYPE_CHECKING:
    from ..room import Room
    from ..server import Server
    from .callers import Callers
    from .joining import Joins

logger = logging.getLogger("simplysocket.room")

CallHandler = Callable[[Any, Any, Client[Any], Envelope], Awaitable[object]]  # Any: the server and the room


class Home(Protocol):
    """The hub, as a room sees it."""

    limits: Limits
    metrics: Metrics
    server_name: str
    server: "Server"
    broker: Broker
    budget: PassBudget
    watch: LoopWatch
    outbound: OutboundHooks
    flusher: Flusher
    cause: Cause
    overdue: Overdue
    long_turns: LongTurns
    holds: Holds
    listing: Listing
    joins: "Joins"
    callers: "Callers"
    authorizer: Authorizer
    place_of: Callable[["RoomRuntime", str], str]
    is_stopping: bool

    def check_thread(self) -> None:
        """Refuse a call from a thread other than the server's."""

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""

    def closed(self, runtime: "RoomRuntime") -> None:
        """Free the room's name."""


class RoomRuntime:
    """One room. `room` is the object that the application sees, made by `room_class(runtime)`."""

    room: "Room[Any]"
    calls: "dict[str, CallHandler]"  # {action: the call of its handler in this room}
    # The call that delivers a client's direct message, whose turn is in this room; None before the first.
    deliver_direct: "CallHandler | None"
    views: "Views | None"  # made with the first one
    events: "Events | None"  # of a room with a `run`

    __slots__ = (
        "_channel",
        "_options",
        "_room_class",
        "announcements",
        "askings",
        "boundary",
        "calls",
        "closing",
        "created_at",
        "creation",
        "creator",
        "deliver_direct",
        "events",
        "failure",
        "fanout",
        "home",
        "hooks",
        "is_created",
        "is_global",
        "is_hidden",
        "is_listed",
        "is_open",
        "members",
        "name",
        "outgoing",
        "post",
        "room",
        "state",
        "successor",
        "tasks",
        "timers",
        "turns",
        "views",
    )

    def __init__(
        self,
        home: Home,
        name: str,
        room_class: "Callable[[RoomRuntime], Room[Any]]",
        creator: Session | None,
        options: Options,
        *,
        make_turns: "Callable[[RoomRuntime], Turns] | None" = None,
        crash_policy: CrashPolicy | None = None,
        is_global: bool = False,
    ) -> None:
        self.home = home
        self.name = name
        self.creator = creator  # the client whose join made the room; None if the server's own code did
        self._options = options
        self.is_global = is_global
        self.state = RoomState.WAITING
        self.is_open = True  # True: the state accepts joins, messages and tasks
        self.askings = 0  # how many joins `on_auth` is asked about, or will be
        self.is_hidden = False  # True: `list-rooms` does not show it
        self.is_listed = False  # True: it does, now; only the listing sets this
        self.is_created = False  # True: on_create has succeeded
        self.failure: ActionError | None = None  # why on_create failed; the answer to the joins that wait
        self.successor: RoomRuntime | None = None  # takes the joins that come while this room closes
        self.created_at = trio.current_time()
        self._channel: Channel | None = None
        self._room_class = room_class
        self.creation = Creation(self, crash_policy)
        self.members = Members(self)
        self.outgoing = Outgoing(self)
        self.hooks = Hooks(self)
        self.tasks = Tasks(self)
        self.timers = Timers(self)
        self.closing = Closing(self)
        self.announcements: Announcements | None = None  # made with the first join that is announced
        self.boundary = TurnBoundary(self)
        self.fanout = Fanout(
            self.members.by_id,
            home.metrics,
            mark=home.flusher.mark,
            failed=self._publish_failed,
            pace=Pace(home.limits),
            cause=home.cause,
            piece_bytes=PIECE_BYTES if home.limits.outbox_bytes is None else home.limits.outbox_bytes // 4,
        )
        self.turns = make_turns(self) if make_turns else Turns(name, home, self.boundary.run, self.fanout)
        self.post = self.turns.post  # kept, since every message comes in here
        self.make_room()
        self.creation.post()

    def __repr__(self) -> str:
        return f"<RoomRuntime {self.name!r}, {self.state.value}>"

    @property
    def counted_as(self) -> str | None:
        """The user or the address that the room counts for: that of its creator, also after this has disconnected."""
        return None if self.creator is None else self.creator.counted_as

    @property
    def options(self) -> dict[str, Any]:
        """The options that the room was created with; from the first look at them on they are kept decoded."""
        if not isinstance(self._options, dict):
            self._options = read_options(self._options)
        return self._options

    # --- from the first turn to the last

    def enter(self, state: RoomState) -> None:
        """Change the state; only this function does."""
        check_transition(self.name, self.state, state)
        self.state = state
        self.is_open = state in ACCEPTING
        self.home.listing.changed(self)

    def begin(self) -> None:
        """Begin, now that the name is free: open the channel to the members."""
        if self.state is not RoomState.WAITING:
            return  # the room was closed while it waited for its name
        try:
            with SHOWN:
                self._channel = self.home.broker.open(self.name, self.fanout.deliver)
            self.fanout.publish = self._channel.publish
        except* PASSING:
            raise
        except* BaseException:
            if self.is_global:
                raise  # the server does not start without its global room
            self.home.metrics.rooms_crashed += 1
            logger.exception("the broker did not open room %.200r", self.name)
            self.failure = ActionError("internal", "the room could not be created")
        self.enter(RoomState.CREATING)

    async def live(self) -> None:
        """Run the room until it closes or is cancelled, then finish it. This is a task of the server."""
        CURRENT_ROOM.set(self)
        TURN.set(None)
        self.home.metrics.rooms_opened += 1
        try:
            while not self.closing.is_due:
                await self._run_nursery()
        except* trio.Cancelled:
            self.home.is_stopping = True  # only the end of the server cancels a room
            raise
        finally:
            await self.closing.finish()

    async def _run_nursery(self) -> None:
        """Run the turns and tasks of the room until it closes or a task crashes."""
        try:
            async with trio.open_nursery() as nursery:
                self.tasks.nursery = nursery
                nursery.start_soon(self.turns.serve)
                self.creation.go_on(nursery)
                await self.closing.wait_due()
                nursery.cancel_scope.cancel()
            if not self.closing.is_due:
                raise RuntimeError("a task left a cancel scope open and was cancelled by it, and all others with it")
        except* PASSING:
            raise
        except* BaseException:
            self.home.metrics.rooms_crashed += 1
            logger.exception("a task of room %.200r crashed", self.name)
            self.creation.crashed()

    def make_room(self) -> None:
        """Make the object that the application sees: when the room is made, and after a crash."""
        self.calls = {}
        self.deliver_direct = None
        self.views = None
        self.events = None
        self.room = self._room_class(self)

    async def wait_created(self) -> None:
        """Wait until `on_create` has run; raise its failure if it failed."""
        try:
            await self.wait_turn()
        except RoomClosed:
            raise self.failure or RoomClosed(f"room {self.name!r} is closed") from None

    def show(self, view: View, action: str) -> None:
        """Send each member the body that `view` returns for it."""
        if self.views is None:
            self.views = Views(self)
        self.views.send(view, action)

    def stream_events(self) -> AsyncIterator[Event[Any]]:
        """Return the events for the loop in the room's `run`."""
        if self.events is None or CURRENT_ROOM.get() is not self or self.turns.is_mine:
            raise RuntimeError("events() is for a loop in `async def run(self)` of the room")
        return Stream(self.events)

    # --- turns

    async def wait_turn(self, *, otherwise: Callable[[], object] | None = None) -> None:
        """Wait until a turn has come, so that `on_create` has ended; the same errors and `otherwise` as `in_turn`."""
        await self.in_turn("nothing", _do_nothing, otherwise=otherwise)

    async def in_turn(
        self, name: str, function: Callable[[], Awaitable[Any]], *, otherwise: Callable[[], object] | None = None
    ) -> Any:
        """Run a function of the server's own code in this room's turn, at once if the caller holds it.

        `name` is for logs. A caller that holds the turn of another room waits for this one for at
        most `turn_seconds`, then gets `busy`. `NeverBegun` if the room closes before the turn comes.
        If the caller no longer waits, the turn calls `otherwise` instead.
        """
        if self.turns.is_mine:
            return await function()
        if not self.is_open:
            raise NeverBegun(f"room {self.name!r} is closed")
        if self.events is not None:
            self.events.check_may_wait()
        job = Job(name, function, otherwise=otherwise)
        self.turns.post_always(run_job, None, job)
        return await job.wait(self.home.limits.turn_seconds if TURN.get() is not None else math.inf)

    # --- the broker

    def _publish_failed(self, group: BaseExceptionGroup[BaseException], batch: Batch) -> None:
        """Handle an error of the broker: deliver to the members on this machine, then close the room."""
        self.home.metrics.rooms_crashed += 1
        logger.error(
            "the broker did not take %d frames of room %.200r", len(batch.frames), self.name, exc_info=first_of(group)
        )
        self.fanout.deliver(batch)
        if not self.is_global:
            self.closing.begin("crashed")

    def close_channel(self) -> None:
        """Release the broker's channel, since the room has ended."""
        channel, self._channel = self._channel, None
        if channel is not None:
            try:
                with SHOWN:
                    channel.close()
            except* PASSING:
                raise
            except* BaseException:
                logger.exception("the broker did not close the channel of room %.200r", self.name)


async def _do_nothing() -> None:
    """Run as a job, to wait until a turn has come."""
