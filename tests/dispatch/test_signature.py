"""Signatures: a handler gets what its annotations ask for."""

import sys
import types
from typing import Annotated, Any

import attrs
import msgspec
import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Call, Client, Message, Room, Server, action
from simplysocket.testing import open_server

from ..harness.messages import code_of
from ..harness.servers import make

Dice = Annotated[int, msgspec.Meta(ge=1, le=6)]


@attrs.define
class Player:
    health: int = 3


class Arena(Room[Player]):
    @action("hit")
    async def hit(self, body: Dice, call: Call, client: Client[Player], *, message: Message, server: Server) -> Any:
        client.state.health -= body
        return [client.state.health, call.action, call.message.body, message.id, server.name, call.room is self]


async def test_a_handler_takes_its_parameters_in_any_order(autojump_clock: MockClock) -> None:
    server = make(("arena", Arena), state=Player)

    @server.action("where")
    async def where(
        message: Message, *, body: list[int], client: Client[Player], room: Room[Player], of: Server, call: Call
    ) -> Any:
        return [
            message.body == body,
            client.state.health,
            room.name,
            of is server,
            call.client is client,
            call.is_request,
        ]

    @server.action("nothing")
    async def nothing() -> None: ...

    @server.action("only-arena")
    async def only_arena(room: Arena, /, body: int = 0) -> str:
        return type(room).__name__

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("arena")
        assert await ana.request("hit", 2, target="arena") == [1, "hit", 2, 2, "test", True]
        assert await ana.request("where", [1], target="arena") == [True, 1, "arena", True, True, True]
        assert await ana.request("nothing") is None
        assert await ana.request("only-arena", 1, target="arena") == "Arena"
        assert await code_of(ana, "only-arena", 1) == "unknown-action"


@attrs.frozen
class Guess:
    word: str
    points: int = 1


async def test_a_handler_takes_a_body_of_a_class_among_other_parameters(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("guess")
    async def guess(body: Guess, room: Room, message: Message, client: Client, it: Server) -> list[Any]:
        return [body.word, body.points, room.name, message.action, message.sender == client.id, it is server]

    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await ana.request("guess", {"word": "tree"}) == ["tree", 1, "mesh-global", "guess", True, True]
        with pytest.raises(ActionError) as refused:
            await ana.request("guess", {"word": 3})
        assert (refused.value.code, refused.value.path) == ("bad-body", "$.word")


POSTPONED = """
from __future__ import annotations

import attrs
from simplysocket import Call, Client, Room, action


@attrs.define  # before Pitch, whose base Room[Player] is not postponed
class Player:
    health: int = 3


class Pitch(Room[Player]):
    @action("kick")
    async def shoot(self, client: Client[Player], body: Kick, *, call: Call) -> str:
        return f"{call.action} {body.how.name} {client.state.health}"


@attrs.frozen
class Kick:
    how: How


@attrs.frozen
class How:
    name: str


async def plain(body: list[Kick], room: Room[Player]) -> int:
    return len(body)
"""


async def test_annotations_may_be_postponed(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pitch")
    monkeypatch.setitem(sys.modules, "pitch", module)
    exec(compile(POSTPONED, "pitch.py", "exec"), module.__dict__)
    server = make(("pitch", module.Pitch), state=module.Player)
    server.action("plain")(module.plain)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("pitch")
        assert await ana.request("kick", {"how": {"name": "far"}}, target="pitch") == "kick far 3"
        assert await ana.request("plain", [{"how": {"name": "far"}}]) == 1
        with pytest.raises(ActionError) as caught:
            await ana.request("plain", [{"how": {}}])
        assert caught.value.path == "$[0].how.name"
