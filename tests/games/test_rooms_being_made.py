"""Rooms whose on_create has not ended: who is put into them, and for how long others wait."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Room
from simplysocket.testing import TestClient, open_server

from ..harness.duels import make_lobby


class Secluded(Room):
    """A room that hides or locks itself, if its options say so, before or after it has waited."""

    capacity = 2

    async def on_create(self) -> None:
        await trio.sleep(self.options.get("before", 0))
        if self.options.get("hides"):
            self.hide()
        await trio.sleep(self.options.get("after", 0))


class Unsized(Room):
    """A room that never is made, if its options say so; nobody knows how many members it will take."""

    async def on_create(self) -> None:
        if self.options.get("hangs"):
            await trio.sleep_forever()


async def play(client: TestClient, pattern: str = "room-*") -> str:
    """Let a client play, and return the name of its room."""
    answer = await client.request("join-or-create", {"pattern": pattern})
    return str(answer["roomname"])


@pytest.mark.parametrize("times", [{}, {"before": 1}, {"after": 1}, {"before": 1, "after": 1}])
async def test_nobody_is_put_into_a_room_that_hides_itself_in_on_create(
    autojump_clock: MockClock, times: dict[str, Any]
) -> None:
    server, _ = make_lobby(("room-*", Secluded))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.send("join-room", {"roomname": "room-of-ana", "hides": True, **times})
        if times:
            await trio.sleep(0.5)
        assert await play(ben) != "room-of-ana"
        await trio.sleep(5)
        assert [each.name for each in server.rooms["room-of-ana"].members.values()] == ["ana"]


@pytest.mark.parametrize("room_class", [Secluded, Unsized])
async def test_a_room_whose_on_create_never_ends_holds_up_others_for_a_while_at_most(
    autojump_clock: MockClock, room_class: type[Room[Any]]
) -> None:
    server, _ = make_lobby(("room-*", room_class))
    async with open_server(server) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        await ana.send("join-room", {"roomname": "room-of-ana", "hangs": True, "after": 1e6})
        await trio.sleep(1)
        with trio.fail_after(15):
            first = await play(ben)
        assert first != "room-of-ana"
        with trio.fail_after(15):
            assert await play(cem) == first


async def test_what_a_client_has_asked_for_is_not_kept_with_its_room(autojump_clock: MockClock) -> None:
    server, lobby = make_lobby()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        asked = {"pattern": "duel-*", "filter": {"title": "x" * 2_000}}
        name = (await ana.request("join-or-create", asked))["roomname"]
        assert lobby._overview.records[name].asked_for is None
