"""Bad messages: payloads that are no message, and unusual ones that are."""

import pytest
import trio
from trio.testing import MockClock

from simplysocket._protocol.frames import BINARY
from simplysocket.testing import ConnectionEnded, open_server

from ..harness.game import answer_to, make_game_server, send_payload

DEEP = 100_000
"""Levels of nesting."""


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("", id="nothing"),
        pytest.param(" ", id="a space"),
        pytest.param("{", id="half an object"),
        pytest.param('{"action":"echo"}}', id="something after it"),
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
async def test_a_payload_that_is_no_message_is_answered_with_bad_message(
    autojump_clock: MockClock, payload: str
) -> None:
    async with open_server(make_game_server(message_bytes=2_000_000)) as net:
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
async def test_a_bad_message_whose_id_can_be_read_is_answered_under_it(
    autojump_clock: MockClock, payload: str, id: str | int, path: str | None
) -> None:
    async with open_server(make_game_server()) as net:
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
async def test_an_unusual_but_valid_message_is_handled(autojump_clock: MockClock, payload: str) -> None:
    async with open_server(make_game_server()) as net:
        answer = await answer_to(await net.connect("ana"), payload)
        assert (answer["action"], answer["id"], answer["message_body"]) == ("reply", 2, "last")


@pytest.mark.parametrize("limit", [1, 10])
async def test_too_many_bad_messages_end_the_connection_and_one_a_minute_is_forgiven(
    autojump_clock: MockClock, limit: int
) -> None:
    async with open_server(make_game_server(protocol_errors=limit)) as net:
        ana = await net.connect("ana")
        for _ in range(limit):
            await answer_to(ana, "nonsense")
        for _ in range(3):
            await trio.sleep(61)
            await answer_to(ana, "nonsense")
        await send_payload(ana, "nonsense")
        await send_payload(ana, '{"action":"echo","id":1}')
        assert (await ana.receive())["message_body"]["code"] == "bad-message"
        with pytest.raises(ConnectionEnded) as ended:
            await ana.receive()
        assert ended.value.code == 3501
