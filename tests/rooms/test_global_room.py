"""The global room: everyone is in it, no client waits for another, and its tasks start again."""

import itertools

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, Client, Room
from simplysocket.testing import open_server

from ..harness.crowd import connect_many
from ..harness.servers import in_cancel_scope, make


async def test_in_the_global_room_no_client_waits_for_another(autojump_clock: MockClock) -> None:
    server = make()
    running: list[str] = []

    @server.action("nap")
    async def nap(client: Client) -> str:
        running.append(client.name)
        await trio.sleep(60)
        return client.name

    async with open_server(server) as net:
        clients = await connect_many(net, 5)
        for client in clients:
            await client.send("nap", id=1)
            await client.send("nap", id=2)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(running) == [f"c{n}" for n in range(5)]
        for client in clients:
            assert [(await client.receive())["id"] for _ in range(2)] == [1, 2]


async def test_a_crash_of_the_global_rooms_tasks_restarts_them(autojump_clock: MockClock) -> None:
    starts: list[float] = []

    class Global(Room):
        async def on_create(self) -> None:
            starts.append(trio.current_time())
            self.start_soon(self.crash)

        async def crash(self) -> None:
            await trio.sleep(5)
            if len(starts) < 3:
                raise RuntimeError("a crash")

    server = make(("mesh-global", Global))

    @server.action("hello")
    async def hello() -> str:
        await trio.sleep(6)
        return "hello"

    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await ana.request("hello") == "hello"
        await trio.sleep(30)
        assert len(starts) == 3
        assert await ana.request("hello") == "hello"


async def test_the_global_rooms_tasks_start_again_with_growing_pauses(autojump_clock: MockClock) -> None:
    starts: list[float] = []

    class Global(Room):
        async def on_create(self) -> None:
            starts.append(trio.current_time())
            self.start_soon(self.crash)

        async def crash(self) -> None:
            raise RuntimeError("a crash")

    async with open_server(make(("mesh-global", Global))):
        await trio.sleep(100)
        pauses = [later - sooner for sooner, later in itertools.pairwise(starts)]
        assert pauses[:6] == pytest.approx([1, 2, 4, 8, 16, 30])


async def test_what_a_client_sent_to_the_global_room_before_it_went_is_handled(autojump_clock: MockClock) -> None:
    handled: list[int] = []
    server = make()

    @server.action("note")
    async def note(body: dict[str, int]) -> None:
        await trio.sleep(1)
        handled.append(body["n"])

    async with open_server(server) as net:
        ana = await net.connect("ana")
        for n in range(3):
            await ana.send("note", {"n": n})
        await ana.close()
        await trio.sleep(5)
        assert handled == [0, 1, 2]


@pytest.mark.parametrize("has_on_disconnect", [False, True])
async def test_a_server_that_is_cancelled_calls_on_leave_for_every_client(
    autojump_clock: MockClock, has_on_disconnect: bool
) -> None:
    left: list[str] = []

    class Everyone(Room):
        async def on_leave(self, client: Client, reason: str) -> None:
            await trio.sleep(1)
            left.append(client.name)

    server = make((GLOBAL_ROOM, Everyone))

    @server.action("noted")
    async def noted() -> None: ...

    @server.action("nap")
    async def nap() -> None:
        await trio.sleep(1_000)

    if has_on_disconnect:

        @server.on_disconnect
        async def on_disconnect(client: Client) -> None:
            left.remove(client.name)
            left.append(client.name)

    async with in_cancel_scope(server) as (net, scope):
        for name in ("ana", "ben", "cem", "dan"):
            client = await net.connect(name)
            if name in ("cem", "dan"):
                await client.request("noted")
            if name == "dan":
                await client.send("nap")
        await trio.sleep(1)
        scope.cancel()
    assert sorted(left) == ["ana", "ben", "cem", "dan"]
