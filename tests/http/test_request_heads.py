"""WebSocket request heads: those that are accepted, those that are refused, and those that never end."""

import json

import h11
import pytest
import trio
import trio.testing

from ..harness.attack import under_attack, until
from ..harness.error_log import errors_of
from ..harness.frames import HELLO, close, head


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(head(connection="Upgrade, \xff"), id="a byte beyond ASCII in Connection"),
        pytest.param(head(sec_websocket_protocol="\xe9"), id="a byte beyond ASCII in Sec-WebSocket-Protocol"),
        pytest.param(head(sec_websocket_extensions="\xff"), id="a byte beyond ASCII in Sec-WebSocket-Extensions"),
        pytest.param(head(host="xn--a--"), id="a Host that is no IDNA"),
        pytest.param(head(sec_websocket_extensions="permessage-deflate"), id="an extension"),
        pytest.param(head(sec_websocket_protocol="chat"), id="an unknown subprotocol"),
        pytest.param(head(origin="http://127.0.0.1"), id="the same Origin"),
        pytest.param(head(origin="HTTP://A.example:80", host="a.example"), id="the same Origin, written otherwise"),
        pytest.param(head(origin="https://a.example", host="a.example:443"), id="the same Origin behind TLS"),
        pytest.param(head(connection="keep-alive, UPGRADE", upgrade="WebSocket"), id="other letters"),
        pytest.param(head("GET /ws?name=%ff%00%ed%a0%80&name=b&&=& HTTP/1.1"), id="a name that is no text"),
    ],
)
async def test_a_head_that_may_come_in(request_head: bytes) -> None:
    async with under_attack() as attack:
        peer = await attack.dial()
        answer = await peer.ask(request_head)
        assert answer.status == 101
        assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & set(answer.headers)
        assert (await peer.request("echo", "hello"))["message_body"] == "hello"


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(head(host="caf\xe9.example"), 400, id="a byte beyond ASCII in Host"),
        pytest.param(head(host=None), 400, id="no Host"),
        pytest.param(head("GET /ws HTTP/1.1", "Host: b"), 400, id="two Hosts"),
        pytest.param(head(host="a b"), 400, id="a Host with a space"),
        pytest.param(head(host="evil.example/@"), 400, id="a Host with a path"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="TLS on a plain port"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
        pytest.param(b"nonsense\r\n\r\n", 400, id="nonsense"),
        pytest.param(head("GET http://[/ws HTTP/1.1"), 400, id="a target that is no URL"),
        pytest.param(head("GET //[/ws HTTP/1.1"), 404, id="a path that looks like a host"),
        pytest.param(head("GET /ws?" + "a&" * 200 + " HTTP/1.1"), 400, id="many fields in the query"),
        pytest.param(head("GET /ws HTTP/1.0"), 400, id="HTTP/1.0"),
        pytest.param(head("POST /ws HTTP/1.1"), 405, id="POST"),
        pytest.param(head("GET /elsewhere HTTP/1.1"), 404, id="another path"),
        pytest.param(head(upgrade=None), 426, id="no Upgrade"),
        pytest.param(head(connection="close"), 426, id="Connection without the token"),
        pytest.param(head(sec_websocket_version="8"), 426, id="another version"),
        pytest.param(head(sec_websocket_key="a"), 400, id="a key of one character"),
        pytest.param(head(sec_websocket_key="A" * 22 + "==, x"), 400, id="a key with something behind it"),
        pytest.param(head("GET /ws HTTP/1.1", "Sec-WebSocket-Key: " + "A" * 22 + "=="), 400, id="two keys"),
        pytest.param(head(origin="http://evil.example"), 403, id="a foreign Origin"),
        pytest.param(head(origin="http://127.0.0.1:1"), 403, id="an Origin with another port"),
        pytest.param(head(origin="null"), 403, id="Origin null"),
        pytest.param(head(origin="http://["), 403, id="an Origin that is no URL"),
        pytest.param(head(origin="\xff"), 403, id="an Origin beyond ASCII"),
        pytest.param(head(content_length="5"), 400, id="an upgrade with a body"),
        pytest.param(head(content_length="-1"), 400, id="a Content-Length below zero"),
        pytest.param(head(transfer_encoding="chunked"), 400, id="an upgrade in chunks"),
        pytest.param(head(transfer_encoding="gzip"), 501, id="a Transfer-Encoding that nobody knows"),
        pytest.param(head(content_length="5", transfer_encoding="chunked"), 400, id="two kinds of length"),
        pytest.param(
            head("POST /health HTTP/1.1", content_length="5", transfer_encoding="chunked", upgrade=None),
            400,
            id="two kinds of length over plain HTTP",
        ),
        pytest.param(head() + HELLO, 400, id="bytes behind the head"),
        pytest.param(head(cookie="a" * 20_000), 431, id="a head too large, whole"),
        pytest.param(head(cookie="a" * 20_000)[:-4], 431, id="a head too large, unfinished"),
        pytest.param(head(cookie="a" * 60_000), 431, id="a head that goes on behind the answer"),
        pytest.param(head("GET /ws HTTP/1.1", *["A: b"] * 70), 431, id="too many headers"),
        pytest.param(head()[:-4], 408, id="a request half sent"),
        pytest.param(b"", 408, id="a request never sent"),
    ],
)
async def test_a_head_that_is_refused_in_http(
    request_head: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with under_attack() as attack:
        answer = await attack.ask(request_head)
        assert answer.status == status, answer
        assert answer.headers["connection"] == "close"
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert set(json.loads(answer.body)) == {"code", "message"}
        assert attack.server.statistics()["upgrades_refused"] == {status: 1} or status == 408
    assert errors_of(caplog) == []


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param(["A:" + " " * 15_000 + "\0"], 400, id="spaces and a NUL"),
        pytest.param(["A:" + "\t" * 15_000 + "b\v"], 400, id="tabs and a vertical tab"),
        pytest.param(["A:" + " " * 15_000 + "\f"], 400, id="spaces and a form feed"),
        pytest.param(["A:" + " " * 15_000 + "\rb"], 400, id="spaces and a CR alone"),
        pytest.param(["A:" + " " * 15_000 + "\r"], 400, id="spaces and two CR at the end"),
        pytest.param(["A:", *[" " * 300] * 50, " \0"], 400, id="a folded header of spaces"),
        pytest.param(["A:" + " " * 60_000 + "\0"], 431, id="spaces beyond the size of a head"),
        pytest.param(["A:"] * 15_000, 431, id="15,000 headers"),
        pytest.param(["A: b", *[" "] * 15_000], 431, id="a header of 15,000 lines"),
    ],
)
async def test_what_takes_long_to_parse_is_refused_before_it_is_parsed(
    lines: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = list[bytes]()
    receive_data = h11.Connection.receive_data

    def record(self: h11.Connection, data: bytes) -> None:
        parsed.append(data)
        receive_data(self, data)

    async with under_attack() as attack:
        with monkeypatch.context() as patch:
            patch.setattr(h11.Connection, "receive_data", record)
            answer = await attack.ask(head("GET /ws HTTP/1.1", *lines))
        assert answer.status == status, answer
        assert not [data for data in parsed if b"A:" in data]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CR LF", "LF"])
async def test_a_head_may_come_in_any_pieces_and_with_any_line_ends(end: bytes) -> None:
    whole = head().replace(b"\r\n", end)
    async with under_attack() as attack:
        for at in (1, len(whole) - 3, len(whole) - 2, len(whole) - 1):
            peer = await attack.dial()
            await peer.send(whole[:at])
            await trio.testing.wait_all_tasks_blocked()
            await peer.shake_hands(whole[at:])


async def test_the_wrong_version_is_told_the_right_one() -> None:
    async with under_attack() as attack:
        assert (await attack.ask(head(sec_websocket_version="8"))).headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(("limits", "status"), [({"connections": 3}, 503), ({"connections_per_address": 2}, 429)])
async def test_beyond_the_limit_of_connections_the_next_is_refused_and_a_place_that_is_free_is_given_again(
    limits: dict[str, int], status: int
) -> None:
    async with under_attack(**limits) as attack:
        first = await attack.connect()
        await attack.connect()
        answer = await attack.ask(head())
        assert answer.status == status
        assert "retry-after" in answer.headers
        assert (await attack.ask(head("GET /health HTTP/1.1", upgrade=None))).status == 200
        await first.send(close())
        assert await first.end() == 1000
        await attack.connect()


@pytest.mark.parametrize(
    "request_head", [b"", head()[:20], b"nonsense\r\n\r\n", head(), head() + HELLO, head(host="\xff")]
)
@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "closed"])
async def test_a_head_and_then_the_end_at_once(
    request_head: bytes, is_reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with under_attack() as attack:
        for _ in range(20):
            peer = await attack.dial()
            await peer.send(request_head)
            await (peer.reset() if is_reset else peer.close())
    assert errors_of(caplog) == []


async def test_a_head_that_comes_byte_by_byte_is_cut_at_the_one_deadline() -> None:
    async with under_attack() as attack:
        peer = await attack.dial()
        for at in range(10_000):
            if attack.server.statistics()["connections"] == 1:
                break
            await peer.send(head(cookie="a" * 10_000)[at : at + 1])
            await trio.sleep(0.01)
        assert at < 100, "the deadline moves with every byte"


async def test_a_silent_peer_that_was_refused_is_not_held() -> None:
    async with under_attack() as attack:
        base = attack.server.statistics()["connections"]
        peers = [await attack.dial() for _ in range(20)]
        for peer in peers:
            await peer.send(head(origin="null"))  # and neither reads nor closes
        await until(lambda: attack.server.statistics()["upgrades_refused"].get(403) == len(peers))
        await until(lambda: attack.server.statistics()["connections"] == base)
