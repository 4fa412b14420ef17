"""Stopping a server: gracefully, from a handler, under load, cancelled, and serving again after that."""

import contextlib
from collections import Counter
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room, Server, action
from simplysocket._serving import lifecycle
from simplysocket._sessions.session import Session
from simplysocket.testing import open_server

from ..harness.attack import Attack
from ..harness.crowd import connect_many
from ..harness.leaks import living_tasks
from ..harness.passes import Passes
from ..harness.servers import in_cancel_scope, make, make_attacked


async def test_a_client_in_the_handshake_does_not_hold_up_a_stop(autojump_clock: MockClock) -> None:
    for steps in range(12):
        server = make()
        async with open_server(server) as net, trio.open_nursery() as nursery:

            async def connect() -> None:
                with contextlib.suppress(Exception):
                    await net.connect("late")

            nursery.start_soon(connect)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            started = trio.current_time()
            await server.stop(100)
            assert trio.current_time() - started < 10
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("target", ["one", "mesh-global"])
async def test_a_handler_that_stops_the_server_runs_to_its_end_and_replies(
    autojump_clock: MockClock, target: str
) -> None:
    server = make()

    @server.action("stop")
    async def stop(client: Client) -> str:
        await server.stop(20)
        await trio.sleep(1)
        return "stopping"

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("stop", target=target) == "stopping"
        assert (await ana.wait_ended()).code == 3001


class Game(Room):
    log: list[str]

    async def on_create(self) -> None:
        self.log = []
        self.start_soon(self.background)

    async def background(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.log.append("background ended")

    async def on_close(self, reason: str) -> None:
        self.log.append(f"closing: {reason}, {len(self.members)} members")
        await trio.sleep(1)
        self.log.append("closed")

    async def on_leave(self) -> None:
        self.log.append("left")

    @action("stop")
    async def stop(self) -> str:
        await self.server.stop(20)
        return "stopping"


async def test_stop_closes_rooms_with_their_hooks_then_clients_with_3001(autojump_clock: MockClock) -> None:
    server = make(("*", Game))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        room: Any = server.rooms["one"]
        await server.stop(10)
        assert room.log == ["background ended", "closing: shutdown, 1 members", "closed"]
        for client in (ana, bob):
            assert (await client.wait_ended()).code == 3001
        assert (await ana.receive())["action"] == "room-closed"
        assert not server.clients
        assert not server.rooms


async def test_stop_from_a_handler_returns_at_once_and_the_reply_is_sent(autojump_clock: MockClock) -> None:
    server = make(("*", Game))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("stop", target="one") == "stopping"
        assert (await ana.wait_ended()).code == 3001


async def test_while_stopping_new_connections_are_refused(autojump_clock: MockClock) -> None:
    server = make(("*", Game))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        stream = await net.open_stream()
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 10)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ActionError, match="503"):
                await net.connect("late")
            await stream.send_all(b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n")
            await stream.send_all(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 503 ")


async def test_a_client_that_never_answers_does_not_hold_up_a_stop(autojump_clock: MockClock) -> None:
    server = make(("*", Game))
    async with open_server(server) as net:
        deaf = await net.connect("deaf", reads=False, greet=False)
        await deaf.send("join-room", {"roomname": "one"})
        await trio.testing.wait_all_tasks_blocked()
        started = trio.current_time()
        await server.stop(30)
        assert trio.current_time() - started < 5  # on_close takes 1, close_seconds is 2


async def test_a_stop_is_cut_at_its_grace(autojump_clock: MockClock) -> None:
    class Endless(Room):
        async def on_close(self) -> None:
            await trio.sleep_forever()

    server = make(("*", Endless), close_seconds=100)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 50)
            await trio.sleep(1)
            nursery.start_soon(server.stop, 5)  # a second one may shorten it
        assert (await ana.wait_ended()).code == 3001
        assert trio.current_time() - started < 110


async def test_cancelling_serve_says_close_3001_and_runs_on_close_within_its_time(autojump_clock: MockClock) -> None:
    server = make(("*", Game))
    async with in_cancel_scope(server) as (net, scope):
        ana = await net.connect("ana")
        await ana.join("one")
        room: Any = server.rooms["one"]
        scope.cancel()
        assert (await ana.wait_ended()).code == 3001
        await trio.sleep(3)
        assert "closing: shutdown, 1 members" in room.log
        assert room.log[-1] == "closed"
        assert not server.clients


async def test_a_thousand_clients_and_a_hundred_rooms_stop_under_load(autojump_clock: MockClock) -> None:
    server = make(("*", Game))

    @server.action("say")
    async def say(client: Client, room: Room) -> None:
        await trio.sleep(0.01)
        await room.broadcast("said", {}, sender=client)

    async with open_server(server) as net:
        clients = await connect_many(net, 300)
        for n, client in enumerate(clients):
            await client.send("join-room", {"roomname": f"r{n % 50}"})
        for client in clients:
            for _ in range(3):
                await client.send("say", target="mesh-global")
        await server.stop(30)
        for client in clients:
            assert (await client.wait_ended()).code == 3001
        assert not server.clients
        assert living_tasks() < 30 + 300


@pytest.mark.parametrize("what", ["beat", "close"])
async def test_a_pass_pings_or_closes_a_bounded_number_of_clients(
    what: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, seen = Passes(), Counter[int]()
    act = getattr(Session, what)

    def count(self: Session, *args: Any) -> None:
        seen[passes.count] += 1
        act(self, *args)

    monkeypatch.setattr(Session, what, count)
    monkeypatch.setattr(lifecycle, "_BATCHES", 1)  # large batches, as with thousands of clients
    server = make()
    async with open_server(server) as net:
        await connect_many(net, 350)
        seen.clear()
        trio.lowlevel.add_instrument(passes)
        if what == "beat":
            await trio.sleep(7)  # a round of the heartbeat is every 6.25 s
        else:
            await server.stop(30)
        trio.lowlevel.remove_instrument(passes)
    assert seen.total() == 350
    assert max(seen.values()) == 100


async def test_a_server_may_serve_again_after_it_has_stopped(autojump_clock: MockClock) -> None:
    server = make(("*", Game))
    for _ in range(2):
        async with open_server(server) as net:
            ana = await net.connect("ana")
            await ana.join("one")
            with pytest.raises(RuntimeError, match="serving already"):
                await server.serve(port=0)


async def test_a_handler_of_one_server_stops_another_and_waits_for_it(autojump_clock: MockClock) -> None:
    ours, theirs = Server("ours"), Server("theirs")

    @ours.action("stop")
    async def stop() -> bool:
        await theirs.stop(1)
        return theirs.trio_token is None

    async with open_server(theirs), open_server(ours) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        assert await ana.request("stop", target="hall") is True
        assert "hall" in ours.rooms


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["stopped", "cancelled"])
async def test_a_server_that_stops_says_3001_to_everyone_and_leaves_nothing(is_cancelled: bool) -> None:
    server = make_attacked()
    attack = Attack(server)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, "127.0.0.1", 0))
            peers = [await attack.join("hall") for _ in range(3)] + [await attack.connect()]
            await attack.dial()  # says nothing at all
            await peers[0].say("wait", 60, target="hall")
            if is_cancelled:
                nursery.cancel_scope.cancel()
            else:
                nursery.start_soon(server.stop, 1)
                assert await peers[0].end() == 3001
        for peer in peers:
            assert await peer.end() == 3001 or (peer is peers[0] and not is_cancelled)
        await attack.leave()
        assert server.statistics()["connections"] == len(server.clients) == len(server.rooms) == 0
