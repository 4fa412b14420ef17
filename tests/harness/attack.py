"""An attack: a live server, the peers that attack it, and a bystander that must not notice.

Laws:
- Every wait is bounded; whatever was opened for an attack is closed before the server is looked at.
- After an attack there are as many tasks, descriptors, connections, clients and rooms as before it.
"""

import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import trio
import trio.testing

from simplysocket import Server

from .attacker import Answer, Peer
from .bystander import Bystander
from .leaks import living_tasks, open_descriptors
from .servers import make_attacked

BYSTANDER_ADDRESS = "127.0.0.2" if sys.platform == "linux" else ""  # others have one address of their own only
BACK_SECONDS = 10.0  # for what an attack has opened to be gone
TEST_SECONDS = 20.0  # no test may take longer, whatever goes wrong


@attrs.frozen
class Counts:
    """How many tasks, descriptors, connections, clients and rooms there are."""

    tasks: int
    descriptors: int
    connections: int
    clients: int
    rooms: int

    @classmethod
    def of(cls, server: Server) -> "Counts":
        counted = server.statistics()
        return cls(
            living_tasks(),
            open_descriptors(),
            counted["connections"],
            counted["clients"],
            counted["rooms"],
        )


async def until(is_so: Callable[[], bool]) -> None:
    """Poll until `is_so()`; the deadline of the test bounds the wait."""
    while not is_so():  # noqa: ASYNC110 - the server has no event for this
        await trio.sleep(0.002)


class Attack:
    """A live server, by default on 127.0.0.1, and the peers that attack it."""

    def __init__(
        self, server: Server, reach: Callable[[], Awaitable[trio.abc.Stream]] | None = None, *, address: str = ""
    ) -> None:
        """`reach` opens a stream to a server that does not listen on TCP. `address`: where the peers come from."""
        self.server = server
        self._reach = reach
        self._address = address
        self.bystander: Bystander | None = None
        self._peers: list[Peer] = []

    async def dial(self, *, receive_bytes: int | None = None) -> Peer:
        """Connect and send nothing. `receive_bytes`: the size of the peer's receive buffer in the kernel."""
        if self._reach is not None:
            return self.add(await self._reach())
        sock = trio.socket.socket()
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        if self._address:
            await sock.bind((self._address, 0))
        await sock.connect(("127.0.0.1", self.server.port))
        return self.add(trio.SocketStream(sock))

    def add(self, stream: trio.abc.Stream) -> Peer:
        """Return a peer on this stream; `leave` closes it with the others."""
        peer = Peer(stream)
        self._peers.append(peer)
        return peer

    async def connect(self, request_head: bytes | None = None, **options: Any) -> Peer:
        """Connect and shake hands."""
        peer = await self.dial(**options)
        await peer.shake_hands(request_head)
        return peer

    async def join(self, room: str, **options: Any) -> Peer:
        """Connect and join a room."""
        peer = await self.connect(**options)
        answer = await peer.request("join-room", {"roomname": room}, id=0)
        assert answer["action"] == "reply", answer
        return peer

    async def ask(self, request_head: bytes) -> Answer:
        """Send one request over a connection of its own."""
        peer = await self.dial()
        answer = await peer.ask(request_head)
        await peer.close()
        return answer

    async def until_counts(self, counts: Counts) -> None:
        """Wait until the server's counts are these again."""
        with trio.move_on_after(BACK_SECONDS):
            while Counts.of(self.server) != counts:
                await trio.testing.wait_all_tasks_blocked(0.001)
                await trio.sleep(0.002)
        assert Counts.of(self.server) == counts

    async def until_closed(self, *codes: int) -> None:
        """Wait until as many connections have been closed, and see that they were closed with these codes."""
        closed = self.server.metrics.connections_closed
        await until(lambda: closed.total() >= len(codes))
        assert sorted(closed.elements()) == sorted(codes)

    async def leave(self) -> None:
        """Close every peer."""
        for peer in self._peers:
            await peer.close()
        self._peers.clear()


@contextlib.asynccontextmanager
async def under_attack(
    server: Server | None = None,
    *,
    serve: Callable[..., Awaitable[None]] | None = None,
    reach: Callable[[], Awaitable[trio.abc.Stream]] | None = None,
    seconds: float = TEST_SECONDS,
    **limits: Any,
) -> AsyncIterator[Attack]:
    """Serve during the block; then check that the bystander missed nothing and that the attack left nothing open.

    `limits` are fields of `Limits`, for a server that is made here.
    """
    server = server or make_attacked(**limits)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(trio.fail_after(seconds))
        attack = Attack(server, reach)
        stay = Attack(server, reach, address=BYSTANDER_ADDRESS)  # the bystander's peer is no part of the attack
        stack.push_async_callback(stay.leave)
        stack.push_async_callback(attack.leave)
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(serve or partial(server.serve, "127.0.0.1", 0))
        attack.bystander = bystander = Bystander(await stay.join("watch"))
        nursery.start_soon(bystander.watch)
        await bystander.hear()
        counts = Counts.of(server)
        yield attack
        await attack.leave()
        await bystander.hear()
        await attack.until_counts(counts)
        bystander.is_leaving = True
        await server.stop(1)
