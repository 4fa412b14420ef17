"""A game with two seats goes through every outcome: whoever may come back keeps its seat, and nobody else does."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Limits, Room, Server, action
from simplysocket.testing import Net, TestClient, open_server

GRACE = 30.0  # seconds: Limits.resume_seconds


class Game(Room):
    """A game for two, which tells what its hooks were told."""

    capacity = 2

    async def on_create(self) -> None:
        self.seats: list[str] = []
        self.told: list[str] = []

    async def on_join(self, client: Client) -> None:
        self.seats.append(client.name)
        self.told.append(f"{client.name} joins")

    async def on_drop(self, client: Client) -> None:
        self.told.append(f"{client.name} drops")

    async def on_resume(self, client: Client) -> None:
        self.told.append(f"{client.name} resumes")

    async def on_snapshot(self, client: Client) -> None:
        self.told.append(f"{client.name} sees")
        await self.send(client, "seats", self.seats)

    async def on_leave(self, client: Client, reason: str) -> None:
        self.seats.remove(client.name)
        self.told.append(f"{client.name} leaves")

    @action("move")
    async def move(self, client: Client, body: Any) -> None:
        await self.broadcast("moved", body)


async def sit_down(net: Net) -> tuple[TestClient, TestClient, Game]:
    ana, ben = await net.connect("Ana", resume=True), await net.connect("Ben", resume=True)
    await ana.join("game")
    await ben.join("game")
    await ana.settle()
    await ben.settle()
    game = net.server.rooms["game"]
    assert isinstance(game, Game)
    game.told.clear()
    return ana, ben, game


def make_server(**limits: Any) -> Server:
    server = Server("games", limits=Limits(resume_seconds=GRACE, **limits))
    server.room("game")(Game)
    return server


async def nobody_else_sits_down(net: Net) -> None:
    late = await net.connect("Zoe")
    with pytest.raises(ActionError, match="room-full"):
        await late.join("game")


async def test_who_resumes_keeps_its_seat_and_hears_every_move(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben, game = await sit_down(net)
        ana.drop()
        await ben.request("move", 1, target="game")
        await nobody_else_sits_down(net)
        await trio.sleep(GRACE - 1)
        assert (await ana.come_back())["outcome"] == "resumed"
        await ben.request("move", 2, target="game")
        assert [each["message_body"] for each in await ana.settle()] == [1, 2]
        assert game.told == ["Ana drops", "Ana resumes"]
        assert game.seats == ["Ana", "Ben"]


async def test_after_a_gap_the_seat_is_there_and_the_game_is_shown(autojump_clock: MockClock) -> None:
    async with open_server(make_server(resume_frames=10)) as net:
        ana, ben, game = await sit_down(net)
        ana.drop()
        for number in range(20):
            await ben.request("move", number, target="game")
        await nobody_else_sits_down(net)
        back = await ana.come_back()
        assert (back["outcome"], back["reason"], back["rooms"]) == ("gap", "overflow", ["game"])
        assert [each["action"] for each in await ana.settle()] == ["seats"]
        assert game.told == ["Ana drops", "Ana resumes", "Ana sees"]
        assert game.seats == ["Ana", "Ben"]


async def test_who_was_too_slow_keeps_its_seat(autojump_clock: MockClock) -> None:
    async with open_server(make_server(slow_seconds=1, write_seconds=100)) as net:
        ana, ben, game = await sit_down(net)
        ana.go_silent()
        for _ in range(150):
            await ben.request("move", "x" * 10_000, target="game")
            await trio.sleep(0.1)
        await nobody_else_sits_down(net)
        back = await ana.come_back()
        assert (back["outcome"], back["reason"]) == ("gap", "slow")
        assert [each["action"] for each in await ana.settle()] == ["seats"]
        assert game.told == ["Ana drops", "Ana resumes", "Ana sees"]
        assert game.seats == ["Ana", "Ben"]


async def test_who_loads_the_page_anew_keeps_its_seat(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, _, game = await sit_down(net)
        ana.drop()
        await trio.testing.wait_all_tasks_blocked()
        back = await ana.come_back(forgets=True)
        assert (back["outcome"], back["reason"]) == ("gap", "reload")
        assert [each["action"] for each in await ana.settle()] == ["seats"]
        assert game.told == ["Ana drops", "Ana resumes", "Ana sees"]
        assert game.seats == ["Ana", "Ben"]


async def test_who_stays_away_loses_its_seat_to_whoever_comes(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben, game = await sit_down(net)
        ana.drop()
        await trio.sleep(GRACE + 1)
        assert game.told == ["Ana drops", "Ana leaves"]
        await (await net.connect("Zoe")).join("game")
        assert (await ana.come_back())["outcome"] == "new"
        with pytest.raises(ActionError, match="room-full"):
            await ana.join("game")
        assert game.seats == ["Ben", "Zoe"]
        assert await ben.settle() == []


async def test_who_takes_over_from_itself_never_left(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, _, game = await sit_down(net)
        assert (await ana.come_back())["outcome"] == "resumed"
        assert game.told == []
        assert game.seats == ["Ana", "Ben"]
