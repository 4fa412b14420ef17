"""Handlers with bugs on a live server, with a bystander that must not notice."""

import contextvars
from typing import Any

import pytest
import trio

from simplysocket import Room, Server, action

from ..harness.attack import under_attack
from ..harness.servers import make_attacked


class Messy(Room):
    """A room whose handlers have bugs."""

    word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="clean")

    @action("leave-scope-open")
    async def leave_scope_open(self) -> None:
        Messy.word.set("leaked")
        trio.CancelScope(deadline=trio.current_time() + 0.02).__enter__()

    @action("look")
    async def look(self) -> str:
        await trio.sleep(0.05)
        return Messy.word.get()

    @action("fail")
    async def fail(self) -> None:
        raise KeyError("a bug")

    @action("fail-late")
    async def fail_late(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("a bug in a finally")

    @action("return-nan")
    async def return_nan(self) -> float:
        return float("nan")


def make_messy(**options: Any) -> Server:
    server = make_attacked(**options)
    server.room("messy*")(Messy)
    return server


async def test_a_scope_and_a_context_that_a_handler_leaves_reach_no_other() -> None:
    async with under_attack(make_messy()) as attack:
        peer = await attack.join("messy")
        await peer.request("leave-scope-open", target="messy")
        assert (await peer.request("look", target="messy", id=2))["message_body"] == "clean"


@pytest.mark.parametrize("action_name", ["fail", "return-nan"])
async def test_a_handler_that_raises_costs_its_message_only(action_name: str) -> None:
    async with under_attack(make_messy()) as attack:
        peer = await attack.join("messy")
        assert (await peer.request(action_name, target="messy"))["message_body"]["code"] == "internal"
        assert (await peer.request("look", target="messy", id=2))["message_body"] == "clean"


async def test_a_bug_in_a_finally_while_its_room_closes_ends_nothing_else() -> None:
    async with under_attack(make_messy()) as attack:
        peer = await attack.join("messy")
        await peer.say("fail-late", target="messy")
        assert (await peer.request("echo", 1))["message_body"] == 1  # so the handler has begun
        await attack.server.rooms["messy"].close("enough")
        assert (await peer.receive())["action"] in ("error", "room-closed")
        await peer.request("join-room", {"roomname": "messy"}, id=2)
        assert (await peer.request("look", target="messy", id=3))["message_body"] == "clean"
