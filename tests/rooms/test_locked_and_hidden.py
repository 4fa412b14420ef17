"""Locked rooms take nobody else; hidden rooms are not listed."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room
from simplysocket.testing import open_server

from ..harness.messages import actions_of
from ..harness.rooms import Talk
from ..harness.servers import make


class Open(Talk):
    """A room that stays without members."""

    unjoined_ttl = None
    empty_ttl = None


async def names(client: Any, after: str = "") -> tuple[list[str], int]:
    answer = await client.request("list-rooms", {"after": after})
    return [each["roomname"] for each in answer["rooms"]], answer["total"]


# --- locked


async def test_a_locked_room_refuses_every_join(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Open))) as net:
        room = await net.server.open_room("one")
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        assert not room.is_locked
        room.lock()
        room.lock()
        assert room.is_locked
        with pytest.raises(ActionError, match="the room is locked") as refused:
            await ben.join("one")
        assert refused.value.code == "forbidden"
        with pytest.raises(ActionError, match="the room is locked"):
            await net.server.clients[ben.id].join("one")
        assert (await ana.join("one"))["total"] == 1  # a member is in
        await ana.request("say", {}, target="one")
        room.unlock()
        assert (await ben.join("one"))["total"] == 2


async def test_a_room_that_is_locked_while_on_auth_is_asked_refuses_the_join(autojump_clock: MockClock) -> None:
    class Asking(Open):
        async def on_auth(self, client: Client) -> None:
            await trio.sleep(10)

    async with open_server(make(("*", Asking))) as net:
        room = await net.server.open_room("one")
        ana = await net.connect("ana")
        await ana.send("join-room", {"roomname": "one"}, id=1)
        await trio.sleep(5)
        room.lock()
        await trio.sleep(6)
        (answer,) = await ana.settle()
        assert answer["message_body"]["code"] == "forbidden"


async def test_who_is_away_comes_back_into_a_locked_room(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Open))) as net:
        room = await net.server.open_room("one")
        ana = await net.connect("ana", resume=True)
        await ana.join("one")
        ana.drop()
        await trio.testing.wait_all_tasks_blocked()
        room.lock()
        await room.broadcast("news")
        assert (await ana.come_back())["outcome"] == "resumed"
        assert actions_of(await ana.settle()) == ["news"]
        assert list(room.members) == [ana.id]


async def test_a_room_that_is_locked_in_on_create_takes_nobody(autojump_clock: MockClock) -> None:
    class Locked(Room):
        async def on_create(self) -> None:
            self.lock()

    async with open_server(make(("*", Locked))) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError, match="the room is locked"):
            await ana.join("one")
        await ana.settle()
        assert "one" not in net.server.rooms


async def test_a_locked_room_that_is_full_says_that_it_is_locked(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", type("Small", (Open,), {"capacity": 1})))) as net:
        room = await net.server.open_room("one")
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        room.lock()
        with pytest.raises(ActionError, match="forbidden"):
            await ben.join("one")
        room.unlock()
        with pytest.raises(ActionError, match="room-full"):
            await ben.join("one")


# --- hidden


async def test_a_hidden_room_is_not_listed_and_can_be_joined(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Open))) as net:
        ana = await net.connect("ana")
        rooms = {name: await net.server.open_room(name) for name in ("a", "b", "c")}
        assert await names(ana) == (["a", "b", "c"], 3)
        rooms["b"].hide()
        rooms["b"].hide()
        assert rooms["b"].is_hidden
        assert await names(ana) == (["a", "c"], 2)
        assert (await ana.join("b"))["total"] == 1
        assert await names(ana, after="a") == (["c"], 2)
        rooms["b"].unhide()
        rooms["b"].unhide()
        assert not rooms["b"].is_hidden
        assert await names(ana) == (["a", "b", "c"], 3)
        rooms["a"].hide()
        await rooms["a"].close()
        rooms["a"].unhide()
        rooms["c"].hide()
        assert await names(ana) == (["b"], 1)
        await ana.join("a")  # another room of the name
        assert await names(ana) == (["a", "b"], 2)


async def test_a_room_that_hides_in_on_create_was_never_listed(autojump_clock: MockClock) -> None:
    class Private(Open):
        async def on_create(self) -> None:
            await trio.sleep(5)
            if self.name == "private":
                self.hide()

    async with open_server(make(("*", Private))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.send("join-room", {"roomname": "private"})
        await ana.send("join-room", {"roomname": "public"})
        for _ in range(4):
            assert await names(ben) == ([], 0)
            await trio.sleep(1)
        await trio.sleep(2)
        assert await names(ben) == (["public"], 1)


async def test_a_room_that_closes_while_it_is_created_leaves_nothing_listed(autojump_clock: MockClock) -> None:
    class Closing(Open):
        async def on_create(self) -> None:
            if self.name == "closed":
                await self.close()
                self.unhide()
            elif self.name == "failed":
                raise ActionError("forbidden", "no")
            self.hide()
            self.unhide()

    async with open_server(make(("*", Closing))) as net:
        ana = await net.connect("ana")
        for name in ("closed", "failed", "open"):
            await ana.send("join-room", {"roomname": name})
        await ana.settle()
        assert await names(ana) == (["open"], 1)


async def test_a_room_stays_locked_and_hidden_when_it_is_made_anew(autojump_clock: MockClock) -> None:
    class Fragile(Open):
        on_crash = "restart"

        async def crash(self) -> None:
            raise RuntimeError("a crash")

    async with open_server(make(("*", Fragile))) as net:
        ana = await net.connect("ana")
        room: Any = await net.server.open_room("one")
        other: Any = await net.server.open_room("two")
        room.lock()
        room.hide()
        room.start_soon(room.crash)
        other.start_soon(other.crash)
        await ana.settle()
        assert net.server.rooms["one"] is not room
        assert net.server.rooms["one"].is_locked
        assert await names(ana) == (["two"], 1)


async def test_the_global_room_is_neither_locked_nor_hidden(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        lobby = net.server.rooms["mesh-global"]
        with pytest.raises(ValueError, match="cannot be locked"):
            lobby.lock()
        with pytest.raises(ValueError, match="never listed"):
            lobby.hide()
        lobby.unhide()
        assert await names(await net.connect("ana")) == ([], 0)


async def test_a_page_is_full_however_many_rooms_are_hidden(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Open))) as net:
        ana = await net.connect("ana")
        for number in range(1_000):
            room = await net.server.open_room(f"room-{number:04}")
            if number % 5:
                room.hide()
        first, total = await names(ana)
        second, _ = await names(ana, after=first[-1])
        assert total == 200
        assert first + second == [f"room-{number:04}" for number in range(0, 1_000, 5)]
