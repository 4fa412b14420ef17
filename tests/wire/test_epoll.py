"""Reading with epoll: one task reads for all sockets, and an error of one owner reaches no other."""

import socket
from collections.abc import Callable, Iterator

import pytest
import trio

from simplysocket._pass_budget import PassBudget
from simplysocket._wire.consumer import Next
from simplysocket._wire.epoll import EpollReader

from ..harness.attacker import Peer
from ..harness.servers import make_attacked

Pair = tuple[socket.socket, socket.socket]


class Collecting:
    """A consumer that keeps what it is given, and calls `then` after each."""

    def __init__(self, into: list[bytes], then: Callable[[], Next] = lambda: Next.READ) -> None:
        self.budget = PassBudget()
        self.is_paused = self.has_rest = False
        self._into = into
        self._then = then

    def take(self, data: bytes, now: float) -> Next:
        assert now <= trio.current_time()
        if not data:
            return Next.OWNER
        self._into.append(data)
        return self._then()

    def go_on(self, now: float) -> Next:
        raise AssertionError("it never has a rest")


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Return three connected pairs of sockets: bytes sent into the second arrive at the first."""
    found = [socket.socketpair() for _ in range(3)]
    for ours, theirs in found:
        ours.setblocking(False)
        theirs.setblocking(False)
    yield found
    for ours, theirs in found:
        ours.close()
        theirs.close()


async def collect(watch: EpollReader, sock: socket.socket, into: list[bytes]) -> None:
    """Collect what arrives, until the end."""

    await watch.wait(sock.fileno(), sock.recv, Collecting(into))
    into.append(b"END")


async def test_everyone_gets_his_own_and_sleeps_until_his_end(pairs: list[Pair]) -> None:
    watch, got = EpollReader(PassBudget()), [[] for _ in pairs]  # type: list[list[bytes]]
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(watch.run)
            async with trio.open_nursery() as inner:
                for (ours, _), into in zip(pairs, got, strict=True):
                    inner.start_soon(collect, watch, ours, into)
                await trio.testing.wait_all_tasks_blocked()
                for word in (b"one", b"two"):
                    for number, (_, theirs) in enumerate(pairs):
                        theirs.send(word + b"%d" % number)
                    await trio.testing.wait_all_tasks_blocked(0.01)
                for _, theirs in pairs:
                    theirs.close()
            nursery.cancel_scope.cancel()
    assert got == [[b"one%d" % number, b"two%d" % number, b"END"] for number in range(3)]


async def test_what_reading_raises_is_the_owners_and_nobody_elses(pairs: list[Pair]) -> None:
    watch, got = EpollReader(PassBudget()), []  # type: tuple[EpollReader, list[bytes]]

    def fail(size: int) -> bytes:
        raise ConnectionResetError("reset by the peer")

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(watch.run)
            nursery.start_soon(collect, watch, pairs[1][0], got)
            pairs[0][1].send(b"x")
            with pytest.raises(ConnectionResetError):
                await watch.wait(pairs[0][0].fileno(), fail, Collecting([]))
            pairs[1][1].send(b"hello")
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert got == [b"hello"]
            nursery.cancel_scope.cancel()


async def test_an_owner_that_is_cancelled_is_read_for_no_more(pairs: list[Pair]) -> None:
    watch, got, (ours, theirs) = EpollReader(PassBudget()), [], pairs[0]  # type: tuple[EpollReader, list[bytes], Pair]
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(watch.run)
            with trio.move_on_after(0.01):
                await collect(watch, ours, got)
            theirs.send(b"later")
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert got == []
            nursery.start_soon(collect, watch, ours, got)  # and may wait again
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert got == [b"later"]
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("goes_on", [True, False])
async def test_an_owner_that_is_cancelled_by_what_was_read_ends_once(pairs: list[Pair], goes_on: bool) -> None:
    watch, scope, (ours, theirs) = EpollReader(PassBudget()), trio.CancelScope(), pairs[0]

    def cancel() -> Next:
        scope.cancel()
        return Next.READ if goes_on else Next.OWNER

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(watch.run)
            theirs.send(b"the end")
            with scope:
                await watch.wait(ours.fileno(), ours.recv, Collecting([], cancel))
                await trio.lowlevel.checkpoint()
            assert scope.cancelled_caught
            got: list[bytes] = []
            nursery.start_soon(collect, watch, pairs[1][0], got)
            pairs[1][1].send(b"still here")
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert got == [b"still here"]
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("has_epoll", [True, False])
async def test_a_server_serves_on_either_kind_of_platform(has_epoll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simplysocket._wire.epoll.HAS_EPOLL", has_epoll)
    server = make_attacked()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, "127.0.0.1", 0)
            peer = Peer(await trio.open_tcp_stream("127.0.0.1", server.port))
            await peer.shake_hands()
            assert (await peer.request("echo", "hello", id=1))["action"] == "reply"
            await server.stop(1)
            await peer.close()
