"""Admission: takes each client in, from the handshake to the end of its connection.

Laws: no client is registered before `on_connect` has returned; `on_disconnect` is called for
every client that `on_connect` was called for. Each hook runs in a task of its own, for which
the connection waits, but not for ever.
"""

import functools
import inspect
import logging
import time
import typing
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import trio

from .._dispatch.inbound import Inbound
from .._functions import check_hook, name_place, takes
from .._http.upgrade import Upgrade
from .._rooms.hub import Hub
from .._rooms.tasks import CURRENT_ROOM
from .._sessions.session import Session
from .._wire.connection import Connection, Receive
from .._wire.transport import Transport
from ..client import Client
from ..errors import ActionError, CloseCode, Refuse, RegistrationError, first_of
from ..request import Identity, Request

logger = logging.getLogger("simplysocket.admission")

Hook: TypeAlias = Callable[..., Awaitable[object]]
Authenticate: TypeAlias = Callable[[Request], Awaitable[Identity]]
"""Says who a client is, or raises `Refuse`."""
# What may be written: with all that is offered, or with less.
Connecting = TypeVar(
    "Connecting",
    bound=Callable[[Client[Any], Request], Awaitable[object]]
    | Callable[[Client[Any]], Awaitable[object]]
    | Callable[[], Awaitable[object]],
)
Disconnecting = TypeVar(
    "Disconnecting",
    bound=Callable[[Client[Any], str], Awaitable[object]]
    | Callable[[Client[Any]], Awaitable[object]]
    | Callable[[], Awaitable[object]],
)


class Admission:
    """Takes each client in, from the handshake to the end of its connection."""

    def __init__(self, hub: Hub, inbound: Inbound, make_state: Callable[[], object]) -> None:
        _check_state(make_state)
        self._hub = hub
        self._inbound = inbound
        self._make_state = make_state
        self._authenticate: Authenticate | None = None
        self._on_connect: list[Hook] = []
        self._on_disconnect: list[Hook] = []

    def set_authenticate(self, function: Authenticate) -> None:
        """Register the function that returns the identity of a client."""
        if self._authenticate is not None:
            raise RegistrationError(f"authenticate is registered twice: {name_place(function)} is the second")
        check_hook("authenticate", function, ("request",))
        self._authenticate = function

    def add_on_connect(self, hook: Hook) -> None:
        """Register a hook that is called for a new client, before its first message is read."""
        self._on_connect.append(_taking("on_connect", hook, ("client", "request")))

    def add_on_disconnect(self, hook: Hook) -> None:
        """Register a hook that is called when a client's connection has ended."""
        self._on_disconnect.append(_taking("on_disconnect", hook, ("client", "reason")))

    @property
    def is_authenticated(self) -> bool:
        """Whether the application authenticates its clients."""
        return self._authenticate is not None

    async def identify(self, request: Request) -> Identity | None:
        """Return the identity that the application gives; None without `authenticate`. Raises whatever it raised."""
        if self._authenticate is None:
            return None
        identity = await self._call(self._authenticate, request)
        if not isinstance(identity, Identity):
            place = name_place(self._authenticate)
            logger.error("authenticate, %.300r, returned %.200r: return an Identity, or raise Refuse", place, identity)
            raise Refuse(401, "")
        if identity.expires_at is not None and identity.expires_at <= time.time():
            raise Refuse(401, "the credentials have expired")
        return identity

    async def enter(self, transport: Transport, upgrade: Upgrade) -> None:
        """Run a client's connection from the handshake to its end, in the task of the connection."""
        hub = self._hub
        connection = Connection(transport, hub.limits, hub.metrics)
        session: Session | None = None
        opening = trio.Event()

        async def opened() -> Receive:
            nonlocal session
            opening.set()
            session = self._make_session(connection, upgrade)
            if session is None:
                return _discard
            if upgrade.subprotocol:
                session.say("welcome", {"client": session.id, "ping": hub.limits.ping_seconds})
            if self._on_connect:
                await self._greet(session, upgrade.request, connection)
            if hub.is_stopping:
                connection.close(CloseCode.SHUTDOWN, "shutdown")  # it was admitted in the last moment
            if connection.is_open:
                hub.connect(session)
            return partial(self._inbound.receive, session)

        try:
            if upgrade.identity is None or upgrade.identity.expires_at is None:
                await connection.run(upgrade.head, upgrade.subprotocol, opened)
            else:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_expire, connection, upgrade.identity.expires_at, opening)
                    await connection.run(upgrade.head, upgrade.subprotocol, opened)
                    nursery.cancel_scope.cancel()
        finally:
            if session is not None:
                hub.metrics.connections_closed[connection.close_code] += 1
                hub.disconnect(session, connection.why_it_ended)
                if self._on_disconnect:
                    await self._see_off(session.client, connection.why_it_ended)

    def _make_session(self, connection: Connection, upgrade: Upgrade) -> Session | None:
        request, identity = upgrade.request, upgrade.identity
        name = (identity and identity.name) or request.query.get("name", "")
        session: Session | None = None
        try:
            session = self._hub.make_session(connection, name, request.address, self._make_state(), identity)
        except* Exception:
            logger.exception("the option state= failed: no client can be made")
            connection.close(CloseCode.INTERNAL, "a fault of the server")
        else:
            self._hub.metrics.connections_opened += 1
        return session

    async def _greet(self, session: Session, request: Request, connection: Connection) -> None:
        """Call on_connect; a client that it refuses is told why, and closed."""
        seconds, client = self._hub.limits.handshake_seconds, session.client
        with trio.move_on_after(seconds) as scope:
            try:
                for hook in self._on_connect:
                    await self._call(hook, client, request)
            except* (ActionError, Refuse) as group:
                reason = first_of(group).message
                # A refusal while the server stops is not for ever.
                code = CloseCode.SHUTDOWN if self._hub.is_stopping else CloseCode.POLICY
                connection.close(code, reason or "refused")
            except* Exception:
                self._hub.metrics.handlers_failed += 1
                logger.exception("on_connect failed for %r", client)
                connection.close(CloseCode.INTERNAL, "on_connect failed")
        if scope.cancelled_caught:
            logger.error("on_connect for %r took over %g seconds: the connection is closed", client, seconds)
            connection.close(CloseCode.INTERNAL, "on_connect took too long")

    async def _see_off(self, client: Client[Any], reason: str) -> None:
        """Call on_disconnect, even while the server is cancelled; a hook that hangs does not keep others from it."""
        seconds = self._hub.limits.close_seconds
        for hook in self._on_disconnect:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + seconds) as scope:
                try:
                    await self._call(hook, client, reason)
                except* Exception:
                    self._hub.metrics.handlers_failed += 1
                    logger.exception("on_disconnect failed for %r", client)
            if scope.cancelled_caught:
                logger.error("on_disconnect for %r took over %g seconds", client, seconds)

    async def _call(self, function: Hook, *args: object) -> object:
        """Call a function of the application's in a task of its own, so that whatever it leaves open ends with it."""
        result: object = None

        async def call() -> None:
            nonlocal result
            CURRENT_ROOM.set(self._hub.global_room)  # a stop that it asks for returns at once: it would wait for itself
            result = await function(*args)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
        return result


def _discard(_: bytes, __: float) -> None:
    """Take the messages of a client that is not let in."""


def _check_state(make_state: Callable[[], object]) -> None:
    name = getattr(make_state, "__qualname__", repr(make_state))
    if not callable(make_state) or inspect.iscoroutinefunction(make_state):
        raise RegistrationError(
            f"state={name}: give what makes the state of a new client at once, such as a class or `dict`"
        )
    try:
        inspect.signature(make_state).bind()
    except TypeError as exc:
        raise RegistrationError(
            f"state={name} cannot be called without arguments ({exc}): write `state=lambda: {name}(...)`, or set"
            " client.state in on_connect"
        ) from None
    except ValueError:
        pass  # a builtin such as dict tells nothing


async def _expire(connection: Connection, expires_at: float, opening: trio.Event) -> None:
    """Close a connection whose credentials are valid no more, not before its handshake is done."""
    await opening.wait()
    await trio.sleep(max(0.0, expires_at - time.time()))
    connection.close(CloseCode.EXPIRED, "the credentials have expired")


def _taking(what: str, hook: Callable[..., Awaitable[object]], offered: tuple[str, ...]) -> Hook:
    """Return a hook as it is called: with all that is offered, of which it may take less."""
    if inspect.iscoroutinefunction(hook):
        _check_order(what, hook, offered)
        most = takes(hook)
        check_hook(what, hook, offered[:most])
        return functools.wraps(hook)(lambda *args: hook(*args[:most]))
    check_hook(what, hook, offered)
    return hook


_TYPES: Final[dict[str, type]] = {"client": Client, "request": Request, "reason": str}


def _check_order(what: str, hook: Callable[..., object], offered: tuple[str, ...]) -> None:
    """Refuse a hook whose annotations ask for things in another order than they come in."""
    for parameter, name in zip(inspect.signature(hook).parameters.values(), offered, strict=False):
        hint = parameter.annotation
        asked = typing.get_origin(hint) or hint
        named = parameter.name if parameter.name in _TYPES else None
        if (asked in _TYPES.values() and asked is not _TYPES[name]) or (named is not None and named != name):
            written = f"`async def ({', '.join(offered)})`"
            raise RegistrationError(
                f"{what}, {name_place(hook)}, takes {parameter.name!r} where {name!r} comes: write {written}"
            )
