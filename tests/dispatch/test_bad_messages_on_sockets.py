"""Messages that are invalid or not allowed, on a live server with a bystander."""

import enum
from typing import Literal

import attrs
import pytest

from simplysocket import Room

from ..harness.attack import under_attack
from ..harness.frames import (
    BINARY,
    HELLO,
    frame,
)
from ..harness.servers import make_attacked


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"null", b"[]", b"\x00", b"{}", b'{"action":5}', b'{"action":"a","target":5}', b"\xff", b"[" * 60_000],
)
async def test_invalid_json_is_answered(payload: bytes) -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(frame(payload, BINARY) + HELLO)
        answers = [await peer.receive(), await peer.receive()]
        assert sorted(each["action"] for each in answers) == ["error", "reply"]
        assert [each["message_body"]["code"] for each in answers if each["action"] == "error"] == ["bad-message"]


async def test_the_eleventh_bad_message_ends_the_connection_with_3501() -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(frame("nonsense") * 11 + HELLO)
        assert await peer.end() == 3501
        assert [each["message_body"]["code"] for each in peer.messages()] == ["bad-message"] * 11


async def test_an_unknown_target_is_answered() -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        answer = await peer.request("say", 1, target="nowhere")
        assert (answer["action"], answer["message_body"]["code"]) == ("error", "unknown-target")


async def test_a_client_that_is_not_a_member_cannot_speak_in_a_room() -> None:
    async with under_attack() as attack:
        member, stranger = await attack.join("hall"), await attack.connect()
        for number, name in enumerate(("say", "who", "leave-room")):
            answer = await stranger.request(name, {"roomname": "hall"}, target="hall", id=number)
            assert answer["message_body"]["code"] == "not-a-member"
        await member.say("say", "mine", target="hall")
        assert (await member.receive())["message_body"] == "mine"


@pytest.mark.parametrize("direct", [False, True])
async def test_a_direct_message_on_a_live_server_needs_direct_and_a_common_room(direct: bool) -> None:
    async with under_attack(make_attacked(direct=direct)) as attack:
        ana, bob = await attack.connect(), await attack.connect()
        to_bob = list(attack.server.clients)[-1]
        for target in (to_bob, "nobody", "hall", ""):
            answer = await ana.request("boo", 1, target=target, IsTargetClient=True)
            assert answer["message_body"]["code"] == ("unknown-target" if direct else "forbidden")
        for peer in (ana, bob):
            await peer.request("join-room", {"roomname": "hall"})
        answer = await ana.request("boo", 2, target=to_bob, IsTargetClient=True)
        assert answer["action"] == ("reply" if direct else "error")
        if direct:
            got = await bob.receive()
            assert (got["action"], got["message_body"], got["IsTargetClient"], got["target"]) == (
                "boo",
                2,
                True,
                to_bob,
            )


class Role(enum.Enum):
    GUEST = "guest"


@attrs.define
class Chosen:
    by_class: str = attrs.field(default="a", validator=attrs.validators.in_(["a", "b"]))
    by_literal: Literal["a", "b"] = "a"
    by_enum: Role = Role.GUEST


@pytest.mark.parametrize("word", ["missing required field `", " - at `", "a` - at `$.x"])
async def test_text_that_looks_like_an_error_over_and_over_is_answered_at_once(word: str) -> None:
    server = make_attacked(bytes_per_second=None)

    @server.action("choose")
    async def choose(body: Chosen) -> None: ...

    text = word * (60_000 // len(word))
    async with under_attack(server) as attack:
        peer = await attack.connect()
        for id, key in enumerate(["by_class", "by_literal", "by_enum"] * 10):  # a minute, with the expressions of old
            answer = await peer.request("choose", {key: text}, id=id)
            assert answer["message_body"]["code"] == "bad-body"
            assert len(answer["message_body"]["message"]) <= 500


async def test_names_that_nearly_match_a_pattern_are_looked_up_at_once() -> None:
    server = make_attacked()
    server.room("match-*-*-*-*-*-*-lobby")(type("Match", (Room,), {}))
    async with under_attack(server) as attack:
        peer = await attack.connect()
        for number in range(20):  # minutes, with the expressions of old
            answer = await peer.request("join-room", {"roomname": "match" + "-" * 190 + str(number)}, id=number)
            assert answer["action"] == "reply"
