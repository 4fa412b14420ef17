"""Wrong tasks, timers and threads: the error says where they are, and what to write instead."""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says about them is tested in test_types.py.

import contextlib
import functools
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


def start_timer(method: str, *args: Any) -> Any:
    async def use(server: Any) -> None:
        async with in_hall(server) as (room, _):
            getattr(room, method)(*args, server)

    use.__name__ = f"{method}_{args[0]!r:.9}"
    return use


for seconds in (0, -1, -0.5):
    wrong(f"every({seconds!r}, ...)", "give a time above 0", "after(0, ...)")(start_timer("every", seconds, play))
for seconds in (float("nan"), float("inf"), float("-inf"), 10**400):
    wrong(f"after({seconds!r:.200}", "a finite number of seconds")(start_timer("after", seconds, play))
    wrong(f"every({seconds!r:.200}", "a finite number of seconds")(start_timer("every", seconds, play))


@wrong("cannot call", "beat", "with 0 arguments")
async def a_timer_without_its_arguments(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(1, self.beat)

        async def beat(self, number: int) -> None: ...

    await play(server)


@wrong("cannot call", "beat", "with 2 arguments")
async def a_timer_with_too_many_arguments(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.every(1, self.beat, 1, 2)

        async def beat(self, number: int) -> None: ...

    await play(server)


@wrong("<lambda>", "it returned 3", "write `async def`")
async def a_timer_of_a_plain_lambda(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(1, lambda: 3)

    await play(server)


@wrong("<lambda>", "it returned 3", "write `async def`")
async def a_task_of_a_plain_lambda(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.start_soon(lambda: 3)

    await play(server)


class Callable:
    """A plain function in another guise."""

    def __call__(self) -> None: ...


@wrong("Callable", "it returned None", "write `async def`", place="test_wrong_tasks")
async def a_timer_of_a_plain_callable(server: Any) -> None:
    async with in_hall(server) as (room, _):
        room.after(1, Callable())
        await trio.sleep(2)


@wrong("beat", "write `async def`")
async def a_timer_of_a_plain_partial(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(1, functools.partial(self.beat, 3))

        def beat(self, number: int) -> None: ...

    await play(server)


@wrong("seconds first")
async def a_timer_the_other_way_round(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(self.beat, 1)

        async def beat(self) -> None: ...

    await play(server)


@wrong("beat", "give the function itself")
async def a_timer_of_a_coroutine_object(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(1, self.beat())

        async def beat(self) -> None: ...

    await play(server)


@wrong("beat", "write `async def`")
async def a_timer_of_a_plain_function(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.every(1, self.beat)

        def beat(self) -> None: ...

    await play(server)


@wrong("beat", "give the function itself")
async def a_task_of_a_coroutine_object(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.start_soon(self.beat())

        async def beat(self) -> None: ...

    await play(server)


@wrong("beat", "write `async def`")
async def a_task_of_a_plain_function(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.start_soon(self.beat)

        def beat(self) -> None: ...

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
