"""The room: members, a state of its own, tasks of its own, turns, and an end.

Laws:
- A room is a nursery: nothing that was started in it outlives it.
- Membership changes only in the room's turn, and `Room.members` is the only membership map.
- A bug in one handler costs one message; a crash in one of its tasks costs the room.
- Whatever stands in the inbox when it closes is answered, or goes on to the next room of the name.
- `broadcast` and `send` never wait for a client and are no cancellation points.
"""

import contextvars
import functools
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol

import trio

from . import codec
from .broker import Broker
from .client import Client
from .codec import Envelope, Raw
from .errors import ActionError, Gone, RoomClosed
from .fanout import Fanout
from .frames import text_frame
from .limits import Limits
from .message import GLOBAL_ROOM
from .metrics import Metrics
from .outbox import CoalescedFrame, VolatileFrame
from .turns import TURN, Call, Entry, Turns, Voice, Work, first_of

logger = logging.getLogger("simplysocket.room")

ROOM: Final[contextvars.ContextVar["Room | None"]] = contextvars.ContextVar("simplysocket.room", default=None)


class Home(Protocol):
    """What a room asks of the hub."""

    limits: Limits
    metrics: Metrics
    server_name: str
    server: Any  # the Server, which no module up here knows
    broker: Broker
    is_stopping: bool

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""

    def voice_of(self, room: "Room") -> Voice:
        """Return what holds back and lets out what is said in a turn of a room."""

    def flush(self, room: "Room") -> None:
        """Send the members of a room now what they lack."""

    def closing(self, room: "Room", entries: list[Entry]) -> None:
        """See to what was left in the inbox: joins, and what stands behind them, go to the next room of the name."""

    def closed(self, room: "Room") -> None:
        """Free the room's name."""


class Room:
    """A room. Subclass it, set the options, write hooks and `@action` methods.

    The attributes you set in `on_create` are the room's state; they need no lock,
    since hooks, handlers and timers run one at a time. A hook may take fewer
    arguments than it is offered.
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
    creator: Client | None
    """Whose join created it; None when the server's code did."""
    options: dict[str, Any]
    """What the join that created it brought beside the name."""
    server: Any
    """The `Server` it belongs to."""
    is_open: bool
    """False: it is closing or closed, and takes nothing any more."""

    # --- hooks: yours to override

    async def on_create(self) -> None:
        """Set up the state; runs before the first join. `ActionError` here refuses the joins that wait."""

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        """Refuse a join by raising `ActionError`; `options` is what the join brought beside the name."""

    async def on_join(self, client: Client) -> None:
        """Greet a new member, already in `members`. If it raises, the join is undone."""

    async def on_leave(self, client: Client, reason: str) -> None:
        """See a member off, no longer in `members`. Not called when the room closes."""

    async def on_close(self, reason: str) -> None:
        """Wind up, with the members still there, within `Limits.close_seconds`."""

    # --- for users

    @property
    def members(self) -> Mapping[str, Client]:
        """Who is in the room, {client id: client}; a live view."""
        return MappingProxyType(self._members)

    async def broadcast(
        self,
        action: str,
        body: object = codec.EMPTY,
        *,
        sender: Client | str | None = None,
        exclude: Client | Iterable[Client] = (),
        volatile: bool = False,
        coalesce: str | None = None,
    ) -> None:
        """Send a message to everyone in the room, its sender included. Never waits.

        `sender` is a client or a name, else the server's. `exclude`: one client or
        several who do not get it. `volatile`: whoever cannot take it at once never
        gets it. `coalesce`: of what waits under the same key only the newest goes
        out. Raises `EncodeError` for a body that is no JSON, `RoomClosed` behind the end.
        """
        self.publish(action, codec.encode_body(body), sender, exclude, volatile, coalesce)

    async def send(self, client: Client, action: str, body: object = codec.EMPTY) -> bool:
        """Send a message to one client, in its place among the room's; False when it is gone. Never waits."""
        return client.say(action, codec.encode_body(body), room=self.name)

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the room; it runs beside the turns, and if it raises, the room closes."""
        self._nursery_or_raise().start_soon(self._task, function, args, name=function)

    def after(self, seconds: float, function: Callable[[], Awaitable[object]]) -> trio.CancelScope:
        """Call `function` once, in the room's turn, after `seconds`; the scope returned cancels that."""
        return self._start_timer(seconds, function, repeat=False)

    def every(self, seconds: float, function: Callable[[], Awaitable[object]]) -> trio.CancelScope:
        """Call `function` in the room's turn every `seconds`; a call that comes late is not made up for."""
        return self._start_timer(seconds, function, repeat=True)

    async def kick(self, client: Client, reason: str = "kicked") -> bool:
        """Take a member out; it is told why by `client-left-room`. False when it was none."""
        return bool(await self.in_turn(lambda: self.remove(client, reason, tell=True)))

    async def close(self, reason: str = "closed") -> None:
        """Close the room and wait until it is closed.

        From a handler, timer or task of this very room it only begins: the handler
        runs to its end, its reply is sent, then the room closes.
        """
        if self.is_global:
            raise ValueError(f"{GLOBAL_ROOM!r} is there as long as the server: it never closes")
        self.begin_close(reason)
        if ROOM.get() is self:
            return
        limits = self._home.limits
        seconds = limits.turn_seconds + limits.close_seconds if TURN.get() is not None else math.inf
        with trio.move_on_after(seconds):
            await self._closed.wait()
        if not self._closed.is_set():
            raise ActionError("busy", f"room {self.name!r} has not closed within {seconds:g} seconds", retry_after=1)

    # --- the life of a room; for the package

    def __init__(
        self,
        home: Home,
        name: str,
        *,
        creator: Client | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Made by the hub."""
        self.name = name
        self.creator = creator
        self.options = options or {}
        self.server = home.server
        self.is_open = True
        self.is_global = name == GLOBAL_ROOM
        self.fanout = Fanout()
        self.successor: Room | None = None  # who takes the joins that come while this room closes
        self._home = home
        self._publish = home.broker.publish
        self._members: dict[str, Client] = {}  # {client id: client}
        self._turns = Turns(home.limits, self._run, home.voice_of(self))
        self._nursery: trio.Nursery | None = None
        self._ending = trio.Event()
        self._closed = trio.Event()
        self._reason = ""
        self.failure: ActionError | None = None  # why on_create failed; the answer to the joins that wait
        self._is_created = False
        self._was_joined = False
        self._empty_timer: trio.CancelScope | None = None
        self._turns.post_always(call_work, None, Call(self._create))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} with {len(self._members)}>"

    async def live(self) -> None:
        """The room's life, as a task of the server: run until it is closed or cancelled, then wind up."""
        ROOM.set(self)
        self._home.metrics.rooms_opened += 1
        try:
            while not self._ending.is_set():
                await self._run_nursery()
        except* trio.Cancelled:
            self._home.is_stopping = True  # nothing else cancels a room from outside
            raise
        finally:
            await self._wind_up()

    async def _run_nursery(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._turns.serve)
                await self._ending.wait()
                nursery.cancel_scope.cancel()
        except* Exception:
            self._home.metrics.rooms_crashed += 1
            logger.exception("a task of room %.200r crashed", self.name)
            if self.is_global:
                # It never closes: its tasks start again, as they did at first.
                self._turns.post_always(call_work, None, Call(self._create))
            else:
                self.begin_close("crashed")
                self._ending.set()

    def begin_close(self, reason: str) -> None:
        """Take nothing any more, and end: behind the running handler if that is who says so, else now."""
        if self.is_open:
            self.is_open = False
            self._reason = reason
            self._home.closing(self, self._turns.take_all())
            if self._turns.is_mine:
                self._turns.stop_after_this(self._ending.set)
                return
        if ROOM.get() is not self or not self._turns.is_mine:
            self._ending.set()

    async def wait_closed(self) -> None:
        """Wait until the name is free."""
        await self._closed.wait()

    async def _wind_up(self) -> None:
        """Run on_close with the members still there, tell them, let them go, free the name."""
        self.begin_close("shutdown")
        self._nursery = None
        reason = self._reason
        if self._is_created:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + self._home.limits.close_seconds):
                try:
                    await self._hook("on_close", reason)
                except* Exception:
                    logger.exception("on_close of room %.200r failed", self.name)
        if not self.is_global:
            self._tell("room-closed", {"roomname": self.name, "reason": reason})
        self._home.flush(self)
        for member in self._members.values():
            member.rooms_by_name.pop(self.name, None)
        self._members.clear()
        self._closed.set()
        self._home.closed(self)

    # --- turns

    def post(self, work: Work, client: Client, ask: Envelope) -> bool:
        """Put a client's message into the inbox; False when it is full."""
        return (self._lobby(client) if self.is_global else self._turns).post(work, client, ask)

    def post_always(self, work: Work, client: Client, ask: object) -> None:
        """Put into the inbox what no bound may refuse."""
        self._turns.post_always(work, client, ask)

    def take_out(self, client: Client, id: str | int) -> Envelope | None:
        """Take a client's message that still waits out of the inbox."""
        turns = client.lobby if self.is_global else self._turns
        found: Envelope | None = turns.take_out(client, id) if turns is not None else None
        return found

    async def in_turn(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run a function of the server's own code in this room's turn, at once if the caller holds it."""
        if self._turns.is_mine:
            return await function()
        if not self.is_open:
            raise RoomClosed(f"room {self.name!r} is closed")
        call = Call(function)
        self._turns.post_always(call_work, None, call)
        return await call.wait(self._home.limits.turn_seconds if TURN.get() is not None else math.inf)

    def _lobby(self, client: Client) -> Turns:
        """Return a client's own turns in the global room; its worker starts with its first message there."""
        if client.lobby is None:
            client.lobby = Turns(self._home.limits, self._run)
            self._home.start(self._serve_lobby, client.lobby)
        return client.lobby

    async def _serve_lobby(self, turns: Turns) -> None:
        ROOM.set(self)
        await turns.serve()

    async def _run(self, work: Work, client: Client, ask: Any) -> None:  # Any: an Envelope or a Call
        """Run one entry and answer it, whatever comes of it: the boundary of a turn."""
        is_answered = False
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
                client.refuse(ask.id, ask.action, RoomClosed(f"room {self.name!r} closed meanwhile"))

    def _answer_failure(self, client: Client, ask: Envelope, group: BaseExceptionGroup[Exception]) -> None:
        refused, bugs = group.split(ActionError)
        if bugs is None and refused is not None:
            error = first_of(refused)
            if isinstance(error, ActionError):
                client.refuse(ask.id, ask.action, error)
            return
        self._home.metrics.handlers_failed += 1
        logger.error("the handler of %.64r in room %.200r failed", ask.action, self.name, exc_info=bugs)
        client.refuse(ask.id, ask.action, ActionError("internal", "the handler failed"))

    # --- membership, always in the turn

    async def _create(self) -> None:
        try:
            await self._hook("on_create")
            self._is_created = True
        except* ActionError as group:
            error = first_of(group)
            self.failure = error if isinstance(error, ActionError) else None
        except* Exception:
            self._home.metrics.rooms_crashed += 1
            logger.exception("on_create of room %.200r failed", self.name)
            self.failure = ActionError("internal", "the room could not be created")
        if self.failure is not None and not self.is_global:
            self.begin_close("not created")

    async def wait_created(self) -> None:
        """Wait until on_create has run; raises why it failed."""
        await self.in_turn(_nothing)
        if self.failure is not None:
            raise self.failure

    async def admit(self, client: Client, options: dict[str, Any]) -> dict[str, Any]:
        """Make a client a member, or raise why not; returns the answer to the join."""
        try:
            return await self._admit(client, options)
        finally:
            self._end_if_empty()

    async def _admit(self, client: Client, options: dict[str, Any]) -> dict[str, Any]:
        if client.id in self._members:
            return self._answer_join(created=False)
        created = self.creator is client and not self._was_joined
        self._check_places(client)
        await self._hook("on_auth", client, options)
        self._check_places(client)  # while on_auth waited, it may have gone or joined elsewhere
        self._members[client.id] = client
        client.rooms_by_name[self.name] = self
        self.fanout.joined(client)
        try:
            await self._hook("on_join", client)
        except BaseException:
            self._forget(client)
            raise
        if client.id not in self._members:
            raise ActionError("forbidden", f"room {self.name!r} did not keep you")
        self._was_joined = True
        if self.announce:
            self.publish("client-joined-room", _as_body(client), None, client)
        return self._answer_join(created=created)

    def has(self, client: Client) -> bool:
        """Tell whether a client is a member."""
        return client.id in self._members

    @property
    def count(self) -> int:
        """How many members there are."""
        return len(self._members)

    @property
    def places(self) -> int | None:
        """How many members it takes at most; None: any number."""
        return self._home.limits.members_per_room if self.capacity is None else self.capacity

    def _check_places(self, client: Client) -> None:
        limits = self._home.limits
        if client.is_gone:
            raise Gone(f"client {client.id} has disconnected")
        most = self.places
        if most is not None and len(self._members) >= most:
            raise ActionError("room-full", f"room {self.name!r} holds {most} of {most} members")
        if limits.rooms_per_client is not None and len(client.rooms_by_name) > limits.rooms_per_client:
            raise ActionError("too-many", f"a client may be in {limits.rooms_per_client} rooms")

    def _answer_join(self, *, created: bool) -> dict[str, Any]:
        return {"roomname": self.name, "created": created, "members": self.list_members()}

    def list_members(self) -> list[dict[str, str]]:
        """Return who is here, as `join-room` and `who` answer it."""
        return [{"client": member.id, "name": member.name} for member in self._members.values()]

    async def remove(self, client: Client, reason: str, *, tell: bool = False) -> bool:
        """Take a member out; False when it was none. `tell`: also the one who is taken out."""
        if client.id not in self._members:
            return False
        self._forget(client)
        try:
            await self._hook("on_leave", client, reason)
        except* Exception:
            self._home.metrics.handlers_failed += 1
            logger.exception("on_leave of room %.200r failed", self.name)
        body = codec.encode_body({"client": client.id, "name": client.name, "reason": reason})
        if self.announce:
            self.publish("client-left-room", body)
        if tell:
            client.say("client-left-room", body, room=self.name)
        self._end_if_empty()
        return True

    def _forget(self, client: Client) -> None:
        if self._members.pop(client.id, None) is not None:
            self.fanout.left(client)
            client.rooms_by_name.pop(self.name, None)

    def _end_if_empty(self) -> None:
        """End a room that its last member has left, now or after `empty_ttl`."""
        is_waiting_for_first = self.creator is None and not self._was_joined
        if self._members or not self.is_open or self.is_global or is_waiting_for_first or self.empty_ttl is None:
            return
        if not self.empty_ttl:
            self.begin_close("empty")
            return
        if self._empty_timer is not None:
            self._empty_timer.cancel()
        self._empty_timer = self.after(self.empty_ttl, self._close_if_empty)

    async def _close_if_empty(self) -> None:
        if not self._members:
            self.begin_close("empty")

    def enter_global(self, client: Client) -> None:
        """Put a new client into the global room, which every client is in from its first moment."""
        self._members[client.id] = client
        client.rooms_by_name[self.name] = self
        self.fanout.joined(client)
        if type(self).on_join is not Room.on_join:
            self._lobby(client).post_always(call_work, client, Call(lambda: self._greet(client)))

    async def _greet(self, client: Client) -> None:
        try:
            await self._hook("on_join", client)
        except* Exception:
            self._home.metrics.handlers_failed += 1
            logger.exception("on_join of the global room failed")

    def leave_global(self, client: Client, reason: str) -> None:
        """Take a client that has disconnected out of the global room; what it sent before is still handled."""
        self._members.pop(client.id, None)
        self.fanout.left(client)
        client.rooms_by_name.pop(self.name, None)
        if type(self).on_leave is not Room.on_leave:
            self._lobby(client).post_always(call_work, client, Call(lambda: self._see_off(client, reason)))
        if client.lobby is not None:
            client.lobby.end()

    async def _see_off(self, client: Client, reason: str) -> None:
        try:
            await self._hook("on_leave", client, reason)
        except* Exception:
            self._home.metrics.handlers_failed += 1
            logger.exception("on_leave of the global room failed")

    # --- speaking

    def publish(
        self,
        action: str,
        body: Raw,
        sender: Client | str | None = None,
        exclude: Client | Iterable[Client] = (),
        volatile: bool = False,
        coalesce: str | None = None,
    ) -> None:
        """Encode and frame a message once, and hand it to the broker; a plain def."""
        if self._closed.is_set():
            raise RoomClosed(f"room {self.name!r} is closed: nobody would hear {action!r}")
        if sender is None:
            sender = self._home.server_name
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

    def members_of(self, ids: Sequence[str]) -> list[Client]:
        """Return those of these clients who are here."""
        return [self._members[id] for id in ids if id in self._members]

    def flush(self) -> bool:
        """Send every member what it lacks; True when more must follow."""
        return self.fanout.flush(self._members.values())

    async def relay_message(self, client: Client, envelope: Envelope) -> None:
        """Send a client's message on to everyone here, its sender included."""
        self.publish(envelope.action, envelope.message_body, client)

    def _tell(self, action: str, body: dict[str, Any]) -> None:
        self._publish(
            self.name, text_frame(codec.encode(action, codec.encode_body(body), self.name, self._home.server_name)), ()
        )

    # --- tasks and timers

    async def _hook(self, name: str, *args: object) -> None:
        await getattr(self, name)(*args[: _hook_arity(getattr(type(self), name))])

    def _nursery_or_raise(self) -> trio.Nursery:
        if self._nursery is None or not self.is_open:
            raise RoomClosed(f"room {self.name!r} is not open: nothing can be started in it")
        return self._nursery

    async def _task(self, function: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        TURN.set(None)  # it may have been started by a handler, and does not share its turn
        ROOM.set(self)
        await function(*args)

    def _start_timer(
        self, seconds: float, function: Callable[[], Awaitable[object]], *, repeat: bool
    ) -> trio.CancelScope:
        if not seconds > 0:
            raise ValueError(f"{seconds!r} seconds: give a time above 0")
        scope = trio.CancelScope()
        self._nursery_or_raise().start_soon(self._timer, seconds, function, repeat, scope, name=function)
        return scope

    async def _timer(
        self, seconds: float, function: Callable[[], Awaitable[object]], repeat: bool, scope: trio.CancelScope
    ) -> None:
        TURN.set(None)
        ROOM.set(self)
        due = trio.current_time() + seconds
        with scope:
            while True:
                await trio.sleep_until(due)
                try:
                    await self.in_turn(function)
                except* RoomClosed:
                    pass  # the call was under way when the room closed
                except* Exception:
                    self._home.metrics.handlers_failed += 1
                    logger.exception("a timer of room %.200r failed", self.name)
                if not repeat:
                    break
                # What a long turn made late is left out, not made up.
                due += seconds * max(1, math.ceil((trio.current_time() - due) / seconds))


async def call_work(_: Room, __: Client | None, call: Call) -> None:
    """The work of a `Call`."""
    await call.run()


async def _nothing() -> None:
    """What is called to see that its turn has come."""


def _as_body(client: Client) -> Raw:
    return codec.encode_body({"client": client.id, "name": client.name})


@functools.cache
def _hook_arity(hook: Callable[..., object]) -> int:
    """Return how many arguments a hook takes, so that it may be written with those it needs."""
    parameters = list(inspect.signature(hook).parameters.values())[1:]
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 99
    return sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) for parameter in parameters
    )
