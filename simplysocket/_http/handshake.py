"""The handshake: what is decided of a request head, plain functions.

Laws: no I/O. What trio-websocket gets to see is a request written anew, in ASCII.
"""

import base64
import binascii
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import attrs

from .._protocol.names import SUBPROTOCOL
from ..request import Identity, Request
from .request_head import RequestHead, header_items
from .responses import Response, refusal

logger = logging.getLogger("simplysocket.frontdoor")

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_KEY_BYTES: Final = 16  # RFC 6455, 4.1


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


def judge(request: Request, head: RequestHead, paths: Sequence[str], origins: Origins) -> Upgrade | Response | None:
    """Decide on a request: an `Upgrade` may enter, a `Response` is refused, None is plain HTTP (RFC 6455, 4.2.1)."""
    headers = request.headers
    names = Counter(name for name, _ in head.event.headers)
    if "transfer-encoding" in headers and "content-length" in headers:
        return refusal(400, "bad-request", "Content-Length and Transfer-Encoding together")
    host = headers.get("host", "")
    is_hostless = not names[b"host"] and head.event.http_version == b"1.0"  # as the probes of some balancers are
    if not is_hostless and (names[b"host"] != 1 or not _HOST.fullmatch(host)):
        return refusal(400, "bad-request", "a request needs one valid Host")
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in map(
        str.lower, header_items(headers.get("connection", ""))
    ):
        return None
    if request.path not in paths:
        return refusal(404, "not-found", "no WebSocket endpoint here")
    if request.method != "GET":
        return refusal(405, "method-not-allowed", "a WebSocket request is a GET", ("Allow", "GET"))
    if head.event.http_version != b"1.1":
        return refusal(400, "bad-request", "a WebSocket request is HTTP/1.1")
    if headers.get("sec-websocket-version") != "13":
        return refusal(426, "upgrade-required", "WebSocket version 13 only", ("Sec-WebSocket-Version", "13"))
    key = headers.get("sec-websocket-key", "")
    if not _is_key(key):
        return refusal(400, "bad-request", "Sec-WebSocket-Key must be 16 bytes in base64, once")
    if head.trailing or "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
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
