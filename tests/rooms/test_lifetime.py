"""When rooms open and close: with the first member, after the last, and on the server's own account."""

import gc

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Room
from simplysocket.testing import open_server

from ..harness.leaks import living_tasks
from ..harness.rooms import Talk
from ..harness.servers import make


async def test_a_room_that_cannot_be_created_refuses_the_joins(autojump_clock: MockClock) -> None:
    class Picky(Room):
        async def on_create(self) -> None:
            if "map" not in self.options:
                raise ActionError("bad-body", "a game needs a map", path="$.map")
            if self.options["map"] == "broken":
                raise ValueError("no such map")

    server = make(("*", Picky))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError) as refused:
            await ana.join("one")
        assert (refused.value.code, refused.value.path) == ("bad-body", "$.map")
        with pytest.raises(ActionError) as refused:
            await ana.join("one", map="broken")
        assert refused.value.code == "internal"
        assert (await ana.join("one", map="island"))["created"] is True


async def test_the_first_to_join_creates_and_the_last_to_leave_closes(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        assert (await ana.join("one"))["created"] is True
        answer = await bob.join("one")
        assert answer == {
            "roomname": "one",
            "created": False,
            "members": [{"client": ana.id, "name": "ana"}, {"client": bob.id, "name": "bob"}],
            "total": 2,
        }
        assert (await bob.join("one"))["created"] is False  # joining again answers again
        assert server.rooms["one"].creator is server.clients[ana.id]
        assert await ana.request("leave-room", {"roomname": "one"}) == {"roomname": "one"}
        who = await bob.request("who", {"roomname": "one"})
        assert who == {"members": [{"client": bob.id, "name": "bob"}], "total": 1}
        assert await bob.request("leave-room", target="one") == {"roomname": "one"}
        await trio.testing.wait_all_tasks_blocked()
        assert set(server.rooms) == {"mesh-global"}


async def test_a_thousand_rooms_made_and_left_leave_nothing(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("warm-up")
        await ana.request("leave-room", {"roomname": "warm-up"})
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        tasks, rooms = living_tasks(), set(server.rooms)
        objects = sum(isinstance(each, Room) for each in gc.get_objects())
        for n in range(1_000):
            await ana.send("join-room", {"roomname": f"r{n}"}, id=n)
            await ana.send("say", {}, target=f"r{n}")
            await ana.send("leave-room", {"roomname": f"r{n}"}, id=n)
            if n % 50 == 49:
                assert len(await ana.settle()) == 150
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        assert living_tasks() == tasks
        assert set(server.rooms) == rooms
        assert sum(isinstance(each, Room) for each in gc.get_objects()) == objects
        assert not server.clients[ana.id].rooms.keys() - {"mesh-global"}


async def test_an_empty_room_lives_on_for_its_ttl(autojump_clock: MockClock) -> None:
    class Lasting(Talk):
        empty_ttl = 30.0

    class Lasting2(Talk):
        empty_ttl = None

    server = make(("a*", Lasting), ("b*", Lasting2))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for name in ("a", "b"):
            await ana.join(name)
            await ana.request("leave-room", {"roomname": name})
        await trio.sleep(20)
        assert (await ana.join("a"))["created"] is False
        await trio.sleep(20)
        await ana.request("leave-room", {"roomname": "a"})
        await trio.sleep(29)
        assert "a" in server.rooms
        await trio.sleep(2)
        assert set(server.rooms) == {"b", "mesh-global"}


async def test_a_room_opened_by_the_server_waits_for_its_first_member(autojump_clock: MockClock) -> None:
    class Reserved(Talk):
        open = False

    server = make(("vip-*", Reserved), open_rooms=False)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for name in ("vip-1", "any"):
            with pytest.raises(ActionError, match="unknown-target"):
                await ana.join(name)
        room = await server.open_room("vip-1", {"level": 3})
        assert room.options == {"level": 3}
        await trio.sleep(1000)
        assert (await ana.join("vip-1"))["created"] is False
        await ana.request("leave-room", {"roomname": "vip-1"})
        await trio.testing.wait_all_tasks_blocked()
        assert "vip-1" not in server.rooms


async def test_the_smallest_inbox_lets_a_room_be_made(autojump_clock: MockClock) -> None:
    server = make(("*", Room), inbox_messages=1)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert (await ana.join("one"))["created"] is True
