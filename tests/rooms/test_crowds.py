"""Crowds and busy rooms: who asks in the same moment as many others is served, and waits for each of them once."""

from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room, Server, action
from simplysocket._pass_budget import SECONDS
from simplysocket.testing import open_server

from ..harness.servers import make
from ..harness.socketless import Socketless, enter_many


class Quiz(Room):
    """A room that notes all `note` and its timer; `wait` holds the turn; `ask` asks its own client."""

    async def on_create(self) -> None:
        self.noted: list[Any] = []

    @action("note")
    async def note(self, client: Client, body: Any) -> None:
        self.noted.append((client.name, body))

    @action("wait")
    async def wait(self, body: float) -> None:
        await trio.sleep(body)

    @action("ask")
    async def ask(self, client: Client) -> Any:
        return await client.request("question", timeout=3)

    async def beat(self) -> None:
        self.noted.append("tick")


def join_all(server: Server, count: int) -> list[Socketless]:
    """Let many clients enter, and join one room in the same moment."""
    clients = enter_many(server, count)
    for client in clients:
        client.send("join-room", {"roomname": "one"}, id=1)
    return clients


async def in_room(server: Server, count: int) -> tuple[Any, list[Socketless]]:
    clients = join_all(server, count)
    await trio.testing.wait_all_tasks_blocked()
    for client in clients:
        client.answers()
    return server.rooms["one"], clients


@pytest.mark.parametrize("count", [2_000, 5_000])
async def test_thousands_of_clients_join_one_room_in_the_same_moment(autojump_clock: MockClock, count: int) -> None:
    server = Server("test")
    server.room("one")(Quiz)
    async with open_server(server):
        clients = join_all(server, count)
        await trio.testing.wait_all_tasks_blocked()
        assert len(server.rooms["one"].members) == count
        assert all(client.answers()[0][0] == 1 for client in clients)
        assert server.statistics()["messages_refused"] == {}


async def test_five_hundred_members_answer_at_once(autojump_clock: MockClock) -> None:
    server = Server("test")
    server.room("one")(Quiz)
    async with open_server(server):
        room, clients = await in_room(server, 500)
        for client in clients:
            client.send("note", "42", target="one", id=2)
        await trio.testing.wait_all_tasks_blocked()
        assert room.noted == [(f"c{number}", "42") for number in range(500)]
        assert all(client.answers() == [(2, None)] for client in clients)


async def test_a_handler_gets_the_answer_of_its_client_though_hundreds_of_its_messages_wait(
    autojump_clock: MockClock,
) -> None:
    server = make(("one", Quiz))
    async with open_server(server):
        _, (ana,) = await in_room(server, 1)
        ana.send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        ana.send("ask", target="one", id=2)
        for number in range(400):
            ana.send("note", number, target="one", id=3 + number)
        assert ana.is_paused
        await trio.sleep(1.1)
        assert not ana.is_paused  # since the server waits for its answer
        ana.send("note", "too much", target="one", id=999)
        ana.send("reply", "yes", id=1)
        await trio.testing.wait_all_tasks_blocked()
        answers = dict(ana.answers())
        assert answers[2] == "yes"
        assert answers[999] == "busy"
        assert len(answers) == 402


async def test_a_timer_waits_behind_at_most_one_message_of_each_client(autojump_clock: MockClock) -> None:
    server = make(("one", Quiz))
    async with open_server(server):
        room, (ana, bob) = await in_room(server, 2)
        ana.send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(10):
            ana.send("note", number, target="one")
        bob.send("note", 0, target="one")
        room.after(0.2, room.beat)
        await trio.sleep(2)
        assert room.noted.index("tick") == 1
        assert len(room.noted) == 12


async def test_a_job_waits_for_nothing_that_came_after_it(autojump_clock: MockClock) -> None:
    server = make(("one", Quiz))
    async with open_server(server):
        room, (ana, bob) = await in_room(server, 2)
        ana.send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        ana.send("note", "before", target="one")
        room.after(0.1, room.beat)
        await trio.sleep(0.2)
        bob.send("note", "after", target="one")
        await trio.sleep(2)
        assert room.noted == [("c0", "before"), "tick", ("c1", "after")]


async def test_the_messages_of_a_client_can_be_made_to_wait_and_let_in(autojump_clock: MockClock) -> None:
    server = make(("one", Quiz))
    async with open_server(server):
        room, (ana, bob) = await in_room(server, 2)
        turns = server._assembly.hub.runtimes["one"].turns

        async def first(*_: object) -> None:
            room.noted.append("first")

        envelope: Any = trio.testing.Sequencer()
        envelope.id = None
        turns.hold(first, ana.session, envelope, 0)
        for number in range(3):
            ana.send("note", number, target="one")
            bob.send("note", number, target="one")
        await trio.sleep(60)  # its time does not run
        assert room.noted == [("c1", 0), ("c1", 1), ("c1", 2)]
        turns.let_in(ana.session)
        await trio.testing.wait_all_tasks_blocked()
        assert room.noted[3:] == ["first", ("c0", 0), ("c0", 1), ("c0", 2)]
        turns.hold(first, ana.session, envelope, 0)
        ana.send("note", 3, target="one")
        turns.drop_held(ana.session, envelope)
        await trio.testing.wait_all_tasks_blocked()
        assert room.noted[7:] == [("c0", 3)]
        assert turns._inbox.held is None


@pytest.mark.parametrize("rooms", [1, 20])
async def test_rooms_share_the_budget_of_a_pass(mock_clock: MockClock, rooms: int) -> None:
    ran: list[int] = []
    passes: list[int] = []

    class Slow(Room):
        @action("work")
        async def work(self) -> None:
            ran.append(1)
            mock_clock.jump(SECONDS * 0.4)

    async def count() -> None:
        while True:
            before = len(ran)
            await trio.lowlevel.checkpoint()
            passes.append(len(ran) - before)

    server = make(("*", Slow))
    async with open_server(server), trio.open_nursery() as nursery:
        clients = enter_many(server, rooms)
        for number, client in enumerate(clients):
            client.send("join-room", {"roomname": str(number)})
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(count)
        for number, client in enumerate(clients):
            for _ in range(10):
                client.send("work", target=str(number))
        while len(ran) < 10 * rooms:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    # Seen in two passes, since the counter runs anywhere in one. Without a budget it would be 10 of each room.
    assert max(passes) <= max(6, rooms)


async def test_a_room_lets_the_others_run_after_64_messages_however_little_they_take(autojump_clock: MockClock) -> None:
    server = make(("one", Quiz), inbox_messages=None, inbox_per_client=None)
    noted: list[int] = []
    async with open_server(server), trio.open_nursery() as nursery:
        room, (ana,) = await in_room(server, 1)

        async def count() -> None:
            while len(room.noted) < 300:
                await trio.lowlevel.checkpoint()
                noted.append(len(room.noted))

        for number in range(300):
            ana.send("note", number, target="one")
        nursery.start_soon(count)
    assert max(after - before for before, after in pairwise([0, *noted])) <= 2 * 64
