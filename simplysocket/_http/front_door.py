"""The front door: accepts connections on the port, and decides for each whether it is HTTP or a WebSocket.

Laws:
- No connection becomes a client's before its request head was checked here.
- TLS, the head and `authenticate` share one deadline.
- What is refused is answered in HTTP, up to twice as many connections as are allowed.
- No exception but a cancellation leaves the task of a connection.
"""

import contextlib
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import attrs
import trio

from .._wire.epoll import EpollReader
from .._wire.transport import SocketTransport, StreamTransport, Transport, send_last
from ..errors import ActionError, PeerError, Refuse, first_of
from ..limits import Limits
from ..metrics import Metrics
from ..request import Identity, Request
from .origins import Origins
from .proxies import Proxies
from .request_head import BadHead, read_head, to_request
from .responses import Response, refusal, refuse_client
from .upgrade import Upgrade, judge

logger = logging.getLogger("simplysocket.frontdoor")

_FIRST_REFUSAL: Final = 400  # HTTP statuses from this one on are refusals


@attrs.define
class _Visit:
    """What is known of one connection. It is counted under `address`: its peer's, or the client's behind a proxy."""

    address: str
    is_forwarded: bool = False  # a trusted proxy named the address
    is_authenticating: bool = False  # `authenticate` is running


class FrontDoor:
    """Accepts connections, checks them, and hands them on: HTTP requests to `respond`, upgrades to `enter`."""

    def __init__(
        self,
        *,
        limits: Limits,
        metrics: Metrics,
        epoll_reader: EpollReader,
        paths: Sequence[str],
        origins: Origins,
        proxies: Proxies,
        respond: Callable[[Request], Response],
        identify: Callable[[Request], Awaitable[Identity | None]],
        enter: Callable[[Transport, Upgrade], Awaitable[None]],
    ) -> None:
        self._limits = limits
        self._metrics = metrics
        self._epoll_reader = epoll_reader
        self._paths = paths
        self._origins = origins
        self._proxies = proxies
        self._respond = respond
        self._identify = identify
        self._enter = enter
        self._has_warned = False  # that a proxy may not be trusted
        self._addresses: Counter[str] = Counter()  # {address: number of its connections}
        self._scopes: set[trio.CancelScope] = set()  # of the connections that are being checked or answered
        self.is_open = True  # False while the server stops: upgrades are refused
        self.connections = 0

    async def handle(self, stream: trio.abc.Stream, address: str | None = None) -> None:
        """Serve one accepted connection to its end. `address` is its peer's; None: ask the socket."""
        self.connections += 1
        visit = _Visit(_peer_address(stream) if address is None else address)
        self._addresses[visit.address] += 1
        try:
            await self._handle(stream, visit)
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer is gone
        except* Exception:
            logger.exception("serving a connection failed")
        finally:
            self.connections -= 1
            self._forget(visit.address)

    def _forget(self, address: str) -> None:
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    async def _handle(self, stream: trio.abc.Stream, visit: _Visit) -> None:
        limits = self._limits
        transport: Transport
        if isinstance(stream, trio.SocketStream):
            transport = SocketTransport(stream, limits.unsent_bytes, self._epoll_reader)
        else:
            transport = StreamTransport(stream)
        try:
            if self._is_flooded(visit.address):
                return
            seconds = limits.handshake_seconds
            verdict: Upgrade | Response | None = refusal(408, "timeout", f"not done within {seconds:g} seconds")
            with self._bounded(seconds):
                if isinstance(stream, trio.SSLStream):
                    await stream.do_handshake()
                verdict = await self._decide(transport, visit)
            if visit.is_authenticating:
                logger.error("authenticate took over %g seconds for a request from %.64r", seconds, visit.address)
            if isinstance(verdict, Upgrade):
                await self._enter(transport, verdict)
            elif verdict is not None:
                if verdict.status >= _FIRST_REFUSAL:
                    self._metrics.upgrades_refused[verdict.status] += 1
                with self._bounded(math.inf):  # a large file may take its time, as long as it moves
                    await send_last(transport, *verdict.to_bytes(), seconds=limits.write_seconds)
        finally:
            await transport.aclose()

    @contextlib.contextmanager
    def _bounded(self, seconds: float) -> Iterator[None]:
        """Let the block take at most `seconds`, and at most `close_seconds` once the server stops."""
        with trio.move_on_after(seconds if self.is_open else min(seconds, self._limits.close_seconds)) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def hurry(self) -> None:
        """Give the connections that are being checked or answered at most `close_seconds` more."""
        for scope in self._scopes:
            scope.deadline = min(scope.deadline, trio.current_time() + self._limits.close_seconds)

    def _is_flooded(self, address: str) -> bool:
        """Tell whether there are twice as many connections as allowed: these are closed without an answer."""
        limits = self._limits
        return self.connections > 2 * (limits.connections or math.inf) or (
            self._has_bound(address) and self._addresses[address] > 2 * (limits.connections_per_address or math.inf)
        )

    def _has_bound(self, address: str) -> bool:
        """Tell whether `connections_per_address` holds: not for Unix sockets, nor for trusted proxies."""
        return bool(address) and not self._proxies.trust(address)

    def _use_forwarded(self, request: Request, visit: _Visit) -> Request:
        """Count the connection under the address that a trusted proxy names; return the request with it."""
        forwarded = request.headers.get("x-forwarded-for")
        if forwarded is None or not self._proxies.trust(visit.address):
            return request
        address = self._proxies.client_of(visit.address, forwarded)
        self._forget(visit.address)
        visit.address, visit.is_forwarded = address, True
        self._addresses[address] += 1
        return attrs.evolve(request, address=address)

    async def _decide(self, transport: Transport, visit: _Visit) -> Upgrade | Response | None:
        """Read the head and decide: an upgrade to enter, a response to send, or None when the peer has left."""
        try:
            head = await read_head(transport, self._limits)
            if head is None:
                return None
            request = self._use_forwarded(to_request(head, visit.address), visit)
        except BadHead as exc:
            return exc.response
        verdict = judge(request, head, self._paths, self._origins)
        if verdict is None:
            response = self._respond(request)
            return attrs.evolve(response, sends_body=response.sends_body and request.method != "HEAD")
        if not isinstance(verdict, Upgrade):
            return verdict
        refused = self._refuse_now(request, visit)
        if refused is not None:
            return refused
        visit.is_authenticating = True
        answer = await self._authenticate(verdict)
        visit.is_authenticating = False
        return answer

    def _refuse_now(self, request: Request, visit: _Visit) -> Response | None:
        """Return the refusal of an upgrade when the server is stopping or there are too many connections."""
        limits = self._limits
        if not self.is_open:
            return refusal(503, "stopping", "the server is stopping", ("Retry-After", "5"))
        if self.connections > (limits.connections or math.inf):
            return refusal(503, "too-many", "too many connections", ("Retry-After", "5"))
        address = visit.address
        if self._has_bound(address) and self._addresses[address] > (limits.connections_per_address or math.inf):
            if not visit.is_forwarded:
                self._warn_of_proxy(request)
            return refusal(429, "too-many", "too many connections from this address", ("Retry-After", "5"))
        return None

    async def _authenticate(self, upgrade: Upgrade) -> Upgrade | Response:
        """Return the upgrade with its identity, or the answer to what `authenticate` raised."""
        answer = refusal(500, "internal", "the authentication failed")
        try:
            identity = await self._identify(upgrade.request)
            return attrs.evolve(upgrade, identity=identity)
        except* PeerError as group:
            self._metrics.peer_errors += 1
            logger.warning(
                "authenticate did not catch, for a request from %.64r: %.500r",
                upgrade.request.address,
                str(first_of(group)),
            )
        except* (Refuse, ActionError) as group:
            answer = refuse_client(first_of(group))
            logger.info(
                "refused %.64r with %d: %.300r", upgrade.request.address, answer.status, first_of(group).message
            )
        except* Exception:
            logger.exception("authenticate failed for a request from %.64r", upgrade.request.address)
        return answer

    def _warn_of_proxy(self, request: Request) -> None:
        """Say once how to trust a proxy, when the refused peer sent X-Forwarded-For: it may carry many clients."""
        if "x-forwarded-for" in request.headers and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "refused a connection from %.64r, which has too many; it names another client's address: if it is a"
                " proxy of yours, set Server(trusted_proxies=[%.64r])",
                request.address,
                request.address,
            )


def _peer_address(stream: trio.abc.Stream) -> str:
    """Return the peer's IP address, "" for a Unix socket. Asked once, at the start: a reset socket has none."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if not isinstance(inner, trio.SocketStream):
        return ""
    try:
        name = inner.socket.getpeername()
    except OSError:
        return "unknown"
    return str(name[0]) if isinstance(name, tuple) else ""
