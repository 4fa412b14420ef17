"""Turns: one handler at a time runs in a room, and what happens to those that wait."""

import contextlib
import contextvars
from typing import Any

import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Message, Room, RoomClosed, action
from simplysocket.testing import open_server

from ..harness.messages import actions_of
from ..harness.rooms import Talk
from ..harness.servers import make

SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


async def test_a_contextvar_set_in_one_handler_is_not_seen_by_the_next(autojump_clock: MockClock) -> None:
    class Setting(Room):
        @action("set")
        async def set(self) -> str:
            before = SEEN.get()
            SEEN.set("something")
            await trio.sleep(0.1)
            return f"{before}, {SEEN.get()}"

    server = make(("*", Setting))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert [await ana.request("set", target="one") for _ in range(3)] == ["nothing, something"] * 3


async def test_messages_to_one_room_are_handled_one_at_a_time_in_order(autojump_clock: MockClock) -> None:
    running: list[int] = []
    handled: list[int] = []

    class Exclusive(Room):
        @action("work")
        async def work(self, body: dict[str, int]) -> None:
            assert not running
            running.append(1)
            await trio.sleep(1)
            running.clear()
            handled.append(body["n"])

    server = make(("*", Exclusive))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        for n in range(10):
            await ana.send("work", {"n": n}, target="one")
        await trio.sleep(20)
        assert handled == list(range(10))


class Patient(Talk):
    """`ask` sends a request to its own client; `wait` sleeps; `ended` lists how they end."""

    ended: list[str]

    async def on_create(self) -> None:
        self.ended = []

    @action("wait")
    async def wait(self, body: dict[str, Any]) -> str:
        try:
            await trio.sleep(10)
        except trio.Cancelled:
            self.ended.append("cancelled")
            raise
        self.ended.append("slept")
        return "slept"

    @action("ask")
    async def ask(self, client: Client) -> None:
        try:
            await client.request("question", {}, timeout=30)
        except ActionError as exc:
            self.ended.append(exc.code)
            raise

    async def on_leave(self, client: Client, reason: str) -> None:
        self.ended.append(f"left: {reason}")


async def test_a_handler_whose_client_disconnects_runs_to_its_end_before_the_leave(autojump_clock: MockClock) -> None:
    server = make(("*", Patient))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        room = server.rooms["one"]
        await ana.send("wait", {}, target="one", id=1)
        await trio.testing.wait_all_tasks_blocked()
        await ana.stream.aclose()
        await trio.sleep(1)
        assert ana.id in room.members
        assert ana.id not in server.clients
        await trio.sleep(10)
        assert room.ended == ["slept", "left: disconnected"]  # type: ignore[attr-defined]
        assert list(room.members) == [bob.id]


async def test_a_handler_that_asks_its_own_client_gets_the_answer_or_gone(autojump_clock: MockClock) -> None:
    server = make(("*", Patient))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await (await net.connect("bob")).join("one")
        room = server.rooms["one"]
        await ana.send("ask", target="one", id="a")
        question = await ana.receive()
        assert question["action"] == "question"
        await ana.send("reply", {"yes": True}, id=question["id"])
        assert (await ana.receive())["action"] == "reply"
        await ana.send("ask", target="one", id="b")
        await ana.receive()
        await ana.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert room.ended == ["gone", "left: disconnected"]  # type: ignore[attr-defined]


async def test_a_handler_that_waits_while_its_room_is_closed_is_cancelled_and_its_caller_told(
    autojump_clock: MockClock,
) -> None:
    server = make(("*", Patient))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        room = server.rooms["one"]
        await ana.send("wait", {}, target="one", id=1)
        await ana.send("say", {}, target="one", id=2)
        await trio.testing.wait_all_tasks_blocked()
        await room.close("over")
        heard = await ana.settle()
        assert {(m["id"], m["message_body"]["code"]) for m in heard if m["action"] == "error"} == {
            (1, "room-closed"),
            (2, "room-closed"),
        }
        assert actions_of(heard)[-1] == "room-closed"
        assert room.ended == ["cancelled"]  # type: ignore[attr-defined]


async def test_a_handler_that_waits_while_the_server_stops_is_cancelled_and_everyone_told(
    autojump_clock: MockClock,
) -> None:
    server = make(("*", Patient))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        room = server.rooms["one"]
        await ana.send("wait", {}, target="one", id=1)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 5)
            ended = await ana.wait_ended()
            messages = await ana.settle()
        assert actions_of(messages) == ["error", "room-closed"]
        assert ended.code == 3001
        assert room.ended == ["cancelled"]  # type: ignore[attr-defined]


async def test_requests_may_be_cancelled_or_run_out_of_time_while_they_wait(autojump_clock: MockClock) -> None:
    handled: list[str] = []

    class Slow(Room):
        @action("work")
        async def work(self, message: Message) -> str:
            handled.append(str(message.id))
            await trio.sleep(10)
            return "done"

    server = make(("*", Slow))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("work", target="one", id="first")
        await ana.send("work", target="one", id="second")
        await ana.send("work", target="one", id="third", timeout=5)
        await ana.send("cancel", id="second")
        await ana.send("cancel", id="first")  # it has begun: it runs to its end
        answers = {}
        for _ in range(3):
            answer = await ana.receive()
            answers[answer["id"]] = answer["message_body"]
        assert answers["first"] == "done"
        assert answers["second"]["code"] == "cancelled"
        assert answers["third"]["code"] == "timeout"
        assert handled == ["first"]


async def test_a_task_started_by_a_handler_does_not_share_its_turn(autojump_clock: MockClock) -> None:
    class Starting(Talk):
        async def on_create(self) -> None:
            self.seen: list[str] = []

        @action("start")
        async def start(self, client: Client) -> None:
            self.start_soon(self.kicker, client)
            await trio.sleep(5)
            self.seen.append("handler done")

        async def kicker(self, client: Client) -> None:
            with contextlib.suppress(RoomClosed):
                await self.kick(client)
            self.seen.append("kicked")

    server = make(("*", Starting))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        room = server.rooms["one"]
        await ana.send("start", target="one")
        await trio.sleep(10)
        assert room.seen == ["handler done", "kicked"]  # type: ignore[attr-defined]


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

    server = make(("*", Busy))
    async with trio.open_nursery() as outside, open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        room: Any = server.rooms["one"]
        await ana.request("leave-behind", target="one")
        await bob.request("busy", target="one")
        await trio.sleep(5)
        assert room.log == ["begins", "ends", "left"]
