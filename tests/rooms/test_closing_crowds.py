"""A room that closes while much waits in it, or with many members: bounded work a pass, and all are answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room, Server, action
from simplysocket.testing import open_server

from ..harness.crowd import connect_many
from ..harness.messages import actions_of
from ..harness.servers import make
from ..harness.socketless import enter_many

CLIENTS, EACH = 20, 100


class Holding(Room):
    """A room in which a handler holds the turn."""

    @action("wait")
    async def wait(self, body: float) -> None:
        await trio.sleep(body)

    @action("note")
    async def note(self, client: Client, body: int) -> list[Any]:
        return [client.name, body]


class Guarded(Holding):
    """The same, where each join is asked about."""

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(options.get("seconds", 0))


class Passes(trio.abc.Instrument):
    """Notes the most that `count` has grown in one pass."""

    def __init__(self, count: Any) -> None:
        self._count = count
        self._before = count()
        self.most = 0

    def after_io_wait(self, timeout: float) -> None:
        now = self._count()
        self.most = max(self.most, now - self._before)
        self._before = now


@contextmanager
def counted(count: Any) -> Iterator[Passes]:
    passes = Passes(count)
    trio.lowlevel.add_instrument(passes)
    try:
        yield passes
    finally:
        trio.lowlevel.remove_instrument(passes)


def refused(server: Server) -> int:
    return server.metrics.messages_refused.total()


async def test_what_waits_in_a_room_that_closes_is_refused_some_a_pass(autojump_clock: MockClock) -> None:
    server = make(("*", Holding))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("wait", 1, target="one")
        crowd = enter_many(server, CLIENTS)
        for client in crowd:
            for number in range(EACH):
                client.send("note", number, target="one", id=number)
        with counted(lambda: refused(server)) as passes:
            await server.rooms["one"].close()
            await trio.testing.wait_all_tasks_blocked()
        assert refused(server) == CLIENTS * EACH + 1  # with the handler that had the turn
        assert passes.most <= 256  # what is taken at a time, by each of two tasks
        for client in crowd:
            assert client.answers() == [(number, "room-closed") for number in range(EACH)]
        assert "one" not in server.rooms


async def test_joins_that_wait_go_on_to_the_next_room_and_what_came_meanwhile_keeps_its_place(
    autojump_clock: MockClock,
) -> None:
    server = make(("*", Guarded))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        crowd = enter_many(server, CLIENTS)
        for client in crowd:
            client.send("join-room", {"roomname": "one", "seconds": 5}, id=-1)
            for number in range(EACH):
                client.send("note", number, target="one", id=number)
        await trio.testing.wait_all_tasks_blocked()
        await ana.request("leave-room", {"roomname": "one"})
        hub = server._assembly.hub
        hub.runtimes["one"].closing.begin("test")
        assert hub.handing_over("one") is not None
        for client in crowd:  # in the middle of it
            client.send("note", EACH, target="one", id=EACH)
        await trio.sleep(300)
        for client in crowd:
            join, *notes = client.answers()
            assert join[0] == -1
            assert notes == [(number, [client.session.client.name, number]) for number in range(EACH + 1)]


async def test_the_members_of_a_very_large_room_are_told_and_removed_some_a_pass(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("fanout", "membership"):
        monkeypatch.setattr(f"simplysocket._rooms.{module}.SLICE", 4)
    server = make(("*", Holding))
    async with open_server(server) as net:
        clients = await connect_many(net, 40, room="hall")
        for client in clients:
            await client.settle()
        sessions = list(server._assembly.hub.clients.values())

        def members() -> int:
            return -sum("hall" in session.rooms for session in sessions)

        with counted(lambda: server.metrics.deliveries) as told, counted(members) as removed:
            await server.rooms["hall"].close()
        assert 0 < told.most <= 8  # the flusher and the room each serve a slice
        assert 0 < removed.most <= 4
        for client in clients:
            assert actions_of(await client.settle()) == ["room-closed"]


async def test_nothing_is_said_in_a_room_after_its_last_words(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("fanout", "membership"):
        monkeypatch.setattr(f"simplysocket._rooms.{module}.SLICE", 2)
    server = make(("*", Holding))
    async with open_server(server) as net:
        clients = await connect_many(net, 20, room="hall")
        room = server.rooms["hall"]
        said: list[bool] = []

        async def speak() -> None:
            while True:
                await trio.lowlevel.checkpoint()
                try:
                    await room.broadcast("late", None)
                    said.append(True)
                except Exception:
                    said.append(False)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak)
            await room.close()
            nursery.cancel_scope.cancel()
        assert said[-1] is False
        for client in clients:
            actions = actions_of(await client.settle())
            assert actions.count("room-closed") == 1
            assert actions[-1] == "room-closed"
