"""A crowd: many clients at once, in memory or on sockets."""

import trio

from simplysocket import Server
from simplysocket.testing import Net, TestClient

from .attack import TEST_SECONDS, until
from .attacker import Peer


async def connect_many(net: Net, count: int, *, room: str | None = None) -> list[TestClient]:
    """Connect clients named c0, c1, ... in memory; with `room`, each joins it before the next one connects."""
    clients = []
    for number in range(count):
        client = await net.connect(f"c{number}")
        if room is not None:
            await client.join(room)
        clients.append(client)
    return clients


async def dial_many(server: Server, count: int, request_head: bytes) -> list[Peer]:
    """Open TCP connections to a server without others, send a request head on each, and read nothing."""
    peers = [Peer(await trio.open_tcp_stream("127.0.0.1", server.port)) for _ in range(count)]
    for peer in peers:
        await peer.send(request_head)
    with trio.fail_after(TEST_SECONDS):
        await until(lambda: server.statistics()["connections"] == count)
    return peers
