"""Joining, leaving and being kicked."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room, RoomClosed, action
from simplysocket.testing import open_server

from ..harness.crowd import connect_many
from ..harness.messages import actions_of, bodies_of
from ..harness.rooms import Talk
from ..harness.servers import make


async def test_an_on_join_that_raises_undoes_the_join(autojump_clock: MockClock) -> None:
    class Strict(Talk):
        announce = True

        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            if options.get("password") == "wrong":
                raise ActionError("forbidden", "wrong password")

        async def on_join(self, client: Client) -> None:
            if client.name == "eve":
                raise ActionError("forbidden", "not you")

    server = make(("*", Strict))
    async with open_server(server) as net:
        ana, eve = await net.connect("ana"), await net.connect("eve")
        await ana.join("one")
        for options in ({}, {"password": "wrong"}):
            with pytest.raises(ActionError, match="forbidden"):
                await eve.join("one", **options)
        assert list(server.rooms["one"].members) == [ana.id]
        assert "one" not in server.clients[eve.id].rooms
        assert await ana.settle() == []
        with pytest.raises(ActionError, match="not-a-member"):
            await eve.request("say", {}, target="one")


async def test_room_events_go_to_the_members_where_the_room_announces_them(autojump_clock: MockClock) -> None:
    class Announcing(Talk):
        announce = True

    server = make(("*", Announcing))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        await bob.request("leave-room", {"roomname": "one"})
        heard = await ana.settle()
        assert actions_of(heard) == ["client-joined-room", "client-left-room"]
        assert heard[1]["message_body"] == {"client": bob.id, "name": "bob", "reason": "left"}
        assert heard[1]["target"] == "one"


async def test_a_thousand_joins_in_one_tick_are_all_answered(autojump_clock: MockClock) -> None:
    server = make(("*", Talk), inbox_messages=None)
    async with open_server(server) as net:
        clients = await connect_many(net, 1_000)
        for client in clients:
            await client.send("join-room", {"roomname": "big"}, id=1)
        room_sizes = []
        for client in clients:
            answer = await client.receive()
            room_sizes.append(answer["message_body"]["total"])
        assert sorted(room_sizes) == list(range(1, 1_001))
        await clients[0].send("say", {"m": 1}, target="big")
        for client in clients:
            assert (await client.receive())["message_body"] == {"m": 1}


async def test_a_handler_may_join_and_leave_for_its_client_also_in_its_own_room(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))

    @server.action("take")
    async def take(client: Client, room: Room, body: dict[str, str]) -> list[str]:
        await client.join(body["to"])
        if body.get("from"):
            await client.leave(body["from"])
        return sorted(client.rooms)

    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await ana.request("take", {"to": "one"}) == ["mesh-global", "one"]
        assert await ana.request("take", {"to": "two", "from": "one"}, target="one") == ["mesh-global", "two"]
        assert await ana.request("take", {"to": "two"}, target="two") == ["mesh-global", "two"]
        await trio.testing.wait_all_tasks_blocked()
        assert set(server.rooms) == {"mesh-global", "two"}


async def test_two_handlers_that_wait_for_each_others_rooms_fail_with_busy(autojump_clock: MockClock) -> None:
    class Crossing(Room):
        @action("cross")
        async def cross(self, client: Client, body: dict[str, str]) -> str:
            await trio.sleep(1)
            await client.join(body["to"])
            return "joined"

    server = make(("*", Crossing))
    async with open_server(server) as net:
        ana, bob, zoe = [await net.connect(name) for name in ("ana", "bob", "zoe")]
        await ana.join("one")
        await bob.join("two")
        await zoe.join("one")
        await zoe.join("two")
        await ana.send("cross", {"to": "two"}, target="one", id=1)
        await bob.send("cross", {"to": "one"}, target="two", id=1)
        answers = [await ana.receive(), await bob.receive()]
        codes = [answer["message_body"].get("code") if answer["action"] == "error" else None for answer in answers]
        assert "busy" in codes
        assert set(codes) <= {"busy", None}


async def test_kick_takes_a_member_out_and_tells_why(autojump_clock: MockClock) -> None:
    class Kicking(Talk):
        @action("kick")
        async def kick_one(self, body: dict[str, str]) -> bool:
            return await self.kick(self.members[body["client"]], "rude")

    server = make(("*", Kicking))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        assert await ana.request("kick", {"client": bob.id}, target="one") is True
        assert bodies_of(await bob.settle(), "client-left-room") == [
            {"client": bob.id, "name": "bob", "reason": "rude"}
        ]
        assert list(server.rooms["one"].members) == [ana.id]


async def test_a_join_by_code_is_not_tried_for_ever(autojump_clock: MockClock) -> None:
    class Refusing(Room):
        async def on_auth(self, client: Client) -> None:
            await self.close()
            raise RoomClosed("finished")

    server = make(("*", Refusing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        with pytest.raises(RoomClosed, match="finished"):
            await server.clients[ana.id].join("one")


async def test_a_join_that_gave_up_leaves_no_room_behind(autojump_clock: MockClock) -> None:
    class Slow(Room):
        async def on_create(self) -> None:
            await trio.sleep(20)

    server = make(("*", Slow))

    @server.action("take")
    async def take(client: Client) -> None:
        await client.join("one")

    async with open_server(server) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError, match="busy"):
            await ana.request("take")
        with trio.move_on_after(1):
            await server.clients[ana.id].join("two")
        await trio.sleep(50)
        assert set(server.rooms) == {"mesh-global"}
