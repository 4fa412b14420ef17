"""A crowd whose `authenticate` takes the server's time: nobody is told to have been too slow."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import Identity, Request
from simplysocket.testing import open_server

from ..harness.attacker import Peer
from ..harness.frames import head
from ..harness.servers import make


@pytest.mark.parametrize("seconds", [0.05, 0.5])
async def test_a_crowd_whose_login_takes_the_servers_time_comes_in(seconds: float, autojump_clock: MockClock) -> None:
    server = make(handshake_seconds=1, ping_seconds=None, silence_seconds=None)

    class Passes(trio.abc.Instrument):
        def after_io_wait(self, timeout: float) -> None:
            nonlocal running
            running = 0

    running = most = 0  # calls of `authenticate` in this pass, and in any

    @server.authenticate
    async def slow(request: Request) -> Identity:
        nonlocal running, most
        running += 1
        most = max(most, running)
        autojump_clock.jump(seconds)
        return Identity("someone")

    async with open_server(server) as net:
        peers = [Peer(await net.open_stream()) for _ in range(60)]
        await wait_all_tasks_blocked()  # the time of all of them runs
        statuses = list[int]()

        async def come(peer: Peer) -> None:
            statuses.append((await peer.ask(head())).status)

        trio.lowlevel.add_instrument(Passes())
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(come, peer)
        assert statuses == [101] * 60
        assert most <= 2
