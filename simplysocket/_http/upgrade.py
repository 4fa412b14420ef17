"""Upgrades: whether a request may become a WebSocket.

Laws: plain functions, no I/O. trio-websocket never sees the head that a client
sent: it is given one that is written here, in ASCII.
"""

import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from .._protocol.names import SUBPROTOCOL
from .._protocol.resuming import Offer, read_offer
from ..request import Identity, Request
from .origins import HOST, Hosts, Origins
from .request_head import RequestHead, header_items
from .responses import ALWAYS_ANSWERED, Response, refusal

logger = logging.getLogger("simplysocket.frontdoor")

_KEY_BYTES: Final = 16  # RFC 6455, 4.1
_HEAD: Final = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
)


@attrs.frozen
class Upgrade:
    """A request that may become a WebSocket. `head` is what trio-websocket is given for it.

    `offer` is what a client that comes back, or may want to, says; None for all others.
    """

    request: Request
    head: bytes
    subprotocol: str | None
    offer: Offer | None = None
    identity: Identity | None = None


@attrs.frozen
class TurnedAway:
    """A client that is refused, and told so by a Close with this code and reason."""

    upgrade: Upgrade
    code: int
    reason: str


@attrs.frozen
class Rules:
    """Where WebSockets connect, from which pages, and by which names a server is asked for."""

    paths: Sequence[str]
    origins: Origins
    hosts: Hosts


def judge(request: Request, head: RequestHead, rules: Rules, *, is_tls: bool) -> Upgrade | Response | None:
    """Judge a request (RFC 6455, 4.2.1): an `Upgrade`, the `Response` that refuses it, or None for plain HTTP."""
    refused = _check_request(request, head, rules.hosts)
    if refused is not None:
        return refused
    if not _asks_for_upgrade(request.headers):
        return None
    refused = _check_upgrade(request, head, rules, is_tls=is_tls)
    if refused is not None:
        return refused
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in request.subprotocols else None
    offer = read_offer(request.subprotocols) if subprotocol else None  # without it there is no `welcome` to answer in
    return Upgrade(request, _write_head(request.headers["sec-websocket-key"], subprotocol), subprotocol, offer)


def _check_request(request: Request, head: RequestHead, allowed: Hosts) -> Response | None:
    """Return the refusal of a request that is not valid, whether it is plain HTTP or an upgrade."""
    headers = request.headers
    if "transfer-encoding" in headers and "content-length" in headers:
        return refusal(400, "bad-request", "Content-Length and Transfer-Encoding together")
    hosts = [name for name, _ in head.headers].count(b"host")
    is_hostless = not hosts and head.http_version == b"1.0"  # as health checks of load balancers are
    if not is_hostless and (hosts != 1 or not HOST.fullmatch(headers.get("host", ""))):
        return refusal(400, "bad-request", "a request needs one valid Host")
    host = headers.get("host", "")
    if not allowed.admit(host) and request.path not in ALWAYS_ANSWERED:
        logger.warning("refused the host %.200r: add it to Server(hosts=[...]) if it is a name of this server", host)
        return refusal(421, "misdirected", "this server is not asked for by this name")
    return None


def _asks_for_upgrade(headers: Mapping[str, str]) -> bool:
    connection = header_items(headers.get("connection", "").lower())
    return headers.get("upgrade", "").lower() == "websocket" and "upgrade" in connection


def _check_upgrade(request: Request, head: RequestHead, rules: Rules, *, is_tls: bool) -> Response | None:
    """Return the refusal of an upgrade that is not valid."""
    headers = request.headers
    if request.path not in rules.paths:
        return refusal(404, "not-found", "no WebSocket endpoint here")
    if request.method != "GET":
        return refusal(405, "method-not-allowed", "a WebSocket request is a GET", ("Allow", "GET"))
    if head.http_version != b"1.1":
        return refusal(400, "bad-request", "a WebSocket request is HTTP/1.1")
    if headers.get("sec-websocket-version") != "13":
        return refusal(426, "upgrade-required", "WebSocket version 13 only", ("Sec-WebSocket-Version", "13"))
    if not _is_key(headers.get("sec-websocket-key", "")):
        return refusal(400, "bad-request", "Sec-WebSocket-Key must be 16 bytes in base64, once")
    if head.trailing or "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        return refusal(400, "bad-request", "bytes behind the head, before the handshake is done")
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is not None and not rules.origins.admit(origin, host, is_tls=is_tls):
        logger.warning(
            "refused the origin %.200r for the host %.200r: set Server(origins=[...]) to admit it", origin, host
        )
        return refusal(403, "forbidden", "this origin may not connect")
    return None


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _write_head(key: str, subprotocol: str | None) -> bytes:
    offer = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return _HEAD.format(key=key, offer=offer).encode("ascii")
