"""Handlers outside the turn (`turn=False`): how they start, and what they may do while their room goes on."""

import contextvars

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room, action
from simplysocket.testing import open_server

from ..harness.messages import answers_of, send_together
from ..harness.servers import make
from ..harness.work import make_worker


@pytest.mark.parametrize("room", ["one", "mesh-global"])
async def test_a_room_goes_on_while_a_handler_runs_outside_the_turn(autojump_clock: MockClock, room: str) -> None:
    server = make_worker(turn=False)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.send("work", "wait", target=room, id="w")
        started = trio.current_time()
        assert await ana.request("hello", target=room) == "hello"
        assert trio.current_time() - started < 10
        await trio.sleep(200)
        heard = await ana.settle()
        assert [each["action"] for each in heard if each.get("id") != "x"][-1] == "reply"
        assert answers_of(heard, "w") == ["done"]


async def test_handlers_outside_the_turn_start_in_the_order_of_their_messages(autojump_clock: MockClock) -> None:
    order: list[int] = []

    class Orderly(Room):
        @action("outside", turn=False)
        async def outside(self, body: int) -> None:
            order.append(body)
            await trio.sleep(1)

        @action("within")
        async def within(self, body: int) -> None:
            order.append(body)

    server = make(("one", Orderly))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await send_together(
            ana,
            *({"action": "outside", "target": "one", "message_body": each} for each in range(14)),
            {"action": "within", "target": "one", "message_body": 14},
        )
        await trio.testing.wait_all_tasks_blocked()
        assert order == list(range(15))


SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


async def test_a_contextvar_set_outside_the_turn_is_seen_by_no_other_handler(autojump_clock: MockClock) -> None:
    class Setting(Room):
        @action("set", turn=False)
        async def set(self, body: str) -> str:
            before = SEEN.get()
            SEEN.set(body)
            await trio.sleep(1)
            return f"{before}, {SEEN.get()}"

        @action("get", cancel=True)
        async def get(self) -> str:
            before = SEEN.get()
            SEEN.set("leaked")
            return before

    server = make(("one", Setting))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.send("set", "a", target="one", id="a")
        await ana.send("set", "b", target="one", id="b")
        assert await ana.request("get", target="one") == "nothing"
        assert await ana.request("get", target="one") == "nothing"
        await trio.sleep(2)
        heard = await ana.settle()
        assert answers_of(heard, "a") == ["nothing, a"]
        assert answers_of(heard, "b") == ["nothing, b"]


async def test_a_handler_outside_the_turn_may_send_take_the_turn_and_close_the_room(autojump_clock: MockClock) -> None:
    class Busy(Room):
        @action("work", turn=False)
        async def work(self, client: Client) -> str:
            await self.broadcast("one")
            await trio.sleep(1)
            await self.send(client, "two")
            await client.join("two")
            await self.kick(client)
            await client.join("one")
            await self.close("enough")
            return "closed"

    server = make(("*", Busy))
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await bob.join("one")
        await ana.join("one")
        assert await ana.request("work", target="one") == "closed"
        heard = await ana.settle()
        assert [each["action"] for each in heard] == ["one", "two", "client-left-room", "room-closed"]
        assert [each["action"] for each in await bob.settle()] == ["one", "room-closed"]
