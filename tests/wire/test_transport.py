"""Transports: TCP, TLS, Unix sockets and memory carry the same conversation."""

import ssl
from functools import partial
from pathlib import Path

import pytest
import trio

from simplysocket import Server
from simplysocket.testing import MemoryListener

from ..harness.attack import under_attack, until
from ..harness.attacker import Peer
from ..harness.error_log import errors_of
from ..harness.frames import CONTINUATION, FINAL, NO_CLOSE, PING, PONG, close, frame, head
from ..harness.servers import make_attacked
from ..harness.tls import Contexts, make_contexts


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    """Return the server's context and a client's that trusts it."""
    return make_contexts()


async def reach_tcp(server: Server, host: str) -> trio.SocketStream:
    return await trio.open_tcp_stream(host, server.port)


async def reach_tls(server: Server, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    """Connect to a TLS port; the handshake is done with the first byte."""
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    return trio.SSLStream(stream, context, server_hostname="127.0.0.1", https_compatible=True)


async def converse(peer: Peer, name: str) -> None:
    """Use all parts of a connection: both lanes, large messages, a room."""
    await peer.shake_hands()
    await peer.request("join-room", {"roomname": "hall"}, id=0)
    assert (await peer.request("echo", name * 10_000))["message_body"] == name * 10_000
    await peer.send(frame(b'{"action":"echo",', final=False) + frame(name, PING))
    await peer.send(frame(b'"message_body":"part","id":2}', CONTINUATION))
    assert await peer.next_frame() == (FINAL | PONG, name.encode())
    assert (await peer.receive())["message_body"] == "part"


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


@pytest.mark.parametrize("data", [b"", head(), b"\x16\x03\x01\x02\x00\x01", b"\xff" * 100_000])
@pytest.mark.parametrize("how", ["stays", "closes", "resets"])
async def test_a_tls_port_is_not_held_by_what_is_no_tls(
    data: bytes, how: str, contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_attacked()
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0])
    async with under_attack(server, serve=serve, reach=partial(reach_tls, server, contexts[1])) as attack:
        peers = [attack.add(await trio.open_tcp_stream("127.0.0.1", server.port)) for _ in range(5)]
        for peer in peers:
            await peer.send(data)
            if how != "stays":
                await (peer.close() if how == "closes" else peer.reset())
        await until(lambda: server.statistics()["connections"] == 1)
    assert errors_of(caplog) == []


async def test_over_tls_a_peer_that_never_reads_is_cut(contexts: Contexts) -> None:
    server = make_attacked(outbox_bytes=100_000, messages_per_second=None, bytes_per_second=None)
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
        assert answer.body.count(b"HTTP/1.1") == 0, "a second answer after the first"
        assert server.statistics()["upgrades_refused"] == {403: 1}
