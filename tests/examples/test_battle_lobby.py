"""The word battle as its own page sees it: what it follows, private rooms, the lobby, and who comes back."""

from typing import Any

import pytest
import trio

from examples.lobby.battle import BattleRoom
from examples.lobby.server import server
from simplysocket import ActionError
from simplysocket.testing import TestClient, open_server
from simplysocket.testing.net import Net

from ..harness.battle import open_page


async def follow(client: TestClient, room: str) -> dict[str, Any]:  # Any: JSON
    """Say the client's name, and follow the room."""
    await client.request("set-client-name", {"setname": client.name}, target=room)
    await client.settle()
    picture: dict[str, Any] = await client.request("follow", target=room)
    return picture


async def open_room(net: Net, *names: str, room: str = "battle-1") -> list[TestClient]:
    """Let clients that may come back play in a room."""
    clients = []
    for name in names:
        clients.append(await net.connect(name, resume=True))
        await clients[-1].join(room, **{"as": "player"})
        await follow(clients[-1], room)
    return clients


async def newest(client: TestClient) -> dict[str, Any]:
    """Return the newest `battle` that has come."""
    pictures = [each["message_body"] for each in await client.settle() if each["action"] == "battle"]
    picture: dict[str, Any] = pictures[-1]
    return picture


async def test_who_follows_is_shown_each_change_and_others_are_not(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        old = await open_page(net, "Old")
        await old.join("battle-1", playerlimit=3)
        ana, ben = await open_room(net, "Ana", "Ben")
        picture = await newest(ana)
        assert [player["name"] for player in picture["players"]] == ["Old", "Ana", "Ben"]
        assert (picture["stage"], picture["host"], picture["turn"]) == ("waiting", old.id, None)
        await old.send("start-the-game", {"message": "x"})
        await trio.sleep(12.5)
        picture = await newest(ben)
        assert (picture["stage"], picture["turn"], picture["letter"]) == ("turn", old.id, "w")
        await old.send("attempt-word", {"message": "Waltz"})
        picture = await newest(ben)
        assert picture["stage"] == "pause"
        assert picture["attempts"] == [{"slug": old.id, "word": "waltz", "verdict": "good"}]
        assert "battle" not in await old.heard_actions()


async def test_the_times_that_are_left_are_those_of_the_moment(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, _ = await open_room(net, "Ana", "Ben")
        await ana.request("start-the-game", {"message": "x"}, target="battle-1")
        start = trio.current_time()
        for at, stage, left, seconds in ((5, "talk", 7, 10), (14, "turn", 8, 10), (30, "turn", 4, 11)):
            await trio.sleep_until(start + at)
            picture = await ana.request("follow", target="battle-1")
            assert picture["stage"] == stage
            assert picture["seconds"] == seconds
            assert picture["seconds_left"] == pytest.approx(left)
            assert picture["game_seconds_left"] == pytest.approx(60 - at)


async def test_a_lost_connection_keeps_its_seat_and_its_turn(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_room(net, "Ana", "Ben")
        await ana.request("start-the-game", {"message": "x"}, target="battle-1")
        await trio.sleep(13)
        ana.drop()
        assert [player["is_away"] for player in (await newest(ben))["players"]] == [True, False]
        await trio.sleep(3)
        await ana.come_back(forgets=True)  # its page was loaded anew
        await ana.join("battle-1", **{"as": "player"})
        picture = await follow(ana, "battle-1")
        assert (picture["turn"], picture["stage"]) == (ana.id, "turn")
        assert picture["seconds_left"] == pytest.approx(6)
        await ana.request("attempt-word", {"message": "water"}, target="battle-1")
        assert (await newest(ben))["players"][0]["score"] == 1


async def test_who_is_away_for_long_keeps_the_seat_and_only_loses_turns(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, _ = await open_room(net, "Ana", "Ben")
        await ana.request("start-the-game", {"message": "x"}, target="battle-1")
        await trio.sleep(13)
        ana.drop()
        await trio.sleep(40)
        assert (await ana.come_back())["outcome"] == "resumed"
        picture = await ana.request("follow", target="battle-1")
        assert [attempt["verdict"] for attempt in picture["attempts"]] == ["too-late"] * 3
        assert [player["is_away"] for player in picture["players"]] == [False, False]


async def test_the_chat_is_shown_to_those_who_come_later(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        _, ben = await open_room(net, "Ana", "Ben")
        for number in range(60):
            await ben.request("send-message", {"message": f"number {number}"}, target="battle-1")
        eve = await net.connect("Eve")
        await eve.join("battle-1", **{"as": "spectator"})
        chat = (await eve.request("follow", target="battle-1"))["chat"]
        assert [line["text"] for line in chat] == [f"number {number}" for number in range(10, 60)]
        assert chat[0] == {"slug": ben.id, "name": "Ben", "color": "#8fb8f0", "text": "number 10"}


async def test_who_comes_when_the_game_has_begun_may_watch_and_play_in_the_next(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        ana, _ = await open_room(net, "Ana", "Ben")
        await ana.request("room-settings", {"game_duration": "20", "player_limit": "3"}, target="battle-1")
        await ana.request("start-the-game", {"message": "x"}, target="battle-1")
        eve = await net.connect("Eve")
        with pytest.raises(ActionError, match="The game has begun, but you can watch"):
            await eve.join("battle-1", **{"as": "player"})
        await eve.join("battle-1", **{"as": "spectator"})
        with pytest.raises(ActionError, match="The game has begun"):
            await follow(eve, "battle-1")
        assert (await newest(ana))["watching"] == 1
        await trio.sleep(25)
        await eve.request("take-seat", target="battle-1")
        picture = await follow(eve, "battle-1")
        assert [player["name"] for player in picture["players"]] == ["Ana", "Ben", "Eve"]
        assert (picture["stage"], picture["watching"]) == ("over", 0)


async def test_a_private_room_is_found_by_its_code_and_not_in_the_lobby(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        zoe, ana, ben = [await net.connect(name) for name in ("Zoë", "Ana", "Ben")]
        await zoe.join("lobby")
        await zoe.settle()
        made = await ana.request("create-private", {"pattern": "battle-*", "options": {"as": "player"}})
        await follow(ana, made["roomname"])
        found = await ben.request("join-by-code", {"code": made["code"].upper(), "options": {"as": "player"}})
        assert found["roomname"] == made["roomname"]
        assert await zoe.settle() == []
        with pytest.raises(ActionError) as refusal:
            await zoe.request("join-by-code", {"code": "balo-balo-balo"})
        assert refusal.value.code == "unknown-target"


async def test_the_lobby_shows_who_plays_where(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        zoe = await net.connect("Zoë")
        await zoe.join("lobby")
        assert (await zoe.settle())[-1]["message_body"] == {"rooms": [], "total": 0}

        async def listings() -> list[Any]:
            rooms = (await zoe.request("list-rooms"))["rooms"]
            return [room["listing"] for room in rooms]

        ana, _ = await open_room(net, "Ana", "Ben")
        listing = {"host": "Ana", "phase": "waiting", "players": 2, "player_limit": 4}
        assert await listings() == [listing]
        await ana.request("start-the-game", {"message": "x"}, target="battle-1")
        await trio.sleep(1)
        assert await listings() == [{**listing, "phase": "playing"}]
        changes = [each["message_body"] for each in await zoe.settle() if each["action"] == "rooms-changed"]
        assert changes[-1]["changed"][0]["listing"] == {**listing, "phase": "playing"}


async def test_who_waits_alone_may_play_with_a_bot(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        room = (await ana.request("join-or-create", {"pattern": "random-*", "options": {"as": "player"}}))["roomname"]
        await follow(ana, room)
        await ana.request("add-bot", target=room)
        picture = await newest(ana)
        assert (picture["stage"], [player["is_bot"] for player in picture["players"]]) == ("opening", [False, True])
        for _ in range(2):  # it plays, also after the first game
            await trio.sleep(40)
            assert (await newest(ana))["players"][1]["score"] >= 1
            await ana.expect("room-bot-end-game")
            await ana.request("start-the-game", {"message": "again"}, target=room)


@pytest.mark.parametrize("action", ["add-bot", "room-settings", "start-the-game"])
async def test_a_spectator_changes_nothing(autojump_clock: trio.abc.Clock, action: str) -> None:
    async with open_server(server) as net:
        await open_room(net, "Ana", "Ben")
        eve = await net.connect("Eve")
        await eve.join("battle-1", **{"as": "spectator"})
        with pytest.raises(ActionError) as refusal:
            await eve.request(action, {"game_duration": "60", "player_limit": "4", "message": "x"}, target="battle-1")
        assert refusal.value.code == "forbidden"


async def test_there_are_as_many_bots_as_seats(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        (ana,) = await open_room(net, "Ana")
        await ana.request("room-settings", {"game_duration": "60", "player_limit": "10"}, target="battle-1")
        for _ in range(9):
            await ana.request("add-bot", target="battle-1")
        with pytest.raises(ActionError) as refusal:
            await ana.request("add-bot", target="battle-1")
        assert refusal.value.code == "room-full"
        room = server.rooms["battle-1"]
        assert isinstance(room, BattleRoom)
        assert len({player.color for player in room.players.values()}) == 10
