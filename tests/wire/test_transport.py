"""The way in: TCP, TLS, Unix sockets and memory, and the request heads that try it, beside a bystander."""

import json
import socket
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from simplysocket import Server
from simplysocket.testing import MemoryListener

from ..harness.attack import under_attack, until
from ..harness.attacker import Peer
from ..harness.frames import CONTINUATION, FINAL, NO_CLOSE, PING, PONG, close, frame, head, message
from ..harness.servers import make_attacked

HELLO = message("echo", "hello", id=7)
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]  # of the server, and of a client that trusts it


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    """Return the server's context and a client's that trusts it."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def reach_tcp(server: Server, host: str) -> trio.SocketStream:
    return await trio.open_tcp_stream(host, server.port)


async def reach_tls(server: Server, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    """Connect to a TLS port; the handshake is done with the first byte."""
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    return trio.SSLStream(stream, context, server_hostname="127.0.0.1", https_compatible=True)


async def converse(peer: Peer, name: str) -> None:
    """Use all that a connection has: both lanes, large messages, a room."""
    await peer.shake_hands()
    await peer.request("join-room", {"roomname": "hall"}, id=0)
    assert (await peer.request("echo", name * 10_000))["message_body"] == name * 10_000
    await peer.send(frame(b'{"action":"echo",', final=False) + frame(name, PING))
    await peer.send(frame(b'"message_body":"part","id":2}', CONTINUATION))
    assert await peer.next_frame() == (FINAL | PONG, name.encode())
    assert (await peer.receive())["message_body"] == "part"


# --- transports


@pytest.mark.parametrize("kind", ["IPv4", "IPv6", "TLS", "Unix", "memory"])
async def test_every_transport_carries_the_same_conversation(kind: str, contexts: Contexts, tmp_path: Path) -> None:
    server, memory, path = make_attacked(), MemoryListener(), str(tmp_path / "socket")
    serve, reach = {
        "IPv4": (partial(server.serve, "127.0.0.1", 0), partial(reach_tcp, server, "127.0.0.1")),
        "IPv6": (partial(server.serve, "::1", 0), partial(reach_tcp, server, "::1")),
        "TLS": (
            partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0]),
            partial(reach_tls, server, contexts[1]),
        ),
        "Unix": (partial(server.serve, unix=path), partial(trio.open_unix_socket, path)),
        "memory": (partial(server.serve, listeners=[memory]), memory.connect),
    }[kind]
    async with under_attack(server, serve=serve, reach=reach) as attack:
        ana, bob = await attack.dial(), await attack.dial()
        await converse(ana, "ana")
        await converse(bob, "bob")
        await ana.say("say", "to all", target="hall")
        assert (await bob.receive())["message_body"] == "to all"
        addresses = {client.address for client in server.clients.values()}
        assert addresses == {{"IPv6": "::1", "Unix": "", "memory": ""}.get(kind, "127.0.0.1")}
        await bob.send(close())
        assert await bob.end() == 1000


async def test_all_transports_at_once_meet_in_one_room(contexts: Contexts, tmp_path: Path) -> None:
    server, memory, path = make_attacked(), MemoryListener(), tmp_path / "socket"
    own = [(await trio.open_tcp_listeners(0, host=host))[0] for host in ("127.0.0.1", "127.0.0.1", "::1")]
    encrypted, plain, plain6 = own
    listeners = [memory, plain, plain6, trio.SSLListener(encrypted, contexts[0], https_compatible=True)]
    ports = [each.socket.getsockname()[1] for each in own]
    serve = partial(server.serve, unix=path, listeners=listeners)
    async with under_attack(server, serve=serve, reach=memory.connect) as attack:
        assert server.port == ports[1]
        streams = [
            await trio.open_tcp_stream("127.0.0.1", ports[1]),
            await trio.open_tcp_stream("::1", ports[2]),
            await trio.open_unix_socket(str(path)),
            await memory.connect(),
            trio.SSLStream(
                await trio.open_tcp_stream("127.0.0.1", ports[0]),
                contexts[1],
                server_hostname="127.0.0.1",
                https_compatible=True,
            ),
        ]
        peers = [attack.add(stream) for stream in streams]
        for number, peer in enumerate(peers):
            await converse(peer, f"peer {number}")
        await peers[0].say("say", "to all", target="hall")
        for peer in peers:
            assert (await peer.receive())["message_body"] == "to all"
    assert not path.exists()


@pytest.mark.parametrize("host", ["localhost", None])
async def test_port_0_is_one_number_for_every_family(host: str | None) -> None:
    found = await trio.socket.getaddrinfo(host or "localhost", 0, type=socket.SOCK_STREAM)
    addresses = {str(info[4][0]) for info in found} if host else {"127.0.0.1", "::1"}
    server = make_attacked()
    for _ in range(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, host, 0))
            for address in addresses:
                await (await trio.open_tcp_stream(address, server.port)).aclose()
            nursery.cancel_scope.cancel()


async def test_a_unix_socket_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    server = make_attacked()
    async with under_attack(
        server, serve=partial(server.serve, unix=path), reach=partial(trio.open_unix_socket, str(path))
    ):
        with pytest.raises(OSError, match="is listening on"):
            await make_attacked().serve(unix=path)
        assert path.exists()
    assert not path.exists()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        await make_attacked().serve(unix=path)
    assert path.read_text() == "precious"


async def test_what_cannot_be_served_is_said() -> None:
    async with under_attack() as attack:
        with pytest.raises(RuntimeError, match="serving already"):
            await attack.server.serve("127.0.0.1", 0)
        with pytest.raises(OSError, match="in use"):
            await make_attacked().serve("127.0.0.1", attack.server.port)
        with pytest.raises(ValueError, match="serve on what"):
            await make_attacked().serve()


@pytest.mark.parametrize("data", [b"", head(), b"\x16\x03\x01\x02\x00\x01", b"\xff" * 100_000])
@pytest.mark.parametrize("how", ["stays", "closes", "resets"])
async def test_a_tls_port_is_not_held_by_what_is_no_tls(data: bytes, how: str, contexts: Contexts, caplog: Any) -> None:
    server = make_attacked()
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0])
    async with under_attack(server, serve=serve, reach=partial(reach_tls, server, contexts[1])) as attack:
        peers = [attack.add(await trio.open_tcp_stream("127.0.0.1", server.port)) for _ in range(5)]
        for peer in peers:
            await peer.send(data)
            if how != "stays":
                await (peer.close() if how == "closes" else peer.reset())
        await until(lambda: server.statistics()["connections"] == 1)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_over_tls_a_peer_that_never_reads_is_cut(contexts: Contexts) -> None:
    server = make_attacked(outbox_bytes=100_000, messages_per_second=None)
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0])
    async with under_attack(server, serve=serve, reach=partial(reach_tls, server, contexts[1])) as attack:
        deaf, speaker = await attack.join("hall"), await attack.join("hall")
        for number in range(300):
            if server.metrics.connections_closed.total():
                break
            await speaker.say("say", [number, "a" * 50_000], target="hall")
            assert (await speaker.receive())["message_body"][0] == number
        await attack.until_closed(3008)
        assert await deaf.end() in (NO_CLOSE, 3008)


@pytest.mark.parametrize("kind", ["TCP", "TLS", "memory"])
async def test_a_refused_peer_that_stays_is_let_go_with_one_answer(kind: str, contexts: Contexts) -> None:
    server, memory = make_attacked(), MemoryListener()
    serve, reach = {
        "TCP": (partial(server.serve, "127.0.0.1", 0), None),
        "TLS": (
            partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0]),
            partial(reach_tls, server, contexts[1]),
        ),
        "memory": (partial(server.serve, listeners=[memory]), memory.connect),
    }[kind]
    async with under_attack(server, serve=serve, reach=reach) as attack:
        answer = await attack.ask(head(origin="null"))
        assert answer.status == 403
        assert answer.body.count(b"HTTP/1.1") == 0, "a second answer behind the first"
        assert server.statistics()["upgrades_refused"] == {403: 1}


# --- request heads


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
async def test_a_head_that_is_refused_in_http(request_head: bytes, status: int, caplog: Any) -> None:
    async with under_attack() as attack:
        answer = await attack.ask(request_head)
        assert answer.status == status, answer
        assert answer.headers["connection"] == "close"
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert set(json.loads(answer.body)) == {"code", "message"}
        assert attack.server.statistics()["upgrades_refused"] == {status: 1} or status == 408
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_the_wrong_version_is_told_the_right_one() -> None:
    async with under_attack() as attack:
        assert (await attack.ask(head(sec_websocket_version="8"))).headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_health_is_answered_over_plain_http(method: str) -> None:
    async with under_attack() as attack:
        answer = await attack.ask(f"{method} /health HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
        assert answer.status == (405 if method == "POST" else 200)
        assert method != "GET" or answer.body == b'{"status":"ok"}'
        assert method != "HEAD" or (answer.body, answer.headers["content-length"]) == (b"", "15")


@pytest.mark.parametrize(("limits", "status"), [({"connections": 3}, 503), ({"connections_per_address": 3}, 429)])
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
async def test_a_head_and_then_the_end_at_once(request_head: bytes, is_reset: bool, caplog: Any) -> None:
    async with under_attack() as attack:
        for _ in range(20):
            peer = await attack.dial()
            await peer.send(request_head)
            await (peer.reset() if is_reset else peer.close())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


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
