"""The errors that a client gets are short, whatever it has written, and whatever the application says."""

from typing import Any, Literal

import attrs
import msgspec
import pytest
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.testing import TestClient, open_server

from ..harness.messages import send_together
from ..harness.servers import make

LONG = 60_000  # bytes of a client's text
MOST = 8_000  # bytes of an error: its message and its path in full, with each character escaped
WORDS = ("a", "\n", "\0", "\x7f", "🎲", "missing required field `", " - at `$.x`")


@attrs.define
class OneOf:
    role: str = attrs.field(validator=attrs.validators.in_(["a", "b"]))


@attrs.define
class Choice:
    role: Literal["a", "b"]


async def error_of(client: TestClient, message: dict[str, Any]) -> dict[str, Any]:
    """Send a message that is refused, and return the body of the error, which must be short."""
    await send_together(client, message)
    answer = await client.receive()
    assert answer["action"] == "error"
    assert len(msgspec.json.encode(answer)) < MOST
    body: dict[str, Any] = answer["message_body"]
    return body


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("id", [None, "i" * 64])
async def test_no_error_repeats_a_long_text_of_the_client(autojump_clock: MockClock, word: str, id: str | None) -> None:
    server = make(direct=False)
    text = word * (LONG // len(msgspec.json.encode(word)))
    codes = []

    @server.action("choose")
    async def choose(body: Choice) -> None: ...

    @server.action("pick")
    async def pick(body: OneOf) -> None: ...

    @server.action("refuse")
    async def refuse(body: str) -> None:
        raise ActionError("no-such-word", f"there is no word {body!r}", path=f"$.{body}")

    @server.action("fail")
    async def fail(body: str) -> None:
        raise KeyError(body)

    async with open_server(server) as net:
        ana = await net.connect()
        for message in (
            {"action": "choose", "message_body": {"role": text}},
            {"action": "pick", "message_body": {"role": text}},
            {"action": "refuse", "message_body": text},
            {"action": "fail", "message_body": text},
            {"action": "hello", "target": text},
            {"action": "hello", "target": text, "IsTargetClient": True},
            {"action": "join-room", "message_body": {"roomname": text}},
            {"action": "join-room", "message_body": {"roomname": [text]}},
            {"action": "leave-room", "message_body": {"roomname": text}},
            {"action": "who", "target": text},
            {"action": "list-rooms", "message_body": {"after": {text: 1}}},
            {"action": text},
        ):
            codes.append((await error_of(ana, message | {"id": id}))["code"])
    bad_body, unknown = "bad-body", "unknown-target"
    assert codes == [
        *(bad_body, bad_body, "no-such-word", "internal", unknown, "forbidden"),
        *(bad_body, bad_body, unknown, unknown, bad_body, "bad-message"),
    ]


async def test_an_error_that_another_client_wrote_is_cut(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("ask", turn=False)
    async def ask(body: str) -> None:
        await server.clients[body].request("question")

    async with open_server(server) as net:
        ana, ben = await net.connect(), await net.connect()
        await send_together(ana, {"action": "ask", "id": 1, "message_body": ben.id})
        question = await ben.receive()
        body = {"code": "no", "message": "x" * LONG, "path": "y" * LONG}
        await send_together(ben, {"action": "error", "id": question["id"], "message_body": body})
        answer = await ana.receive()
        assert answer["action"] == "error"
        assert len(msgspec.json.encode(answer)) < MOST
