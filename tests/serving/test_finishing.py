"""`Server.stop(finish=True)`: games play on, nobody joins any more, and the clients are told how long."""

from functools import partial
from typing import Any

import pytest
import trio

from simplysocket import ActionError, Client, Limits, Room, Server, action
from simplysocket.testing import Net, TestClient, open_server
from tests.harness.phone import dial, dial_again


class Game(Room):
    """A game that ends when its members say so."""

    @action("move")
    async def move(self, client: Client, body: Any) -> None:
        await self.broadcast("moved", body)

    @action("stop-server")
    async def stop_server(self, body: float) -> str:
        await self.server.stop(body, finish=True)
        return "asked"


def make_server() -> Server:
    server = Server("house", limits=Limits(drain_seconds=5))
    server.room("game-*")(Game)
    return server


def begin_stop(net: Net, seconds: float, *, finish: bool = True) -> None:
    net.nursery.start_soon(partial(net.server.stop, seconds, finish=finish))


async def until_told(client: TestClient) -> float:
    """Return in how many seconds the server stops, as the client is told."""
    while True:
        message = await client.receive()
        if message["action"] == "server-stopping":
            return float(message["message_body"]["seconds"])


async def test_games_play_on_until_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("game-1")
        old = await net.connect("old", greet=False)
        began = trio.current_time()
        begin_stop(net, 60)
        assert await until_told(ana) == 60
        assert await until_told(ben) == 60
        assert await old.settle() == []  # it would not know the message
        await trio.sleep(30)
        await ana.request("move", 1, target="game-1")
        assert [each["message_body"] for each in await ana.settle()] == [1]
        for name in ("game-1", "game-2"):
            with pytest.raises(ActionError, match="room-closed"):
                await ben.join(name)
        assert (await ana.join("game-1"))["roomname"] == "game-1"  # a member is answered again
        with pytest.raises(ActionError, match="503"):
            await net.connect("late")
        ended = await ana.wait_ended()
        assert ended.code == 3001
        assert 60 <= trio.current_time() - began <= 61
        assert (await ben.wait_ended()).code == 3001


async def test_the_server_stops_when_the_last_game_is_over(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await net.connect("ana")
        await ana.join("game-1")
        began = trio.current_time()
        begin_stop(net, 3600)
        await trio.sleep(10)
        await ana.request("leave-room", {"roomname": "game-1"})
        assert (await ana.wait_ended()).code == 3001
        assert trio.current_time() - began < 12


async def test_a_second_stop_does_not_wait_for_games(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await net.connect("ana")
        await ana.join("game-1")
        began = trio.current_time()
        begin_stop(net, 3600)
        await trio.sleep(10)
        begin_stop(net, 5, finish=False)
        assert (await ana.wait_ended()).code == 3001
        assert trio.current_time() - began < 12


async def test_who_loses_the_connection_meanwhile_comes_back(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await dial(net)
        await phone.client.join("game-1")
        begin_stop(net, 100)
        await trio.sleep(10)
        await phone.drop()
        await trio.sleep(10)
        back = await dial_again(net, phone, 2, 1)
        assert back.resume["outcome"] == "resumed"
        assert await until_told(back.client) == pytest.approx(80, abs=1)


async def test_code_of_a_room_may_ask_for_it(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await net.connect("ana")
        await ana.join("game-1")
        assert await ana.request("stop-server", 20, target="game-1") == "asked"
        assert await until_told(ana) == 20
        await ana.request("move", 1, target="game-1")
        assert (await ana.wait_ended()).code == 3001


async def test_a_server_that_was_stopped_so_serves_again(autojump_clock: trio.testing.MockClock) -> None:
    server = make_server()
    for _ in range(2):
        async with open_server(server) as net:
            ana = await net.connect("ana")
            await ana.join("game-1")
            begin_stop(net, 1)
            assert (await ana.wait_ended()).code == 3001
