"""Pausing a connection: nothing is handed on, nothing is lost or reordered, and its end is still seen."""

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Server
from simplysocket._dispatch.inbound import Inbound
from simplysocket._sessions.session import Session
from simplysocket._wire.connection import Connection
from simplysocket.testing import open_server

from ..harness.attack import until
from ..harness.attacker import Peer, request_upgrade
from ..harness.frames import message
from ..harness.servers import make, make_attacked

Taken = Callable[[int, Connection], None]
KINDS = ("epoll", "without epoll", "memory")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with each way of reading."""
    if request.param == "without epoll":
        monkeypatch.setattr("simplysocket._wire.epoll.HAS_EPOLL", False)
    return str(request.param)


@contextlib.asynccontextmanager
async def one_client(kind: str, server: Server) -> AsyncIterator[tuple[Peer, Connection]]:
    """Serve one client during the block."""
    with trio.fail_after(10):
        if kind == "memory":
            async with open_server(server) as net:
                peer, _ = await request_upgrade(net)
                await until(lambda: bool(server.clients))
                yield peer, connection_of(server)
                await peer.close()
            return
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, "127.0.0.1", 0)
            peer = Peer(await trio.open_tcp_stream("127.0.0.1", server.port))
            await peer.shake_hands()
            await until(lambda: bool(server.clients))
            yield peer, connection_of(server)
            await peer.close()
            await server.stop(1)


def connection_of(server: Server) -> Connection:
    (session,) = server._assembly.hub.clients.values()
    assert session.connection is not None
    return session.connection


def when_taken(monkeypatch: pytest.MonkeyPatch, then: Taken) -> list[int]:
    """Call `then` with the number of each message that is handed on, and its connection; return the numbers."""
    taken: list[int] = []
    receive = Inbound.receive

    def noting(self: Inbound, session: Session, payload: bytes, now: float) -> None:
        receive(self, session, payload, now)
        taken.append(len(taken))
        assert session.connection is not None
        then(len(taken), session.connection)

    monkeypatch.setattr(Inbound, "receive", noting)
    return taken


def pings(first: int, last: int) -> bytes:
    return b"".join(message("ping", id=number) for number in range(first, last))


async def test_a_pause_takes_effect_after_the_message_that_asked_for_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = when_taken(monkeypatch, lambda number, connection: connection.pause() if number % 50 == 3 else None)
    async with one_client(kind, make()) as (peer, connection):
        await peer.send(pings(0, 100))
        for stop in (3, 53, 103, 153):
            await until(lambda stop=stop: len(taken) == stop)  # type: ignore[misc]
            await trio.testing.wait_all_tasks_blocked(0.005)
            assert len(taken) == stop
            if stop == 53:
                await peer.send(pings(100, 200))  # while it is paused
            connection.resume()
        assert [(await peer.receive())["id"] for _ in range(200)] == list(range(200))


async def test_pausing_and_resuming_may_be_repeated_and_cost_no_message(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(number: int, connection: Connection) -> None:
        connection.pause()
        connection.pause()
        connection.resume()
        connection.resume()

    when_taken(monkeypatch, twice)
    async with one_client(kind, make()) as (peer, connection):
        await peer.send(pings(0, 70))
        assert [(await peer.receive())["id"] for _ in range(70)] == list(range(70))
        connection.pause()
        connection.pause()
        await peer.send(pings(70, 71))
        await trio.testing.wait_all_tasks_blocked(0.005)
        connection.resume()
        assert (await peer.receive())["id"] == 70


async def test_the_hang_up_of_a_paused_peer_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = when_taken(monkeypatch, lambda number, connection: connection.pause())
    server = make()
    async with one_client("epoll", server) as (peer, connection):
        await peer.send(pings(0, 50))
        await until(lambda: len(taken) == 1)
        await peer.close()
        await until(lambda: server.statistics()["connections"] == 0)
        assert connection.close_code == 1006
        assert len(taken) == 1


@pytest.mark.parametrize("kind", ["without epoll", "memory"], indirect=True)
async def test_elsewhere_the_hang_up_of_a_paused_peer_is_seen_when_it_is_resumed(kind: str) -> None:
    server = make()
    async with one_client(kind, server) as (peer, connection):
        connection.pause()
        await peer.close()
        await trio.testing.wait_all_tasks_blocked(0.005)
        assert server.statistics()["connections"] == 1
        connection.resume()
        await until(lambda: server.statistics()["connections"] == 0)


async def test_a_paused_client_is_not_taken_for_silent(autojump_clock: MockClock) -> None:
    server = make(ping_seconds=25, silence_seconds=60)
    async with open_server(server) as net:
        peer, _ = await request_upgrade(net)
        await trio.sleep(1)
        connection = connection_of(server)
        connection.pause()
        await trio.sleep(1_000)
        assert connection.is_open
        connection.resume()
        await trio.sleep(50)
        assert connection.is_open
        await trio.sleep(50)
        assert await peer.end() == 3012


async def test_a_paused_client_that_is_closed_ends_with_its_own_close(kind: str) -> None:
    server = make_attacked(close_seconds=1_000)
    async with one_client(kind, server) as (peer, connection):
        connection.pause()
        await peer.send(pings(0, 20))
        await trio.testing.wait_all_tasks_blocked(0.005)
        connection.close(4000)
        connection.pause()  # has no effect any more
        assert await peer.end() == 4000
        assert peer.messages() == []
        await until(lambda: server.statistics()["connections"] == 0)
