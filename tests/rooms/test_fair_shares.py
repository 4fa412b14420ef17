"""Fair shares: who says little in a room waits for nobody who says much, in this room or in another."""

from typing import Any

import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room, Server, action
from simplysocket.testing import open_server

from ..harness.messages import bodies_of
from ..harness.servers import make
from ..harness.socketless import Socketless, enter_many

RATE = 200_000
HOSTILE = 60
LARGE = "x" * 20_000


class Relay(Room):
    relay = True


def make_relay(**limits: Any) -> Server:
    """Return a server whose actions make rooms say things: the global room, and those of the client."""
    server = make(("*", Relay), **{"room_bytes_per_second": RATE, **limits})

    @server.action("cry")
    async def cry(room: Room, body: list[Any]) -> None:
        for each in body:
            await room.broadcast("cried", each)
        await trio.sleep(0.1)

    @server.action("rename")
    async def rename(client: Client, body: Any) -> None:
        for room in client.rooms.values():
            if isinstance(room, Relay):
                await room.broadcast("renamed", body)

    @server.action("hello")
    async def hello() -> str:
        return "hello"

    return server


async def enter(server: Server, count: int, room: str) -> list[Socketless]:
    clients = enter_many(server, count)
    for client in clients:
        client.send("join-room", {"roomname": room}, id=-1)
        await trio.testing.wait_all_tasks_blocked()
        client.take()
    return clients


async def test_a_few_words_wait_for_no_round_of_large_messages(autojump_clock: MockClock) -> None:
    server = make_relay(inbox_seconds=5)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        hostile = await enter(server, HOSTILE, "one")
        waited: list[float] = []

        async def flood(client: Socketless) -> None:
            while True:  # a round of all is 6 s of what the room may say
                client.send("say", LARGE, target="one")
                client.take()
                await trio.sleep(0.5)

        async with trio.open_nursery() as nursery:
            for client in hostile:
                nursery.start_soon(flood, client)
            await trio.sleep(10)
            for number in range(10):
                began = trio.current_time()
                assert await ana.request("say", number, target="one") is None
                waited.append(trio.current_time() - began)
                await trio.sleep(0.3)
            nursery.cancel_scope.cancel()
        assert max(waited) < 4.1  # at most one delay of the room; what waits for 5 s is refused
        assert sum(waited) < 20


async def test_who_says_little_in_the_global_room_is_not_delayed_for_others(autojump_clock: MockClock) -> None:
    server = make_relay()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        hostile = enter_many(server, 20)
        for _ in range(10):
            for client in hostile:
                client.send("cry", [LARGE] * 4)
            await trio.sleep(0.05)
            began = trio.current_time()
            assert await ana.request("hello") == "hello"  # while the handlers of the others wait
            assert trio.current_time() - began < 0.01
            await ana.request("cry", ["a few words"])
            assert trio.current_time() - began < 0.11


async def test_what_a_client_makes_its_rooms_say_from_the_global_room_has_a_rate(autojump_clock: MockClock) -> None:
    server = make_relay(inbox_seconds=None)
    async with open_server(server) as net:
        bob = await net.connect("bob")
        await bob.join("one")
        (hostile,) = await enter(server, 1, "one")
        for _ in range(100):  # 2 MB, which takes 9 s after the first second's
            hostile.send("rename", LARGE)
        await trio.sleep(0.5)
        assert 8 <= len(bodies_of(await bob.settle(), "renamed")) < 20
        began = trio.current_time()
        for number in range(5):  # the room itself waits for nothing
            await bob.request("say", number, target="one")
        assert trio.current_time() - began < 0.01
        await trio.sleep(3)
        assert 20 <= len(bodies_of(await bob.settle(), "renamed")) < 40
        await trio.sleep(30)
        assert len(bodies_of(await bob.settle(), "renamed")) > 40


async def test_a_room_that_says_a_few_words_in_a_loud_one_is_not_delayed(autojump_clock: MockClock) -> None:
    class Listed(Relay):
        @action("list")
        async def list_it(self) -> None:
            await self.server.broadcast("room", self.name)

    server = make_relay()
    server.room("listed")(Listed)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("listed")
        for client in enter_many(server, 20):
            client.send("cry", [LARGE] * 4)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        for _ in range(20):
            await ana.request("list", target="listed")
        assert trio.current_time() - began < 0.01
