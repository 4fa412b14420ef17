"""Capacity: how many rooms a client may join, and how many members a room takes."""

import pytest
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.testing import open_server

from ..harness.game import make_game_server


async def test_joining_too_many_rooms_is_refused_and_leaves_no_empty_room(autojump_clock: MockClock) -> None:
    async with open_server(make_game_server(rooms_per_client=2, joins_per_second=None)) as net:
        ana = await net.connect("ana")
        for number in range(2):
            await ana.join(f"talk-{number}")
        with pytest.raises(ActionError, match="too-many"):
            await ana.join("talk-2")
        await ana.settle()
        assert set(net.server.rooms) == {"mesh-global", "talk-0", "talk-1"}
        await ana.request("leave-room", target="talk-0")
        await ana.join("talk-2")


async def test_a_full_room_refuses_the_next_client_until_a_member_leaves(autojump_clock: MockClock) -> None:
    async with open_server(make_game_server()) as net:
        clients = [await net.connect(name) for name in ("ana", "bob", "eve")]
        for client in clients[:2]:
            await client.join("game")
        with pytest.raises(ActionError, match="room-full"):
            await clients[2].join("game")
        await clients[0].close()
        await clients[2].settle()
        assert len((await clients[2].join("game"))["members"]) == 2
