"""Closing a room: by its own code, by others, while clients join, and before it is set up."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room, RoomClosed, action
from simplysocket.testing import open_server

from ..harness.leaks import IGNORE_LEFT_OPEN, leave_open
from ..harness.messages import actions_of, bodies_of
from ..harness.rooms import Talk
from ..harness.servers import make


class Closing(Talk):
    @action("end")
    async def end(self, body: dict[str, Any]) -> str:
        if body.get("wait"):
            await trio.sleep(3)
        await self.close("enough")
        await self.broadcast("said", {"m": "last words"})
        if body.get("wait"):
            await trio.sleep(3)
        return "closed"

    async def on_close(self, reason: str) -> None:
        await self.broadcast("wound-up", {"reason": reason, "members": len(self.members)})


@pytest.mark.parametrize("wait", [False, True])
async def test_a_room_that_closes_itself_replies_first_and_other_rooms_go_on(
    autojump_clock: MockClock, wait: bool
) -> None:
    server = make(("*", Closing))
    async with open_server(server) as net:
        ana, bob, eve = [await net.connect(name) for name in ("ana", "bob", "eve")]
        for client, room in ((ana, "one"), (bob, "one"), (eve, "two")):
            await client.join(room)
        assert await ana.request("end", {"wait": wait}, target="one") == "closed"
        heard = await bob.settle()
        assert actions_of(heard) == ["said", "wound-up", "room-closed"]
        assert bodies_of(heard, "wound-up") == [{"reason": "enough", "members": 2}]
        assert bodies_of(heard, "room-closed") == [{"roomname": "one", "reason": "enough"}]
        assert actions_of(await ana.settle()) == ["said", "wound-up", "room-closed"]
        assert set(server.rooms) == {"mesh-global", "two"}
        await eve.send("say", {"m": 1}, target="two")
        assert bodies_of(await eve.settle(), "said") == [{"m": 1}]


async def test_a_closed_rooms_name_is_free_for_a_new_room(autojump_clock: MockClock) -> None:
    server = make(("*", Closing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        first = server.rooms["one"]
        await ana.request("end", {}, target="one")
        assert (await ana.join("one"))["created"] is True
        assert server.rooms["one"] is not first
        with pytest.raises(RoomClosed):
            await first.broadcast("said", {})
        with pytest.raises(RoomClosed):
            first.start_soon(trio.sleep, 1)


async def test_a_join_during_a_close_gets_a_new_room_and_what_stands_behind_it_too(autojump_clock: MockClock) -> None:
    class Slow(Talk):
        async def on_close(self) -> None:
            await trio.sleep(1)

        @action("end")
        async def end(self) -> None:
            await self.close()

    server = make(("*", Slow))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        first = server.rooms["one"]
        await ana.send("end", target="one")
        await bob.send("join-room", {"roomname": "one"}, id=1)
        await bob.send("say", {"m": "behind the join"}, target="one")
        await ana.send("say", {"m": "too late"}, target="one", id=2)
        await trio.testing.wait_all_tasks_blocked()
        assert server.rooms["one"] is first
        assert list(first.members) == [ana.id]
        await trio.sleep(2)
        heard = await bob.settle()
        assert actions_of(heard) == ["reply", "said"]
        assert heard[0]["message_body"]["created"] is True
        assert list(server.rooms["one"].members) == [bob.id]
        refused = bodies_of(await ana.settle(), "error")
        assert [error["code"] for error in refused] in (["room-closed"], ["not-a-member"])


async def test_joins_that_wait_in_the_inbox_when_a_room_empties_get_a_new_room(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        for _ in range(20):
            await ana.send("leave-room", {"roomname": "one"}, id=1)
            await bob.send("join-room", {"roomname": "one"}, id=2)
            await trio.testing.wait_all_tasks_blocked()
            assert list(server.rooms["one"].members) == [bob.id]
            ana, bob = bob, ana


@pytest.mark.parametrize("reason", ["\ud800", object()])
async def test_a_reason_that_is_no_json_is_the_callers_error(autojump_clock: MockClock, reason: Any) -> None:
    class Closing(Room):
        announce = True

        @action("end")
        async def end(self) -> None:
            await self.close(reason)

        @action("kick")
        async def kick_me(self, client: Client) -> None:
            await self.kick(client, reason)

    server = make(("*", Closing))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        for name in ("end", "kick"):
            with pytest.raises(ActionError, match="internal"):
                await ana.request(name, target="one")
        assert server.rooms["one"].is_open
        assert len(server.rooms["one"].members) == 2
        if isinstance(reason, str):
            await server.clients[ana.id].close(4000, reason)
            await ana.wait_ended()
        await bob.request("leave-room", {"roomname": "one"})
        await ana.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert set(server.rooms) == {"mesh-global"}


async def test_a_room_that_closes_before_it_is_set_up_refuses_its_joins(autojump_clock: MockClock) -> None:
    class Never(Room):
        async def on_create(self) -> None:
            if self.name == "closes":
                await self.close()
            self.start_soon(self.crash)
            await trio.sleep(1)

        async def crash(self) -> None:
            raise RuntimeError("a crash")

    server = make(("*", Never))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for name in ("closes", "crashes"):
            with pytest.raises(ActionError, match="room-closed"):
                await ana.join(name)
            with pytest.raises(RoomClosed):
                await server.clients[ana.id].join(name)
        await trio.testing.wait_all_tasks_blocked()
        assert set(server.rooms) == {"mesh-global"}
        assert server.statistics()["rooms_opened"] < 20


@IGNORE_LEFT_OPEN
async def test_a_room_closes_though_the_handler_that_closed_it_was_cancelled(autojump_clock: MockClock) -> None:
    kept: list[Any] = []

    class Closing(Room):
        @action("end")
        async def end(self) -> None:
            await self.close()
            await leave_open(kept)
            await trio.sleep(10)

    server = make(("*", Closing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError):
            await ana.request("end", target="one")
        await trio.sleep(3)
        assert (await ana.join("one"))["created"] is True


async def test_a_close_by_a_rooms_task_lets_the_running_handler_end(autojump_clock: MockClock) -> None:
    class Closing(Room):
        async def on_create(self) -> None:
            self.start_soon(self.end_soon)

        async def end_soon(self) -> None:
            await trio.sleep(2)
            await self.close()

        @action("work")
        async def work(self) -> str:
            await trio.sleep(5)
            return "done"

    server = make(("*", Closing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("work", target="one") == "done"
        assert (await ana.receive())["action"] == "room-closed"
