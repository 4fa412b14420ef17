"""Usual heads: those that are parsed without h11 are read as h11 reads them, and all others are left to it."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplysocket import Limits
from simplysocket._http.request_head import RequestHead, parse_usual

from ..harness.frames import head

LIMITS = Limits()
NAMES = [
    "Host",
    "hOST",
    "Upgrade",
    "Cookie",
    "Content-Length",
    "Transfer-Encoding",
    "X-a!#$%&'*+-.^_`|~9",
    "",
    "A b",
    "Ä",
]
VALUES = [
    "a.example",
    "a.example:80",
    "websocket",
    "",
    " ",
    "  a  b  ",
    "5",
    "chunked",
    "\t",
    "a\tb",
    "a\x00",
    "\x7f",
    "\xff",
    "a\rb",
]
LINES = st.builds(
    "{}{}{}".format, st.sampled_from(NAMES), st.sampled_from([":", ": ", " : ", ""]), st.sampled_from(VALUES)
)
STARTS = st.sampled_from(
    [
        *["GET /ws HTTP/1.1", "GET /%ff?a=b#c HTTP/1.1", "GET  / HTTP/1.1", "GET / HTTP/1.0", "GET / HTTP/1.1 "],
        *["GET /\xff HTTP/1.1", "POST / HTTP/1.1", "get / HTTP/1.1", "GET HTTP/1.1", "", "\r\nGET / HTTP/1.1"],
    ]
)
HEADS = st.builds(
    lambda start, lines, end, line_end, behind: (line_end.join([start, *lines]) + end + behind).encode("latin-1"),
    STARTS,
    st.lists(LINES, max_size=4).map(lambda lines: ["Host: a.example", *lines]) | st.lists(LINES, max_size=4),
    st.sampled_from(["\r\n\r\n", "\r\n\r\n", "\n\n", "\r\n", "\r\n \r\n\r\n", ""]),
    st.sampled_from(["\r\n", "\r\n", "\n"]),
    st.sampled_from(["", "more", "\r\n", "GET / HTTP/1.1\r\n\r\n"]),
)


def parse_by_h11(data: bytes) -> RequestHead | None:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMITS.head_bytes)
    parser.receive_data(data)
    try:
        event = parser.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    return RequestHead(event.method, event.target, event.http_version, list(event.headers), parser.trailing_data[0])


@given(HEADS)
def test_a_head_is_read_as_h11_reads_it_or_left_to_h11(data: bytes) -> None:
    assert parse_usual(data, LIMITS) in (None, parse_by_h11(data))


@pytest.mark.parametrize("data", [head(), head(origin="https://a.example", cookie="a=b; c=d"), head() + b"behind"])
def test_what_clients_usually_send_is_not_left_to_h11(data: bytes) -> None:
    found = parse_usual(data, LIMITS)
    assert found is not None
    assert found == parse_by_h11(data)


def test_a_head_that_is_too_large_or_has_too_many_lines_is_left_to_the_reader_of_the_head() -> None:
    assert parse_usual(head(cookie="a" * LIMITS.head_bytes), LIMITS) is None
    assert parse_usual(head("GET /ws HTTP/1.1", *["A: b"] * (LIMITS.head_lines + 1)), LIMITS) is None
    rest = LIMITS.head_bytes - len(head(cookie=""))
    assert parse_usual(head(cookie="a" * rest), LIMITS) is not None
    assert parse_usual(head(cookie="a" * (rest + 1)), LIMITS) is None
