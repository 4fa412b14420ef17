"""Request heads: read from a transport under their bounds, and parsed.

Law: h11 parses, and a head has at most `Limits.head_bytes` and `head_lines`.
Knows no deadline: the caller sets one.
"""

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


class BadHead(Exception):
    """A request head that cannot be read."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@attrs.frozen
class RequestHead:
    """A request head, and the bytes that were read after it."""

    event: h11.Request
    trailing: bytes


async def read_head(transport: Transport, limits: Limits, time: PeerTime) -> RequestHead | None:
    """Read up to the end of the head; None when the peer has left. `BadHead` when it is not HTTP or too large."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
    total = 0
    while True:
        received = await transport.receive()
        if not received:
            return None
        await time.turn()  # what comes next is most of the work for a connection that is then refused
        total += len(received)
        try:
            parser.receive_data(received)
            event = parser.next_event()
        except h11.RemoteProtocolError as exc:
            status = exc.error_status_hint
            raise BadHead(refusal(status, "bad-request", "this is not a valid HTTP/1.1 request")) from None
        trailing = parser.trailing_data[0]
        # h11 measures only heads that are incomplete; one that arrives whole is measured here.
        if total - len(trailing) > limits.head_bytes:
            raise BadHead(refusal(431, "too-large", f"a request head may have {limits.head_bytes} bytes"))
        if isinstance(event, h11.Request):
            if len(event.headers) > limits.head_lines:
                raise BadHead(refusal(431, "too-large", f"a request may have {limits.head_lines} headers"))
            return RequestHead(event, trailing)


def to_request(head: RequestHead, address: str) -> Request:
    """Return the request of a head, from a peer at `address`; `BadHead` when its target is not valid."""
    event = head.event
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        between = "; " if name == "cookie" else ", "  # RFC 9113, 8.2.3
        headers[name] = f"{headers[name]}{between}{value}" if name in headers else value
    try:
        text = event.target.decode("ascii")
        # What begins with a slash is a path, even `//a/ws`: a proxy has read it as one (RFC 9112, 3.2.1).
        target = urlsplit(f"http://-{text}" if text.startswith("/") else text)
        query = parse_qsl(target.query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS)
    except ValueError:
        raise BadHead(refusal(400, "bad-request", "the request's target is not valid")) from None
    return Request(
        method=event.method.decode("ascii"),
        path=target.path,
        query=dict(reversed(query)),
        headers=headers,
        address=address,
        subprotocols=tuple(header_items(headers.get("sec-websocket-protocol", ""))),
    )


def header_items(value: str) -> list[str]:
    """Return the items of a header whose value is a list: `a, b`."""
    return [item for part in value.split(",") if (item := part.strip())]
