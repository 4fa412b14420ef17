"""Broadcasts of rooms and of the server: order, slices of a large room, volatile messages, and wrong arguments."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, ActionError, Client, Room, RoomClosed, action
from simplysocket._rooms import fanout
from simplysocket.testing import open_server

from ..harness.crowd import connect_many
from ..harness.frames import message
from ..harness.limits import UNBOUNDED
from ..harness.messages import actions_of, bodies_of, code_of
from ..harness.rooms import Talk
from ..harness.servers import make


async def test_a_broadcast_goes_out_at_once_though_its_handler_waits(autojump_clock: MockClock) -> None:
    class Waiting(Room):
        @action("go")
        async def go(self) -> None:
            await self.broadcast("first")
            await trio.sleep(10)
            await self.broadcast("second")

    server = make(("*", Waiting))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("go", target="one")
        started = trio.current_time()
        assert (await ana.receive())["action"] == "first"
        assert trio.current_time() - started < 1
        assert (await ana.receive())["action"] == "second"
        assert trio.current_time() - started == pytest.approx(10, abs=1)


async def test_a_reply_and_a_direct_message_stand_in_their_place_among_the_rooms_messages(
    autojump_clock: MockClock,
) -> None:
    class Ordered(Room):
        @action("go")
        async def go(self, client: Client) -> int:
            await self.broadcast("one")
            await client.send("two")
            await self.broadcast("three", exclude=client)
            await self.broadcast("four")
            await self.send(client, "five")
            await self.broadcast("six")
            return 7

    server = make(("*", Ordered))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("r")
        await bob.join("r")
        await ana.send("go", target="r", id=7)
        heard = await ana.settle()
        assert actions_of(heard) == ["one", "two", "four", "five", "six", "reply"]
        assert heard[3]["room"] == "r"
        assert heard[3]["IsTargetClient"] is True
        assert heard[3]["target"] == ana.id
        assert actions_of(await bob.settle()) == ["one", "three", "four", "six"]


async def test_members_of_a_very_large_room_all_hear_everything_in_order(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplysocket._rooms.fanout.SLICE", 10)

    class Large(Talk):
        @action("ask")
        async def ask(self, client: Client, body: dict[str, int]) -> int:
            await self.broadcast("said", body, exclude=client)
            return body["n"]

    server = make(("*", Large))
    async with open_server(server) as net:
        clients = await connect_many(net, 95)
        for client in clients:
            await client.join("big")
        for n in range(30):
            await clients[n % 7].send("say", {"n": n}, target="big")
            await clients[n % 5].send("ask", {"n": n}, target="big", id=n + 1_000)
        for client in clients[7:]:
            assert [m["message_body"]["n"] for m in await client.settle()] == [n for n in range(30) for _ in range(2)]


async def test_a_volatile_message_reaches_who_can_take_it_and_waits_for_nobody(autojump_clock: MockClock) -> None:
    class Moving(Room):
        @action("move")
        async def move(self, body: dict[str, Any]) -> None:
            await self.broadcast("moved", body, volatile=True)

        @action("score")
        async def score(self, body: dict[str, Any]) -> None:
            await self.broadcast("scored", body, coalesce="score")

        @action("fill")
        async def fill(self) -> None:
            await self.broadcast("filled", {"x": "x" * 50_000})

    server = make(("*", Moving))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        slow = await net.connect("slow", reads=False, pipe_bytes=100)
        await ana.join("one")
        await slow.send("join-room", {"roomname": "one"})
        await ana.send("move", {"n": 0}, target="one")
        assert bodies_of(await ana.settle(), "moved") == [{"n": 0}]
        await ana.send("fill", target="one")
        await trio.testing.wait_all_tasks_blocked()
        for n in range(1, 4):
            await ana.send("move", {"n": n}, target="one")
            await ana.send("score", {"n": n}, target="one")
            await trio.testing.wait_all_tasks_blocked()
        heard = await ana.settle()
        assert [body["n"] for body in bodies_of(heard, "moved")] == [1, 2, 3]
        assert [body["n"] for body in bodies_of(heard, "scored")] == [1, 2, 3]
        slow.start_reading(net.nursery)
        heard = await slow.settle()
        assert bodies_of(heard, "moved") in ([], [{"n": 0}])
        assert bodies_of(heard, "scored") == [{"n": 3}]
        assert server.statistics()["frames_dropped"] >= 5


@pytest.mark.parametrize("key", [["score"], 3, b"score", {}])
async def test_a_key_that_is_no_text_is_the_callers_error(key: Any, autojump_clock: MockClock) -> None:
    class Moving(Room):
        @action("score")
        async def score(self) -> None:
            await self.broadcast("scored", "x" * 50_000, coalesce=key)

    server = make(("*", Moving))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        slow = await net.connect("slow", reads=False, pipe_bytes=100)  # for whom a message waits by its key
        await ana.join("one")
        await slow.send("join-room", {"roomname": "one"})
        for _ in range(3):
            assert await code_of(ana, "score", target="one") == "internal"
        with pytest.raises(TypeError, match=r"coalesce=.*: give a text"):
            await server.broadcast("news", coalesce=key)
        assert len(server.rooms["one"].members) == 2


async def test_a_broadcast_to_everyone_may_exclude_a_client(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana, ben = await net.connect("Ana"), await net.connect("Ben")
        await server.broadcast("news", 1, exclude=server.clients[ana.id], volatile=True)
        await server.broadcast("news", 2, coalesce="news")
        assert [message["message_body"] for message in await ana.settle()] == [2]
        assert [message["message_body"] for message in await ben.settle()] == [1, 2]


async def test_what_cannot_be_said_is_the_callers_error(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        room, here, elsewhere = server.rooms["one"], server.clients[ana.id], server.clients[bob.id]
        wrong: Any = here.id
        with pytest.raises(TypeError, match="not the id"):
            await room.send(wrong, "hello")
        with pytest.raises(TypeError, match="not the id"):
            await room.kick(wrong)
        with pytest.raises(TypeError, match="not their ids"):
            await room.broadcast("hello", exclude=wrong)
        with pytest.raises(ActionError, match="not-a-member"):
            await room.send(elsewhere, "hello")
        for action_name in (5, "reply", "room-closed"):
            with pytest.raises(ValueError, match="cannot be said"):
                await room.broadcast(action_name)  # type: ignore[arg-type]
        await room.close()
        with pytest.raises(RoomClosed):
            await room.send(here, "late")
        assert [message["action"] for message in await ana.settle()] == ["room-closed"]


@pytest.mark.parametrize("room", ["one", GLOBAL_ROOM])
async def test_a_room_that_says_more_than_can_be_sent_does_not_fill_the_memory(
    room: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_BYTES", 20_000)
    monkeypatch.setattr(fanout, "_LIGHT", 1_000)
    waiting: list[int] = []
    add = fanout.Fanout.add

    def count(self: fanout.Fanout, *args: Any) -> None:
        add(self, *args)
        waiting.append(len(self.frames))

    monkeypatch.setattr(fanout.Fanout, "add", count)
    server = make(**UNBOUNDED)

    @server.action("say")
    async def say(body: int, room: Room, client: Client) -> None:
        await room.broadcast("said", [body, "x" * 2_000], sender=client)

    async with open_server(server) as net:
        clients = await connect_many(net, 10, room="one")
        for client in clients:
            await client.settle()
        for speaker in (clients[0], clients[1]):
            await speaker.send_bytes(b"".join(message("say", n, target=room) for n in range(400)))
        heard = [await client.settle() for client in clients]
        for messages in heard:
            said = [(each["sender"], each["message_body"][0]) for each in messages]
            for speaker in (clients[0], clients[1]):
                assert [n for sender, n in said if sender == speaker.id] == list(range(400))
        assert max(waiting) <= 3 * 64 * (2 if room == GLOBAL_ROOM else 1)  # a worker runs 64 entries at a time


async def test_in_the_global_room_nobody_waits_for_what_another_client_has_said(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE_BYTES", 100)
    monkeypatch.setattr(fanout, "_LIGHT", 10)
    server = make(**UNBOUNDED)
    handled: list[str] = []

    @server.action("say")
    async def say(room: Room) -> None:
        handled.append("say")
        await room.broadcast("said", "x" * 2_000)

    @server.action("ask")
    async def ask() -> None:
        handled.append("ask")

    async with open_server(server) as net:
        loud, *quiet = await connect_many(net, 15)
        await loud.send_bytes(message("say") * 1_000)
        for client in quiet:
            await client.send("ask")
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert handled.count("ask") == len(quiet)
        assert handled.count("say") < 1_000
        assert len([each for each in await quiet[0].settle() if each["action"] == "said"]) == 1_000
