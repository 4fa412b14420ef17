"""The front door: accepts connections on the port, and decides for each whether it is HTTP or a WebSocket.

Laws:
- No connection becomes a client's before its request head was checked here.
- TLS, the head and `authenticate` share one deadline. The server's own time for others is no part of it.
- What is refused is answered in HTTP, up to twice as many connections as are allowed. Only a client that offers the
  subprotocol is told by a Close that its credentials are refused, since a page cannot see an HTTP status.
- No exception but a cancellation leaves the task of a connection.
"""

import contextlib
import logging
import math
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import attrs
import trio

from .._accounts import Accounts
from .._boundary import PASSING
from .._pass_budget import PassBudget
from .._protocol.resuming import Offer
from .._wire.epoll import EpollReader
from .._wire.transport import SocketTransport, StreamTransport, Transport, plain_socket, send_last
from ..errors import ActionError, PeerError, Refuse, first_of
from ..limits import Limits
from ..metrics import Metrics
from ..request import Identity, Request
from .arrivals import Arrivals, Returning, Visit
from .handshakes import Handshakes, Slot
from .peer_time import PeerTime
from .proxies import Proxies
from .request_head import BadHead, RequestHead, read_head, to_request
from .responses import Response, close_of, is_failed_login, refusal, refuse_client
from .upgrade import Rules, TurnedAway, Upgrade, judge

logger = logging.getLogger("simplysocket.frontdoor")

_FIRST_REFUSAL: Final = 400  # HTTP statuses from this one on are refusals


class FrontDoor:
    """Accepts connections, checks them, and hands them on: HTTP requests to `respond`, upgrades to `enter`.

    Clients that are told by a Close that they are refused go to `turn_away`.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        metrics: Metrics,
        epoll_reader: EpollReader,
        budget: PassBudget,
        accounts: Accounts,
        rules: Rules,
        proxies: Proxies,
        respond: Callable[[Request], Response],
        identify: Callable[[Request, Callable[[], Awaitable[None]]], Awaitable[Identity | None]],
        enter: Callable[[Transport, Upgrade], Awaitable[None]],
        turn_away: Callable[[Transport, TurnedAway], Awaitable[None]],
        find_returning: Callable[[Offer | None, float], Returning | None],
    ) -> None:
        self._limits = limits
        self._metrics = metrics
        self._epoll_reader = epoll_reader
        self._budget = budget
        self._rules = rules
        self._respond = respond
        self._identify = identify
        self._enter = enter
        self._turn_away = turn_away
        self._find_returning = find_returning
        self.arrivals = Arrivals(limits, metrics, proxies, accounts)
        self.handshakes = Handshakes(limits)
        self._scopes: set[trio.CancelScope] = set()  # of the connections that are being checked or answered
        self.is_open = True  # False while the server stops: upgrades are refused
        self.takes_back = False  # True: then not those of clients that come back

    @property
    def connections(self) -> int:
        """The number of connections, those that are being checked or answered included."""
        return self.arrivals.connections

    async def handle(self, stream: trio.abc.Stream | socket.socket, address: str | None = None) -> None:
        """Serve one accepted connection to its end. `address` is its peer's; None: ask the stream's socket.

        The caller closes it, too: that of a refused connection was not closed here.
        """
        visit = self.arrivals.begin(_peer_address(stream) if address is None else address, trio.current_time())
        if visit is None:
            return
        try:
            await self._handle(stream, visit)
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer is gone
        except* PASSING:
            raise
        except* BaseException:
            logger.exception("serving a connection failed")
        finally:
            self.arrivals.end(visit)

    async def _handle(self, stream: trio.abc.Stream | socket.socket, visit: Visit) -> None:
        limits = self._limits
        transport: Transport
        if isinstance(stream, trio.SocketStream):
            stream = plain_socket(stream)
        if isinstance(stream, socket.socket):
            transport = SocketTransport(stream, limits.unsent_bytes, self._epoll_reader)
        else:
            transport = StreamTransport(stream, self._budget)
        try:
            slot: Slot | None = None
            tls = stream if isinstance(stream, trio.SSLStream) else None
            visit.is_tls = tls is not None
            if tls is not None:
                with self._bounded(math.inf):
                    slot = await self.handshakes.slot(visit.account)
                if slot is None:
                    return  # the server has stopped
            seconds = limits.handshake_seconds
            verdict: Upgrade | TurnedAway | Response | None = None
            with self._bounded(seconds) as scope:
                time = PeerTime(self._budget, scope)
                if tls is not None and slot is not None:
                    await slot.shake_hands(tls, time)
                verdict = await self._decide(transport, visit, time)
            if scope.cancelled_caught:
                verdict = refusal(408, "timeout", f"not done within {seconds:g} seconds")
            if visit.is_authenticating:
                logger.error("authenticate took over %g seconds for a request from %.64r", seconds, visit.address)
            if isinstance(verdict, Upgrade):
                entering = self._enter(transport, verdict)
                del scope, time, verdict  # not to be kept for as long as the client is connected
                await entering
            elif isinstance(verdict, TurnedAway):
                await self._turn_away(transport, verdict)
            elif verdict is not None:
                self.arrivals.answer(visit)
                if verdict.status >= _FIRST_REFUSAL:
                    self._metrics.upgrades_refused[verdict.status] += 1
                with self._bounded(math.inf):  # a large file may take its time, as long as it moves
                    await send_last(transport, *verdict.to_bytes(), seconds=limits.write_seconds, budget=self._budget)
        finally:
            await transport.aclose()

    @contextlib.contextmanager
    def _bounded(self, seconds: float) -> Iterator[trio.CancelScope]:
        """Let the block take at most `seconds`, and at most `close_seconds` once the server stops."""
        with trio.move_on_after(seconds if self.is_open else min(seconds, self._limits.close_seconds)) as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def hurry(self) -> None:
        """Give the connections that are being checked or answered at most `close_seconds` more."""
        for scope in self._scopes:
            scope.deadline = min(scope.deadline, trio.current_time() + self._limits.close_seconds)

    async def _decide(
        self, transport: Transport, visit: Visit, time: PeerTime
    ) -> Upgrade | TurnedAway | Response | None:
        """Read the head and decide: an upgrade to enter, a response to send, or None when the peer has left."""
        try:
            head = await read_head(transport, self._limits, time)
        except BadHead as exc:
            return exc.response
        if head is None:
            return None
        verdict = await self._judge(head, visit, time)
        if isinstance(verdict, Response) and head.method == b"HEAD":
            return attrs.evolve(verdict, sends_body=False)  # RFC 9110, 9.3.2: also when it is refused
        return verdict

    async def _judge(self, head: RequestHead, visit: Visit, time: PeerTime) -> Upgrade | TurnedAway | Response:
        """Decide on a request whose head was read."""
        try:
            request = self.arrivals.forward(to_request(head, visit.address), visit, trio.current_time())
        except BadHead as exc:
            return exc.response
        verdict = judge(request, head, self._rules, is_tls=visit.is_tls)
        if verdict is None:
            return self.arrivals.refuse_plain(request, visit) or self._respond(request)
        if not isinstance(verdict, Upgrade):
            return verdict
        returning = self._find_returning(verdict.offer, trio.current_time())
        refused = self._refuse_upgrade(request, visit, returning)
        if refused is not None:
            return refused
        visit.is_authenticating = True
        answer = await self._authenticate(verdict, visit, time)
        visit.is_authenticating = False
        if returning is not None and isinstance(answer, Upgrade) and not returning.is_back_as(answer.identity):
            return self._refuse_upgrade(request, visit, None) or answer  # it will be a new client
        return answer

    def _refuse_upgrade(self, request: Request, visit: Visit, returning: Returning | None) -> Response | None:
        """Return the refusal of an upgrade for which there is no place, or that comes too often."""
        if not self.is_open and (returning is None or not self.takes_back):
            return refusal(503, "stopping", "the server is stopping", ("Retry-After", "5"))
        return self.arrivals.refuse_upgrade(request, visit, trio.current_time(), returning)

    async def _authenticate(self, upgrade: Upgrade, visit: Visit, time: PeerTime) -> Upgrade | TurnedAway | Response:
        """Return the upgrade with its identity, or the answer to what `authenticate` raised."""
        answer: TurnedAway | Response | None = None
        try:
            identity = await self._identify(upgrade.request, time.turn)
            return upgrade if identity is None else attrs.evolve(upgrade, identity=identity)
        except* PeerError as group:
            self._metrics.peer_errors += 1
            logger.warning(
                "authenticate did not catch, for a request from %.64r: %.500r",
                upgrade.request.address,
                str(first_of(group)),
            )
        except* (Refuse, ActionError) as group:
            error = first_of(group)
            answer = response = refuse_client(error)
            if is_failed_login(error):
                self.arrivals.count_failed_login(visit, trio.current_time())
                if upgrade.subprotocol is not None:
                    answer = TurnedAway(upgrade, *close_of(error))
                    self._metrics.upgrades_refused[response.status] += 1
            logger.info("refused %.64r with %d: %.300r", upgrade.request.address, response.status, error.message)
        except* PASSING:
            raise
        except* BaseException:
            logger.exception("authenticate failed for a request from %.64r", upgrade.request.address)
        return answer or refusal(500, "internal", "the authentication failed")


def _peer_address(stream: trio.abc.Stream | socket.socket) -> str:
    """Return the peer's IP address, "" for a Unix socket. Asked once, at the start: a reset socket has none."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if not isinstance(inner, trio.SocketStream):
        return ""
    try:
        name = inner.socket.getpeername()
    except OSError:
        return "unknown"
    return str(name[0]) if isinstance(name, tuple) else ""
