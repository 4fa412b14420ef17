"""The life of a room: its nursery, its turns and its end; with membership.py all that the package does with a room.

Laws:
- A room is a nursery: nothing that was started in it outlives it.
- A bug in one handler costs one message; a crash in one of its tasks costs the room.
- Whatever stands in the inbox when it closes is answered, or goes on to the next room of the name.

It stands beside `Room`, so that a user's subclass may have attributes of any name.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, Protocol

import trio

from .._protocol import codec
from .._protocol.codec import Envelope
from .._protocol.delivery import CoalescedFrame, VolatileFrame
from .._protocol.frames import text_frame
from .._sessions.handler_scope import HandlerScope
from .._sessions.outbound_hooks import OutboundHooks
from .._sessions.session import Session
from ..broker import Broker
from ..client import Client
from ..errors import ActionError, RoomClosed, count_of, first_of
from ..limits import Limits
from ..metrics import Metrics
from .tasks import CURRENT_ROOM, Tasks
from .turns import TURN, Entry, Job, NeverBegun, Turns, Voice, Work

logger = logging.getLogger("simplysocket.room")

LATER: Final = object()
"""What work returns that will answer later, by itself."""


class Home(Protocol):
    """What a room's life asks of the hub."""

    limits: Limits
    metrics: Metrics
    server_name: str
    server: Any  # the Server, which no module up here knows
    broker: Broker
    outbound: OutboundHooks
    place_of: Callable[["RoomRuntime", str], str]
    is_stopping: bool

    def check_thread(self) -> None:
        """Refuse to speak from another thread than the server's."""

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""

    def voice_of(self, runtime: "RoomRuntime") -> Voice:
        """Return what holds back and lets out what is said in a turn of a room."""

    def closing(self, runtime: "RoomRuntime", entries: list[Entry]) -> None:
        """See to what was left in the inbox: joins, and what stands behind them, go to the next room of the name."""

    def closed(self, runtime: "RoomRuntime") -> None:
        """Free the room's name."""


class Hooks(Protocol):
    """What a life needs of the Room that it is the life of."""

    capacity: ClassVar[int | None]
    relay: ClassVar[bool | None]
    announce: ClassVar[bool]
    empty_ttl: ClassVar[float | None]


class RoomRuntime(Tasks):
    """The life of one room. `room` is what users see of it, made by `room_class(runtime)`."""

    home: Home

    def __init__(
        self,
        home: Home,
        name: str,
        room_class: Callable[["RoomRuntime"], Hooks],
        creator: Session | None,
        options: dict[str, Any],
    ) -> None:
        super().__init__(home.limits, home.metrics, name, creator)
        self.home = home
        self.options = options
        self.failure: ActionError | None = None  # why on_create failed; the answer to the joins that wait
        self.successor: RoomRuntime | None = None  # who takes the joins that come while this room closes
        self._publish = home.broker.publish
        self._outbound = home.outbound
        self.turns = Turns(name, home.limits, self._run, self._make_voice())
        self._ending = trio.Event()
        self._closed = trio.Event()
        self._reason = ""
        self._goodbye = b""  # the frame that tells the members, made when the room begins to close
        self.is_created = False  # on_create has run
        self.born = trio.current_time()
        # {action: its handler}
        self.calls: dict[str, Callable[[Any, Any, Client[Any], Envelope], Awaitable[object]]] = {}
        self.room = room_class(self)
        self.turns.post_always(job_work, None, Job("on_create", self._create))

    def _make_voice(self) -> Voice:
        return self.home.voice_of(self)

    # --- from the first turn to the last

    async def live(self) -> None:
        """Run until the room is closed or cancelled, then wind up; a task of the server."""
        CURRENT_ROOM.set(self)
        TURN.set(None)
        self._metrics.rooms_opened += 1
        try:
            while not self._ending.is_set():
                await self._run_nursery()
        except* trio.Cancelled:
            self.home.is_stopping = True  # nothing else cancels a room from outside
            raise
        finally:
            await self._wind_up()

    async def _run_nursery(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                nursery.start_soon(self.turns.serve)
                self._began(nursery)
                await self._ending.wait()
                nursery.cancel_scope.cancel()
            if not self._ending.is_set():
                raise RuntimeError("a task left a cancel scope open and was cancelled by it, and all others with it")
        except* Exception:
            self._metrics.rooms_crashed += 1
            logger.exception("a task of room %.200r crashed", self.name)
            self._crashed()

    def _began(self, nursery: trio.Nursery) -> None:
        """Called whenever the nursery has been opened."""

    def _crashed(self) -> None:
        self.begin_close("crashed")
        self._ending.set()

    def begin_close(self, reason: str) -> None:
        """Take nothing any more, and end: behind the running handler if the room itself says so, else now."""
        if not self.is_open:
            return
        body = {"roomname": self.name, "reason": reason}
        self._goodbye = text_frame(codec.encode("room-closed", body, self.name, self.home.server_name))
        self._reason = reason
        self.is_open = False
        self.home.closing(self, self.turns.take_all())
        if CURRENT_ROOM.get() is self and self.turns.is_busy:
            self.turns.stop_after_this(self._ending.set)
        else:
            self._ending.set()

    def why_alive(self, now: float) -> str:
        """Say in words why the room has not ended."""
        if not self.is_open:
            return f"closing: {self._reason}"
        if self.members:
            return f"{len(self.members)} members" if len(self.members) > 1 else "1 member"
        if not self._was_joined:
            return "waits for its first member"
        if self.room.empty_ttl is None:
            return "empty; it stays until it is closed"
        return f"empty; it closes in {self.empty_until - now:.0f} s"

    async def close(self, reason: str) -> None:
        """Close, and wait for it unless it is the room itself that asks."""
        self.begin_close(reason)
        if CURRENT_ROOM.get() is self:
            return
        limits = self._limits
        seconds = limits.turn_seconds + limits.close_seconds if TURN.get() is not None else math.inf
        with trio.move_on_after(seconds):
            await self._closed.wait()
        if not self._closed.is_set():
            raise ActionError("busy", f"room {self.name!r} has not closed within {seconds:g} seconds", retry_after=1)

    async def wait_closed(self) -> None:
        """Wait until the name is free."""
        await self._closed.wait()

    async def _wind_up(self) -> None:
        """Run on_close with the members still there, tell them, let them go, free the name."""
        self.begin_close("shutdown")
        self.nursery = None
        try:
            if self.is_created:
                await self._run_on_close()
        finally:
            self._let_go()

    async def _run_on_close(self) -> None:
        """Run the hook as a task of its own, so that nothing it does or leaves behind can stop the winding up."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._limits.close_seconds):
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._task, "on_close", self.call_guarded, ("on_close", self._reason))
            except* Exception:
                logger.exception("on_close of room %.200r failed", self.name)

    def _let_go(self) -> None:
        self._say_goodbye()
        while self.flush():
            pass
        for member in self.members.values():
            member.rooms_by_name.pop(self.name, None)
        self.members.clear()
        self._closed.set()
        self.home.closed(self)

    def _say_goodbye(self) -> None:
        self._publish(self.name, self._goodbye, ())

    async def _create(self) -> None:
        try:
            await self.call_hook("on_create")
            self.is_created = True
        except* ActionError as group:
            self.failure = first_of(group)
        except* Exception:
            self._metrics.rooms_crashed += 1
            logger.exception("on_create of room %.200r failed", self.name)
            self.failure = ActionError("internal", "the room could not be created")
        if self.failure is not None:
            self._not_created()

    def _not_created(self) -> None:
        self.begin_close("not created")

    async def wait_created(self) -> None:
        """Wait until on_create has run; raises why it failed."""
        try:
            await self.in_turn("nothing", _nothing)
        except RoomClosed:
            raise self.failure or RoomClosed(f"room {self.name!r} is closed") from None

    # --- turns

    def post(self, work: Work, client: Session, ask: Envelope) -> bool:
        """Put a client's message into the inbox; False when it is full."""
        return self.turns.post(work, client, ask)

    def take_out(self, client: Session, id: str | int) -> Envelope | None:
        """Take a client's message that still waits out of the inbox."""
        found: Envelope | None = self.turns.take_out(client, id)
        return found

    def post_always(self, work: Work, client: Session, ask: object) -> None:
        """Put into the inbox what no bound may refuse."""
        self.turns.post_always(work, client, ask)

    @property
    def has_turn(self) -> bool:
        """Whether the caller holds the turn."""
        return self.turns.is_mine

    async def in_turn(
        self, name: str, function: Callable[[], Awaitable[Any]], *, otherwise: Callable[[], object] | None = None
    ) -> Any:
        """Run a function of the server's own code in this room's turn, at once if the caller holds it.

        `NeverBegun` when the room closes before; `otherwise` is called in the turn if the caller has given up.
        """
        if self.has_turn:
            return await function()
        if not self.is_open:
            raise NeverBegun(f"room {self.name!r} is closed")
        call = Job(name, function, otherwise=otherwise)
        self.turns.post_always(job_work, None, call)
        return await call.wait(self._limits.turn_seconds if TURN.get() is not None else math.inf)

    async def _run(self, work: Work, client: Session, ask: Any) -> None:  # Any: an Envelope or a Job
        """Run one entry and answer it, whatever comes of it: the boundary of a turn."""
        is_answered = False
        TURN.set(ask)
        try:
            result = await work(self, client, ask)
            if ask.id is not None and result is not LATER:
                client.reply(ask.id, result)
            is_answered = True
        except* Exception as group:
            is_answered = True
            await self._answer_failure(client, ask, group)
        finally:
            if not is_answered and isinstance(ask, Envelope):
                self._answer_cancelled(client, ask)

    async def start_apart(self, client: Session, ask: Envelope, handle: Callable[[], Awaitable[object]]) -> None:
        """Run a handler beside the turns, as a task that answers as one in the turn does; returns once it has begun."""
        most = self._limits.tasks_per_client
        if most is not None and client.apart >= most:
            raise ActionError("too-many", f"{most} of your requests run beside the turns already")
        scope, begun = HandlerScope(client, ask), trio.Event()
        try:
            name = f"the handler of {ask.action!r} for {client.id}"
            self.start(name, self._run_apart, scope, begun, handle, client, ask)
        except BaseException:
            scope.forget()
            raise
        client.apart += 1
        with trio.CancelScope(shield=True):  # its first step is on the way: from there on it answers for itself
            await begun.wait()

    async def _run_apart(
        self,
        scope: HandlerScope,
        begun: trio.Event,
        handle: Callable[[], Awaitable[object]],
        client: Session,
        ask: Envelope,
    ) -> None:
        async def work(*_: object) -> object:
            TURN.set(None)
            begun.set()
            try:
                return await scope.run(handle)
            finally:
                client.apart -= 1

        try:
            # A task of its own, so that what it leaves open ends with it, as in the turns.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.turns.run_apart, ask, self._run(work, client, ask))
        except* Exception:
            logger.exception("the handler of %.64r has spoilt the task it ran in", ask.action)

    def _answer_cancelled(self, client: Session, ask: Envelope) -> None:
        is_crashing = self.nursery is not None and self.nursery.cancel_scope.cancel_called
        if self._ending.is_set() or self.home.is_stopping or is_crashing:
            client.refuse(ask.id, ask.action, RoomClosed(f"room {self.name!r} closed meanwhile"))
            return
        self._metrics.handlers_failed += 1
        logger.error("the handler of %.64r in room %.200r was cancelled by a scope left open", ask.action, self.name)
        client.refuse(ask.id, ask.action, ActionError("internal", "the handler failed"))

    async def _answer_failure(self, client: Session, ask: Envelope, group: BaseExceptionGroup[Exception]) -> None:
        refused, bugs = group.split(ActionError)
        if bugs is None and refused is not None:
            client.refuse(ask.id, ask.action, first_of(refused))
            return
        self._metrics.handlers_failed += 1
        bug = first_of(bugs) if bugs is not None and count_of(bugs) == 1 else bugs  # one alone without its wrapping
        logger.error(
            "the handler of %.64r in room %.200r failed; it is at %.300r",
            ask.action,
            self.name,
            self.home.place_of(self, ask.action) or "no place of yours",
            exc_info=bug,
        )
        if isinstance(bug, RuntimeError) and str(bug) == "no running event loop":
            logger.error("asyncio does not run here: use trio, such as trio.sleep and trio.to_thread.run_sync")
        client.refuse(ask.id, ask.action, ActionError("internal", "the handler failed"))
        await self.report(bug, client)

    # --- speaking

    def publish(
        self,
        action: str,
        body: object,
        sender: Client[Any] | str | None = None,
        exclude: Client[Any] | Iterable[Client[Any]] = (),
        volatile: bool = False,
        coalesce: str | None = None,
    ) -> None:
        """Encode and frame a message once, and hand it to the broker; a plain def."""
        if self._closed.is_set():
            raise RoomClosed(f"room {self.name!r} is closed: nobody would hear {action!r}")
        if sender is None:
            sender = self.home.server_name
        elif isinstance(sender, Client):
            sender = sender.id
        if self._outbound.hooks:
            message = self._outbound.pass_through(action, body, self.name, sender)
            if message is None:
                return
            action, body, sender = message.action, message.body, message.sender
        frame = text_frame(codec.encode(action, body, self.name, sender))
        if volatile:
            frame = VolatileFrame(frame)
        elif coalesce is not None:
            frame = CoalescedFrame.of(frame, (self.name, coalesce))
        if exclude:
            try:
                left_out = (exclude.id,) if isinstance(exclude, Client) else [client.id for client in exclude]
            except (AttributeError, TypeError):
                raise TypeError(f"exclude={exclude!r}: give a Client or several, not their ids") from None
            self._publish(self.name, frame, left_out)
        else:
            self._publish(self.name, frame, ())

    def member(self, client: Client[Any]) -> Session:
        """Return whom the room may speak to: a member, or one that is gone; raises for anybody else."""
        if not isinstance(client, Session):
            raise TypeError(f"send to whom? {client!r} is no Client: give room.members[id], not the id")
        if self._closed.is_set():
            raise RoomClosed(f"room {self.name!r} is closed")
        if client.id not in self.members and not client.is_gone:
            raise ActionError("not-a-member", f"{client!r} is not in room {self.name!r}: client.send reaches it anyway")
        return client

    def deliver(self, frame: bytes, exclude: Sequence[str]) -> None:
        """Take a frame that came back from the broker into this tick's."""
        members, metrics = self.members, self._metrics
        metrics.broadcasts += 1
        metrics.deliveries += len(members)
        if exclude:
            left_out = [members[id] for id in exclude if id in members]
            metrics.deliveries -= len(left_out)
            self.fanout.add(frame, left_out)
        else:
            self.fanout.frames.append(frame)  # what add() does, without the call

    def flush(self) -> bool:
        """Send every member what it lacks; True when more must follow."""
        return self.fanout.flush(self.members.values())


async def job_work(_: RoomRuntime, __: Session | None, call: Job) -> None:
    """The work of a `Job`."""
    await call.run()


async def _nothing() -> None:
    """What is called to see that its turn has come."""
