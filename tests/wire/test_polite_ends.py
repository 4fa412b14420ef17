"""The end of the stream: after its Close or its answer the server says that nothing more comes, and drops the rest."""

import ssl
from functools import partial

import pytest
import trio

from simplysocket import Server

from ..harness.attack import under_attack
from ..harness.attacker import Peer
from ..harness.frames import BINARY, FINAL, TEXT, close, frame, head
from ..harness.plain_http import plain_head
from ..harness.servers import make_attacked
from ..harness.tls import Contexts, make_contexts

REFUSED = {
    "a reserved bit": (b"\xc1\x80abcd", 1002),
    "a text that is not UTF-8": (frame(b"\x81", TEXT), 1007),
    "a message that is too big": (frame(bytes(70_000), BINARY), 1009),
}
MUCH = 8 * 2**20  # bytes: more than both kernels keep


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    """Return the server's context and a client's that trusts it."""
    return make_contexts()


async def reach(server: Server, context: ssl.SSLContext | None, *, https_compatible: bool = False) -> trio.abc.Stream:
    """Connect. Over TLS an end without a close_notify raises BrokenResourceError, unless `https_compatible`."""
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    if context is None:
        return stream
    return trio.SSLStream(stream, context, server_hostname="127.0.0.1", https_compatible=https_compatible)


async def read_to_end(stream: trio.abc.Stream) -> bytes:
    """Return all that comes; BrokenResourceError after a reset, and over TLS at an end without a close_notify."""
    data = b""
    while received := await stream.receive_some(65_536):
        data += received
    return data


@pytest.mark.parametrize("over_tls", [False, True], ids=["TCP", "TLS"])
@pytest.mark.parametrize("why", REFUSED)
async def test_after_a_refused_frame_the_server_ends_the_stream_first(
    why: str, over_tls: bool, contexts: Contexts
) -> None:
    data, code = REFUSED[why]
    # A server that ended only after `close_seconds` would take longer than the test may.
    server = make_attacked(close_seconds=300)
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0] if over_tls else None)
    async with under_attack(
        server, serve=serve, reach=partial(reach, server, contexts[1] if over_tls else None)
    ) as attack:
        peer = await attack.connect()
        await peer.send(data + b"more that nobody looks at")
        first, payload = await peer.next_frame() or (0, b"")
        assert (first, payload[:2]) == (FINAL | 8, code.to_bytes(2, "big"))
        await peer.send(close(code))
        assert await read_to_end(peer.stream) == b""
        await peer.close()
        await attack.until_closed(code)


@pytest.mark.parametrize("over_tls", [False, True], ids=["TCP", "TLS"])
async def test_a_close_arrives_at_a_peer_that_first_sends_all_of_a_message_that_is_too_big(
    over_tls: bool, contexts: Contexts
) -> None:
    server = make_attacked(close_seconds=300)
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0] if over_tls else None)
    reached = partial(reach, server, contexts[1] if over_tls else None, https_compatible=True)
    async with under_attack(server, serve=serve, reach=reached) as attack:
        peer = await attack.connect()
        await peer.send(frame(bytes(MUCH), BINARY))
        assert (await read_to_end(peer.stream))[2:4] == (1009).to_bytes(2, "big")


async def test_a_close_arrives_at_a_peer_that_goes_on_sending_after_its_own() -> None:
    async with under_attack(close_seconds=300) as attack:
        for _ in range(20):
            peer = await attack.connect()
            await peer.send(close(4000) + bytes(30_000))
            assert await read_to_end(peer.stream) == frame_of_server(close(4000))


def frame_of_server(masked: bytes) -> bytes:
    """Return a short frame of a client as a server sends it: without the mask."""
    key, payload = masked[2:6], masked[6:]
    return bytes((masked[0], masked[1] & 0x7F)) + bytes(each ^ key[at % 4] for at, each in enumerate(payload))


async def test_over_tls_every_end_has_its_close_notify(contexts: Contexts) -> None:
    server = make_attacked()
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0])
    async with under_attack(server, serve=serve, reach=partial(reach, server, contexts[1])) as attack:
        for request_head, status in (
            (plain_head("/health"), b"200"),
            (plain_head("/nothing"), b"404"),
            (head("GET /ws HTTP/1.1", sec_websocket_version="12"), b"426"),
        ):
            peer = await attack.dial()
            await peer.send(request_head)
            assert (await read_to_end(peer.stream)).split(b" ")[1] == status
        peer = await attack.connect()
        await peer.send(close(1000))
        assert await read_to_end(peer.stream) == frame_of_server(close(1000))


@pytest.mark.parametrize("over_tls", [False, True], ids=["TCP", "TLS"])
async def test_a_refused_peer_that_never_ends_is_let_go(over_tls: bool, contexts: Contexts) -> None:
    server = make_attacked(close_seconds=0.05)
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0] if over_tls else None)
    async with under_attack(
        server, serve=serve, reach=partial(reach, server, contexts[1] if over_tls else None)
    ) as attack:
        base = server.statistics()["connections"]
        peers: list[Peer] = [await attack.connect() for _ in range(10)]
        for peer in peers:
            await peer.send(frame(b"\x81", TEXT))
        await attack.until_closed(*[1007] * 10)
        while server.statistics()["connections"] != base:  # the peers are still there
            await trio.testing.wait_all_tasks_blocked(0.001)
