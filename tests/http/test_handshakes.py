"""TLS handshakes of a crowd: how many run at once, who is next, and whose time runs."""

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import Limits, Server
from simplysocket._http.handshakes import Handshakes
from simplysocket._http.peer_time import PeerTime
from simplysocket._pass_budget import PassBudget
from simplysocket.testing import open_server
from simplysocket.testing.pipes import open_pipe

from ..harness.attack import under_attack
from ..harness.attacker import Peer
from ..harness.servers import make, make_attacked
from ..harness.tls import Contexts, make_contexts


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    """Return the server's context and a client's that trusts it."""
    return make_contexts()


# --- the slots alone


@contextlib.asynccontextmanager
async def waiting(handshakes: Handshakes, *names: str) -> AsyncIterator[tuple[list[str], Callable[[], None]]]:
    """Let tasks wait for slots one after the other; yield who has got one, and a function that releases the oldest."""
    got, slots = list[str](), []

    async def wait(name: str) -> None:
        slot = await handshakes.slot(name.split(":")[0] or None)
        got.append(name)
        slots.append(slot)

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(wait, name)
            await wait_all_tasks_blocked()
        yield got, lambda: slots.pop(0).release()
        nursery.cancel_scope.cancel()


async def release_all(release: Callable[[], None], count: int) -> None:
    for _ in range(count):
        release()
        await wait_all_tasks_blocked()


async def test_so_many_have_a_slot_at_once_and_the_others_in_the_order_of_coming() -> None:
    handshakes = Handshakes(Limits(handshakes=2))
    async with waiting(handshakes, *"abcde") as (got, release):
        assert got == ["a", "b"]
        assert (handshakes.running, handshakes.waiting) == (2, 3)
        await release_all(release, 3)
        assert got == ["a", "b", "c", "d", "e"]
        await release_all(release, 2)
    assert (handshakes.running, handshakes.waiting, dict(handshakes._running_by_account)) == (0, 0, {})


async def test_an_address_has_few_slots_and_the_others_take_turns_with_it() -> None:
    handshakes = Handshakes(Limits(handshakes=3, handshakes_per_address=2))
    many = [f"many:{number}" for number in range(6)]
    async with waiting(handshakes, *many, "x", "y", "z") as (got, release):
        assert got == ["many:0", "many:1", "x"]
        await release_all(release, 9)
        assert got == ["many:0", "many:1", "x", "y", "z", "many:2", "many:3", "many:4", "many:5"]
    assert (handshakes.waiting, handshakes._waiting, handshakes._next) == (0, {}, {})


async def test_a_proxy_may_use_all_slots() -> None:
    handshakes = Handshakes(Limits(handshakes=10, handshakes_per_address=2))
    async with waiting(handshakes, *[f":{number}" for number in range(12)]) as (got, _):
        assert len(got) == 10


async def test_who_is_cancelled_waits_no_more() -> None:
    handshakes = Handshakes(Limits(handshakes=1))
    async with waiting(handshakes, "a") as (_, release):
        with trio.move_on_after(0) as scope:
            await handshakes.slot("b")
        assert scope.cancelled_caught
        assert (handshakes.waiting, handshakes._next) == (0, {})
        release()
        (await handshakes.slot("b")).release()
    assert handshakes.running == 0


# --- at the front door, in virtual time


class Doorstep:
    """A server that is reached over TLS in memory, from addresses of the test's choice."""

    def __init__(self, server: Server, contexts: Contexts, nursery: trio.Nursery) -> None:
        self._server, self._contexts, self._nursery = server, contexts, nursery

    def dial(self, address: str) -> trio.abc.Stream:
        """Connect without TLS, and send nothing."""
        ours, theirs = open_pipe()
        stream = trio.SSLStream(theirs, self._contexts[0], server_side=True, https_compatible=True)
        self._nursery.start_soon(self._server._assembly.front_door.handle, stream, address)
        return ours

    def dial_tls(self, address: str) -> Peer:
        """Connect; the handshake is done with the first byte."""
        stream = trio.SSLStream(
            self.dial(address), self._contexts[1], server_hostname="127.0.0.1", https_compatible=True
        )
        return Peer(stream)


@contextlib.asynccontextmanager
async def doorstep(contexts: Contexts, **limits: Any) -> AsyncIterator[Doorstep]:
    server = make(**limits)
    async with open_server(server), trio.open_nursery() as nursery:
        yield Doorstep(server, contexts, nursery)
        nursery.cancel_scope.cancel()
    assert server._assembly.front_door.handshakes.running == 0
    assert server.statistics()["connections"] == 0


async def test_a_peer_that_keeps_its_slot_waiting_goes_on_without_it_after_a_second(
    contexts: Contexts, autojump_clock: MockClock
) -> None:
    async with doorstep(contexts, handshakes=1) as door:
        silent = door.dial("1.1.1.1")
        await wait_all_tasks_blocked()
        began = trio.current_time()
        peer = door.dial_tls("2.2.2.2")
        await peer.shake_hands()
        assert trio.current_time() - began == pytest.approx(1, abs=0.01)
        assert await silent.receive_some() == b""  # its own time has run on
        assert trio.current_time() - began == pytest.approx(5, abs=0.1)


async def test_a_peer_without_a_slot_may_still_finish(contexts: Contexts, autojump_clock: MockClock) -> None:
    async with doorstep(contexts, handshakes=1) as door:
        late, other = door.dial_tls("1.1.1.1"), door.dial_tls("2.2.2.2")
        await wait_all_tasks_blocked()
        await other.shake_hands()
        await trio.sleep(2)
        await late.shake_hands()


async def test_a_peer_that_drips_its_part_keeps_a_slot_no_longer(contexts: Contexts, autojump_clock: MockClock) -> None:
    async with doorstep(contexts, handshakes=1) as door:
        dripping, began = door.dial("1.1.1.1"), trio.current_time()

        async def drip() -> None:
            for byte in b"\x16\x03\x01\x02\x00\x01\x00":
                await dripping.send_all(bytes([byte]))
                await trio.sleep(0.4)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            await wait_all_tasks_blocked()
            await door.dial_tls("2.2.2.2").shake_hands()
            assert trio.current_time() - began == pytest.approx(1, abs=0.01)


async def test_the_time_of_who_waits_for_a_slot_does_not_run(contexts: Contexts, autojump_clock: MockClock) -> None:
    async with doorstep(contexts, handshakes=1, handshake_seconds=3) as door:
        for number in range(10):
            door.dial(f"1.1.1.{number}")
            await wait_all_tasks_blocked()
        began, peer = trio.current_time(), door.dial_tls("2.2.2.2")
        await peer.shake_hands()
        assert trio.current_time() - began == pytest.approx(10, abs=0.1)


async def test_many_silent_connections_of_one_address_hold_up_nobody_else(
    contexts: Contexts, autojump_clock: MockClock
) -> None:
    async with doorstep(contexts) as door:
        for _ in range(100):
            door.dial("1.1.1.1")
        await wait_all_tasks_blocked()
        began = trio.current_time()
        for number in range(100):
            await door.dial_tls(f"2.2.2.{number}").shake_hands()
        assert trio.current_time() == began


async def test_a_stop_ends_those_who_wait_for_a_slot(contexts: Contexts, autojump_clock: MockClock) -> None:
    server = make(handshakes=1, close_seconds=2)
    async with trio.open_nursery() as nursery, open_server(server):
        door = Doorstep(server, contexts, nursery)
        for number in range(200):
            door.dial(f"1.1.1.{number}")
        await wait_all_tasks_blocked()
        assert server.statistics()["handshakes_waiting"] == 199
        began = trio.current_time()
    assert trio.current_time() - began < 5
    assert server.statistics()["handshakes_waiting"] == server.statistics()["connections"] == 0


# --- the server's own time


async def test_time_that_the_server_takes_for_others_is_not_the_peers(mock_clock: MockClock) -> None:
    budget = PassBudget()
    with trio.move_on_after(5) as scope:
        time = PeerTime(budget, scope)
        await time.turn()  # there is time: it goes on at once
        assert scope.deadline == 5
        mock_clock.jump(1)
        budget.ends, budget._is_running = 0.5, True  # the others have used up the pass

        async def go_on() -> None:
            await wait_all_tasks_blocked()
            mock_clock.jump(100)
            await wait_all_tasks_blocked()
            budget._let_go_on(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(go_on)
            await time.turn()
        assert scope.deadline == 105
    assert not scope.cancelled_caught


# --- on sockets


async def test_a_crowd_comes_in_over_tls(contexts: Contexts) -> None:
    server = make_attacked(handshake_seconds=20, handshakes=8)
    most = 0

    async def reach(address: str) -> Peer:
        sock = trio.socket.socket()
        await sock.bind((address, 0))
        await sock.connect(("127.0.0.1", server.port))
        stream = trio.SSLStream(
            trio.SocketStream(sock), contexts[1], server_hostname="127.0.0.1", https_compatible=True
        )
        return Peer(stream)

    async with under_attack(
        server,
        serve=partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0]),
        reach=lambda: reach_stream(reach("127.9.9.9")),
    ) as attack:

        async def come(number: int) -> None:
            nonlocal most
            peer = await reach(f"127.1.{number // 250}.{1 + number % 250}")
            attack.add(peer.stream)
            await peer.shake_hands()
            most = max(most, server._assembly.front_door.handshakes.running)

        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(come, number)
        assert len(server.clients) == 301
        assert most <= 8
        assert not server.metrics.upgrades_refused


async def reach_stream(peer: Any) -> trio.abc.Stream:  # Any: a coroutine that returns a Peer
    found: Peer = await peer
    return found.stream
