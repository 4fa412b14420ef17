"""Refusals: each refused message is answered with its code, under its id, and nothing else happens."""

import json
from typing import Any

import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Server
from simplysocket._protocol.names import RESERVED_ACTIONS
from simplysocket.testing import open_server

from ..harness.game import answer_to, make_game_server


@pytest.mark.parametrize("id", [None, 7, "seven"])
@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"action": "nothing"}, "unknown-action"),
        ({"action": "nothing", "target": "game"}, "unknown-action"),
        ({"action": "echo", "target": "nowhere"}, "unknown-target"),
        ({"action": "echo", "target": "game\u0000"}, "unknown-target"),
        ({"action": "echo", "target": "game-other"}, "not-a-member"),
        ({"action": "who", "message_body": {"roomname": "game-other"}}, "not-a-member"),
        ({"action": "leave-room", "message_body": {"roomname": "game-other"}}, "not-a-member"),
        ({"action": "leave-room", "message_body": {"roomname": "nowhere"}}, "unknown-target"),
        ({"action": "leave-room"}, "forbidden"),
        ({"action": "boo", "target": "ana", "IsTargetClient": True}, "forbidden"),
        ({"action": "join-room", "message_body": {"roomname": ""}}, "bad-body"),
        ({"action": "join-room", "message_body": {"roomname": 7}}, "bad-body"),
        ({"action": "join-room", "message_body": {"roomname": "a\nb"}}, "bad-body"),
        ({"action": "join-room", "message_body": {"roomname": "\u2028"}}, "bad-body"),
        ({"action": "join-room", "message_body": {"roomname": "a" * 201}}, "bad-body"),
        ({"action": "join-room", "message_body": ["game"]}, "bad-body"),
        ({"action": "join-room", "message_body": None}, "bad-body"),
        ({"action": "join-room", "target": ""}, "bad-body"),
        ({"action": "join-room", "message_body": {"roomname": "closed"}}, "unknown-target"),
        ({"action": "join-room", "message_body": {"roomname": "game-full"}}, "room-full"),
        ({"action": "list-rooms", "message_body": {"after": 5}}, "bad-body"),
        ({"action": "guess", "target": "game"}, "bad-body"),
        ({"action": "guess", "target": "game", "message_body": {"word": 5}}, "bad-body"),
        ({"action": "guess", "target": "game", "message_body": {"word": "a", "places": [1, "2"]}}, "bad-body"),
        ({"action": "wait", "target": "game", "message_body": 10**400}, "bad-body"),
        ({"action": "refuse", "target": "game", "message_body": {"code": "own-code"}}, "own-code"),
        ({"action": "refuse", "target": "game", "message_body": {"unknown": 1}}, "internal"),
        ({"action": "wait", "target": "game", "message_body": -1}, "internal"),
    ],
)
async def test_a_refused_message_is_answered_with_its_code(
    autojump_clock: MockClock, keys: dict[str, Any], code: str, id: str | int | None
) -> None:
    async with open_server(make_game_server()) as net:
        ana, *others = [await net.connect(name) for name in ("ana", "bob", "eve")]
        await ana.join("game")
        await others[0].join("game")
        for other in others:
            await other.join("game-other")
            await other.join("game-full")
        if id is not None:
            keys = {**keys, "id": id}
        answer = await answer_to(ana, json.dumps(keys))
        body = answer["message_body"]
        assert (answer["action"], answer.get("id"), body["code"], body["action"]) == ("error", id, code, keys["action"])
        assert set(ana_rooms(net.server)) == {"mesh-global", "game"}
        assert [await other.settle() for other in others] == [[], []]


def ana_rooms(server: Server) -> list[str]:
    (ana,) = [client for client in server.clients.values() if client.name == "ana"]
    return list(ana.rooms)


async def test_the_error_for_a_bad_body_says_where_it_is_wrong(autojump_clock: MockClock) -> None:
    async with open_server(make_game_server()) as net:
        ana = await net.connect("ana")
        await ana.join("game")
        for body, path in (({"word": 5}, "$.word"), ({"word": "a", "places": [1, "2"]}, "$.places[1]")):
            with pytest.raises(ActionError) as refused:
                await ana.request("guess", body, target="game")
            assert (refused.value.code, refused.value.path) == ("bad-body", path)


@pytest.mark.parametrize("name", sorted(RESERVED_ACTIONS))
async def test_a_reserved_action_has_the_protocols_meaning_only_and_is_not_relayed(
    autojump_clock: MockClock, name: str
) -> None:
    async with open_server(make_game_server()) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        for client in (ana, bob):
            await client.join("talk")
        await ana.send(name, {"code": 5, "message": []}, target="talk", id=7)
        answers = await ana.settle()
        expected = {"ping": ["reply"], "cancel": []}.get(name, ["error"] if name not in ("reply", "error") else [])
        assert [(each["action"], each["id"]) for each in answers] == [(each, 7) for each in expected]
        assert all(each["message_body"]["code"] == "forbidden" for each in answers if each["action"] == "error")
        assert await bob.settle() == []
        assert await ana.request("echo", 1) == 1


async def test_a_body_that_cannot_be_decoded_is_refused_and_sent_to_no_client(autojump_clock: MockClock) -> None:
    async with open_server(make_game_server()) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        for client in (ana, bob):
            await client.join("game")
        for body in ('"\\ud800"', '{"\\udfff":1}', "[" * 20_000 + "]" * 20_000, "9" * 5_000):
            answer = await answer_to(ana, f'{{"action":"repeat","target":"game","id":1,"message_body":{body}}}')
            assert answer["message_body"]["code"] in ("bad-body", "bad-message")
        assert await bob.settle() == []
