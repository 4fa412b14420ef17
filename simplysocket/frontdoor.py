"""The front door: one port for HTTP and WebSockets; nobody enters whose request head was not checked here.

Laws:
- A head is read under one deadline and one byte cap, and parsed by h11.
- Decisions are plain functions (`judge`); what they refuse is answered in HTTP.
- What trio-websocket gets to see is a request written anew, in ASCII.
- A connection's task lets nothing but cancellation out.
"""

import base64
import binascii
import contextlib
import logging
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import attrs
import h11
import msgspec
import trio

from .errors import ActionError, Refuse, first_of
from .limits import Limits
from .message import SUBPROTOCOL
from .metrics import Metrics
from .proxies import Proxies
from .request import Identity, Request
from .watch import Watch
from .wire import SocketWire, StreamWire, Wire, send_last

logger = logging.getLogger("simplysocket.frontdoor")

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_FIRST_REFUSAL: Final = 400  # HTTP statuses from here on say no
_KEY_BYTES: Final = 16  # RFC 6455, 4.1


@attrs.frozen
class Response:
    """A plain HTTP answer; the connection ends behind it."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    sends_body: bool = True  # False: only its length is said, as in an answer to HEAD


def refusal(status: int, code: str, message: str, *headers: tuple[str, str]) -> Response:
    """Return an error as JSON: `{"code", "message"}`."""
    message = message.encode(errors="replace").decode()  # without lone surrogates
    return Response(status, msgspec.json.encode({"code": code, "message": message}), headers=headers)


Authenticate: TypeAlias = Callable[[Request], Awaitable[Identity]]
"""Says who a client is, or raises `Refuse`."""


@attrs.frozen
class Upgrade:
    """A WebSocket request that may enter: `head` is it, written anew for trio-websocket."""

    request: Request
    head: bytes
    subprotocol: str | None
    identity: Identity | None = None


@attrs.frozen
class Origins:
    """Which pages may connect. None: those of the same host and port. Else exactly these origins."""

    allowed: frozenset[str] | None

    @classmethod
    def of(cls, origins: Iterable[str] | None) -> "Origins":
        """Read the option `origins=`; ValueError for what is no origin."""
        if origins is None:
            return cls(None)
        if isinstance(origins, str):
            raise ValueError(f"origins={origins!r} is one string: give a list, such as [{origins!r}]")
        allowed = frozenset(origin.rstrip("/").lower() for origin in origins)
        for origin in allowed:
            parts = urlsplit(origin)
            if not parts.scheme or not parts.netloc or parts.path:
                raise ValueError(f"{origin!r} in origins= is no origin: write it as 'https://example.com'")
        return cls(allowed)

    def admit(self, origin: str, host: str) -> bool:
        """Tell whether a page of `origin` may connect to a server that was called `host`."""
        origin = origin.lower()
        if self.allowed is not None:
            return origin in self.allowed
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        found = _HOST.fullmatch(parts.netloc)
        called = _HOST.fullmatch(host.lower())
        if not found or not called or parts.scheme not in _DEFAULT_PORTS:
            return False  # `null` among others
        default = _DEFAULT_PORTS[parts.scheme]
        return found[1] == called[1] and int(found[2] or default) == int(called[2] or default)


def _tokens(value: str) -> list[str]:
    return [token for part in value.split(",") if (token := part.strip())]


def judge(
    request: Request, event: h11.Request, behind: bytes, paths: Sequence[str], origins: Origins
) -> Upgrade | Response | None:
    """Decide on a request: an `Upgrade` may enter, a `Response` is refused, None is plain HTTP (RFC 6455, 4.2.1)."""
    headers = request.headers
    names = Counter(name for name, _ in event.headers)
    if "transfer-encoding" in headers and "content-length" in headers:
        return refusal(400, "bad-request", "Content-Length and Transfer-Encoding together")
    host = headers.get("host", "")
    is_hostless = not names[b"host"] and event.http_version == b"1.0"  # as the probes of some balancers are
    if not is_hostless and (names[b"host"] != 1 or not _HOST.fullmatch(host)):
        return refusal(400, "bad-request", "a request needs one valid Host")
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in map(
        str.lower, _tokens(headers.get("connection", ""))
    ):
        return None
    if request.path not in paths:
        return refusal(404, "not-found", "no WebSocket endpoint here")
    if request.method != "GET":
        return refusal(405, "method-not-allowed", "a WebSocket request is a GET", ("Allow", "GET"))
    if event.http_version != b"1.1":
        return refusal(400, "bad-request", "a WebSocket request is HTTP/1.1")
    if headers.get("sec-websocket-version") != "13":
        return refusal(426, "upgrade-required", "WebSocket version 13 only", ("Sec-WebSocket-Version", "13"))
    key = headers.get("sec-websocket-key", "")
    if not _is_key(key):
        return refusal(400, "bad-request", "Sec-WebSocket-Key must be 16 bytes in base64, once")
    if behind or "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        return refusal(400, "bad-request", "bytes behind the head, before the handshake is done")
    origin = headers.get("origin")
    if origin is not None and not origins.admit(origin, host):
        logger.warning(
            "refused the origin %.200r for the host %.200r: set Server(origins=[...]) to admit it", origin, host
        )
        return refusal(403, "forbidden", "this origin may not connect")
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in request.subprotocols else None
    lines = [
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return Upgrade(request, "\r\n".join([*lines, "", ""]).encode("ascii"), subprotocol)


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


@attrs.define
class _Visit:
    """One connection, as it is counted: under its peer's address, behind a trusted proxy under the client's."""

    address: str
    is_forwarded: bool = False  # the address is what a trusted proxy says
    is_asked: bool = False  # the application is being asked who it is


class _BadHead(Exception):
    """A head that is refused; args[0] is the answer."""


class FrontDoor:
    """Accepts connections, checks them, and hands them on: to `respond` or to `enter`."""

    def __init__(
        self,
        *,
        limits: Limits,
        metrics: Metrics,
        watch: Watch,
        paths: Sequence[str],
        origins: Origins,
        proxies: Proxies,
        respond: Callable[[Request], Response],
        identify: Callable[[Request], Awaitable[Identity | None]],
        enter: Callable[[Wire, Upgrade], Awaitable[None]],
    ) -> None:
        self._limits = limits
        self._metrics = metrics
        self._watch = watch
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

    async def _handle(self, stream: trio.abc.Stream, visit: "_Visit") -> None:
        limits = self._limits
        wire: Wire
        if isinstance(stream, trio.SocketStream):
            wire = SocketWire(stream, limits.unsent_bytes, self._watch)
        else:
            wire = StreamWire(stream)
        try:
            if self._is_flooded(visit.address):
                return
            seconds = limits.handshake_seconds
            verdict: Upgrade | Response | None = refusal(408, "timeout", f"not done within {seconds:g} seconds")
            with self._hurried_at_the_end(seconds):
                if isinstance(stream, trio.SSLStream):
                    await stream.do_handshake()
                verdict = await self._decide(wire, visit)
            if visit.is_asked:
                logger.error("authenticate took over %g seconds for a request from %.64r", seconds, visit.address)
            if isinstance(verdict, Upgrade):
                await self._enter(wire, verdict)
            elif verdict is not None:
                if verdict.status >= _FIRST_REFUSAL:
                    self._metrics.upgrades_refused[verdict.status] += 1
                with self._hurried_at_the_end(math.inf):  # a large file may take its time, as long as it moves
                    await self._answer(wire, verdict)
        finally:
            await wire.aclose()

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

    def _look_behind_proxy(self, request: Request, visit: "_Visit") -> Request:
        """Return the request with the client's own address, and count it there."""
        forwarded = request.headers.get("x-forwarded-for")
        if forwarded is None or not self._proxies.trust(visit.address):
            return request
        address = self._proxies.client_of(visit.address, forwarded)
        self._forget(visit.address)
        visit.address, visit.is_forwarded = address, True
        self._addresses[address] += 1
        return attrs.evolve(request, address=address)

    async def _decide(self, wire: Wire, visit: "_Visit") -> Upgrade | Response | None:
        """Read the head and decide who enters and what the others are answered; None when the peer has left."""
        limits = self._limits
        try:
            event, behind = await self._read_head(wire)
            if event is None:
                return None
            request = self._look_behind_proxy(_to_request(event, visit.address), visit)
            verdict = judge(request, event, behind, self._paths, self._origins)
        except _BadHead as exc:
            answer: Response = exc.args[0]
            return answer
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
            verdict_on_who = await self._ask_who(verdict)
            visit.is_asked = False
            return verdict_on_who
        return verdict

    async def _ask_who(self, upgrade: Upgrade) -> Upgrade | Response:
        """Have it said who this is; what is raised there is answered in HTTP."""
        answer = refusal(500, "internal", "the authentication failed")
        try:
            identity = await self._identify(upgrade.request)
            return attrs.evolve(upgrade, identity=identity)
        except* Refuse as group:
            error = first_of(group)
            if isinstance(error, Refuse):
                code, reason = _CODES.get(error.status, "refused"), _REASONS.get(error.status, "refused")
                answer = refusal(error.status, code, error.message or reason)
        except* ActionError as group:
            error = first_of(group)
            if isinstance(error, ActionError):
                answer = refusal(403, error.code, error.message or _REASONS[403])
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

    async def _read_head(self, wire: Wire) -> tuple[h11.Request | None, bytes]:
        """Read up to the end of the head; None when the peer left. Returns what came behind it, too."""
        limits = self._limits
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        total = 0
        while True:
            received = await wire.receive()
            if not received:
                return None, b""
            total += len(received)
            try:
                parser.receive_data(received)
                event = parser.next_event()
            except h11.RemoteProtocolError as exc:
                status = exc.error_status_hint
                raise _BadHead(refusal(status, "bad-request", "this is not a valid HTTP/1.1 request")) from None
            behind = parser.trailing_data[0]
            # h11 bounds only incomplete heads; one that comes whole is measured here.
            if total - len(behind) > limits.head_bytes:
                raise _BadHead(refusal(431, "too-large", f"a request head may have {limits.head_bytes} bytes"))
            if isinstance(event, h11.Request):
                if len(event.headers) > limits.head_lines:
                    raise _BadHead(refusal(431, "too-large", f"a request may have {limits.head_lines} headers"))
                return event, behind

    async def _answer(self, wire: Wire, response: Response) -> None:
        """Answer in HTTP and let the answer arrive."""
        writer = h11.Connection(h11.SERVER)
        writer.receive_data(b"GET / HTTP/1.0\r\n\r\n")
        writer.next_event()
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
            *response.headers,
        ]
        data = writer.send(
            h11.Response(status_code=response.status, headers=headers, reason=_REASONS.get(response.status, ""))
        )
        body = response.body if response.sends_body else b""
        await send_last(wire, data or b"", body, seconds=self._limits.write_seconds)


_CODES: Final = {  # what `Refuse` says of itself in JSON, beside the message; "refused" for any other status
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    429: "too-many",
    503: "unavailable",
}

_REASONS: Final = {
    200: "OK",
    304: "Not Modified",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    414: "URI Too Long",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


def _to_request(event: h11.Request, address: str) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        between = "; " if name == "cookie" else ", "  # RFC 9113, 8.2.3
        headers[name] = f"{headers[name]}{between}{value}" if name in headers else value
    try:
        text = event.target.decode("ascii")
        # Behind a slash all is path, in `//a/ws` too: a proxy before us has read it so (RFC 9112, 3.2.1).
        target = urlsplit(f"http://-{text}" if text.startswith("/") else text)
        query = parse_qsl(target.query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise _BadHead(refusal(400, "bad-request", "the request's target is not valid")) from None
    return Request(
        method=event.method.decode("ascii"),
        path=target.path,
        query=dict(reversed(query)),
        headers=headers,
        address=address,
        subprotocols=tuple(_tokens(headers.get("sec-websocket-protocol", ""))),
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
