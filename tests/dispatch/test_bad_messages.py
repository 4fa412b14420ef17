"""Messages that are refused: each is answered with its code, under its id, and nothing else happens."""

import json
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Limits, Room, Server, action
from simplysocket.frames import BINARY, client_frame
from simplysocket.message import RESERVED_ACTIONS
from simplysocket.testing import ConnectionEnded, TestClient, open_server


@attrs.frozen
class Guess:
    word: str
    places: list[int] = attrs.field(factory=list)


class Game(Room):
    """A room that takes guesses, two members, and its time."""

    capacity = 2

    @action("guess")
    async def guess(self, body: Guess) -> str:
        return body.word

    @action("wait")
    async def wait(self, body: float) -> float:
        await trio.sleep(body)
        return body

    @action("repeat")
    async def repeat(self, body: Any) -> None:
        await self.broadcast("repeated", body)

    @action("refuse")
    async def refuse(self, body: dict[str, Any]) -> None:
        raise ActionError(**body)


def make_server(**limits: Any) -> Server:
    server = Server("test", limits=Limits(**{"protocol_errors": None, **limits}))
    server.room("game*")(Game)

    class Talk(Room):
        relay = True

    server.room("talk*")(Talk)

    class Closed(Room):
        open = False

    server.room("closed*")(Closed)

    @server.action("echo")
    async def echo(body: Any) -> Any:
        return body

    return server


async def send(client: TestClient, payload: str | bytes, opcode: int = 1) -> None:
    """Send a payload as it is."""
    data = payload.encode() if isinstance(payload, str) else payload
    await client.send_bytes(client_frame(data, opcode=opcode))


async def answer_to(client: TestClient, payload: str | bytes, opcode: int = 1) -> dict[str, Any]:
    """Send a payload and return the one message that comes, seeing that the connection goes on."""
    await send(client, payload, opcode)
    (answer,) = await client.settle()
    assert await client.request("echo", "still here") == "still here"
    return answer


# --- what is no message

DEEP = 100_000  # levels


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("", id="nothing"),
        pytest.param(" ", id="a space"),
        pytest.param("{", id="half an object"),
        pytest.param('{"action":"echo"}}', id="something behind it"),
        pytest.param('{"action":"echo"}\n{"action":"echo"}', id="two in one frame"),
        pytest.param("null", id="null"),
        pytest.param("7", id="a number"),
        pytest.param('"echo"', id="a string"),
        pytest.param('["echo"]', id="an array"),
        pytest.param("{}", id="no action"),
        pytest.param('{"action":null}', id="an action that is null"),
        pytest.param('{"action":7}', id="an action that is a number"),
        pytest.param('{"action":""}', id="an empty action"),
        pytest.param(f'{{"action":"{"a" * 65}"}}', id="an action of 65 characters"),
        pytest.param('{"action":"\\ud800"}', id="a lone surrogate in the action"),
        pytest.param('{"action":"echo","target":5}', id="a target that is a number"),
        pytest.param('{"action":"echo","target":"\\udc00"}', id="a lone surrogate in the target"),
        pytest.param('{"action":"echo","IsTargetClient":"yes"}', id="a flag that is a string"),
        pytest.param('{"action":"echo","IsTargetClient":1}', id="a flag that is a number"),
        pytest.param('{"action":"echo","id":""}', id="an empty id"),
        pytest.param(f'{{"action":"echo","id":"{"a" * 65}"}}', id="an id of 65 characters"),
        pytest.param('{"action":"echo","id":1.5}', id="an id that is a fraction"),
        pytest.param('{"action":"echo","id":true}', id="an id that is a boolean"),
        pytest.param('{"action":"echo","id":9007199254740993}', id="an id beyond 2^53"),
        pytest.param('{"action":"echo","id":1e400}', id="an id beyond everything"),
        pytest.param(f'{{"action":"echo","id":{"9" * 10_000}}}', id="an id of 10,000 digits"),
        pytest.param('{"action":"echo","timeout":-1}', id="a timeout below zero"),
        pytest.param('{"action":"echo","timeout":"1"}', id="a timeout that is a string"),
        pytest.param('{"action":"echo","message_body":NaN}', id="a body that is NaN"),
        pytest.param('{"action":"echo","message_body":[-Infinity]}', id="a body that holds Infinity"),
        pytest.param('{"action":"echo","message_body":"\\ud800"}', id="a body that holds a lone surrogate"),
        pytest.param('{"action":"echo","message_body":{a:1}}', id="a body with a key that is no string"),
        pytest.param('{"action":"echo","message_body":01}', id="a body with a leading zero"),
        pytest.param('{"action":"echo","message_body":"\t"}', id="a body with a control character"),
        pytest.param('{"action":"echo","message_body":' + "[" * DEEP + "]" * DEEP + "}", id="a body too deep"),
        pytest.param('{"a":' * DEEP + "1" + "}" * DEEP, id="an unknown key too deep"),
        pytest.param('{"action":"echo","message_body":"' + "\udcff" + '"}', id="bytes that are not UTF-8"),
    ],
)
async def test_what_is_no_message_is_answered_with_bad_message(autojump_clock: MockClock, payload: str) -> None:
    async with open_server(make_server(message_bytes=2_000_000)) as net:
        ana = await net.connect("ana", pipe_bytes=4_000_000)
        answer = await answer_to(ana, payload.encode(errors="surrogateescape"), BINARY)
        assert (answer["action"], answer["message_body"]["code"]) == ("error", "bad-message")
        assert "id" not in answer
        assert answer["message_body"]["message"]
        assert answer["message_body"]["action"] == ""


@pytest.mark.parametrize(
    ("payload", "id", "path"),
    [
        ('{"id":7,"action":5}', 7, "$.action"),
        ('{"id":"seven"}', "seven", "$.action"),
        ('{"action":"echo","target":[],"id":-9007199254740992}', -(2**53), "$.target"),
        (f'{{"action":"{"a" * 65}","id":"{"i" * 64}"}}', "i" * 64, "$.action"),
    ],
)
async def test_where_the_id_can_be_read_the_request_is_answered_under_it(
    autojump_clock: MockClock, payload: str, id: str | int, path: str | None
) -> None:
    async with open_server(make_server()) as net:
        answer = await answer_to(await net.connect("ana"), payload)
        assert (answer["action"], answer["id"], answer["message_body"]["code"]) == ("error", id, "bad-message")
        assert answer["message_body"].get("path") == path


@pytest.mark.parametrize(
    "payload",
    [
        '{"action":"echo","id":1,"id":2,"message_body":3,"message_body":"last"}',
        ' {"message_body" : "last", "x":[{}], "id":2, "target":null, "IsTargetClient":null, "action":"echo"}\n',
        '{"action":"echo","message_body":"last","id":2,"target":"","sender":"mallory","timeout":null,"room":7}',
        '{"\\u0061ction":"\\u0065cho","message_body":"last","id":2,"timeout":0.5}',
    ],
)
async def test_what_is_unusual_but_a_message_is_handled(autojump_clock: MockClock, payload: str) -> None:
    async with open_server(make_server()) as net:
        answer = await answer_to(await net.connect("ana"), payload)
        assert (answer["action"], answer["id"], answer["message_body"]) == ("reply", 2, "last")


@pytest.mark.parametrize("limit", [1, 10])
async def test_too_many_bad_messages_end_the_connection_and_one_a_minute_is_forgiven(
    autojump_clock: MockClock, limit: int
) -> None:
    async with open_server(make_server(protocol_errors=limit)) as net:
        ana = await net.connect("ana")
        for _ in range(limit):
            await answer_to(ana, "nonsense")
        for _ in range(3):
            await trio.sleep(61)
            await answer_to(ana, "nonsense")
        await send(ana, "nonsense")
        await send(ana, '{"action":"echo","id":1}')
        assert (await ana.receive())["message_body"]["code"] == "bad-message"
        with pytest.raises(ConnectionEnded) as ended:
            await ana.receive()
        assert ended.value.code == 3501


# --- messages that are refused


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
async def test_a_message_that_is_refused_is_answered_with_its_code(
    autojump_clock: MockClock, keys: dict[str, Any], code: str, id: str | int | None
) -> None:
    async with open_server(make_server()) as net:
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


async def test_a_bad_body_is_told_where(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
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
    async with open_server(make_server()) as net:
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


@pytest.mark.parametrize(
    "body",
    ["{}", "null", "12345678901234567890123", "-0.0", "1e400", '"<&>"', "[" * 200 + "]" * 200, " [ 1 ] "],
)
async def test_a_relayed_body_goes_on_as_it_was_written_whatever_it_is(autojump_clock: MockClock, body: str) -> None:
    async with open_server(make_server()) as net:
        ana, bob = await net.connect("ana", reads=False), await net.connect("bob", reads=False)
        for client in (ana, bob):
            await client.join("talk")
        await send(ana, f'{{"action":"x","target":"talk","sender":"mallory","id":"i","message_body":{body}}}')
        _, payload = await bob.receive_frame()
        head = '{"action":"x","message_body":' + body.strip() + ',"IsTargetClient":false,"target":"talk","sender":"'
        assert payload == f'{head}{ana.id}"}}'.encode()


async def test_a_body_that_cannot_be_decoded_costs_its_message_and_reaches_nobody(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        for client in (ana, bob):
            await client.join("game")
        for body in ('"\\ud800"', '{"\\udfff":1}', "[" * 20_000 + "]" * 20_000, "9" * 5_000):
            answer = await answer_to(ana, f'{{"action":"repeat","target":"game","id":1,"message_body":{body}}}')
            assert answer["message_body"]["code"] in ("bad-body", "bad-message")
        assert await bob.settle() == []


# --- too much


async def test_over_the_rate_is_told_when_to_come_again_and_is_taken_then(
    autojump_clock: MockClock,
) -> None:
    async with open_server(make_server(messages_per_second=10, messages_burst=20)) as net:
        ana = await net.connect("ana")
        assert [await ana.request("echo", number) for number in range(20)] == list(range(20))
        with pytest.raises(ActionError) as refused:
            await ana.request("echo", "too much")
        assert refused.value.code == "rate-limited"
        assert refused.value.retry_after == pytest.approx(0.1)
        await trio.sleep(refused.value.retry_after or 0)
        assert await ana.request("echo", "now") == "now"


async def test_refusals_without_an_id_are_said_once_a_second(autojump_clock: MockClock) -> None:
    async with open_server(make_server(messages_per_second=0.001, messages_burst=1_000)) as net:
        ana = await net.connect("ana")
        for _ in range(2):
            for _ in range(1_000):
                await ana.send("ping", id=1)
            await ana.settle()
        await trio.sleep(1)
        await send(ana, b"")
        for _ in range(9):
            await ana.send("echo")
        assert [each["message_body"]["code"] for each in await ana.settle()] == ["rate-limited"]


async def test_many_bytes_are_over_the_rate_too(autojump_clock: MockClock) -> None:
    async with open_server(make_server(bytes_per_second=1_000, bytes_burst=2_000)) as net:
        ana = await net.connect("ana")
        assert len(await ana.request("echo", "a" * 1_500)) == 1_500
        with pytest.raises(ActionError, match="rate-limited") as refused:
            await ana.request("echo", "a" * 1_500)
        assert 1.0 < (refused.value.retry_after or 0) < 1.2


@pytest.mark.parametrize("name", ["game", "mesh-global"])
async def test_a_client_may_hold_only_so_many_places_of_an_inbox(autojump_clock: MockClock, name: str) -> None:
    server = make_server(inbox_per_client=4)

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
    async with open_server(make_server(inbox_messages=6, inbox_per_client=4)) as net:
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


async def test_joins_have_a_rate_of_their_own(autojump_clock: MockClock) -> None:
    async with open_server(make_server(joins_per_second=1, joins_burst=3)) as net:
        ana = await net.connect("ana")
        for number in range(3):
            await ana.join(f"talk-{number}")
        with pytest.raises(ActionError) as refused:
            await ana.join("talk-3")
        assert refused.value.code == "rate-limited"
        assert "talk-3" not in net.server.rooms
        await trio.sleep(refused.value.retry_after or 0)
        await ana.join("talk-3")


async def test_too_many_rooms_are_refused_and_leave_no_empty_room(autojump_clock: MockClock) -> None:
    async with open_server(make_server(rooms_per_client=2, joins_per_second=None)) as net:
        ana = await net.connect("ana")
        for number in range(2):
            await ana.join(f"talk-{number}")
        with pytest.raises(ActionError, match="too-many"):
            await ana.join("talk-2")
        await ana.settle()
        assert set(net.server.rooms) == {"mesh-global", "talk-0", "talk-1"}
        await ana.request("leave-room", target="talk-0")
        await ana.join("talk-2")


async def test_a_full_room_refuses_the_next_until_one_leaves(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        clients = [await net.connect(name) for name in ("ana", "bob", "eve")]
        for client in clients[:2]:
            await client.join("game")
        with pytest.raises(ActionError, match="room-full"):
            await clients[2].join("game")
        await clients[0].close()
        await clients[2].settle()
        assert len((await clients[2].join("game"))["members"]) == 2
