"""The registry: which handler takes which action, in which rooms.

Laws:
- Signatures are read once, at registration, and a wrong one fails there.
- A handler gets what its annotations item for, in any order: `Client`, `Room` or a
  subclass, `Message`, `Call`, `Server`. The one remaining parameter is the body.
- The handler of a room class comes before that of the server.
"""

from collections.abc import Awaitable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from .._functions import is_overridden, name_place, source_of
from .._protocol.codec import Envelope
from .._protocol.names import RESERVED_ACTIONS
from .._rooms.callers import check_in_time
from .._rooms.events import FALLBACK, NOT_TAKEN
from .._rooms.long_turns import bounded
from .._rooms.outside_turn import start_outside_turn
from .._rooms.runtime import RoomRuntime
from .._rooms.turn_boundary import LATER
from .._sessions.handler_scope import HandlerScope
from .._sessions.session import Session
from ..actions import Actions, Function, Mark, Predicate, mark_of
from ..client import Client
from ..errors import ActionError, RegistrationError
from ..middleware import Call, Middleware, check_middleware
from ..room import Room
from .chain import ExceptionHandlers, chain, middleware_of
from .class_check import check_class, place_in
from .guard import guarded, predicate_in
from .signature import Answer, CallHandler, Signature, read

if TYPE_CHECKING:
    from ..server import Server


@attrs.frozen
class Action:
    """A registered handler, with its signature and its options."""

    name: str
    signature: Signature
    turn: bool = True
    cancel: bool = False
    wares: tuple[Middleware, ...] = ()  # the middleware of its group
    only: Predicate | None = None


Table = dict[str, Action]


class Registry:
    """The actions of a server and of its room classes; `handle` is called for every message in its turn."""

    def __init__(self, server: "Server", *, relay: bool) -> None:
        self.server = server
        self._relay = relay
        self._actions: Table = {}  # {name: action}: for each room whose class does not have the action
        self._tables: dict[type[Room[Any]], Table] = {}  # {room class: its own actions}
        self._class_wares: dict[type[Room[Any]], list[Middleware]] = {}
        self._fallback: Action | None = None
        self._wares: list[Middleware] = []
        self.exceptions = ExceptionHandlers()

    # --- registering

    def add(self, mark: Mark, handler: Function, wares: tuple[Middleware, ...] = ()) -> None:
        """Register a handler for every room; `wares` is the middleware of its group."""
        name = mark.name
        if name in self._actions:
            first = self._actions[name].signature.place
            raise RegistrationError(
                f"the action {name!r} is registered twice: {name_place(handler)} is the second, the first is at {first}"
            )
        signature = read(f"the handler of {name!r}", handler, type(self.server), None)
        self._actions[name] = Action(name, signature, mark.turn, mark.cancel, wares, mark.only)

    def include(self, actions: Actions) -> None:
        """Register all handlers of a group, or none of them if one fails."""
        if not isinstance(actions, Actions):
            raise RegistrationError(f"server.include({actions!r}): give Actions(...)")
        handlers, wares = actions.take()
        before = dict(self._actions)
        try:
            for mark, handler in handlers:
                self.add(mark, handler, wares)
        except RegistrationError:
            self._actions = before
            raise

    def add_fallback(self, handler: Function) -> None:
        """Register the handler for messages that no action takes."""
        if self._fallback is not None:
            raise RegistrationError(
                f"on_message is registered twice: {name_place(handler)} is the second, the first is at"
                f" {self._fallback.signature.place}"
            )
        self._fallback = Action(FALLBACK, read("on_message", handler, type(self.server), None, is_hook=True))

    def add_middleware(self, ware: Middleware) -> None:
        """Register middleware for every room."""
        check_middleware(ware)
        self._wares.append(ware)

    def add_class(self, room_class: type[Room[Any]]) -> None:
        """Read the actions, the `on_message` hook and the middleware of a room class."""
        if room_class in self._tables:
            return
        if room_class.__init__ is not Room.__init__:
            raise RegistrationError(
                f"{room_class.__qualname__} has an __init__ ({source_of(room_class.__init__)}):"
                " set up a room in `async def on_create(self)`"
            )
        check_class(room_class)
        table: Table = {}
        for attribute in dir(room_class):
            mark = mark_of(room_class, attribute)
            if mark is None:
                continue
            handler = getattr(room_class, attribute)
            if mark.name in ("join-room", "list-rooms", "renew"):
                raise RegistrationError(
                    f"{place_in(room_class, attribute)}: {mark.name!r} is handled by the server, not by a"
                    f" room: write `@server.action({mark.name!r})`"
                )
            if mark.name in table:
                raise RegistrationError(
                    f"the action {mark.name!r} is registered twice in {room_class.__qualname__}: {name_place(handler)}"
                    f" is the second, the first is at {table[mark.name].signature.place}"
                )
            signature = read(f"the handler of {mark.name!r}", handler, type(self.server), room_class)
            only = predicate_in(room_class, mark.name, mark.only)
            table[mark.name] = Action(mark.name, signature, mark.turn, mark.cancel, only=only)
        if is_overridden(room_class.on_message):
            hook: Function = room_class.on_message
            table[FALLBACK] = Action(FALLBACK, read("on_message", hook, type(self.server), room_class, is_hook=True))
        self._tables[room_class] = table
        self._class_wares[room_class] = middleware_of(room_class)

    def actions(self) -> Iterable[tuple[type[Room[Any]] | None, Action]]:
        """Return all actions, each with its room class; None for the actions of the server."""
        for each in self._actions.values():
            yield None, each
        for room_class, table in self._tables.items():
            for name, each in table.items():
                if name != FALLBACK:
                    yield room_class, each

    def middleware(self) -> Iterable[Middleware]:
        """Return the middleware that is around the handlers of every room."""
        return self._wares

    def overrides(self, name: str, runtime: RoomRuntime | None = None) -> bool:
        """Tell whether the application has replaced a built-in action, for all rooms or for this one."""
        return name in self._actions or (runtime is not None and name in self._tables.get(type(runtime.room), ()))

    def place_of(self, runtime: RoomRuntime, action: str) -> str:
        """Return where the handler of an action in a room is defined, for logs; "" if it has none."""
        table = self._tables.get(type(runtime.room), {})
        found = table.get(action) or self._actions.get(action) or table.get(FALLBACK) or self._fallback
        return found.signature.place if found is not None else ""

    # --- finding

    def handle(self, runtime: RoomRuntime, session: Session, envelope: Envelope) -> Awaitable[object]:
        """Return the coroutine of the handler of a message whose turn has come.

        `ActionError` if the room has no handler for it, if the client is not a member, or if the
        message has timed out.
        """
        # The hot path of every message: a plain def, so that the handler's coroutine is the only one.
        if (session.id not in runtime.members.by_id and not runtime.is_global) or envelope.timeout is not None:
            self.check(runtime, session, envelope)
        call = runtime.calls.get(envelope.action)
        if call is None:
            call = self._find(runtime, envelope)
        return call(self.server, runtime.room, session.client, envelope)

    def check(self, runtime: RoomRuntime, session: Session, envelope: Envelope) -> None:
        """Refuse a message of a client that is not a member, and one that has timed out."""
        if session.id not in runtime.members.by_id and not runtime.is_global:
            raise ActionError("not-a-member", f"you are not in room {runtime.name!r}: join it first")
        check_in_time(envelope)

    def _find(self, runtime: RoomRuntime, envelope: Envelope) -> CallHandler:
        """Find the handler of an action that this room has not called before, or else its fallback."""
        table = self._tables.get(type(runtime.room), {})
        found = table.get(envelope.action) or self._actions.get(envelope.action)
        if found is not None and isinstance(runtime.room, found.signature.room_class):
            call = runtime.calls[found.name] = self._compose(runtime, found)
            return call
        fallback = runtime.calls.get(FALLBACK) or self._compose_fallback(runtime, table)
        if fallback is None or envelope.action in RESERVED_ACTIONS:
            raise ActionError("unknown-action", f"room {runtime.name!r} has no action {envelope.action!r}")
        return fallback

    def _compose_fallback(self, runtime: RoomRuntime, table: Table) -> CallHandler | None:
        room = runtime.room
        if runtime.events is not None and runtime.events.is_open:
            hand_over = partial(self._hand_over, runtime)
            call = self._surround(runtime, (), hand_over, lambda call: hand_over(*_parts_of(call)))
            runtime.calls[FALLBACK] = call = _bounded(runtime, call)
            return call
        for found in (table.get(FALLBACK), self._fallback):
            if found is not None and isinstance(room, found.signature.room_class):
                call = self._compose(runtime, found)
                break
        else:
            if not (self._relay if room.relay is None else room.relay):
                return None
            call = _bounded(runtime, self._surround(runtime, (), _relay, _relay_call))
        runtime.calls[FALLBACK] = call
        return call

    async def _hand_over(
        self, runtime: RoomRuntime, server: object, room: Room[Any], client: Client[Any], envelope: Envelope
    ) -> object:
        """Hand a message that no action takes to the loop of the room, or to others if the loop ends meanwhile."""
        result = NOT_TAKEN if runtime.events is None else await runtime.events.handle(client, envelope)
        return await self._find(runtime, envelope)(server, room, client, envelope) if result is NOT_TAKEN else result

    def _compose(self, runtime: RoomRuntime, found: Action) -> CallHandler:
        """Build the call of an action in a room: guarded, with its middleware, in or outside the turn, cancellable."""
        call = self._surround(runtime, found.wares, found.signature.call, found.signature.answer)
        if not found.turn:
            call = partial(_start_outside_turn, runtime, call)
        else:
            call = _bounded(runtime, call)
            call = partial(_run_in_scope, call) if found.cancel else call
        return call if found.only is None else guarded(found.only, call)

    def surround(self, runtime: RoomRuntime, answer: Answer) -> CallHandler:
        """Put the middleware of the server and of the room, and the exception handlers, around a function of ours."""
        return _bounded(runtime, self._surround(runtime, (), lambda *args: answer(Call(*args)), answer))

    def _surround(
        self, runtime: RoomRuntime, wares: tuple[Middleware, ...], handle: CallHandler, answer: Answer
    ) -> CallHandler:
        """Put the middleware and the exception handlers around a handler, if there are any."""
        wares = (*self._wares, *wares, *self._class_wares.get(type(runtime.room), ()))
        if not wares and not self.exceptions:
            return handle
        surrounded = chain(wares, answer)
        if self.exceptions:
            surrounded = self.exceptions.around(surrounded)
        return lambda server, room, client, envelope: surrounded(Call(server, room, client, envelope))


def _relay(_: object, room: Room[Any], client: Client[Any], envelope: Envelope) -> Awaitable[object]:
    return room.broadcast(envelope.action, envelope.message_body, sender=client)


def _parts_of(call: Call) -> tuple[object, Room[Any], Client[Any], Envelope]:
    return call.server, call.room, call.client, call.envelope


def _relay_call(call: Call) -> Awaitable[object]:
    return _relay(*_parts_of(call))


def _bounded(runtime: RoomRuntime, call: CallHandler) -> CallHandler:
    """Return the call with the bound of `Limits.handler_seconds`, if there is one."""
    if runtime.home.limits.handler_seconds is None:
        return call

    def bounded_call(server: object, room: Room[Any], client: Client[Any], envelope: Envelope) -> Awaitable[object]:
        name = f"the handler of {envelope.action!r:.200}"
        return bounded(runtime, name, partial(call, server, room, client, envelope))

    return bounded_call


async def _run_in_scope(
    call: CallHandler, server: object, room: Room[Any], client: Client[Any], envelope: Envelope
) -> object:
    return await HandlerScope(client._session, envelope, room._runtime).run(
        partial(call, server, room, client, envelope)
    )


async def _start_outside_turn(
    runtime: RoomRuntime, call: CallHandler, server: object, room: Room[Any], client: Client[Any], envelope: Envelope
) -> object:
    handle = partial(call, server, room, client, envelope)
    await start_outside_turn(runtime, client._session, envelope, handle)
    return LATER
