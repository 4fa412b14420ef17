"""Request heads: read from a transport under their bounds, and parsed.

Laws:
- h11 parses a head once, when it is complete. What clients usually send is parsed here, in a sixth of the time: a head
  that comes in one piece and that h11 would read the same way. Whatever is not certain is left to h11.
- Before that it is measured by `Limits.head_bytes` and `head_lines`, and characters that no line may hold are
  refused: h11 makes objects for any number of lines, and its regular expression for a header goes over the spaces
  of a value again and again when one of these characters follows. 60 kB of spaces and a NUL took 10 s.

Knows no deadline: the caller sets one.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs
import h11

from .._wire.transport import Transport
from ..limits import Limits
from ..request import Request
from .peer_time import PeerTime
from .responses import Response, refusal

_QUERY_FIELDS: Final = 100  # of a target; far more than a program needs
_FIRST: Final = 0x21  # no request begins with a lower byte: TLS on a plain port does, and an empty line
_IN_NO_LINE: Final = (b"\0", b"\v", b"\f", b"\r")  # the whitespace of regular expressions that is none in HTTP, and NUL

# A whole GET with values of visible ASCII and spaces, in time that grows with its length only: nothing is tried twice.
_USUAL_HEAD: Final = re.compile(
    rb"GET ([!-~]++) HTTP/1\.1\r\n((?:[-!#$%&'*+.^_`|~0-9A-Za-z]++:[ -~]*+\r\n)++)\r\n"  # RFC 9112, 3 and 5
)
_LEFT_TO_H11: Final = (b"content-length", b"transfer-encoding")  # it checks and changes their values


class BadHead(Exception):
    """A request head that cannot be read."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@attrs.frozen
class RequestHead:
    """A request head, and the bytes that were read after it. The names of `headers` are in lower case."""

    method: bytes
    target: bytes
    http_version: bytes
    headers: list[tuple[bytes, bytes]]
    trailing: bytes


async def read_head(transport: Transport, limits: Limits, time: PeerTime) -> RequestHead | None:
    """Read up to the end of the head; None when the peer has left. `BadHead` when it is not HTTP or too large."""
    data = bytearray()
    while True:
        received = await transport.receive()
        if not received:
            return None
        await time.turn()  # what comes next is most of the work for a connection that is then refused
        if not data and (head := parse_usual(received, limits)) is not None:
            return head
        end = _end_of_head(data, received)
        if (end or len(data)) > limits.head_bytes:
            raise BadHead(refusal(431, "too-large", f"a request head may have {limits.head_bytes} bytes"))
        if end:
            event = _parse(bytes(data[:end]), limits)
            return RequestHead(event.method, event.target, event.http_version, list(event.headers), bytes(data[end:]))
        if data[0] < _FIRST:
            raise _not_http(400)


def _end_of_head(data: bytearray, received: bytes) -> int:
    """Append what was received; return the index after the first empty line, or 0 if there is none yet."""
    start = max(0, len(data) - 2)  # the empty line may have begun before
    data += received
    ends = [found + len(end) for end in (b"\n\r\n", b"\n\n") if (found := data.find(end, start)) >= 0]
    return min(ends, default=0)


def _parse(head: bytes, limits: Limits) -> h11.Request:
    """Parse a complete head; `BadHead` when it has too many lines or is not HTTP."""
    if head.count(b"\n") > limits.head_lines + 2:  # with the request line and the empty line
        raise BadHead(refusal(431, "too-large", f"a request may have {limits.head_lines} headers"))
    lines = head.replace(b"\r\n", b"\n")
    if any(character in lines for character in _IN_NO_LINE):
        raise _not_http(400)
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(head)
    try:
        event = parser.next_event()
    except h11.RemoteProtocolError as exc:
        raise _not_http(exc.error_status_hint) from None
    assert isinstance(event, h11.Request)  # the head is complete
    return event


def _not_http(status: int) -> BadHead:
    return BadHead(refusal(status, "bad-request", "this is not a valid HTTP/1.1 request"))


def parse_usual(data: bytes, limits: Limits) -> RequestHead | None:
    """Parse a whole head that h11 would read the same way; None leaves it to h11."""
    found = _USUAL_HEAD.match(data, 0, limits.head_bytes)
    if found is None:
        return None
    headers: list[tuple[bytes, bytes]] = []
    hosts = 0
    for line in found[2][:-2].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        hosts += name == b"host"
        if name in _LEFT_TO_H11:
            return None
        headers.append((name, value.strip(b" ")))
    if hosts != 1 or len(headers) > limits.head_lines:
        return None  # h11 refuses the first, and the reader of the head the second
    return RequestHead(b"GET", found[1], b"1.1", headers, data[found.end() :])


def to_request(head: RequestHead, address: str) -> Request:
    """Return the request of a head, from a peer at `address`; `BadHead` when its target is not valid."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        between = "; " if name == "cookie" else ", "  # RFC 9113, 8.2.3
        headers[name] = f"{headers[name]}{between}{value}" if name in headers else value
    try:
        text = head.target.decode("ascii")
        # What begins with a slash is a path, even `//a/ws`: a proxy has read it as one (RFC 9112, 3.2.1).
        target = urlsplit(f"http://-{text}" if text.startswith("/") else text)
        query = parse_qsl(target.query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS)
    except ValueError:
        raise BadHead(refusal(400, "bad-request", "the request's target is not valid")) from None
    return Request(
        method=head.method.decode("ascii"),
        path=target.path,
        query=dict(reversed(query)),
        headers=headers,
        address=address,
        subprotocols=tuple(header_items(headers.get("sec-websocket-protocol", ""))),
    )


def header_items(value: str) -> list[str]:
    """Return the items of a header whose value is a list: `a, b`."""
    return [item for part in value.split(",") if (item := part.strip())]
