"""The course of a game of the word battle, as pages of the Go game hear it, in virtual time."""

from typing import Any

import pytest
import trio

from examples.lobby.battle import BOT, BattleRoom
from examples.lobby.bot import WordBot
from examples.lobby.server import server
from simplysocket.testing import open_server

from ..harness.battle import Page, Watch, first_turn, open_page, open_table

ROOM = "table"


async def course(page: Page, watch: Watch, last: str = "room-bot-end-game") -> list[tuple[float, str, str]]:
    """Return the time, the action and the sender of all that comes until a certain message has come."""
    heard = []
    while not heard or heard[-1][1] != last:
        message = await page.next()
        heard.append((watch.seconds, message["action"], message["sender"]))
    return heard


async def say(word: str, speaker: Page, *others: Page) -> dict[str, Any]:
    """Let a player say a word; return the message of the next turn, when all have heard it."""
    await speaker.send("attempt-word", {"message": word})
    for page in (speaker, *others):
        turn = await page.hear("message-by-bot")
    return turn


async def test_a_game_in_which_nobody_says_a_word(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben", seconds=40)
        watch = Watch()
        await ana.send("start-the-game", {"message": ROOM})
        assert await course(ben, watch) == [
            (0, "room-bot-greetings", BOT),
            (1, "send-message", BOT),
            (2, "message-by-bot", BOT),  # time to talk
            (12, "message-by-bot", BOT),  # the first turn
            (22, "send-message", BOT),  # it has run out
            (23, "message-by-bot", BOT),
            (34, "send-message", BOT),
            (35, "message-by-bot", BOT),
            (40, "send-message", BOT),  # the end
            (40.7, "room-bot-end-game", BOT),
        ]


async def test_what_the_bot_tells_of_a_turn(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await ana.send("start-the-game", {"message": ROOM})
        talk = (await ben.hear("message-by-bot"))["message_body"]
        assert (talk["timer"], talk["letter"]) == (10, "")
        assert "whichclientturn" not in talk
        first = (await ben.hear("message-by-bot"))["message_body"]
        assert (first["timer"], first["letter"]) == (10, "w")
        stats = first["clientstats"]
        assert [player["slug"] for player in stats] == [ana.id, ben.id]
        assert first["whichclientturn"] == stats[0]

        await ana.send("attempt-word", {"message": "Water"})
        second = (await ben.hear("message-by-bot"))["message_body"]
        assert (second["timer"], second["letter"]) == (11, "r")
        assert [player["score"] for player in second["clientstats"]] == [1, 0]
        assert second["whichclientturn"]["slug"] == ben.id


async def test_the_stats_stand_in_the_order_of_the_newest_list_of_players(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        pages = [await open_page(net, name) for name in ("Ana", "Ben", "Zoë")]
        for page in pages:
            page.room = ROOM
            await page.send("join-room", {"roomname": ROOM, "playerlimit": 3}, target="mesh-global")
            await page.heard()
        for page in reversed(pages):
            await page.send("set-client-name", {"setname": page.name})
        for page in pages:
            await page.heard()
        await pages[0].send("start-the-game", {"message": ROOM})
        await trio.sleep(5)
        await pages[1].send("leave-room")
        listed = (await pages[2].hear("client-list-notify"))["message_body"]["clientsinroomessage"]
        told = (await pages[2].hear("message-by-bot"))["message_body"]["clientstats"]
        assert [player["name"] for player in listed] == ["Zoë", "Ana"]
        assert told == listed  # pages of the Go game go through both by the index


async def test_an_attempt_is_echoed_then_the_bot_comments_and_a_second_later_the_next_has_the_turn(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await first_turn(ana, ben)
        await trio.sleep(9.5)
        watch = Watch()
        await ana.send("attempt-word", {"message": "water"})
        assert await course(ben, watch, "message-by-bot") == [
            (0, "send-message", ana.id),
            (0, "send-message", BOT),
            (1, "message-by-bot", BOT),
        ]
        assert await ana.heard_actions() == ["send-message", "send-message", "message-by-bot"]
        assert await course(ben, watch, "message-by-bot") == [(12, "send-message", BOT), (13, "message-by-bot", BOT)]


@pytest.mark.parametrize(
    ("word", "comment"),
    [
        ("tree", "That begins with another letter, Ana."),
        ("wxyz", "That is not in my dictionary, Ana."),
        ("wood", "That was said before, Ana."),
        ("water", "Bravo, Ana!"),
    ],
)
async def test_a_word_that_fails_passes_the_turn_on_and_keeps_the_letter(
    autojump_clock: trio.abc.Clock, word: str, comment: str
) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await first_turn(ana, ben)
        room = server.rooms[ROOM]
        assert isinstance(room, BattleRoom)
        room.battle.words.append("wood")
        await ana.send("attempt-word", {"message": word})
        assert (await ben.hear("send-message"))["message_body"]["message"] == word
        assert (await ben.hear("send-message"))["message_body"]["message"] == comment
        turn = (await ben.hear("message-by-bot"))["message_body"]
        assert turn["whichclientturn"]["slug"] == ben.id
        assert turn["letter"] == ("r" if comment.startswith("Bravo") else "w")


async def test_who_is_out_of_turn_is_refused_and_the_turn_goes_on(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        assert await ana.refusal("attempt-word", {"message": "water"}) == "forbidden"  # nobody plays yet
        await first_turn(ana, ben)
        eve = await open_page(net, "Eve")
        eve.room = ROOM
        await eve.send("join-room", {"roomname": ROOM, "as": "spectator"}, target="mesh-global")
        assert await eve.refusal("attempt-word", {"message": "water"}) == "forbidden"
        assert await ben.refusal("attempt-word", {"message": "water"}) == "forbidden"
        for word in (5, None, [], "", " ", "w" * 46):
            assert await ana.refusal("attempt-word", {"message": word}) == "bad-body"
        assert await ana.refusal("start-the-game", {"message": ROOM}) == "forbidden"
        assert await ana.refusal("room-settings", {"game_duration": "60", "player_limit": "5"}) == "forbidden"
        await ana.send("attempt-word", {"message": "water"})
        assert await ana.refusal("attempt-word", {"message": "river"}) == "forbidden"  # it is between two turns
        assert (await ben.hear("message-by-bot"))["message_body"]["letter"] == "r"


async def test_the_board_is_sorted_by_score_and_has_the_words(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben, zoe = await open_table(net, "Ana", "Ben", "Zoë")
        await first_turn(ana, ben, zoe)
        await say("no", ana, ben, zoe)
        await say("waltz", ben, zoe, ana)
        await say("zebra", zoe, ana, ben)
        await say("q", ana, ben, zoe)
        await say("apple", ben, zoe, ana)
        end = (await zoe.hear("room-bot-end-game"))["message_body"]
        board = [(player["name"], player["score"]) for player in end["client_list"]]
        assert board == [("Ben", 2), ("Zoë", 1), ("Ana", 0)]
        assert end["word_list"] == ["waltz", "zebra", "apple"]


async def test_when_only_one_is_left_the_game_ends_likewise(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await first_turn(ana, ben)
        await say("waltz", ana, ben)
        watch = Watch()
        await ana.client.close()
        heard = [each for each in await course(ben, watch) if each[1] != "is-room-maker"]
        assert heard == [
            (0, "client-list-notify", BOT),
            (0, "send-message", BOT),
            (0.7, "room-bot-end-game", BOT),
        ]
        await trio.sleep(200)
        assert await ben.heard_actions() == []


async def test_a_game_may_lose_all_but_one_before_its_first_turn(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await ana.send("start-the-game", {"message": ROOM})
        await trio.sleep(1.5)
        await ben.send("leave-room")
        end = (await ana.hear("room-bot-end-game"))["message_body"]
        assert ([player["name"] for player in end["client_list"]], end["word_list"]) == (["Ana"], [])
        await trio.sleep(200)
        assert await ana.heard_actions() == []


@pytest.mark.parametrize("pause", [0, 0.5])
async def test_when_the_player_leaves_whose_turn_it_is_the_next_one_has_it_and_only_once(
    autojump_clock: trio.abc.Clock, pause: float
) -> None:
    async with open_server(server) as net:
        ana, ben, zoe = await open_table(net, "Ana", "Ben", "Zoë")
        await first_turn(ana, ben, zoe)
        if pause:  # its word is judged, and the turn is about to pass on
            await ana.send("attempt-word", {"message": "waltz"})
            await trio.sleep(pause)
        await ana.client.close()
        turn = (await zoe.hear("message-by-bot"))["message_body"]
        assert turn["whichclientturn"]["slug"] == ben.id
        assert len(turn["clientstats"]) == 2
        await trio.sleep(5)
        assert await ben.refusal("attempt-word", {"message": 1}) == "bad-body"
        assert "message-by-bot" not in await zoe.heard_actions()
        turn = await say("x", ben, zoe)
        assert turn["message_body"]["whichclientturn"]["slug"] == zoe.id


async def test_the_host_starts_the_next_game_which_begins_with_the_letter_that_is_due_and_with_no_points(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben", seconds=20)
        for word in ("waltz", "zebra"):
            await first_turn(ana, ben)
            await say(word, ana, ben)
            end = (await ben.hear("room-bot-end-game"))["message_body"]
            await ana.hear("room-bot-end-game")
            assert (end["client_list"][0]["score"], end["word_list"]) == (1, [word])


async def test_a_game_that_is_started_before_the_board_is_shown_goes_on_undisturbed(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben", seconds=20)
        await first_turn(ana, ben)
        await trio.sleep(8.3)  # the bot has said that the time is up
        await ana.send("start-the-game", {"message": ROOM})
        watch = Watch()
        await ben.hear("room-bot-greetings")
        heard = await course(ben, watch)
        assert heard[-1] == (20.7, "room-bot-end-game", BOT)
        assert [each[0] for each in heard if each[1] == "message-by-bot"] == [2, 12]


async def test_two_bots_play_a_whole_game(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        eve = await open_page(net, "Eve")
        eve.room = ROOM
        await eve.send("join-room", {"roomname": ROOM, "as": "spectator"}, target="mesh-global")
        await eve.heard()
        room = server.rooms[ROOM]
        assert isinstance(room, BattleRoom)
        room.duration = 180
        for name in ("Wordy", "Worder"):
            await room.seat_bot(WordBot(name))
        await room.start()
        watch = Watch()
        heard = await course(eve, watch)
        assert heard[-1][0] == 180.7
        assert len(room.battle.words) > 10
        assert {player.name for player in room.board} == {"Wordy", "Worder"}
        assert sum(player.score for player in room.board) == len(room.battle.words)


async def test_nothing_is_left_of_a_room_that_all_have_left(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await open_table(net, "Ana", "Ben")
        await first_turn(ana, ben)
        for page in (ana, ben):
            await page.client.close()
        await trio.sleep(1)
        assert set(server.rooms) == {"mesh-global", "lobby"}
