"""on_disconnect: called once for each client, with the reason."""

import contextlib
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import GLOBAL_ROOM, ActionError, Client, Identity, Limits, Request, Server
from simplysocket.testing import Net

from ..harness.admission import CLOSE_SECONDS, open_checked, open_checked_in_scope
from ..harness.attacker import Peer, request_upgrade
from ..harness.frames import close, head
from ..harness.hooks import (
    fail,
    make_guarded,
    never,
    raise_a_group_when_cancelled,
    refuse,
    sleep_and_fail,
    sleep_and_raise_a_group,
    swallow_cancelled,
)


async def end_by_close(server: Server, peer: Peer, client: Client) -> None:
    await peer.send(close(4321, b"bye"))
    await peer.end()


async def end_by_break(server: Server, peer: Peer, client: Client) -> None:
    await peer.close()


async def end_by_kick(server: Server, peer: Peer, client: Client) -> None:
    await client.close(3503, "out")
    await peer.end()


async def end_by_own_reason(server: Server, peer: Peer, client: Client) -> None:
    await client.close(reason="game over")
    await peer.end()


async def end_by_own_code(server: Server, peer: Peer, client: Client) -> None:
    await client.close(4000, "my own")
    await peer.end()


async def end_by_kick_unanswered(server: Server, peer: Peer, client: Client) -> None:
    await client.close(3503, "out")
    await trio.sleep(CLOSE_SECONDS + 1)


async def end_by_slowness(server: Server, peer: Peer, client: Client) -> None:
    while await client.send("x", "x" * 10_000):
        pass
    await trio.sleep(20)


async def end_by_no_progress(server: Server, peer: Peer, client: Client) -> None:
    await client.send("x", "x" * 200_000)
    await trio.sleep(20)


async def end_by_silence(server: Server, peer: Peer, client: Client) -> None:
    await trio.sleep(100)


async def end_by_shutdown(server: Server, peer: Peer, client: Client) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.stop, 10)
        await peer.end()


async def end_by_a_bad_frame(server: Server, peer: Peer, client: Client) -> None:
    await peer.send(b"\xf1\x80\0\0\0\0")
    await peer.end()


async def nothing(_: Client) -> None:
    pass


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (end_by_close, "disconnected"),
        (end_by_break, "disconnected"),
        (end_by_kick, "kicked"),
        (end_by_own_reason, "game over"),
        (end_by_own_code, "my own"),
        (end_by_kick_unanswered, "kicked"),
        (end_by_slowness, "slow"),
        pytest.param(end_by_no_progress, "slow"),
        (end_by_silence, "silent"),
        (end_by_shutdown, "shutdown"),
        (end_by_a_bad_frame, "protocol-error"),
    ],
)
async def test_on_disconnect_is_called_once_with_the_reason(
    act: Callable[[Server, Peer, Client], Awaitable[None]], reason: str, autojump_clock: MockClock
) -> None:
    guarded = make_guarded(nothing)
    async with open_checked(guarded.server) as net:
        peer, _ = await request_upgrade(net, target="/ws?name=odd")
        await wait_all_tasks_blocked()
        (client,) = guarded.server.clients.values()
        await act(guarded.server, peer, client)
        await trio.sleep(3)
        assert client.is_gone
    assert guarded.log == ["+odd", f"-odd {reason}"]


async def test_on_disconnect_sees_the_client_gone_and_the_others_there(autojump_clock: MockClock) -> None:
    server, seen = Server("test"), list[Any]()

    @server.on_disconnect
    async def gone(client: Client, reason: str) -> None:
        seen.append((client.is_gone, client.id in server.clients, await client.send("late")))
        with pytest.raises(ActionError) as caught:
            await client.request("who", timeout=1)
        seen.append(caught.value.code)
        with pytest.raises(ActionError) as caught:
            await client.join("hall")
        seen.append(caught.value.code)
        await server.broadcast("left", client.name)

    async with open_checked(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.close()
        left = await bob.receive()
        assert left["message_body"] == "ana"
        assert seen == [(True, False, False), "gone", "gone"]
        assert list(server.rooms) == [GLOBAL_ROOM]


@pytest.mark.parametrize("act", [trio.sleep_forever, sleep_and_fail, sleep_and_raise_a_group, swallow_cancelled])
async def test_an_on_disconnect_that_never_returns_is_cancelled(
    act: Callable[..., Any], autojump_clock: MockClock
) -> None:
    server = Server("test")

    @server.on_disconnect
    async def gone(client: Client) -> None:
        await (act(client) if act is swallow_cancelled else act())

    async with open_checked(server) as net:
        ana = await net.connect("ana")
        await ana.close()
        started = trio.current_time()
        while server.statistics()["connections"]:  # noqa: ASYNC110 - the server has no event for this
            await trio.sleep(0.1)
        assert trio.current_time() - started <= CLOSE_SECONDS + 0.2


async def test_an_on_disconnect_that_hangs_does_not_keep_the_next_from_being_called(autojump_clock: MockClock) -> None:
    server, log = Server("test"), list[str]()

    @server.on_disconnect
    async def hangs() -> None:
        await trio.sleep_forever()

    @server.on_disconnect
    async def last() -> None:
        log.append("last")

    async with open_checked(server) as net:
        await (await net.connect("ana")).close()
        await trio.sleep(10)
    assert log == ["last"]


@pytest.mark.parametrize("seed", range(60))
async def test_on_disconnect_is_called_once_for_each_client_whatever_happens(
    seed: int, autojump_clock: MockClock
) -> None:
    """Hooks wait or fail, peers leave and the server ends, each at a random virtual time."""
    random = Random(seed)
    server, here, gone = Server("test", limits=Limits(outbox_frames=10)), set[str](), set[str]()

    async def misbehave() -> None:
        act = random.choice([None, None, None, fail, raise_a_group_when_cancelled, swallow_cancelled, refuse, never])
        if random.random() < 0.6:
            await trio.sleep(random.random())
        if act is not None:
            await act(None)  # type: ignore[arg-type]  # they do not use the client

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        await misbehave()
        return Identity("ana", expires_at=time.time() + random.choice([0.5, 1, 3, 1e9]))

    @server.on_connect
    async def connected(client: Client) -> None:
        assert client.id not in here
        here.add(client.id)
        if random.random() < 0.5:
            await client.join(f"hall{random.randrange(3)}")
        if random.random() < 0.2:
            await client.close(3503)
        await misbehave()

    @server.on_disconnect
    async def disconnected(client: Client) -> None:
        gone.add(client.id)
        here.remove(client.id)  # KeyError if it is called twice: then `gone` has fewer than were opened
        await misbehave()

    async def visit(net: Net) -> None:
        await trio.sleep(3 * random.random())
        with contextlib.suppress(OSError):
            peer = Peer(await net.open_stream())
            with trio.move_on_after(6 * random.random()):
                await peer.send(head())
                if (await peer.read_answer()).status == 101:
                    if random.random() < 0.5:
                        await peer.say("join-room", {"roomname": f"hall{random.randrange(3)}"})
                    await peer.end(answer=random.random() < 0.7)
            await peer.close()

    async with open_checked_in_scope(server) as (net, scope), trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(visit, net)
        await trio.sleep(6 * random.random())
        if random.random() < 0.3:
            scope.cancel()
        else:
            await server.stop(4 * random.random())
    assert not here
    assert len(gone) == server.statistics()["connections_opened"]
