"""Admission: runs each client's connection, and calls the hooks at its beginning and its end.

Laws:
- No client is registered before `on_connect` has returned.
- `on_disconnect` is called for every client that `on_connect` was called for.
- `on_disconnect` comes after `on_leave` in each of the client's rooms; the connection does not wait for it.
- Each hook runs in a task of its own, and not for ever.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs
import trio

from .._accounts import address_account
from .._boundary import PASSING, SHOWN
from .._dispatch.inbound import Inbound
from .._http.proxies import Proxies
from .._http.upgrade import Upgrade
from .._protocol.resuming import Offer
from .._rooms.departure import Departure
from .._rooms.hub import Hub
from .._sessions.session import Session
from .._wire.connection import Connection, Receive
from .._wire.outboxes import Outboxes
from .._wire.transport import Transport
from ..client import Client
from ..errors import ActionError, CloseCode, PeerError, Refuse, first_of, text_of
from ..reasons import Reason
from ..request import Identity, Request
from .expiry import time_left
from .hook_calls import call_hook
from .hook_checks import Hook, check_state, taking
from .renewal import Renewal
from .returns import Ended, Returns
from .users import Users

logger = logging.getLogger("simplysocket.admission")

# A hook may be written with all the arguments that it is offered, or with fewer.
Connecting = TypeVar(
    "Connecting",
    bound=Callable[[Client[Any], Request], Awaitable[object]]
    | Callable[[Client[Any]], Awaitable[object]]
    | Callable[[], Awaitable[object]],
)
Disconnecting = TypeVar(
    "Disconnecting",
    bound=Callable[[Client[Any], Reason], Awaitable[object]]
    | Callable[[Client[Any]], Awaitable[object]]
    | Callable[[], Awaitable[object]],
)


@attrs.define(eq=False)
class _Entry:
    """A client on its way in. Its request is let go of when it is in: it would take 2 KiB for each idle client."""

    connection: Connection
    upgrade: Upgrade
    session: Session | None = None
    is_open: bool = False  # it was counted, as its end is to be


class Admission:
    """Admits the clients of one server, each from the handshake to the end of its connection.

    `make_state` is called for each new client; its result is `client.state`.
    """

    def __init__(
        self,
        hub: Hub,
        inbound: Inbound,
        outboxes: Outboxes,
        renewal: Renewal,
        users: Users,
        returns: Returns,
        proxies: Proxies,
        make_state: Callable[[], object],
    ) -> None:
        check_state(make_state)
        hub.see_off = self._see_off
        self._returns = returns
        self._hub = hub
        self._inbound = inbound
        self._outboxes = outboxes
        self._renewal = renewal
        self._users = users
        self._make_state = make_state
        self._proxies = proxies
        self._nursery: trio.Nursery | None = None  # of the connections, while the server serves
        self._on_connect: list[Hook] = []
        self._on_resume: list[Hook] = []
        self._on_disconnect: list[Hook] = []
        # {session: of each `on_connect` and `on_resume` that runs for it, what is set at its end}
        self._greetings: dict[Session, list[trio.Event]] = {}

    def begin(self, nursery: trio.Nursery) -> None:
        """Take the nursery of the connections, in which `on_disconnect` is called."""
        self._nursery = nursery

    def add_on_connect(self, hook: Hook) -> None:
        """Register a hook that is called for a new client, before its first message is read."""
        self._on_connect.append(taking("on_connect", hook, ("client", "request")))

    def add_on_resume(self, hook: Hook) -> None:
        """Register a hook that is called for a client that comes back, before its connection takes over."""
        self._on_resume.append(taking("on_resume", hook, ("client", "request")))

    def add_on_disconnect(self, hook: Hook) -> None:
        """Register a hook that is called when a client's connection has ended."""
        self._on_disconnect.append(taking("on_disconnect", hook, ("client", "reason")))

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
            session = entry.session
            if entry.is_open:
                if hub.budget.is_spent():  # a crowd hangs up
                    await hub.budget.turn(shielded=True)
                hub.metrics.count_closed(connection.close_code, is_ours=connection.is_closed_by_us)
                # Another one if that has taken over; None if the server has ended the session before.
                if session is not None and session.connection is connection:
                    self._renewal.end(session)
                    self._returns.part(session, connection)

    async def _open(self, entry: "_Entry") -> Receive:
        """Make the client's session, after the handshake; return what takes its messages."""
        hub, connection, upgrade = self._hub, entry.connection, entry.upgrade
        del entry.upgrade
        hub.metrics.connections_opened += 1
        entry.is_open = True
        session = entry.session = await self._bring_back(connection, upgrade)
        if session is not None:
            return partial(self._inbound.receive_counted, session)
        if not connection.is_open:
            return _discard
        session = entry.session = self._make_session(connection, upgrade)
        if session is None:
            return _discard
        self._renewal.begin(session, upgrade.request)
        if upgrade.subprotocol:
            welcome = {"client": session.id, **self._welcome(upgrade.identity)}
            if upgrade.offer is not None:
                welcome["resume"] = self._returns.begin(session, trio.current_time())
                session.attach(connection)
            session.say("welcome", welcome, is_counted=False)
            session.is_greeted = True
        self._users.arrive(session)
        if self._on_connect:
            await self._greet("on_connect", self._on_connect, session, upgrade.request, connection)
        if hub.is_stopping:
            connection.close(CloseCode.SHUTDOWN, "shutdown")  # it was admitted while the server began to stop
        if connection.is_open:
            hub.connect(session)
        return partial(self._inbound.receive if session.line is None else self._inbound.receive_counted, session)

    async def _bring_back(self, connection: Connection, upgrade: Upgrade) -> Session | None:
        """Return the session that a client has come back to; None if it gets a new one, or its connection is closed."""
        offer = upgrade.offer
        session = None if offer is None else self._find(connection, upgrade, offer)
        if offer is None or session is None:
            return None
        identity, before = upgrade.identity, (session.client.identity, session.connection)
        if self._on_resume:
            await self._greet("on_resume", self._on_resume, session, upgrade.request, connection)
            # Meanwhile it may have ended, or another connection may have taken over.
            if not connection.is_open or self._find(connection, upgrade, offer) is not session:
                return None
            if session.client.identity is not before[0] and session.connection is before[1]:
                identity = session.client.identity  # it was renewed since, such as by the hook
        if self._hub.is_stopping:
            connection.close(CloseCode.SHUTDOWN, "shutdown")
        if not connection.is_open:
            return None
        if not self._returns.bring_back(session, connection, offer, self._welcome(identity), trio.current_time()):
            return None
        session.client._come_back(upgrade.request.address, identity)
        self._renewal.begin(session, upgrade.request)
        self._hub.tell_of_stop(session)
        return session

    def _find(self, connection: Connection, upgrade: Upgrade, offer: Offer) -> Session | None:
        """Return the session of this user that an offer is for; close the connection if that has ended."""
        found = None if offer.token is None else self._returns.find(offer.token, trio.current_time())
        user = None if upgrade.identity is None else upgrade.identity.user
        if isinstance(found, Ended):
            if found.user == user:
                connection.close(found.code, found.reason)
            return None
        return found if found is not None and found.client.user == user else None

    def _welcome(self, identity: Identity | None) -> dict[str, object]:
        """Return what every `welcome` says."""
        ping, now = self._hub.limits.ping_seconds, round(time.time(), 3)
        return {"ping": ping, "now": now, **time_left(identity)}

    def _make_session(self, connection: Connection, upgrade: Upgrade) -> Session | None:
        """Make the session of a new client; None if `state=` raises, and then close the connection."""
        hub, request, identity = self._hub, upgrade.request, upgrade.identity
        name = (identity and identity.name) or request.query.get("name", "")
        session: Session | None = None
        try:
            with SHOWN:
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
        return session

    def _accounts_of(self, identity: Identity | None, address: str) -> tuple[str, ...]:
        """Return what a client's connections count together as: its user, and its address. The first is what it is."""
        user = None if identity is None else f"user {identity.user}"
        return tuple(each for each in (user, address_account(self._proxies.origin_of(address))) if each is not None)

    async def _greet(
        self, name: str, hooks: Sequence[Hook], session: Session, request: Request, connection: Connection
    ) -> None:
        """Call `on_connect` or `on_resume`, which `on_disconnect` waits for. Clients may come back twice at once."""
        ended = trio.Event()
        running = self._greetings.setdefault(session, [])
        running.append(ended)
        try:
            await self._call_greeting(name, hooks, session, request, connection)
        finally:
            ended.set()
            running.remove(ended)
            if not running:
                del self._greetings[session]

    async def _call_greeting(
        self, name: str, hooks: Sequence[Hook], session: Session, request: Request, connection: Connection
    ) -> None:
        """Call these hooks. If one refuses the client, close the connection with the reason."""
        seconds, client = self._hub.limits.handshake_seconds, session.client
        with trio.move_on_after(seconds) as scope:
            try:
                for hook in hooks:
                    await call_hook(self._hub, hook, client, request)
            except* PeerError as group:
                self._hub.metrics.peer_errors += 1
                logger.warning("%s for %r did not catch: %.500r", name, client, str(first_of(group)))
                connection.close(CloseCode.INTERNAL, f"{name} failed")
            except* (ActionError, Refuse) as group:
                reason = text_of(first_of(group))
                # While the server stops, a client that is refused may come back later.
                code = CloseCode.SHUTDOWN if self._hub.is_stopping else CloseCode.POLICY
                connection.close(code, reason or "refused")
            except* PASSING:
                raise
            except* BaseException:
                self._hub.metrics.handlers_failed += 1
                logger.exception("%s failed for %r", name, client)
                connection.close(CloseCode.INTERNAL, f"{name} failed")
        if scope.cancelled_caught:
            logger.error("%s for %r took over %g seconds: the connection is closed", name, client, seconds)
            connection.close(CloseCode.INTERNAL, f"{name} took too long")

    def _see_off(self, session: Session, reason: Reason, departure: Departure) -> None:
        """Forget a client that is gone, and call `on_disconnect` for it."""
        self._renewal.end(session)
        self._returns.forget(session)
        self._users.leave(session)
        if self._on_disconnect and self._nursery is not None:
            greetings = tuple(self._greetings.get(session, ()))
            self._nursery.start_soon(self._bid_farewell, session.client, reason, departure, greetings)

    async def _bid_farewell(
        self, client: Client[Any], reason: Reason, departure: Departure, greetings: Sequence[trio.Event]
    ) -> None:
        """Call `on_disconnect` after all `on_leave`s, even while the server is cancelled: a task of the session.

        `greetings`: its `on_connect` runs still, and is cancelled with its connection, or an `on_resume` does, of
        another connection. A hook that hangs does not stop the next one.
        """
        seconds = self._hub.limits.close_seconds
        try:
            await departure.wait(2 * seconds)  # in the global room, of a handler and of `on_leave`
        finally:
            if greetings:
                most = self._hub.limits.handshake_seconds + seconds
                with trio.CancelScope(shield=True, deadline=trio.current_time() + most):
                    for greeting in greetings:
                        await greeting.wait()
            await self._call_on_disconnect(client, reason, seconds)

    async def _call_on_disconnect(self, client: Client[Any], reason: Reason, seconds: float) -> None:
        for hook in self._on_disconnect:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + seconds) as scope:
                try:
                    await call_hook(self._hub, hook, client, reason)
                except* PASSING:
                    raise
                except* BaseException:
                    self._hub.metrics.handlers_failed += 1
                    logger.exception("on_disconnect failed for %r", client)
            if scope.cancelled_caught:
                logger.error("on_disconnect for %r took over %g seconds", client, seconds)


def _discard(_: bytes, __: float) -> None:
    """Drop a message of a client that is not admitted."""
