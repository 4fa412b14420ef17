"""The word battle on the wire before a game: what pages of the Go game send, and what they are told."""

from typing import Any

import pytest
import trio

from examples.lobby.battle import BOT, COLORS, BattleRoom
from examples.lobby.server import server
from simplysocket.testing import open_server

from ..harness.battle import SHAPES, first_turn, open_page, open_table

ROOM = "table"


async def test_a_join_is_told_to_all_and_the_maker_and_the_new_one_learn_who_they_are(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        ana, ben = await open_page(net, "Ana"), await open_page(net, "Ben")
        for page in (ana, ben):
            page.room = ROOM
            await page.send(
                "join-room", {"roomname": ROOM, "playerlimit": 3, "setplayername": page.name}, target="mesh-global"
            )
            told = [each for each in await page.heard() if each["action"] in SHAPES]
            maker = ["is-room-maker"] if page is ana else []
            assert [each["action"] for each in told] == ["join-room-notify", *maker, "know-yourself"]
            assert told[0]["sender"] == page.id
            assert told[0]["message_body"] == {"newmessage": f"{page.name} joined the room"}
            assert {each["message_body"].get("message", page.id) for each in told[1:]} == {page.id}
            assert told[-1]["message_body"] == {"sender": page.id}
            assert {each["target"] for each in told[1:]} == {page.id}
        assert await ana.heard_actions() == ["join-room-notify"]


async def test_a_name_is_told_to_all_with_a_colour_a_score_and_the_id(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_page(net, "Ana"), await open_page(net, "Ben")
        await ana.join(ROOM)
        await ben.join(ROOM)
        players = [
            {"color": COLORS[0], "name": "Ana", "score": 0, "slug": ana.id},
            {"color": COLORS[1], "name": "Ben", "score": 0, "slug": ben.id},
        ]
        assert (await ana.hear("client-list-notify"))["message_body"] == {"clientsinroomessage": players}
        await ben.send("set-client-name", {"setname": "Benjamin"})
        players[1]["name"] = "Benjamin"
        for page in (ana, ben):
            assert (await page.hear("client-list-notify"))["message_body"] == {"clientsinroomessage": players}


@pytest.mark.parametrize("has_body", [True, False])
async def test_who_leaves_is_no_longer_in_the_list(autojump_clock: trio.abc.Clock, has_body: bool) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await ana.send("leave-room", {"message": ROOM} if has_body else None)
        told = (await ben.hear("client-list-notify"))["message_body"]["clientsinroomessage"]
        assert [player["name"] for player in told] == ["Ben"]
        assert (await ben.hear("is-room-maker"))["message_body"] == {"message": ben.id}  # somebody must be
        assert ana.id not in server.rooms[ROOM].members


async def test_a_full_room_and_one_that_plays_refuse_who_comes_to_play(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        pages = await open_table(net, "Ana", "Ben")
        late = await open_page(net, "Zoë")

        async def refused() -> str:
            await late.send("join-room", {"roomname": ROOM, "playerlimit": 3}, target="mesh-global")
            text: str = (await late.hear("fail-join-room-notify"))["message_body"]["message"]
            assert (await late.hear("error"))["message_body"]["code"] == "room-full"
            return text

        assert await refused() == "The room is full."
        await pages[0].send("room-settings", {"game_duration": "60", "player_limit": "3"})
        await first_turn(*pages)
        assert await refused() == "The game has begun."
        assert late.id not in server.rooms[ROOM].members


async def test_of_two_who_join_at_once_for_the_last_seat_one_is_told_when_it_says_its_name(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        ana, *others = [await open_page(net, name) for name in ("Ana", "Ben", "Zoë")]
        await ana.join(ROOM, playerlimit=2)
        for page in others:
            page.room = ROOM
            await page.send("join-room", {"roomname": ROOM, "playerlimit": 2}, target="mesh-global")
        for page in others:
            await page.send("set-client-name", {"setname": page.name})
        told = [await page.heard_actions() for page in others]
        assert sorted("fail-join-room-notify" in actions for actions in told) == [False, True]
        assert len(server.rooms[ROOM].taken_seats) == 2  # type: ignore[attr-defined]  # a BattleRoom


async def test_two_who_want_a_random_room_meet_and_the_game_starts_with_their_names(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        ana, ben = await open_page(net, "Ana"), await open_page(net, "Ben")
        for page, given in ((ana, "abcdefghij"), (ben, "klmnopqrst")):
            await page.send("join-random-room", {"roomname": given}, target="mesh-global")
            told = [each for each in await page.heard() if each["action"] in SHAPES]
            maker = ["is-room-maker"] if page is ana else []
            assert [each["action"] for each in told] == [
                "found-random-room-notify",
                "join-room-notify",
                *maker,
                "know-yourself",
            ]
            page.room = told[0]["message_body"]["roomname"]
        assert ana.room == ben.room

        await ana.send("set-client-name", {"setname": "Ana"})
        assert await ana.heard_actions() == ["join-room-notify", "client-list-notify"]
        await ben.send("set-client-name", {"setname": "Ben"})
        assert await ana.heard_actions() == ["client-list-notify", "room-bot-greetings"]
        zoe = await open_page(net, "Zoë")
        await zoe.send("join-random-room", {"roomname": "x"}, target="mesh-global")
        assert (await zoe.hear("found-random-room-notify"))["message_body"]["roomname"] != ana.room


@pytest.mark.parametrize("body", [{"roomname": 1}, {"roomname": "x" * 41}, [], "table", None])
async def test_a_random_room_is_asked_for_by_a_name(autojump_clock: trio.abc.Clock, body: object) -> None:
    async with open_server(server) as net:
        ana = await open_page(net, "Ana")
        await ana.send("join-random-room", body, target="mesh-global")
        if body is None:  # left out: nobody needs the name
            ana.room = (await ana.hear("found-random-room-notify"))["message_body"]["roomname"]
            assert ana.room in server.rooms
        else:
            assert (await ana.hear("error"))["message_body"]["code"] == "bad-body"


async def test_the_host_sets_how_long_a_game_takes_and_for_how_many_it_is(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        room = server.rooms[ROOM]
        assert isinstance(room, BattleRoom)
        for duration, limit in ((20, 2), (180, 10)):
            await ana.send("room-settings", {"game_duration": str(duration), "player_limit": str(limit)})
            for page in (ana, ben):
                text = (await page.hear("room-setting-applied"))["message_body"]["message"]
                assert text == f"Up to {limit} players, {duration} seconds"
            assert (room.duration, len(room.all_seats)) == (duration, limit)


@pytest.mark.parametrize(
    ("duration", "limit", "code"),
    [
        ("19", "4", "bad-body"),
        ("181", "4", "bad-body"),
        ("60", "1", "bad-body"),
        ("60", "11", "bad-body"),
        ("60", "2", "bad-body"),  # three have a seat
        ("-20", "4", "bad-body"),
        ("6e1", "4", "bad-body"),
        ("٦٠", "4", "bad-body"),  # digits, but others
        ("", "", "bad-body"),
        (60, 4, "bad-body"),
    ],
)
async def test_settings_that_cannot_be_are_refused(
    autojump_clock: trio.abc.Clock, duration: Any, limit: Any, code: str
) -> None:
    async with open_server(server) as net:
        ana, *_ = await open_table(net, "Ana", "Ben", "Zoë")
        assert await ana.refusal("room-settings", {"game_duration": duration, "player_limit": limit}) == code
        assert len(server.rooms[ROOM].all_seats) == 3  # type: ignore[attr-defined]  # a BattleRoom


@pytest.mark.parametrize("limit", [1, 11, "3", 3.0, True, None, 10**400])
async def test_a_room_for_too_few_or_too_many_is_not_made(autojump_clock: trio.abc.Clock, limit: object) -> None:
    async with open_server(server) as net:
        ana = await open_page(net, "Ana")
        body = {"roomname": ROOM, "playerlimit": limit}
        assert await ana.refusal("join-room", body, target="mesh-global") == "bad-body"
        assert ROOM not in server.rooms


@pytest.mark.parametrize("name", ["", " ", "x" * 41, "a\nb", "\u202ea", 7, ["table"]])
async def test_a_room_with_a_name_that_is_none_is_not_made(autojump_clock: trio.abc.Clock, name: object) -> None:
    async with open_server(server) as net:
        ana = await open_page(net, "Ana")
        assert await ana.refusal("join-room", {"roomname": name}, target="mesh-global") == "bad-body"
        assert set(server.rooms) == {"mesh-global", "lobby"}


@pytest.mark.parametrize("name", [5, None, "x" * 21, ["Ana"]])
async def test_a_join_with_what_is_no_name_is_refused(autojump_clock: trio.abc.Clock, name: object) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await ana.send("room-settings", {"game_duration": "60", "player_limit": "3"})
        zoe = await open_page(net, "Zoë")
        assert (
            await zoe.refusal("join-room", {"roomname": ROOM, "setplayername": name}, target="mesh-global")
            == "bad-body"
        )
        assert await ben.heard_actions() == ["room-setting-applied"]


@pytest.mark.parametrize("body", [{"setname": 1}, {"setname": " "}, {"setname": "x" * 21}, {}, [], "Ana", None])
async def test_what_is_no_name_is_refused(autojump_clock: trio.abc.Clock, body: object) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        assert await ana.refusal("set-client-name", body) == "bad-body"
        assert await ben.heard_actions() == []


async def test_a_name_is_cleaned_of_what_nobody_sees(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, _ = await open_table(net, "Ana", "Ben")
        await ana.send("set-client-name", {"setname": " An\u200bna \u202e"})
        told = (await ana.hear("client-list-notify"))["message_body"]["clientsinroomessage"]
        assert told[0]["name"] == "Anna"


async def test_what_is_said_goes_to_all_with_the_colour_and_the_first_letters_of_the_name(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await ben.send("send-message", {"message": "<b>hello</b>"})
        for page in (ana, ben):
            said = await page.hear("send-message")
            assert said["sender"] == ben.id
            assert said["message_body"] == {"message": "<b>hello</b>", "useravatar": "Be", "color": COLORS[1]}


@pytest.mark.parametrize("action", ["send-message", "start-the-game"])
@pytest.mark.parametrize("message", ["", "\n", "x" * 501, 5, None, {"a": 1}])
async def test_a_message_of_the_wrong_type_or_length_is_refused(
    autojump_clock: trio.abc.Clock, action: str, message: object
) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        assert await ana.refusal(action, {"message": message}) == "bad-body"
        assert await ben.heard_actions() == []


async def test_only_the_host_changes_the_settings_and_starts_the_game(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        stranger = await open_page(net, "Eve")
        stranger.room = ROOM
        for page, code in ((ben, "forbidden"), (stranger, "not-a-member")):
            settings = {"game_duration": "60", "player_limit": "4"}
            assert await page.refusal("room-settings", settings) == code
            assert await page.refusal("start-the-game", {"message": ROOM}) == code
        assert await ana.heard_actions() == []


async def test_one_alone_cannot_start_a_game(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        (ana,) = await open_table(net, "Ana")
        assert await ana.refusal("start-the-game", {"message": ROOM}) == "forbidden"
        assert await ana.heard_actions() == []


async def test_a_page_with_the_subprotocol_plays_with_one_without(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ben = await open_page(net, "Ben")
        ana = await net.connect("Ana")
        await ana.join(ROOM, playerlimit=2)
        await ana.request("set-client-name", {"setname": "Ana"}, target=ROOM)
        await ben.join(ROOM)
        await ana.request("start-the-game", {"message": ROOM}, target=ROOM)
        for greetings in (await ana.expect("room-bot-greetings"), await ben.hear("room-bot-greetings")):
            assert (greetings["sender"], greetings["target"]) == (BOT, ROOM)
