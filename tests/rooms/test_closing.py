"""Ends and odd moments of rooms: each of these once ended, hung or leaked something."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Limits, Room, RoomClosed, Server, action
from simplysocket.testing import open_server


def make(room_class: type[Room], pattern: str = "*", **limits: Any) -> Server:
    server = Server("test", limits=Limits(joins_per_second=None, messages_per_second=None, **limits))
    server.room(pattern)(room_class)
    return server


async def left_open(kept: list[Any], seconds: float = 1) -> None:
    """Leave a cancel scope open in the task that calls this."""

    async def generate() -> AsyncIterator[int]:
        with trio.move_on_after(seconds):
            yield 1
            yield 2

    generator = generate()
    kept.append(generator)
    async for _ in generator:
        break


IGNORE_LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


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

    server = make(Closing)
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


@IGNORE_LEFT_OPEN
async def test_an_on_close_that_leaves_a_scope_open_or_never_returns_ends_only_itself(
    autojump_clock: MockClock,
) -> None:
    kept: list[Any] = []

    class Closing(Room):
        async def on_close(self) -> None:
            await left_open(kept)
            await trio.sleep_forever()

    server = make(Closing)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await server.rooms["one"].close()
        assert [message["action"] for message in await ana.settle()] == ["room-closed"]
        assert (await ana.join("one"))["created"] is True


async def test_a_room_that_closes_before_it_is_set_up_refuses_its_joins(autojump_clock: MockClock) -> None:
    class Never(Room):
        async def on_create(self) -> None:
            if self.name == "closes":
                await self.close()
            self.start_soon(self.crash)
            await trio.sleep(1)

        async def crash(self) -> None:
            raise RuntimeError("a crash")

    server = make(Never)
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


async def test_a_join_by_code_is_not_tried_for_ever(autojump_clock: MockClock) -> None:
    class Refusing(Room):
        async def on_auth(self, client: Client) -> None:
            await self.close()
            raise RoomClosed("finished")

    server = make(Refusing)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        with pytest.raises(RoomClosed, match="finished"):
            await server.clients[ana.id].join("one")


async def test_the_global_rooms_tasks_start_again_with_growing_pauses(autojump_clock: MockClock) -> None:
    starts: list[float] = []

    class Global(Room):
        async def on_create(self) -> None:
            starts.append(trio.current_time())
            self.start_soon(self.crash)

        async def crash(self) -> None:
            raise RuntimeError("a crash")

    async with open_server(make(Global, "mesh-global")):
        await trio.sleep(100)
        pauses = [later - sooner for sooner, later in itertools.pairwise(starts)]
        assert pauses[:6] == pytest.approx([1, 2, 4, 8, 16, 30])


async def test_a_timer_cancelled_while_its_call_waits_for_the_turn_does_not_run(autojump_clock: MockClock) -> None:
    class Timed(Room):
        async def on_create(self) -> None:
            self.ran = 0
            self.timers = [self.after(1, self.run), self.every(2, self.run)]

        async def run(self) -> None:
            self.ran += 1

        @action("hold")
        async def hold(self) -> None:
            await trio.sleep(10)
            for timer in self.timers:
                timer.cancel()

    server = make(Timed)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("hold", target="one")
        await trio.sleep(10)
        assert server.rooms["one"].ran == 0  # type: ignore[attr-defined]


async def test_a_task_that_a_handler_left_behind_does_not_hold_its_turn(autojump_clock: MockClock) -> None:
    class Busy(Room):
        async def on_create(self) -> None:
            self.log: list[str] = []

        @action("leave-behind")
        async def leave_behind(self, client: Client) -> None:
            outside.start_soon(self.later, client)

        async def later(self, client: Client) -> None:
            await trio.sleep(2)
            await self.kick(client)

        @action("busy")
        async def busy(self) -> None:
            self.log.append("begins")
            await trio.sleep(5)
            self.log.append("ends")

        async def on_leave(self) -> None:
            self.log.append("left")

    server = make(Busy)
    async with trio.open_nursery() as outside, open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        room: Any = server.rooms["one"]
        await ana.request("leave-behind", target="one")
        await bob.request("busy", target="one")
        await trio.sleep(5)
        assert room.log == ["begins", "ends", "left"]


@IGNORE_LEFT_OPEN
async def test_a_room_closes_though_the_handler_that_closed_it_was_cancelled(autojump_clock: MockClock) -> None:
    kept: list[Any] = []

    class Closing(Room):
        @action("end")
        async def end(self) -> None:
            await self.close()
            await left_open(kept)
            await trio.sleep(10)

    server = make(Closing)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError):
            await ana.request("end", target="one")
        await trio.sleep(3)
        assert (await ana.join("one"))["created"] is True


@IGNORE_LEFT_OPEN
async def test_a_task_that_is_cancelled_by_a_scope_it_left_open_closes_its_room(autojump_clock: MockClock) -> None:
    kept: list[Any] = []

    class Leaking(Room):
        async def on_create(self) -> None:
            self.start_soon(self.leak)

        async def leak(self) -> None:
            await left_open(kept)
            await trio.sleep(10)

    server = make(Leaking)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await trio.sleep(5)
        assert (await ana.settle())[-1]["message_body"] == {"roomname": "one", "reason": "crashed"}


async def test_a_join_that_gave_up_leaves_no_room_behind(autojump_clock: MockClock) -> None:
    class Slow(Room):
        async def on_create(self) -> None:
            await trio.sleep(20)

    server = make(Slow)

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


async def test_the_smallest_inbox_lets_a_room_be_made(autojump_clock: MockClock) -> None:
    server = make(Room, inbox_messages=1)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert (await ana.join("one"))["created"] is True


async def test_a_client_in_the_handshake_does_not_hold_up_a_stop(autojump_clock: MockClock) -> None:
    for steps in range(12):
        server = make(Room)
        async with open_server(server) as net, trio.open_nursery() as nursery:

            async def connect() -> None:
                with contextlib.suppress(Exception):
                    await net.connect("late")

            nursery.start_soon(connect)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            started = trio.current_time()
            await server.stop(100)
            assert trio.current_time() - started < 10
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("target", ["one", "mesh-global"])
async def test_a_handler_that_stops_the_server_runs_to_its_end_and_replies(
    autojump_clock: MockClock, target: str
) -> None:
    server = make(Room)

    @server.action("stop")
    async def stop(client: Client) -> str:
        await server.stop(20)
        await trio.sleep(1)
        return "stopping"

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("stop", target=target) == "stopping"
        assert (await ana.wait_ended()).code == 3001


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

    server = make(Closing)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("work", target="one") == "done"
        assert (await ana.receive())["action"] == "room-closed"


async def test_what_a_client_sent_to_the_global_room_before_it_went_is_handled(autojump_clock: MockClock) -> None:
    handled: list[int] = []
    server = make(Room)

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


async def test_a_ping_that_found_output_waiting_is_sent_later(autojump_clock: MockClock) -> None:
    server = make(Room)
    async with open_server(server) as net:
        ana = await net.connect("ana", reads=False, pipe_bytes=50)
        await server.clients[ana.id].send("long", {"x": "x" * 300})
        await trio.sleep(9)
        ana.start_reading(net.nursery)
        for _ in range(5):
            await trio.sleep(100)
        assert ana.pings > 5
        assert ana.id in server.clients


async def test_an_end_without_a_close_is_counted_as_1006(autojump_clock: MockClock) -> None:
    server = make(Room)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics()["connections_closed"] == {1006: 1}
