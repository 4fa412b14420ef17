"""Inboxes: how many messages of one client, and of all, wait for the turn of a room."""

import pytest
import trio
from trio.testing import MockClock

from simplysocket.testing import open_server

from ..harness.game import make_game_server


@pytest.mark.parametrize("name", ["game", "mesh-global"])
async def test_a_client_takes_at_most_so_many_places_of_an_inbox(autojump_clock: MockClock, name: str) -> None:
    server = make_game_server(inbox_per_client=4)

    @server.action("wait")
    async def wait(body: float) -> float:
        await trio.sleep(body)
        return body

    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        for client in (ana, bob):
            await client.join("game")
        await ana.send("wait", 5, target=name, id=0)
        await ana.settle()
        for number in range(1, 7):
            await ana.send("wait", 0, target=name, id=number)
        answers = await ana.settle()
        assert [(each["id"], each["message_body"]["code"]) for each in answers] == [(5, "busy"), (6, "busy")]
        assert all(each["message_body"]["retry_after"] > 0 for each in answers)
        assert await bob.request("wait", 0, target=name) == 0
        assert [(await ana.receive())["id"] for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_a_full_inbox_is_busy_for_everyone_and_nothing_in_it_is_lost(autojump_clock: MockClock) -> None:
    async with open_server(make_game_server(inbox_messages=6, inbox_per_client=4)) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        for client in (ana, bob):
            await client.join("game")
        await ana.send("wait", 5, target="game", id=0)
        await ana.settle()
        for client in (ana, bob):
            for number in range(1, 5):
                await client.send("wait", 0, target="game", id=number)
            await client.settle() if client is ana else None
        refused = await bob.settle()
        assert [(each["id"], each["message_body"]["code"]) for each in refused] == [(3, "busy"), (4, "busy")]
        assert [(await ana.receive())["id"] for _ in range(5)] == [0, 1, 2, 3, 4]
        assert [(await bob.receive())["id"] for _ in range(2)] == [1, 2]
