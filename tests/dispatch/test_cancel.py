"""Cancelling: which requests end when their caller cancels, times out or disconnects."""

import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room, action
from simplysocket.testing import open_server

from ..harness.messages import answers_of, bodies_of, send_together
from ..harness.servers import make
from ..harness.work import CANCELLABLE, IN_EACH_ROOM, is_at_rest, make_worker


@IN_EACH_ROOM
@CANCELLABLE
async def test_cancelling_an_unknown_request_or_one_of_another_client_does_nothing(
    autojump_clock: MockClock, room: str, options: dict[str, bool]
) -> None:
    server = make_worker(**options)
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await ana.join("one")
        await bob.join("one")
        await ana.send("work", "wait", target=room, id=7)
        await trio.testing.wait_all_tasks_blocked()
        await bob.send("cancel", id=7)
        await ana.send("cancel", id="7")
        await ana.send("cancel", id=8)
        await ana.send("cancel")
        await trio.sleep(50)
        assert answers_of(await ana.settle(), 7) == []
        assert answers_of(await bob.settle(), 7) == []
        await trio.sleep(100)
        assert answers_of(await ana.settle(), 7) == ["done"]
        await ana.send("cancel", id=7)  # too late
        assert await ana.request("hello", target=room) == "hello"
        assert answers_of(await ana.settle(), 7) == []


async def test_a_handler_in_the_turn_runs_to_its_end_whatever_its_caller_does(autojump_clock: MockClock) -> None:
    ended: list[int] = []

    class Steady(Room):
        @action("work")
        async def work(self, body: int) -> str:
            await trio.sleep(10)
            ended.append(body)
            return "done"

    server = make(("one", Steady))
    async with open_server(server) as net:
        ana, bob, eve = [await net.connect() for _ in range(3)]
        for client in (ana, bob, eve):
            await client.join("one")
        await ana.send("work", 1, target="one", id=7, timeout=1)
        await trio.testing.wait_all_tasks_blocked()
        await ana.send("cancel", id=7)
        await trio.sleep(5)
        await bob.send("work", 2, target="one", id=7)
        await trio.sleep(10)
        assert answers_of(await ana.settle(), 7) == ["done"]
        await bob.stream.aclose()
        await trio.sleep(30)
        assert ended == [1, 2]
        await eve.send("work", 3, target="one", id=1)
        await ana.send("work", 4, target="one", id=8)
        await trio.testing.wait_all_tasks_blocked()
        await ana.send("cancel", id=8)  # while it waits for the turn
        assert answers_of(await ana.settle(), 8) == ["cancelled"]
        await trio.sleep(50)
        assert ended == [1, 2, 3]


async def test_a_request_that_is_cancelled_while_it_waits_is_never_handled(autojump_clock: MockClock) -> None:
    server = make_worker(turn=False)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await send_together(
            ana,
            {"action": "work", "message_body": "wait", "target": "one", "id": 7},
            {"action": "cancel", "id": 7},
        )
        heard = await ana.settle()
        assert answers_of(heard, 7) == ["cancelled"]
        assert bodies_of(heard, "begun") == []


async def test_a_cancel_works_however_soon_it_comes(autojump_clock: MockClock) -> None:
    server = make_worker(turn=False)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        for id in range(200):
            await ana.send("work", "wait", target="one", id=id)
            for _ in range(id % 8):
                await trio.lowlevel.checkpoint()
            await ana.send("cancel", id=id)
            assert answers_of(await ana.settle(), id) == ["cancelled"]


async def test_a_handler_outside_the_turn_that_waits_for_the_turn_can_be_cancelled(autojump_clock: MockClock) -> None:
    class Held(Room):
        @action("hold")
        async def hold(self) -> None:
            await trio.sleep(50)

        @action("kick", turn=False)
        async def out(self, client: Client) -> bool:
            return await self.kick(client)

    server = make(("one", Held))
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await ana.join("one")
        await bob.join("one")
        await bob.send("hold", target="one", id=1)
        await ana.send("kick", target="one", id=2)
        await trio.sleep(1)
        await ana.send("cancel", id=2)
        assert answers_of(await ana.settle(), 2) == ["cancelled"]
        assert is_at_rest(server)
        await trio.sleep(100)
        assert set(server.rooms["one"].members) == {ana.id, bob.id}


async def test_a_cancellable_handler_does_not_start_after_its_client_has_disconnected(
    autojump_clock: MockClock,
) -> None:
    begun: list[str] = []
    server = make()

    @server.action("hold")
    async def hold() -> None:
        await trio.sleep(10)

    @server.action("steady")
    async def steady() -> None:
        begun.append("steady")

    @server.action("outside", turn=False)
    async def outside() -> None:
        begun.append("outside")

    @server.action("ends", cancel=True)
    async def ends() -> None:
        begun.append("ends")

    async with open_server(server) as net:
        for room in ("one", "mesh-global"):
            ana = await net.connect()
            await ana.join("one")
            for name in ("hold", "outside", "ends", "steady"):
                await ana.send(name, target=room)
            await ana.settle()
            await ana.stream.aclose()
            await trio.sleep(30)
        assert begun == ["steady", "steady"]
        assert server.statistics()["handlers_failed"] == 0


async def test_a_timeout_counts_without_an_id_and_from_the_arrival_of_the_message(autojump_clock: MockClock) -> None:
    seen: list[str] = []
    server = make()

    @server.action("work", cancel=True)
    async def work(body: str) -> None:
        seen.append(f"begun {body}")
        await trio.sleep(10)
        seen.append(f"ended {body}")

    async with open_server(server) as net:
        ana = await net.connect()
        for body, seconds in (("a", 5), ("b", 1), ("c", 9), ("d", 40)):
            await ana.send("work", body, timeout=seconds)
        await trio.sleep(50)
        assert seen == ["begun a", "begun c", "begun d", "ended d"]
        assert [each["code"] for each in bodies_of(await ana.settle(), "error")] == ["timeout"] * 3


async def test_a_timeout_of_zero_or_of_ages_is_answered_once(autojump_clock: MockClock) -> None:
    server = make_worker(turn=False)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.send("work", "wait", id=1, timeout=0)
        assert answers_of(await ana.settle(), 1) == ["timeout"]
        await ana.send("work", "wait", id=2, timeout=1e308)
        await ana.settle()
        await ana.send("cancel", id=2)
        assert answers_of(await ana.settle(), 2) == ["cancelled"]
        assert is_at_rest(server)
