"""The lobby follows the options that a room sets while it runs."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Room, action
from simplysocket.games import GameRoom
from simplysocket.testing import open_server

from ..harness.duels import make_lobby


class Growing(Room):
    """A room that grows when it is asked to."""

    capacity = 1

    @action("set")
    async def set(self, body: int) -> None:
        self.capacity = body  # type: ignore[misc]  # an option that may differ from room to room


class Late(GameRoom):
    """A game that lets others sit down when it is asked to."""

    seats = 3
    needed = 1
    starts = "code"

    @action("begin")
    async def begin(self) -> None:
        await self.start()

    @action("set")
    async def set(self, body: Any) -> None:
        self.late_seats = bool(body)


@pytest.mark.parametrize(("room_class", "before"), [(Growing, []), (Late, ["begin"])])
async def test_a_room_that_has_more_places_now_is_offered_again(
    autojump_clock: MockClock, room_class: type[Room[Any]], before: list[str]
) -> None:
    server, _ = make_lobby(("room-*", room_class))
    async with open_server(server) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        await ana.join("room-1")
        for each in before:
            await ana.request(each, target="room-1")
        assert (await ben.request("join-or-create", {"pattern": "room-*"}))["roomname"] != "room-1"
        await ben.close()
        await trio.sleep(300)
        await ana.request("set", 2, target="room-1")
        assert (await cem.request("join-or-create", {"pattern": "room-*"}))["roomname"] == "room-1"


async def test_the_list_shows_the_capacity_that_a_room_has_set(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("room-*", Growing))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("room-1")
        await ben.join("lobby")
        await trio.sleep(1)
        await ben.settle()
        await ana.request("set", 7, target="room-1")
        await trio.sleep(1)
        (message,) = await ben.settle()
        assert message["message_body"]["changed"][0]["capacity"] == 7
