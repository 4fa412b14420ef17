"""Admission: runs each client's connection, and calls the hooks at its beginning and its end.

Laws:
- No client is registered before `on_connect` has returned.
- `on_disconnect` is called for every client that `on_connect` was called for.
- `on_disconnect` comes after `on_leave` in each of the client's rooms; the connection does not wait for it.
- Each hook runs in a task of its own, and not for ever.
"""

import functools
import inspect
import logging
import time
import typing
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import attrs
import trio

from .._accounts import address_account
from .._boundary import PASSING
from .._dispatch.inbound import Inbound
from .._functions import check_hook, name_place, takes
from .._http.proxies import Proxies
from .._http.upgrade import Upgrade
from .._rooms.departure import Departure
from .._rooms.hub import Hub
from .._rooms.tasks import CURRENT_ROOM
from .._sessions.session import Session
from .._wire.connection import Connection, Receive
from .._wire.outboxes import Outboxes
from .._wire.transport import Transport
from ..client import Client
from ..errors import ActionError, CloseCode, PeerError, Refuse, RegistrationError, first_of
from ..request import Identity, Request
from .expiry import Expiry

logger = logging.getLogger("simplysocket.admission")

Hook: TypeAlias = Callable[..., Awaitable[object]]
Authenticate: TypeAlias = Callable[[Request], Awaitable[Identity]]
"""Returns the identity of a client, or raises `Refuse`."""
# A hook may be written with all the arguments that it is offered, or with fewer.
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


@attrs.define(eq=False)
class _Entry:
    """A client on its way in. Its request is let go of when it is in: it would take 2 KiB for each idle client."""

    connection: Connection
    upgrade: Upgrade
    session: Session | None = None


class Admission:
    """Admits the clients of one server, each from the handshake to the end of its connection.

    `make_state` is called for each new client; its result is `client.state`.
    """

    def __init__(
        self,
        hub: Hub,
        inbound: Inbound,
        outboxes: Outboxes,
        expiry: Expiry,
        proxies: Proxies,
        make_state: Callable[[], object],
    ) -> None:
        _check_state(make_state)
        self._hub = hub
        self._inbound = inbound
        self._outboxes = outboxes
        self._expiry = expiry
        self._make_state = make_state
        self._proxies = proxies
        self._nursery: trio.Nursery | None = None  # of the connections, while the server serves
        self._authenticate: Authenticate | None = None
        self._on_connect: list[Hook] = []
        self._on_disconnect: list[Hook] = []

    def begin(self, nursery: trio.Nursery) -> None:
        """Take the nursery of the connections, in which `on_disconnect` is called."""
        self._nursery = nursery

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

    async def identify(self, request: Request, turn: Callable[[], Awaitable[None]]) -> Identity | None:
        """Return the identity of the client that sends this request; None without `authenticate`.

        `turn` is awaited directly before `authenticate`, so that those of a crowd do not all run in one pass.
        `Refuse` if the application refuses the client, or if its credentials have expired. Any
        other exception of `authenticate` is raised as it is.
        """
        if self._authenticate is None:
            return None
        identity = await self._call(self._authenticate, request, turn=turn)
        if not isinstance(identity, Identity):
            place = name_place(self._authenticate)
            logger.error("authenticate, %.300r, returned %.200r: return an Identity, or raise Refuse", place, identity)
            raise Refuse(401, "")
        if identity.expires_at is not None and identity.expires_at <= time.time():
            raise Refuse(401, "the credentials have expired")
        return identity

    async def enter(self, transport: Transport, upgrade: Upgrade) -> None:
        """Run the connection of one client, from the handshake to its end."""
        hub = self._hub
        connection = Connection(transport, hub.limits, hub.metrics, self._outboxes, hub.budget)
        entry = _Entry(connection, upgrade)
        run = connection.run(upgrade.head, upgrade.subprotocol, partial(self._open, entry))
        del upgrade
        try:
            await run
        finally:
            self._expiry.remove(connection)
            session = entry.session
            if session is not None:
                if hub.budget.is_spent():  # a crowd hangs up
                    await hub.budget.turn(shielded=True)
                hub.metrics.count_closed(connection.close_code, is_ours=connection.is_closed_by_us)
                departure = hub.disconnect(session, connection.why_it_ended)
                if self._on_disconnect and self._nursery is not None:
                    self._nursery.start_soon(self._see_off, session.client, connection.why_it_ended, departure)

    async def _open(self, entry: "_Entry") -> Receive:
        """Make the client's session, after the handshake; return what takes its messages."""
        hub, connection, upgrade = self._hub, entry.connection, entry.upgrade
        del entry.upgrade
        if upgrade.identity is not None and upgrade.identity.expires_at is not None:
            self._expiry.add(connection, upgrade.identity.expires_at)
        session = entry.session = self._make_session(connection, upgrade)
        if session is None:
            return _discard
        if upgrade.subprotocol:
            session.say("welcome", {"client": session.id, "ping": hub.limits.ping_seconds})
        if self._on_connect:
            await self._greet(session, upgrade.request, connection)
        if hub.is_stopping:
            connection.close(CloseCode.SHUTDOWN, "shutdown")  # it was admitted while the server began to stop
        if connection.is_open:
            hub.connect(session)
        return partial(self._inbound.receive, session)

    def _make_session(self, connection: Connection, upgrade: Upgrade) -> Session | None:
        """Make the session of a new client; None if `state=` raises, and then close the connection."""
        hub, request, identity = self._hub, upgrade.request, upgrade.identity
        name = (identity and identity.name) or request.query.get("name", "")
        session: Session | None = None
        try:
            state = self._make_state()
            session = Session(
                hub.make_id(),
                name,
                request.address,
                connection,
                hub,
                state=state,
                identity=identity,
                accounts=self._accounts_of(identity, request.address),
            )
        except* PASSING:
            raise
        except* BaseException:
            logger.exception("the option state= failed: no client can be made")
            connection.close(CloseCode.INTERNAL, "a fault of the server")
        else:
            hub.metrics.connections_opened += 1
        return session

    def _accounts_of(self, identity: Identity | None, address: str) -> tuple[str, ...]:
        """Return what a client's connections count together as: its user, and its address. The first is what it is."""
        user = None if identity is None else f"user {identity.user}"
        return tuple(each for each in (user, address_account(self._proxies.origin_of(address))) if each is not None)

    async def _greet(self, session: Session, request: Request, connection: Connection) -> None:
        """Call `on_connect`. If it refuses the client, close the connection with the reason."""
        seconds, client = self._hub.limits.handshake_seconds, session.client
        with trio.move_on_after(seconds) as scope:
            try:
                for hook in self._on_connect:
                    await self._call(hook, client, request)
            except* PeerError as group:
                self._hub.metrics.peer_errors += 1
                logger.warning("on_connect for %r did not catch: %.500r", client, str(first_of(group)))
                connection.close(CloseCode.INTERNAL, "on_connect failed")
            except* (ActionError, Refuse) as group:
                reason = first_of(group).message
                # While the server stops, a client that is refused may come back later.
                code = CloseCode.SHUTDOWN if self._hub.is_stopping else CloseCode.POLICY
                connection.close(code, reason or "refused")
            except* PASSING:
                raise
            except* BaseException:
                self._hub.metrics.handlers_failed += 1
                logger.exception("on_connect failed for %r", client)
                connection.close(CloseCode.INTERNAL, "on_connect failed")
        if scope.cancelled_caught:
            logger.error("on_connect for %r took over %g seconds: the connection is closed", client, seconds)
            connection.close(CloseCode.INTERNAL, "on_connect took too long")

    async def _see_off(self, client: Client[Any], reason: str, departure: Departure) -> None:
        """Call `on_disconnect` after all `on_leave`s, even while the server is cancelled: a task of the session.

        A hook that hangs does not stop the next one.
        """
        seconds = self._hub.limits.close_seconds
        try:
            await departure.wait(2 * seconds)  # in the global room, of a handler and of `on_leave`
        finally:
            await self._call_on_disconnect(client, reason, seconds)

    async def _call_on_disconnect(self, client: Client[Any], reason: str, seconds: float) -> None:
        for hook in self._on_disconnect:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + seconds) as scope:
                try:
                    await self._call(hook, client, reason)
                except* PASSING:
                    raise
                except* BaseException:
                    self._hub.metrics.handlers_failed += 1
                    logger.exception("on_disconnect failed for %r", client)
            if scope.cancelled_caught:
                logger.error("on_disconnect for %r took over %g seconds", client, seconds)

    async def _call(self, function: Hook, *args: object, turn: Callable[[], Awaitable[None]] | None = None) -> object:
        """Call a function of the application in a task of its own, so that scopes it leaves open end with it."""
        result: object = None

        async def call() -> None:
            nonlocal result
            # As code of a room: if it calls `server.stop()`, this returns at once and does not wait for this very task.
            CURRENT_ROOM.set(self._hub.global_room)
            if turn is not None:
                await turn()
            result = await function(*args)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
        return result


def _discard(_: bytes, __: float) -> None:
    """Drop a message of a client that is not admitted."""


def _check_state(make_state: Callable[[], object]) -> None:
    """Refuse a `state=` that is not a plain function without arguments."""
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
        pass  # a builtin such as dict has no signature to look at


def _taking(what: str, hook: Callable[..., Awaitable[object]], offered: tuple[str, ...]) -> Hook:
    """Return a function that takes all the arguments offered, and calls the hook with as many as it takes."""
    if inspect.iscoroutinefunction(hook):
        _check_order(what, hook, offered)
        most = takes(hook)
        check_hook(what, hook, offered[:most])
        return functools.wraps(hook)(lambda *args: hook(*args[:most]))
    check_hook(what, hook, offered)
    return hook


_TYPES: Final[dict[str, type]] = {"client": Client, "request": Request, "reason": str}


def _check_order(what: str, hook: Callable[..., object], offered: tuple[str, ...]) -> None:
    """Refuse a hook whose parameters are in another order than the arguments that it is offered."""
    for parameter, name in zip(inspect.signature(hook).parameters.values(), offered, strict=False):
        hint = parameter.annotation
        asked = typing.get_origin(hint) or hint
        named = parameter.name if parameter.name in _TYPES else None
        if (asked in _TYPES.values() and asked is not _TYPES[name]) or (named is not None and named != name):
            written = f"`async def ({', '.join(offered)})`"
            raise RegistrationError(
                f"{what}, {name_place(hook)}, takes {parameter.name!r} where {name!r} comes: write {written}"
            )
