"""The life of a room: its nursery, its turns, its members and its end; all that the package does with a room.

Laws:
- A room is a nursery: nothing that was started in it outlives it.
- Membership changes only in the room's turn, and `members` is the only membership map.
- A bug in one handler costs one message; a crash in one of its tasks costs the room.
- Whatever stands in the inbox when it closes is answered, or goes on to the next room of the name.

It stands beside `Room`, so that a user's subclass may have attributes of any name.
"""

import contextvars
import functools
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, Protocol

import trio

from . import codec
from .broker import Broker
from .client import Client
from .codec import Envelope
from .errors import ActionError, Gone, RoomClosed
from .fanout import Fanout
from .frames import text_frame
from .limits import Limits
from .metrics import Metrics
from .outbox import CoalescedFrame, VolatileFrame
from .turns import SILENCE, TURN, Call, Entry, NeverBegun, Turns, Voice, Work, first_of

logger = logging.getLogger("simplysocket.room")

LIFE: Final[contextvars.ContextVar["Life | None"]] = contextvars.ContextVar("simplysocket.life", default=None)
"""Whose task or handler is running; None outside of all rooms."""


class Home(Protocol):
    """What a room's life asks of the hub."""

    limits: Limits
    metrics: Metrics
    server_name: str
    server: Any  # the Server, which no module up here knows
    broker: Broker
    is_stopping: bool

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""

    def voice_of(self, life: "Life") -> Voice:
        """Return what holds back and lets out what is said in a turn of a room."""

    def closing(self, life: "Life", entries: list[Entry]) -> None:
        """See to what was left in the inbox: joins, and what stands behind them, go to the next room of the name."""

    def closed(self, life: "Life") -> None:
        """Free the room's name."""


class Hooks(Protocol):
    """What a life needs of the Room that it is the life of."""

    capacity: ClassVar[int | None]
    relay: ClassVar[bool | None]
    announce: ClassVar[bool]
    empty_ttl: ClassVar[float | None]


class Life:
    """The life of one room. `room` is what users see of it, made by `room_class(life)`."""

    is_global = False

    def __init__(
        self,
        home: Home,
        name: str,
        room_class: Callable[["Life"], Hooks],
        creator: Client | None,
        options: dict[str, Any],
    ) -> None:
        self.home = home
        self.name = name
        self.creator = creator
        self.options = options
        self.is_open = True  # False: it takes nothing any more
        self.members: dict[str, Client] = {}  # {client id: client}
        self.fanout = Fanout()
        self.failure: ActionError | None = None  # why on_create failed; the answer to the joins that wait
        self.successor: Life | None = None  # who takes the joins that come while this room closes
        self.nursery: trio.Nursery | None = None
        self._publish = home.broker.publish
        self._turns = Turns(home.limits, self._run, self._make_voice())
        self._ending = trio.Event()
        self._closed = trio.Event()
        self._reason = ""
        self._goodbye = b""  # the frame that tells the members, made when the room begins to close
        self.is_created = False  # on_create has run
        self._was_joined = False
        self._empty_timer: trio.CancelScope | None = None
        self.room: Any = room_class(self)  # Any: a user's class, whose hooks are looked up by name
        self._turns.post_always(call_work, None, Call(self._create))

    def _make_voice(self) -> Voice:
        return self.home.voice_of(self)

    # --- from the first turn to the last

    async def live(self) -> None:
        """Run until the room is closed or cancelled, then wind up; a task of the server."""
        LIFE.set(self)
        TURN.set(None)
        self.home.metrics.rooms_opened += 1
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
                nursery.start_soon(self._turns.serve)
                self._began(nursery)
                await self._ending.wait()
                nursery.cancel_scope.cancel()
            if not self._ending.is_set():
                raise RuntimeError("a task left a cancel scope open and was cancelled by it, and all others with it")
        except* Exception:
            self.home.metrics.rooms_crashed += 1
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
        self.home.closing(self, self._turns.take_all())
        if LIFE.get() is self and self._turns.is_busy:
            self._turns.stop_after_this(self._ending.set)
        else:
            self._ending.set()

    async def close(self, reason: str) -> None:
        """Close, and wait for it unless it is the room itself that asks."""
        self.begin_close(reason)
        if LIFE.get() is self:
            return
        limits = self.home.limits
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
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self.home.limits.close_seconds):
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._task, self._guarded, ("on_close", self._reason))
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
            await self._hook("on_create")
            self.is_created = True
        except* ActionError as group:
            error = first_of(group)
            self.failure = error if isinstance(error, ActionError) else None
        except* Exception:
            self.home.metrics.rooms_crashed += 1
            logger.exception("on_create of room %.200r failed", self.name)
            self.failure = ActionError("internal", "the room could not be created")
        if self.failure is not None:
            self._not_created()

    def _not_created(self) -> None:
        self.begin_close("not created")

    async def wait_created(self) -> None:
        """Wait until on_create has run; raises why it failed."""
        try:
            await self.in_turn(_nothing)
        except RoomClosed:
            raise self.failure or RoomClosed(f"room {self.name!r} is closed") from None

    # --- turns

    def post(self, work: Work, client: Client, ask: Envelope) -> bool:
        """Put a client's message into the inbox; False when it is full."""
        return self._turns.post(work, client, ask)

    def take_out(self, client: Client, id: str | int) -> Envelope | None:
        """Take a client's message that still waits out of the inbox."""
        found: Envelope | None = self._turns.take_out(client, id)
        return found

    def post_always(self, work: Work, client: Client, ask: object) -> None:
        """Put into the inbox what no bound may refuse."""
        self._turns.post_always(work, client, ask)

    async def in_turn(
        self, function: Callable[[], Awaitable[Any]], *, otherwise: Callable[[], object] | None = None
    ) -> Any:
        """Run a function of the server's own code in this room's turn, at once if the caller holds it.

        `NeverBegun` when the room closes before; `otherwise` is called in the turn if the caller has given up.
        """
        if self._turns.is_mine:
            return await function()
        if not self.is_open:
            raise NeverBegun(f"room {self.name!r} is closed")
        call = Call(function, otherwise=otherwise)
        self._turns.post_always(call_work, None, call)
        return await call.wait(self.home.limits.turn_seconds if TURN.get() is not None else math.inf)

    async def _run(self, work: Work, client: Client, ask: Any) -> None:  # Any: an Envelope or a Call
        """Run one entry and answer it, whatever comes of it: the boundary of a turn."""
        is_answered = False
        TURN.set(ask)
        try:
            result = await work(self, client, ask)
            if ask.id is not None:
                client.reply(ask.id, result)
            is_answered = True
        except* Exception as group:
            is_answered = True
            self._answer_failure(client, ask, group)
        finally:
            if not is_answered and isinstance(ask, Envelope):
                self._answer_cancelled(client, ask)

    def _answer_cancelled(self, client: Client, ask: Envelope) -> None:
        if self._ending.is_set() or self.home.is_stopping:
            client.refuse(ask.id, ask.action, RoomClosed(f"room {self.name!r} closed meanwhile"))
            return
        self.home.metrics.handlers_failed += 1
        logger.error("the handler of %.64r in room %.200r was cancelled by a scope left open", ask.action, self.name)
        client.refuse(ask.id, ask.action, ActionError("internal", "the handler failed"))

    def _answer_failure(self, client: Client, ask: Envelope, group: BaseExceptionGroup[Exception]) -> None:
        refused, bugs = group.split(ActionError)
        if bugs is None and refused is not None:
            error = first_of(refused)
            if isinstance(error, ActionError):
                client.refuse(ask.id, ask.action, error)
            return
        self.home.metrics.handlers_failed += 1
        logger.error("the handler of %.64r in room %.200r failed", ask.action, self.name, exc_info=bugs)
        client.refuse(ask.id, ask.action, ActionError("internal", "the handler failed"))

    # --- membership, always in the turn

    async def admit(self, client: Client, options: dict[str, Any]) -> dict[str, Any]:
        """Make a client a member, or raise why not; returns the answer to the join."""
        try:
            return await self._admit(client, options)
        finally:
            self.end_if_empty()

    async def _admit(self, client: Client, options: dict[str, Any]) -> dict[str, Any]:
        created = False
        if client.id not in self.members:
            created = self.creator is client and not self._was_joined
            self._check_places(client)
            await self._hook("on_auth", client, options)
            self._check_places(client)  # while on_auth waited, it may have gone or joined elsewhere
            self._enter(client)
            try:
                await self._hook("on_join", client)
            except BaseException:
                self._forget(client)
                raise
            if client.id not in self.members:
                raise ActionError("forbidden", f"room {self.name!r} did not keep you")
            self._was_joined = True
            if self.room.announce:
                self.publish("client-joined-room", {"client": client.id, "name": client.name}, exclude=client)
        return {"roomname": self.name, "created": created, "members": self.list_members()}

    def _check_places(self, client: Client) -> None:
        limits = self.home.limits
        most = self.places
        if client.is_gone:
            raise Gone(f"client {client.id} has disconnected")
        if most is not None and len(self.members) >= most:
            raise ActionError("room-full", f"room {self.name!r} holds {most} of {most} members")
        if limits.rooms_per_client is not None and len(client.rooms_by_name) > limits.rooms_per_client:
            raise ActionError("too-many", f"a client may be in {limits.rooms_per_client} rooms")

    @property
    def places(self) -> int | None:
        """How many members it takes at most; None: any number."""
        most: int | None = self.room.capacity
        return self.home.limits.members_per_room if most is None else most

    def list_members(self) -> list[dict[str, str]]:
        """Return who is here, as `join-room` and `who` answer it."""
        return [{"client": member.id, "name": member.name} for member in self.members.values()]

    async def remove(self, client: Client, reason: str, *, tell: bool = False) -> bool:
        """Take a member out; False when it was none. `tell`: also the one who is taken out."""
        if client.id not in self.members:
            return False
        body = codec.encode_body({"client": client.id, "name": client.name, "reason": reason})
        self._forget(client)
        try:
            await self._guarded("on_leave", client, reason)
            if self.room.announce:
                self.publish("client-left-room", body)
            if tell:
                client.say("client-left-room", body, room=self.name)
        finally:
            self.end_if_empty()
        return True

    def _enter(self, client: Client) -> None:
        self.members[client.id] = client
        client.rooms_by_name[self.name] = self
        self.fanout.joined(client)

    def _forget(self, client: Client) -> None:
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
            self._empty_timer = self.start_timer(seconds, self._close_if_empty, repeat=False)
        else:
            self.begin_close("empty")

    async def _close_if_empty(self) -> None:
        if not self.members:
            self.begin_close("empty")

    # --- speaking

    def publish(
        self,
        action: str,
        body: object,
        sender: Client | str | None = None,
        exclude: Client | Iterable[Client] = (),
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
        frame = text_frame(codec.encode(action, body, self.name, sender))
        if volatile:
            frame = VolatileFrame(frame)
        elif coalesce is not None:
            frame = CoalescedFrame.of(frame, (self.name, coalesce))
        if exclude:
            left_out = (exclude.id,) if isinstance(exclude, Client) else [client.id for client in exclude]
            self._publish(self.name, frame, left_out)
        else:
            self._publish(self.name, frame, ())

    async def relay(self, client: Client, envelope: Envelope) -> None:
        """Send a client's message on to everyone here, its sender included."""
        self.publish(envelope.action, envelope.message_body, client)

    def deliver(self, frame: bytes, exclude: Sequence[str]) -> None:
        """Take a frame that came back from the broker into this tick's."""
        members, metrics = self.members, self.home.metrics
        left_out = [members[id] for id in exclude if id in members] if exclude else ()
        metrics.broadcasts += 1
        metrics.deliveries += len(members) - len(left_out)
        self.fanout.add(frame, left_out)

    def flush(self) -> bool:
        """Send every member what it lacks; True when more must follow."""
        return self.fanout.flush(self.members.values())

    # --- hooks, tasks and timers

    async def _hook(self, name: str, *args: object) -> None:
        hook = getattr(self.room, name)
        await hook(*args[: _arity(getattr(type(self.room), name))])

    async def _guarded(self, name: str, *args: object) -> None:
        """Call a hook whose failure changes nothing: it is logged."""
        try:
            await self._hook(name, *args)
        except* Exception:
            self.home.metrics.handlers_failed += 1
            logger.exception("%s of room %.200r failed", name, self.name)

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task in the room's nursery, outside of its turns."""
        if self.nursery is None or not self.is_open:
            raise RoomClosed(f"room {self.name!r} is not open: nothing can be started in it")
        self.nursery.start_soon(self._task, function, args, name=function)

    async def _task(self, function: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        TURN.set(None)  # it may have been started by a handler, and does not share its turn
        LIFE.set(self)
        await function(*args)

    def start_timer(
        self, seconds: float, function: Callable[[], Awaitable[object]], *, repeat: bool
    ) -> trio.CancelScope:
        """Call a function in the room's turn after `seconds`, or every so many; the scope cancels that."""
        if not seconds > 0:
            raise ValueError(f"{seconds!r} seconds: give a time above 0")
        scope = trio.CancelScope()
        self.start_soon(self._timer, seconds, function, repeat, scope)
        return scope

    async def _timer(
        self, seconds: float, function: Callable[[], Awaitable[object]], repeat: bool, scope: trio.CancelScope
    ) -> None:
        async def call() -> None:
            if not scope.cancel_called:  # it may have been cancelled while the call waited for its turn
                await function()

        due = trio.current_time() + seconds
        with scope:
            while True:
                await trio.sleep_until(due)
                try:
                    await self.in_turn(call)
                except* RoomClosed:
                    pass  # the call was under way when the room closed
                except* Exception:
                    self.home.metrics.handlers_failed += 1
                    logger.exception("a timer of room %.200r failed", self.name)
                if not repeat:
                    break
                # What a long turn made late is left out, not made up for.
                due += seconds * max(1, math.ceil((trio.current_time() - due) / seconds))


class Lobby(Life):
    """The life of the global room: everyone is in it while connected, it never closes, and turns are per client."""

    is_global = True

    def _make_voice(self) -> Voice:
        return SILENCE

    _restart_seconds = 0.0  # before its tasks start again; 0: they have not crashed
    _crashed_at = -math.inf

    def _crashed(self) -> None:
        now = trio.current_time()
        is_again = now - self._crashed_at < _CALM_SECONDS
        self._restart_seconds = min(2 * self._restart_seconds, _RESTART_MOST) if is_again else _RESTART_FIRST
        self._crashed_at = now

    def _began(self, nursery: trio.Nursery) -> None:
        if self._restart_seconds:
            nursery.start_soon(self._restart)

    async def _restart(self) -> None:
        """Start its tasks again, as they were started at first; later each time when they crash again and again."""
        await trio.sleep(self._restart_seconds)
        self._turns.post_always(call_work, None, Call(self._create))

    def _not_created(self) -> None:
        pass

    def _say_goodbye(self) -> None:
        pass  # the connections have gone before

    def end_if_empty(self) -> None:
        pass

    def post(self, work: Work, client: Client, ask: Envelope) -> bool:
        return self._turns_of(client).post(work, client, ask)

    def take_out(self, client: Client, id: str | int) -> Envelope | None:
        found: Envelope | None = client.lobby.take_out(client, id) if client.lobby is not None else None
        return found

    def _turns_of(self, client: Client) -> Turns:
        """Return a client's own turns here; their worker starts with its first message."""
        if client.lobby is None:
            client.lobby = Turns(self.home.limits, self._run)
            self.home.start(self._serve_turns, client.lobby)
        return client.lobby

    async def _serve_turns(self, turns: Turns) -> None:
        LIFE.set(self)
        TURN.set(None)
        await turns.serve()

    def finish_turn(self, then: Callable[[], None]) -> bool:
        """Call `then` behind the handler that asks for this in a client's turn here; False when none does."""
        for client in self.members.values():
            if client.lobby is not None and client.lobby.is_mine:
                client.lobby.stop_after_this(then)
                return True
        return False

    def connected(self, client: Client) -> None:
        """Put a new client in, from its first moment; on_join runs in its own turn."""
        self._enter(client)
        self._call_if_written("on_join", client)

    def disconnected(self, client: Client, reason: str) -> None:
        """Take a client out that has gone; what it sent before is still handled."""
        self._forget(client)
        self._call_if_written("on_leave", client, reason)
        if client.lobby is not None:
            client.lobby.end()

    def _call_if_written(self, hook: str, client: Client, *args: object) -> None:
        if not hasattr(getattr(type(self.room), hook), _DOES_NOTHING):
            call = Call(functools.partial(self._guarded, hook, client, *args))
            self._turns_of(client).post_always(call_work, client, call)


_RESTART_FIRST: Final = 1.0  # seconds
_RESTART_MOST: Final = 30.0
_CALM_SECONDS: Final = 60.0  # without a crash, and the next is a first one again
_DOES_NOTHING: Final = "_simplysocket_does_nothing"


def does_nothing(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a hook of Room as not overridden, so that nobody need wait for a turn to call it."""
    setattr(hook, _DOES_NOTHING, True)
    return hook


async def call_work(_: Life, __: Client | None, call: Call) -> None:
    """The work of a `Call`."""
    await call.run()


async def _nothing() -> None:
    """What is called to see that its turn has come."""


@functools.cache
def _arity(hook: Callable[..., object]) -> int:
    """Return how many arguments a hook takes beside self, so that it may be written with those it needs."""
    parameters = list(inspect.signature(hook).parameters.values())[1:]
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return len(parameters) + 9
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters)
