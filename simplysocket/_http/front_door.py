"""The front door: one port for HTTP and WebSockets; nobody enters whose request head was not checked here.

Laws:
- A head is read under one deadline and one byte cap, and parsed by h11.
- What is decided is decided in upgrade.py; what is refused is answered in HTTP.
- A connection's task lets nothing but cancellation out.
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
from ..errors import ActionError, Refuse, first_of
from ..limits import Limits
from ..metrics import Metrics
from ..request import Identity, Request
from .origins import Origins
from .proxies import Proxies
from .request_head import BadHead, read_head, to_request
from .responses import Response, refusal, refuse_client
from .upgrade import Upgrade, judge

logger = logging.getLogger("simplysocket.frontdoor")

_FIRST_REFUSAL: Final = 400  # HTTP statuses from here on say no


@attrs.define
class _Visit:
    """One connection, as it is counted: under its peer's address, behind a trusted proxy under the client's."""

    address: str
    is_forwarded: bool = False  # the address is what a trusted proxy says
    is_asked: bool = False  # the application is being asked who it is


class FrontDoor:
    """Accepts connections, checks them, and hands them on: to `respond` or to `enter`."""

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
        self._has_warned = False  # of a proxy that is not trusted
        self._respond = respond
        self._identify = identify
        self._enter = enter
        self._addresses: Counter[str] = Counter()  # {address: its connections}
        self._asking: set[trio.CancelScope] = set()  # of connections that are being judged or answered
        self.is_open = True  # False: stopping, upgrades are refused
        self.connections = 0

    async def handle(self, stream: trio.abc.Stream, address: str | None = None) -> None:
        """Serve one accepted connection to its end. `address` is found out here, unless it is given."""
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
            with self._hurried_at_the_end(seconds):
                if isinstance(stream, trio.SSLStream):
                    await stream.do_handshake()
                verdict = await self._decide(transport, visit)
            if visit.is_asked:
                logger.error("authenticate took over %g seconds for a request from %.64r", seconds, visit.address)
            if isinstance(verdict, Upgrade):
                await self._enter(transport, verdict)
            elif verdict is not None:
                if verdict.status >= _FIRST_REFUSAL:
                    self._metrics.upgrades_refused[verdict.status] += 1
                with self._hurried_at_the_end(math.inf):  # a large file may take its time, as long as it moves
                    await send_last(transport, *verdict.to_bytes(), seconds=limits.write_seconds)
        finally:
            await transport.aclose()

    @contextlib.contextmanager
    def _hurried_at_the_end(self, seconds: float) -> Iterator[None]:
        """Bound the block, which is no client's yet; while the server stops, by `close_seconds`, too."""
        with trio.move_on_after(seconds if self.is_open else min(seconds, self._limits.close_seconds)) as scope:
            self._asking.add(scope)
            try:
                yield
            finally:
                self._asking.discard(scope)

    def hurry(self) -> None:
        """The clients were let go: who is still asking or being answered has `close_seconds` left."""
        for scope in self._asking:
            scope.deadline = min(scope.deadline, trio.current_time() + self._limits.close_seconds)

    def _is_flooded(self, address: str) -> bool:
        """Tell whether so many are connected that not even a refusal can be afforded: half of them say nothing."""
        limits = self._limits
        return self.connections > 2 * (limits.connections or math.inf) or (
            self._counts(address) and self._addresses[address] > 2 * (limits.connections_per_address or math.inf)
        )

    def _counts(self, address: str) -> bool:
        """Tell whether connections of this address are bounded: not on Unix sockets, nor those of a trusted proxy."""
        return bool(address) and not self._proxies.trust(address)

    def _look_behind_proxy(self, request: Request, visit: _Visit) -> Request:
        """Return the request with the client's own address, and count it there."""
        forwarded = request.headers.get("x-forwarded-for")
        if forwarded is None or not self._proxies.trust(visit.address):
            return request
        address = self._proxies.client_of(visit.address, forwarded)
        self._forget(visit.address)
        visit.address, visit.is_forwarded = address, True
        self._addresses[address] += 1
        return attrs.evolve(request, address=address)

    async def _decide(self, transport: Transport, visit: _Visit) -> Upgrade | Response | None:
        """Read the head and decide who enters and what the others are answered; None when the peer has left."""
        limits = self._limits
        try:
            head = await read_head(transport, limits)
            if head is None:
                return None
            request = self._look_behind_proxy(to_request(head, visit.address), visit)
        except BadHead as exc:
            return exc.response
        verdict = judge(request, head, self._paths, self._origins)
        if verdict is None:
            response = self._respond(request)
            return attrs.evolve(response, sends_body=response.sends_body and request.method != "HEAD")
        if isinstance(verdict, Upgrade):
            if not self.is_open:
                return refusal(503, "stopping", "the server is stopping", ("Retry-After", "5"))
            if self.connections > (limits.connections or math.inf):
                return refusal(503, "too-many", "too many connections", ("Retry-After", "5"))
            address = visit.address
            if self._counts(address) and self._addresses[address] > (limits.connections_per_address or math.inf):
                if not visit.is_forwarded:
                    self._warn_of_proxy(request)
                return refusal(429, "too-many", "too many connections from this address", ("Retry-After", "5"))
            visit.is_asked = True
            verdict = await self._ask_who(verdict)
            visit.is_asked = False
        return verdict

    async def _ask_who(self, upgrade: Upgrade) -> Upgrade | Response:
        """Have it said who this is; what is raised there is answered in HTTP."""
        answer = refusal(500, "internal", "the authentication failed")
        try:
            identity = await self._identify(upgrade.request)
            return attrs.evolve(upgrade, identity=identity)
        except* (Refuse, ActionError) as group:
            answer = refuse_client(first_of(group))
            logger.info(
                "refused %.64r with %d: %.300r", upgrade.request.address, answer.status, first_of(group).message
            )
        except* Exception:
            logger.exception("authenticate failed for a request from %.64r", upgrade.request.address)
        return answer

    def _warn_of_proxy(self, request: Request) -> None:
        """Say once how to set trusted proxies, where the bound per address seems to hit all who come through one."""
        if "x-forwarded-for" in request.headers and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "refused a connection from %.64r, which has too many; it names another client's address: if it is a"
                " proxy of yours, set Server(trusted_proxies=[%.64r])",
                request.address,
                request.address,
            )


def _peer_address(stream: trio.abc.Stream) -> str:
    """Return the peer's IP address, taken once at the start: after a reset it cannot be asked for any more."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if not isinstance(inner, trio.SocketStream):
        return ""
    try:
        name = inner.socket.getpeername()
    except OSError:
        return "unknown"
    return str(name[0]) if isinstance(name, tuple) else ""
