"""Looking inside a server that runs: who blocks the loop, why a room is alive, and calls from other threads."""

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Client, Limits, Room, Server, action, from_thread, middleware
from simplysocket.middleware import Next
from simplysocket.testing import open_server

from .harness.servers import make


class FakeCounter:
    """A clock for how long a step takes: it stands still but where a handler turns it on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> FakeCounter:
    fake = FakeCounter()
    monkeypatch.setattr("simplysocket.turns.perf_counter", fake)
    return fake


# --- who blocks the loop


async def test_a_handler_that_blocks_the_loop_is_named(
    autojump_clock: MockClock, counter: FakeCounter, caplog: pytest.LogCaptureFixture
) -> None:
    class Hall(Room):
        @action("count")
        async def count(self, body: float) -> None:
            counter.now += body

        @action("apart", turn=False)
        async def apart(self, body: float) -> None:
            counter.now += body
            await trio.sleep(5)
            counter.now += body

        @action("late")
        async def late(self, body: float) -> None:
            await trio.sleep(5)  # waiting is no blocking
            counter.now += body
            await trio.sleep(5)
            counter.now += body

    async with open_server(make(("hall", Hall))) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        for seconds in (0.1, 0.25, 0.0):
            await ana.request("count", seconds, target="hall")
        await ana.request("late", 0.09, target="hall")
        await ana.request("late", 1.5, target="hall")
        await ana.request("apart", 0.5, target="hall")
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    starts = [warning.split(",")[0] for warning in warnings]
    assert starts == [
        "the handler of 'count' in room 'hall' blocked the loop for 0.25 s",
        "the handler of 'late' in room 'hall' blocked the loop for 1.50 s",
        "the handler of 'late' in room 'hall' blocked the loop for 1.50 s",
        "the handler of 'apart' in room 'hall' blocked the loop for 0.50 s",
        "the handler of 'apart' in room 'hall' blocked the loop for 0.50 s",
    ]
    assert all("to_thread" in warning for warning in warnings)


async def test_a_hook_and_a_timer_that_block_are_named_and_the_bound_can_be_lifted(
    autojump_clock: MockClock, counter: FakeCounter, caplog: pytest.LogCaptureFixture
) -> None:
    class Hall(Room):
        async def on_create(self) -> None:
            counter.now += 1
            self.after(1, self.think)

        async def think(self) -> None:
            counter.now += 2

    for limits in (Limits(), Limits(blocked_seconds=None)):
        async with open_server(make(("hall", Hall), limits=limits)) as net:
            ana = await net.connect("Ana")
            await ana.join("hall")
            await trio.sleep(2)
    named = [record.getMessage().split(" in room")[0] for record in caplog.records]
    assert named[0] == "on_create"
    assert named[1].startswith("the timer ")
    assert named[1].endswith("Hall.think")
    assert len(named) == 2


# --- why is this room alive?


async def test_the_tree_says_why_each_room_is_alive_and_what_runs_in_it(autojump_clock: MockClock) -> None:
    class Game(Room):
        empty_ttl = 60

        async def on_create(self) -> None:
            self.every(10, self.next_turn)
            self.start_soon(self.watch)

        async def next_turn(self) -> None: ...

        async def watch(self) -> None:
            await trio.sleep_forever()

        @action("think")
        async def think(self) -> None:
            await trio.sleep(1_000)

        @action("upload", turn=False)
        async def upload(self) -> None:
            await trio.sleep(1_000)

    server = make(("game-*", Game))
    async with open_server(server) as net:
        await server.open_room("game-0")
        ana = await net.connect("Ana")
        await ana.join("game-1")
        await ana.send("upload", target="game-1")
        await trio.sleep(60)
        await ana.send("think", target="game-1")
        await trio.sleep(65)
        ben = await net.connect("Ben")
        await ben.join("game-2")
        await ben.request("leave-room", {"roomname": "game-2"})
        await ana.send("next", target="game-1")
        await trio.sleep(20)
        tree = server.tree()
        lobby, empty, game, left = tree.rooms
        assert (tree.clients, lobby.name, lobby.reason) == (2, "mesh-global", "there as long as the server; 2 members")
        assert (empty.name, empty.reason) == ("game-0", "waits for its first member")
        assert (game.class_name, game.age, game.reason, game.members) == ("Game", 145, "1 member", 1)
        assert (game.handling, game.handling_age) == ("the handler of 'think'", 85)
        assert game.waiting == 2  # a message, and the timer
        names = {task.name.partition(" for ")[0].rpartition(".<locals>.")[2] for task in game.tasks}
        assert names == {"Game.next_turn", "Game.watch", "the handler of 'upload'"}
        assert [task.age for task in game.tasks] == [145, 145, 145]
        assert left.reason == "empty; it closes in 40 s"
        lines = str(tree).splitlines()
        assert lines[0] == "test: 2 clients, 4 rooms"
        assert "  'game-1' (Game, 2 min 25 s): 1 member" in lines
        assert "    in its turn: the handler of 'think', waiting for 1 min 25 s" in lines
        assert any(line.startswith("    every 10 s: ") and line.endswith("next_turn, 2 min 25 s") for line in lines)
        await trio.sleep(41)
        assert "game-2" not in str(server.tree())


async def test_the_tree_shows_a_room_that_is_closing(autojump_clock: MockClock) -> None:
    class Slow(Room):
        async def on_close(self, reason: str) -> None:
            await trio.sleep(1)

    server = make(("slow", Slow))
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.join("slow")
        net.nursery.start_soon(server.rooms["slow"].close, "enough")
        await trio.sleep(0.5)
        (_, slow) = server.tree().rooms
        assert slow.reason == "closing: enough"
        assert [task.name for task in slow.tasks] == ["on_close"]


async def test_the_tree_shows_what_waits_in_the_global_room_and_no_age_of_another(autojump_clock: MockClock) -> None:
    server, seen = make(), list[float]()

    @server.action("slow")
    async def slow() -> None:
        await trio.sleep(60)

    @server.action("look")
    async def look() -> None:
        seen.append(server.tree().rooms[1].handling_age)

    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.send("slow")
        await trio.sleep(30)
        (task,) = server.tree().rooms[0].tasks
        assert (task.name, task.age) == (f"the handler of 'slow' for {ana.id}", 30)
        await ana.join("hall")
        await ana.send("slow", target="hall")
        await ana.request("look", target="hall")
        assert seen == [0]  # it does not wait, whatever the one before did


# --- from other threads


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a thread that trio knows nothing of, and return what came of it."""
    done, results = trio.Event(), list[Any]()
    token = trio.lowlevel.current_trio_token()

    def work() -> None:
        try:
            results.append(function())
        except BaseException as exc:
            results.append(exc)
        token.run_sync_soon(done.set)

    thread = threading.Thread(target=work)
    thread.start()
    await done.wait()
    thread.join()
    return results[0]


async def test_another_thread_calls_into_the_loop_and_gets_the_result() -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await in_thread(partial(from_thread.run, server, server.broadcast, "news", {"n": 1}))
        assert (await ana.receive())["message_body"] == {"n": 1}
        assert await in_thread(partial(from_thread.run_sync, server, lambda: list(server.clients))) == [ana.id]
        error = await in_thread(partial(from_thread.run, server, server.broadcast, "news", object()))
        assert "cannot be written as JSON" in str(error)


async def test_a_call_from_the_wrong_thread_or_to_a_server_that_is_not_there_says_so() -> None:
    server = make()
    error = await in_thread(partial(from_thread.run, server, server.broadcast, "news"))
    assert isinstance(error, RuntimeError)
    assert "'test' is not running" in str(error)
    async with open_server(server):
        with pytest.raises(RuntimeError, match="await the function itself"):
            from_thread.run(server, server.broadcast, "news")
        with pytest.raises(RuntimeError, match="await the function itself"):
            from_thread.run_sync(server, print)
    error = await in_thread(partial(from_thread.run_sync, server, print))
    assert "'test' is not running" in str(error)


async def test_a_call_from_another_thread_by_the_wrong_way_breaks_nothing() -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        room = server.rooms["hall"]
        for wrong in (server.broadcast("news"), room.kick(server.clients[ana.id]), room.close()):
            error = await in_thread(partial(asyncio.run, wrong))
            assert "from_thread" in str(error)
        await server.broadcast("news", {"n": 1})
        await room.broadcast("news", {"n": 2})
        assert [(await ana.receive())["message_body"] for _ in range(2)] == [{"n": 1}, {"n": 2}]


# --- what was registered


def test_a_server_describes_what_was_registered() -> None:
    server = Server("demo", path=("/ws", "/old"), origins=["https://b.example", "https://a.example"], direct=True)

    @server.middleware
    async def log(call: object, next: Next) -> object: ...

    @server.action("time", turn=False)
    async def time(client: Client) -> float: ...

    @server.room("game-*")
    class Game(Room):
        capacity = 4

        @action("guess", cancel=True)
        async def guess(self, body: dict[str, int]) -> None: ...

        @middleware
        async def guard(self, call: object, next: Next) -> object: ...

    found = server.describe()
    assert (found.name, found.paths, found.direct, found.is_authenticated) == ("demo", ("/ws", "/old"), True, False)
    assert found.origins == ("https://a.example", "https://b.example")
    assert [(each.name, each.room_class, each.body, each.turn, each.cancel) for each in found.actions] == [
        ("time", None, "", False, False),
        ("guess", "Game", "dict[str, int]", True, True),
    ]
    assert all(each.place.partition(":")[0].endswith("test_looking.py") for each in found.actions)
    assert [(each.pattern, each.class_name, each.capacity) for each in found.rooms] == [("game-*", "Game", 4)]
    (ware,) = found.middleware
    assert "log" in ware
