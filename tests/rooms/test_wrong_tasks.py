"""Wrong tasks, timers and threads: the error says where they are, and what to write instead."""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says about them is tested in test_types.py.

import contextlib
from typing import Any

import pytest
import trio

from simplysocket import Room, Server
from simplysocket.testing import open_server

from ..harness.wrong_use import WrongUse, WrongUses, play

wrong = WrongUses()


@contextlib.asynccontextmanager
async def in_hall(server: Server) -> Any:
    """Serve with Ana in the hall; yield the room and her `Client`."""
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        yield server.rooms["hall"], server.clients[ana.id]


@wrong("above 0")
async def a_timer_of_zero_seconds(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(0, self.tick)

        async def tick(self) -> None: ...

    await play(server)


@wrong("above 0")
async def a_timer_below_zero(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.every(-1, self.tick)

        async def tick(self) -> None: ...

    await play(server)


@wrong("seconds first")
async def a_timer_the_other_way_round(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(self.tick, 1)

        async def tick(self) -> None: ...

    await play(server)


@wrong("tick", "give the function itself")
async def a_timer_of_a_coroutine_object(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(1, self.tick())

        async def tick(self) -> None: ...

    await play(server)


@wrong("tick", "write `async def`")
async def a_timer_of_a_plain_function(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.every(1, self.tick)

        def tick(self) -> None: ...

    await play(server)


@wrong("tick", "give the function itself")
async def a_task_of_a_coroutine_object(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.start_soon(self.tick())

        async def tick(self) -> None: ...

    await play(server)


@wrong("tick", "write `async def`")
async def a_task_of_a_plain_function(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.start_soon(self.tick)

        def tick(self) -> None: ...

    await play(server)


@wrong("nothing can be started in it")
async def a_timer_in_a_room_that_is_closed(server: Any) -> None:
    async with in_hall(server) as (room, _):
        await room.close()
        room.after(1, room.close)


@wrong("from_thread")
async def broadcasting_from_a_thread(server: Any) -> None:
    async with in_hall(server) as (room, _):
        await trio.to_thread.run_sync(step, room.broadcast("hello"))


@wrong("from_thread")
async def sending_from_a_thread(server: Any) -> None:
    async with in_hall(server) as (_, client):
        await trio.to_thread.run_sync(step, client.send("hello"))


def step(coroutine: Any) -> None:
    """Run a coroutine that never waits, as `asyncio.run` would in a thread."""
    with contextlib.suppress(StopIteration):
        coroutine.send(None)


@wrong.parametrize
def test_the_error_for_a_wrong_task_says_where_it_is_and_what_to_write(
    case: WrongUse, caplog: pytest.LogCaptureFixture
) -> None:
    case.judge(caplog)
