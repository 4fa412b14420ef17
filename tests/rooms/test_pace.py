"""The pace of a room: what clients make it say has a rate, and delays them; what the server says delays nobody."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Limits, Room, Server, action
from simplysocket._rooms.pace import Pace
from simplysocket.testing import TestClient, open_server

from ..harness.messages import bodies_of
from ..harness.servers import make

RATE = 200_000
TEXT = "x" * 10_000


def test_a_second_may_be_said_at_once_and_the_rest_takes_its_time() -> None:
    pace = Pace(Limits(room_bytes_per_second=1_000))
    assert pace.charge(1_000, 10) == 10
    assert pace.charge(500, 10) == 10.5
    assert pace.charge(500, 12) == 11.5
    assert pace.charge(1_500, 100) == 100.5
    assert pace.charge(1_000_000, 100) == 104  # the most: else one large message would stop the room for minutes


def test_a_rate_can_be_lifted() -> None:
    assert Pace(Limits(room_bytes_per_second=None)).charge(10**12, 5) <= 5


class Loud(Room):
    """A room in which clients say texts, in the turn and outside, and the server says numbers."""

    async def on_create(self) -> None:
        self.number = 0

    async def beat(self) -> None:
        self.number += 1
        await self.broadcast("tick", self.number)

    async def shout(self) -> None:
        await self.broadcast("shout", TEXT * 5)

    @action("say")
    async def say(self, body: int) -> None:
        await self.broadcast("said", [body, TEXT])

    @action("later")
    async def later(self, body: int) -> None:
        await trio.sleep(0.001)
        await self.broadcast("said", [body, TEXT])

    @action("outside", turn=False)
    async def outside(self, body: int) -> None:
        await trio.sleep(0.001)
        await self.broadcast("said", [body, TEXT])


def make_loud(**limits: Any) -> Server:
    server = make(("*", Loud), **{"room_bytes_per_second": RATE, "inbox_seconds": 60, **limits})

    @server.action("cry")
    async def cry(room: Room, client: Client, body: int) -> None:
        await room.broadcast("said", [body, TEXT])

    return server


async def said_after(client: TestClient, seconds: float) -> list[int]:
    await trio.sleep(seconds)
    return [number for number, _ in bodies_of(await client.settle(), "said")]


@pytest.mark.parametrize("how", ["say", "later"])
async def test_what_clients_make_a_room_say_has_a_rate_and_comes_in_order(autojump_clock: MockClock, how: str) -> None:
    async with open_server(make_loud()) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        for client in (ana, bob):
            await client.join("loud")
        for number in range(100):  # 1 MB, which takes 4 s after the first second's
            await ana.send(how, number, target="loud")
        at_once = await said_after(bob, 0.2)
        assert 20 <= len(at_once) < 60
        later = await said_after(bob, 2)
        assert 20 <= len(later) < 70
        rest = await said_after(bob, 20)
        assert at_once + later + rest == list(range(100))


async def test_what_handlers_outside_the_turn_say_counts_too(autojump_clock: MockClock) -> None:
    async with open_server(make_loud(tasks_per_client=None)) as net:
        ana = await net.connect("ana")
        await ana.join("loud")
        for number in range(60):
            await ana.send("outside", number, target="loud")
        assert len(await said_after(ana, 0.01)) == 60
        began = trio.current_time()
        await ana.request("say", 1, target="loud")
        assert trio.current_time() - began > 1.5


async def test_the_servers_own_words_are_not_delayed_meanwhile(autojump_clock: MockClock) -> None:
    server = make_loud()
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        for client in (ana, bob):
            await client.join("loud")
        room: Any = server.rooms["loud"]
        for number in range(100):
            await ana.send("say", number, target="loud")
        await trio.testing.wait_all_tasks_blocked()
        room.every(0.1, room.beat)
        await trio.sleep(1.05)
        await room.broadcast("now", 1)
        received = await bob.settle()
        assert bodies_of(received, "tick") == list(range(1, 11))
        assert bodies_of(received, "now") == [1]
        assert len(bodies_of(received, "said")) < 70
        await bob.request("ping")  # which waits behind nothing


async def test_what_the_server_says_by_itself_delays_no_client(autojump_clock: MockClock) -> None:
    server = make_loud()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("loud")
        room: Any = server.rooms["loud"]
        room.every(0.05, room.shout)  # five times the rate
        await trio.sleep(3)
        began = trio.current_time()
        for number in range(5):
            await ana.request("say", number, target="loud")
        assert trio.current_time() - began < 0.01


async def test_what_is_for_one_member_alone_does_not_count(autojump_clock: MockClock) -> None:
    class Telling(Loud):
        @action("tell")
        async def tell(self, client: Client) -> None:
            await self.send(client, "told", TEXT)

    async with open_server(make(("*", Telling), room_bytes_per_second=RATE)) as net:
        ana = await net.connect("ana")
        await ana.join("loud")
        for _ in range(100):
            await ana.request("tell", target="loud")
        assert trio.current_time() < 0.01


async def test_in_the_global_room_who_says_too_much_waits_and_the_others_do_not(autojump_clock: MockClock) -> None:
    async with open_server(make_loud()) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        for number in range(100):
            await ana.send("cry", number)
        assert 20 <= len(await said_after(bob, 0.01)) < 100
        began = trio.current_time()
        await bob.request("cry", 1_000)
        assert trio.current_time() - began < 0.01
        assert len(await said_after(ana, 30)) == 101


async def test_a_room_that_is_delayed_can_close(autojump_clock: MockClock) -> None:
    server = make_loud()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("loud")
        for number in range(100):
            await ana.send("say", number, target="loud", id=number)
        await trio.testing.wait_all_tasks_blocked()
        await server.rooms["loud"].close()
        received = await ana.settle()
        assert {each["id"] for each in received if each["action"] in ("reply", "error")} == set(range(100))
