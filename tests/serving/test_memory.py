"""Memory: a process that clients fill up to its limits holds no more than `Limits.memory_bound` says."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from simplysocket import Limits

from ..harness.attack import TEST_SECONDS
from ..harness.attacker import Peer
from ..harness.command import LISTENS, Command, running, write
from ..harness.frames import frame, message

CLIENTS = 40  # and one that asks
LIMITS: dict[str, Any] = {
    # small
    "connections": CLIENTS + 1,
    "rooms": CLIENTS,
    "rooms_per_client": 2,
    "tasks_per_client": 2,
    "outboxes_bytes": 16_777_216,
    "accounts": 100,
    "static_bytes": 1,
    # Nothing ends before it was measured.
    "handshake_seconds": 1_000,
    "inbox_seconds": None,
    "slow_seconds": 1_000,
    "write_seconds": 1_000,
    # One address may do what it takes many to do.
    "connections_per_address": None,
    "rooms_per_creator": None,
    "messages_per_second": None,
    "bytes_per_second": None,
    "joins_per_second": None,
    "account_joins_per_second": None,
    "connects_per_second": None,
}
SERVER = f"""
    import trio
    from simplysocket import Client, Limits, Room, Server

    server = Server("measured", limits=Limits(**{LIMITS}))

    @server.room("r*")
    class Filled(Room):
        empty_ttl = None

    @server.action("wait")
    async def wait() -> None:
        await trio.sleep_forever()

    @server.action("linger", turn=False)
    async def linger() -> None:
        await trio.sleep_forever()

    @server.action("tell")
    async def tell(client: Client, body: int) -> None:
        for _ in range(body):
            await client.send("news", "x" * 60_000)

    @server.action("figures", turn=False)
    async def figures() -> dict[str, int]:
        return {{name: value for name, value in server.statistics().items() if isinstance(value, int)}}
"""
BIG = "x" * 60_000
TOLD = 5  # messages that wait for each client, which reads nothing
HEAD = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 15_000  # of 16,384 bytes, and not complete


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is read from /proc")
async def test_a_server_that_is_filled_up_to_its_limits_stays_within_the_memory_bound(tmp_path: Path) -> None:
    write(tmp_path / "measured.py", SERVER)
    with running(tmp_path, "run", "measured:server", "--port", "0") as command, trio.fail_after(TEST_SECONDS):
        port = int(command.wait_for(LISTENS)[3])
        asker = await connect(port)
        for _ in range(10):  # what is made once is there
            await figures(asker)
        before = resident_bytes(command)

        peers = [await connect(port) for _ in range(CLIENTS)]
        for number, peer in enumerate(peers):
            await fill(peer, number, is_paused=number % 2 == 0)
        visitors = [await dial(port) for _ in range(CLIENTS)]
        for visitor in visitors:
            await visitor.send(HEAD)
        found = await figures(asker)
        while found["paused_connections"] < CLIENTS // 2 or found["queued_bytes"] < CLIENTS * (TOLD - 2) * len(BIG):
            found = await figures(asker)  # the deadline ends this
        for _ in range(20):
            await figures(asker)  # so many passes, in which all that was sent is read
        growth = resident_bytes(command) - before

        found = await figures(asker)
        assert found["clients"] == CLIENTS + 1
        assert found["connections"] == 2 * CLIENTS + 1
        assert found["rooms"] == CLIENTS + 1
        assert found["held_messages"] >= CLIENTS // 2 * 4
        for peer in (*peers, *visitors, asker):
            await peer.close()
    bound = Limits(**LIMITS).memory_bound()
    assert growth <= bound
    assert bound <= 20 * growth  # a bound of everything would say nothing


async def dial(port: int) -> Peer:
    """Connect, with a small receive buffer."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    await sock.connect(("127.0.0.1", port))
    return Peer(trio.SocketStream(sock))


async def connect(port: int) -> Peer:
    """Connect and shake hands."""
    peer = await dial(port)
    await peer.shake_hands()
    return peer


async def figures(asker: Peer) -> dict[str, int]:
    """Return the server's statistics."""
    found: dict[str, int] = (await asker.request("figures"))["message_body"]
    return found


async def fill(peer: Peer, number: int, *, is_paused: bool) -> None:
    """Let one client take what it can: a room with options, messages for rooms that do not go on, an outbox.

    `is_paused`: it sends until it is not read any more. Otherwise it begins a message and does not end it.
    """
    room = f"r{number}"
    await peer.request("join-room", {"roomname": room, "kept": "x" * 4_000})
    for _ in range(2):
        await peer.say("linger", BIG)
    await peer.say("tell", TOLD)
    for target in (None, room):  # None: its own turns in the global room
        await peer.say("wait", target=target)
        for _ in range(4):  # of `inbox_bytes`
            await peer.say("note", BIG, target=target)
    if is_paused:
        for _ in range(5):  # of `intake_bytes`
            await peer.say("note", BIG, target=room)
    else:
        await peer.send(frame(BIG[:30_000], final=False) + message("note", BIG)[:30_000])


def resident_bytes(command: Command) -> int:
    """Return how much memory a process has (RSS)."""
    pages = int(Path(f"/proc/{command.process.pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
