"""A server that stops, or a peer that leaves, while a client is being admitted."""

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import GLOBAL_ROOM, Client, Server

from ..harness.admission import CLOSE_SECONDS, check_no_connections, open_checked, open_checked_in_scope
from ..harness.attacker import Peer, request_upgrade
from ..harness.frames import head
from ..harness.hooks import make_waiting


async def test_a_graceful_stop_waits_for_authenticate_and_then_ends_the_connection(autojump_clock: MockClock) -> None:
    server, log = make_waiting("authenticate", partial(trio.sleep, 1))
    async with open_checked(server) as net:
        peer = Peer(await net.open_stream())
        await peer.send(head())
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 10)
            assert (await peer.read_answer()).status in (101, 503)
            await peer.end()
    assert log in (
        ["authenticate", "authenticate done"],
        ["authenticate", "authenticate done", "on_connect", "shutdown", "on_disconnect"],
    )


async def test_a_graceful_stop_during_on_connect_ends_with_3001(autojump_clock: MockClock) -> None:
    server, log = make_waiting("on_connect", partial(trio.sleep, 1))
    async with open_checked(server) as net:
        peer, _ = await request_upgrade(net)
        await wait_all_tasks_blocked()
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 10)
            assert await peer.end() == 3001
        assert trio.current_time() - started < 4
    assert log == ["authenticate", "on_connect", "on_connect done", "shutdown", "on_disconnect"]


async def test_a_join_in_on_connect_during_a_stop_ends_with_3001(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.on_connect
    async def connected(client: Client) -> None:
        await trio.sleep(1)
        await client.join("hall")

    async with open_checked(server) as net:
        peer, _ = await request_upgrade(net)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 10)
            assert await peer.end() == 3001


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
async def test_a_stop_is_not_held_up_by_a_hook_that_never_returns(where: str, autojump_clock: MockClock) -> None:
    server, log = make_waiting(where, trio.sleep_forever)
    async with open_checked(server) as net:
        peer = Peer(await net.open_stream())
        await peer.send(head())
        await wait_all_tasks_blocked()
        started = trio.current_time()
        await server.stop(1)
        assert trio.current_time() - started <= 1 + CLOSE_SECONDS
        check_no_connections(server)
    assert log.count(f"{where}: Cancelled") == 1
    assert log.count("on_disconnect") == log.count("on_connect")


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect", "nowhere"])
async def test_a_cancelled_server_calls_on_disconnect_and_ends(where: str, autojump_clock: MockClock) -> None:
    server, log = make_waiting(where, trio.sleep_forever)
    async with open_checked_in_scope(server) as (net, scope):
        peer = Peer(await net.open_stream())
        await peer.send(head())
        await wait_all_tasks_blocked()
        started = trio.current_time()
        scope.cancel()
    assert trio.current_time() - started <= CLOSE_SECONDS + 0.5
    assert log.count("on_connect") == log.count("on_disconnect") == (where != "authenticate")


async def test_a_cancelled_server_gives_shutdown_as_the_reason(autojump_clock: MockClock) -> None:
    server, log = make_waiting("nowhere", trio.sleep_forever)
    async with open_checked_in_scope(server) as (net, scope):
        peer, _ = await request_upgrade(net)
        await wait_all_tasks_blocked()
        scope.cancel()
        assert await peer.end() == 3001
    assert "shutdown" in log


@pytest.mark.parametrize("seed", range(40))
async def test_a_server_stopped_or_cancelled_at_any_step_leaves_nothing_open(
    seed: int, autojump_clock: MockClock
) -> None:
    """Cancel or stop the server `seed // 2` passes of the scheduler after the request head."""
    server, log = make_waiting("", trio.sleep_forever)

    @server.on_connect
    async def joins(client: Client) -> None:
        await client.send("hello")
        await client.join("hall")
        await trio.lowlevel.checkpoint()

    async with open_checked_in_scope(server) as (net, scope):
        peers = [Peer(await net.open_stream()) for _ in range(3)]
        for peer in peers:
            await peer.send(head())
        for _ in range(seed // 2):
            await trio.lowlevel.checkpoint()
        if seed % 2:
            scope.cancel()
        else:
            await server.stop(1)
    assert log.count("on_connect") == log.count("on_disconnect")


@pytest.mark.parametrize("steps", range(25))
async def test_a_peer_that_disconnects_at_any_step_leaves_nothing_open(steps: int, autojump_clock: MockClock) -> None:
    server, log = make_waiting("", trio.sleep_forever)

    @server.on_connect
    async def joins(client: Client) -> None:
        await client.join("hall")
        await client.send("hello")

    async with open_checked(server) as net:
        peer = Peer(await net.open_stream())
        await peer.send(head())
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        await peer.close()
        await trio.sleep(10)
        check_no_connections(server)
        assert list(server.rooms) == [GLOBAL_ROOM]
    assert log.count("on_connect") == log.count("on_disconnect")


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
async def test_stop_in_a_hook_begins_the_stop_and_returns(where: str, autojump_clock: MockClock) -> None:
    ours: list[Server] = []

    async def stop() -> None:
        await ours[0].stop(20)

    server, log = make_waiting(where, stop)
    ours.append(server)
    async with open_checked(server) as net:
        peer, _ = await request_upgrade(net)
        await peer.close()
        await trio.sleep(10)
    assert f"{where} done" in log
