"""Inboxes: what waits for the turn of a room, what is held outside, and in which order it is taken in."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Client, Room, Server, action
from simplysocket._rooms.inbox import Inbox
from simplysocket.testing import open_server

from ..harness.crowd import connect_many
from ..harness.game import make_game_server
from ..harness.servers import make
from ..harness.socketless import Socketless, enter_many


class Noting(Room):
    """A room that notes who had a turn: `note` takes a body; `wait` holds the turn."""

    noted: list[Any]

    async def on_create(self) -> None:
        self.noted = []

    @action("note")
    async def note(self, client: Client, body: Any) -> Any:
        self.noted.append((client.name, body))
        return body

    @action("wait")
    async def wait(self, body: float) -> str:
        await trio.sleep(body)
        return "waited"

    async def on_leave(self, client: Client) -> None:
        self.noted.append((client.name, "left"))


def inbox_of(server: Server, room: str) -> Inbox:
    return server._assembly.hub.runtimes[room].turns._inbox


def intakes_of(server: Server) -> list[tuple[int, int, bool]]:
    """Return (messages, bytes, whether it is paused) of what is held of each client."""
    intakes = [each.intake for each in server._assembly.hub.clients.values() if each.intake is not None]
    return [(intake.messages, intake.bytes, intake.is_paused) for intake in intakes]


def is_at_rest(server: Server) -> bool:
    """Tell whether nothing is held of any client, nor counted."""
    inboxes = [runtime.turns._inbox for runtime in server._assembly.hub.runtimes.values()]
    return (
        all(
            inbox.held is None and not (inbox.bytes or inbox.clients or inbox.entries or inbox.jobs)
            for inbox in inboxes
        )
        and all(held == (0, 0, False) for held in intakes_of(server))
        and not any(session.waiting for session in server._assembly.hub.clients.values())
        and len(server._assembly.hub.overdue) == 0
    )


async def enter_room(server: Server, count: int, room: str = "one") -> list[Socketless]:
    clients = enter_many(server, count)
    for client in clients:
        client.send("join-room", {"roomname": room}, id=-1)
        await trio.testing.wait_all_tasks_blocked()
        client.answers()
    return clients


@pytest.mark.parametrize("name", ["game", "mesh-global"])
async def test_what_is_above_the_share_of_a_client_waits_and_none_is_refused(
    autojump_clock: MockClock, name: str
) -> None:
    server = make_game_server(inbox_per_client=4)

    @server.action("wait")
    async def wait(body: float) -> float:
        await trio.sleep(body)
        return body

    async with open_server(server) as net:
        ana, bob = await connect_many(net, 2, room="game")
        await ana.send("wait", 4, target=name, id=0)
        await ana.settle()
        for number in range(1, 31):
            await ana.send("wait", 0, target=name, id=number)
        assert await bob.request("wait", 0, target=name) == 0
        assert [(await ana.receive())["id"] for _ in range(31)] == list(range(31))
        assert is_at_rest(server)


async def test_a_room_that_is_behind_takes_in_one_message_of_each_client_in_turn(autojump_clock: MockClock) -> None:
    server = make(("one", Noting), inbox_messages=8, inbox_per_client=4)
    async with open_server(server):
        clients = await enter_room(server, 4)
        clients[0].send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        for client in clients[:3]:
            for number in range(6):
                client.send("note", number, target="one")
        clients[3].send("note", 0, target="one")
        assert len(inbox_of(server, "one")) == 19
        await trio.sleep(2)
        noted = server.rooms["one"].noted  # type: ignore[attr-defined]
        assert len(noted) == 19
        for name in ("c0", "c1", "c2"):
            assert [body for who, body in noted if who == name] == list(range(6))
        # It came last, and waits for what was in the inbox and one more of each.
        assert noted.index(("c3", 0)) <= 2 + 4
        assert is_at_rest(server)


async def test_later_messages_of_a_client_wait_behind_those_that_are_held(autojump_clock: MockClock) -> None:
    server = make(("one", Noting), inbox_messages=2, inbox_per_client=1)
    async with open_server(server):
        ana, bob = await enter_room(server, 2)
        ana.send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(3):
            ana.send("note", number, target="one", id=number)
        await trio.sleep(1)
        for number in range(3, 9):
            ana.send("note", number, target="one", id=number)
            bob.send("note", number, target="one", id=number)
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert ana.answers() == [(number, number) for number in range(9)]
        assert bob.answers() == [(number, number) for number in range(3, 9)]


async def test_a_message_is_refused_when_the_oldest_in_the_inbox_has_waited_too_long(
    autojump_clock: MockClock,
) -> None:
    server = make(("one", Noting), inbox_seconds=5)
    async with open_server(server):
        ana, bob = await enter_room(server, 2)
        ana.send("wait", 60, target="one")
        await trio.testing.wait_all_tasks_blocked()
        ana.send("note", 1, target="one", id=1)
        await trio.sleep(4.9)
        bob.send("note", 2, target="one", id=2)
        await trio.sleep(0.2)
        bob.send("note", 3, target="one", id=3)
        bob.send("who", {"roomname": "one"}, id=4)
        bob.send("join-room", {"roomname": "one"}, id=5)
        bob.send("note", 6, target="mesh-global", id=6)  # other rooms are not behind
        assert bob.answers()[:3] == [(3, "busy"), (4, "busy"), (5, "busy")]
        await trio.sleep(60)
        assert (ana.answers(), bob.answers()) == ([(1, 1)], [(6, "unknown-action"), (2, 2)])


async def test_what_is_held_for_too_long_is_refused_in_the_order_of_arrival(autojump_clock: MockClock) -> None:
    server = make(("one", Noting), inbox_seconds=5, inbox_messages=1)
    async with open_server(server):
        ana, bob = await enter_room(server, 2)
        ana.send("wait", 20, target="one")
        await trio.testing.wait_all_tasks_blocked()
        ana.send("note", 0, target="one", id=0)
        await trio.sleep(1)
        bob.send("note", 1, target="one", id=1)
        await trio.sleep(1)
        ana.send("note", 2, target="one", id=2)
        await trio.sleep(3.9)
        assert bob.answers() == []
        await trio.sleep(0.2)
        assert (ana.answers(), bob.answers()) == ([], [(1, "busy")])
        await trio.sleep(1)
        assert ana.answers() == [(2, "busy")]
        assert intakes_of(server) == [(0, 0, False)] * 2
        await trio.sleep(20)
        assert ana.answers() == [(0, 0)]
        assert server.statistics()["messages_refused"]["busy"] == 2


async def test_a_flood_of_one_client_makes_the_room_busy_for_no_other(autojump_clock: MockClock) -> None:
    """The time of what is held is not the time of the inbox: a client that asks little is served."""
    server = make(("one", Noting), inbox_seconds=5)
    async with open_server(server):
        loud, quiet = await enter_room(server, 2)
        for second in range(20):
            for _ in range(10):
                loud.send("wait", 0.5, target="one", id=second)
            quiet.send("note", second, target="one", id=second)
            await trio.sleep(2)
        await trio.sleep(20)
        assert quiet.answers() == [(second, second) for second in range(20)]
        codes = [code for _, code in loud.answers()]
        assert len(codes) == 200
        assert set(codes) == {"waited", "busy"}


async def test_large_messages_are_bounded_in_bytes_and_any_fits_into_an_empty_inbox(autojump_clock: MockClock) -> None:
    server = make(("one", Noting), inbox_bytes=100_000)
    async with open_server(server):
        clients = await enter_room(server, 4)
        text = "x" * 40_000
        clients[0].send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        for client in clients:
            client.send("note", text, target="one", id=1)
            client.send("note", "small", target="one", id=2)
        inbox = inbox_of(server, "one")
        assert 80_000 < inbox.bytes < 100_000
        assert sum(held for held, _, _ in intakes_of(server)) == len(clients) * 2 - len(inbox.entries)
        await trio.sleep(2)
        assert [client.answers() for client in clients] == [[(1, text), (2, "small")]] * 4
        clients[0].send("wait", 1, target="one", id=3)
        await trio.testing.wait_all_tasks_blocked()
        clients[0].send("note", "x" * 60_000 * 2, target="one", id=4)
        assert inbox.bytes > 120_000
        await trio.sleep(2)
        assert [id for id, _ in clients[0].answers()] == [3, 4]
        assert is_at_rest(server)


async def test_what_is_held_is_cancelled_like_what_waits_in_the_inbox(autojump_clock: MockClock) -> None:
    server = make(("one", Noting), inbox_messages=1)
    async with open_server(server):
        ana, bob = await enter_room(server, 2)
        ana.send("wait", 1, target="one", id=1)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(2, 7):
            ana.send("note", number, target="one", id=number)
        bob.send("note", 2, target="one", id=2)
        for number in (2, 4, 6, 99):
            ana.send("cancel", id=number)
        assert ana.answers() == [(2, "cancelled"), (4, "cancelled"), (6, "cancelled")]
        await trio.sleep(2)
        assert (ana.answers(), bob.answers()) == ([(1, "waited"), (3, 3), (5, 5)], [(2, 2)])
        assert is_at_rest(server)


async def test_a_cancel_looks_only_where_its_own_client_has_a_request_of_this_id(autojump_clock: MockClock) -> None:
    server = make(("one", Noting))
    async with open_server(server):
        ana, *crowd = await enter_room(server, 101)
        ana.send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        for client in crowd:
            client.send("note", 1, target="one", id=1)
        inbox = inbox_of(server, "one")
        entries, inbox.entries = inbox.entries, None  # type: ignore[assignment]  # who walks through it fails
        ana.send("cancel", id=1)
        crowd[0].send("cancel", id=2)
        assert (ana.answers(), crowd[0].answers()) == ([], [])
        inbox.entries = entries


async def test_a_client_that_disconnects_leaves_after_what_is_held_of_it(autojump_clock: MockClock) -> None:
    server = make(("one", Noting), inbox_messages=1)
    async with open_server(server):
        ana, bob = await enter_room(server, 2)
        room: Any = server.rooms["one"]
        bob.send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(5):
            ana.send("note", number, target="one")
            bob.send("note", number, target="one")
        ana.disconnect()
        await trio.sleep(2)
        assert [body for name, body in room.noted if name == "c0"] == [0, 1, 2, 3, 4, "left"]
        assert ana.session.intake is not None
        assert (ana.session.intake.messages, ana.session.intake.bytes) == (0, 0)
        assert is_at_rest(server)


async def test_the_leave_of_a_client_is_never_refused_though_its_messages_are(autojump_clock: MockClock) -> None:
    server = make(("one", Noting), inbox_messages=1, inbox_seconds=5)
    async with open_server(server):
        ana, bob = await enter_room(server, 2)
        room: Any = server.rooms["one"]
        bob.send("wait", 20, target="one")
        await trio.testing.wait_all_tasks_blocked()
        bob.send("note", "b", target="one")
        ana.send("note", "a", target="one")
        ana.disconnect()
        await trio.sleep(30)
        assert room.noted == [("c1", "b"), ("c0", "left")]
        assert list(room.members) == [bob.id]
        assert is_at_rest(server)


async def test_what_is_held_of_a_room_that_closes_is_refused_or_goes_on_like_the_rest(
    autojump_clock: MockClock,
) -> None:
    server = make(("one", Noting), inbox_messages=1)
    async with open_server(server):
        ana, _ = await enter_room(server, 2)
        (eve,) = enter_many(server, 1)
        room = server.rooms["one"]
        ana.send("wait", 1, target="one")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(3):
            ana.send("note", number, target="one", id=number)
        eve.send("note", "before", target="one", id=1)
        eve.send("join-room", {"roomname": "one"}, id=2)
        eve.send("note", "after", target="one", id=3)
        await room.close("over")
        await trio.testing.wait_all_tasks_blocked()
        assert ana.answers() == [(0, "room-closed"), (1, "room-closed"), (2, "room-closed")]
        first, joined, after = eve.answers()
        assert first == (1, "room-closed")
        assert joined[1]["total"] == 1
        assert after == (3, "after")
        assert server.rooms["one"] is not room
        assert is_at_rest(server)


async def test_a_client_with_too_much_held_is_not_read_and_is_read_again_later(autojump_clock: MockClock) -> None:
    server = make(("one", Noting), ("two", Noting), inbox_messages=1, intake_messages=10)
    async with open_server(server):
        (ana,) = await enter_room(server, 1)
        ana.send("join-room", {"roomname": "two"})
        await trio.testing.wait_all_tasks_blocked()
        for room in ("one", "two"):
            ana.send("wait", 1, target=room)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(6):
            assert ana.is_paused == (number > 5)
            for room in ("one", "two"):
                ana.send("note", number, target=room, id=number)
        assert ana.is_paused
        await trio.sleep(2)
        assert not ana.is_paused
        assert len(ana.answers()) == 12
        assert is_at_rest(server)
