"""Tasks of a room: when `start_soon` refuses one."""

import contextlib

import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import RoomClosed
from simplysocket.testing import open_server

from ..harness.servers import make


async def test_start_soon_in_a_room_that_crashes_raises_nothing_but_room_closed(autojump_clock: MockClock) -> None:
    async def crash() -> None:
        raise ValueError("a task crashes")

    server = make()
    async with open_server(server):
        for steps in range(100):
            room = await server.open_room("one")
            room.start_soon(crash)
            for _ in range(steps % 10):
                await trio.lowlevel.checkpoint()
            with contextlib.suppress(RoomClosed):
                room.start_soon(trio.lowlevel.checkpoint)
            await trio.testing.wait_all_tasks_blocked()
            assert not room.is_open
