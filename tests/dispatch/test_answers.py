"""Answers: each request is answered once, however its handler ends."""

import contextlib
import gc
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room
from simplysocket.testing import open_server

from ..harness.leaks import IGNORE_LEFT_OPEN, leak_cancelled, leak_deadline, leak_nursery, living_tasks
from ..harness.messages import answers_of, bodies_of
from ..harness.servers import make
from ..harness.work import CANCELLABLE, IN_EACH_ROOM, OPTIONS, ROOMS, is_at_rest, make_worker


@IN_EACH_ROOM
@CANCELLABLE
@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ("at once", "done"),
        ("wait", "done"),
        ("bug", "internal"),
        ("bug at once", "internal"),
        ("refuse", "my-code"),
        ("group", "internal"),
        ("no JSON", "internal"),
    ],
)
async def test_a_request_is_answered_once_when_its_handler_returns_or_raises(
    autojump_clock: MockClock, room: str, options: dict[str, bool], how: str, answer: str
) -> None:
    server = make_worker(**options)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await trio.testing.wait_all_tasks_blocked()
        for times in range(3):
            await ana.send("work", how, target=room, id=times)
            await ana.send("work", how, target=room)
            await trio.sleep(250)
            heard = await ana.settle()
            assert answers_of(heard, times) == [answer]
            assert is_at_rest(server)
        assert await ana.request("hello", target=room) == "hello"
        before = living_tasks()
        await ana.request("work", "at once", target=room)
        await ana.settle()
        assert living_tasks() == before


def can_end(room: str, options: dict[str, bool], end: str) -> bool:
    """Tell whether a handler of this room may end so.

    The global room does not close, and its clients' turns do not run in its tasks.
    """
    return room == "one" or not (end == "close" or (end == "crash" and "cancel" in options))


def for_each_end(*ends: str) -> pytest.MarkDecorator:
    """Run a test for each room, options of the action, and end, in all combinations that there can be."""
    cases = [case for case in itertools.product(ROOMS, OPTIONS, ends) if can_end(*case)]
    return pytest.mark.parametrize(("room", "options", "end"), cases, ids=str)


@pytest.mark.parametrize("how", ["wait", "swallow", "finally", "nested", "shield"])
@for_each_end("cancel", "cancel twice", "timeout", "gone", "crash", "close", "stop")
async def test_a_request_is_answered_once_when_its_handler_is_cancelled(
    autojump_clock: MockClock, room: str, options: dict[str, bool], how: str, end: str
) -> None:
    server = make_worker(**options)
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        for client in (ana, bob):
            await client.join("one")
            await client.request("hello", target=room)
        await ana.settle()
        tasks = living_tasks()
        keys = {"timeout": 10} if end == "timeout" else {}
        await ana.send("work", how, target=room, id=7, **keys)
        heard = await ana.settle()
        assert bodies_of(heard, "begun") == [how]
        if end.startswith("cancel"):
            for _ in end.split():
                await ana.send("cancel", id=7)
        elif end == "gone":
            await ana.stream.aclose()
        elif end == "crash":

            async def crash() -> None:
                raise ValueError("a task crashes")

            server.rooms[room].start_soon(crash)
        elif end == "close":
            await server.rooms[room].close()
        elif end == "stop":
            net.nursery.start_soon(server.stop, 60)
        await trio.sleep(50)
        if end == "gone":
            assert list(server.clients) == [bob.id]
        else:
            heard = await ana.settle()
            by_caller = {"timeout": "timeout"}.get(end, "cancelled" if "cancel" in end else "room-closed")
            expected = {"swallow": "swallowed", "finally": "internal", "nested": "internal"}.get(how, by_caller)
            # The global room ends with the connections, and nothing is sent after a Close.
            assert answers_of(heard, 7) == ([] if end == "stop" and room != "one" else [expected])
        assert is_at_rest(server)
        if end in ("cancel", "cancel twice", "timeout", "gone"):
            assert await bob.request("hello", target=room) == "hello"
            await bob.settle()
            assert living_tasks() <= tasks


STEPS = 24


@for_each_end("cancel", "gone", "close", "timeout")
async def test_a_handler_may_be_cancelled_at_any_of_its_awaits(
    autojump_clock: MockClock, room: str, options: dict[str, bool], end: str
) -> None:
    server = make()
    reached = 0

    @server.action("tour", **options)
    async def tour(client: Client, room: Room) -> str:
        nonlocal reached
        for step in range(STEPS):
            reached = step
            match step % 6:
                case 0:
                    await trio.lowlevel.checkpoint()
                case 1:
                    await room.broadcast("step", step)
                    await trio.sleep(1)
                case 2:
                    await client.join(f"side-{step}")
                case 3:
                    with contextlib.suppress(ActionError):
                        await client.request("ask", step, timeout=1)
                case 4:
                    await client.leave(f"side-{step - 2}")
                case 5:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(trio.sleep, 1)
                        await client.send("step", step)
        return "done"

    @server.action("hello")
    async def hello() -> str:
        return "hello"

    async with open_server(server) as net:
        bob = await net.connect()
        for steps in range(3 * STEPS):
            ana = await net.connect()
            await ana.join("one")
            await bob.join("one")
            keys = {"timeout": steps / 6} if end == "timeout" else {}
            await ana.send("tour", target=room, id="t", **keys)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(steps // 3):
                await trio.sleep(0.5)
            for _ in range(steps % 3):
                await trio.lowlevel.checkpoint()
            if end == "cancel":
                await ana.send("cancel", id="t")
            elif end == "gone":
                await ana.stream.aclose()
            elif end == "close":
                await server.rooms["one"].close()
            await trio.sleep(60)
            answers = answers_of(await ana.settle(), "t")
            if end != "gone":
                assert len(answers) == 1, (steps, reached, answers)
                assert answers[0] in ("done", {"cancel": "cancelled", "close": "room-closed"}.get(end, end))
            assert is_at_rest(server)
            await bob.join("one")
            assert await bob.request("hello", target=room) == "hello"
            await ana.stream.aclose()
            await trio.sleep(5)
            assert [name for name in server.rooms if name.startswith("side")] == []
            assert list(server.clients) == [bob.id]


@IGNORE_LEFT_OPEN
@IN_EACH_ROOM
@pytest.mark.parametrize(
    ("options", "leak"),
    [
        ({"turn": False}, leak_deadline),
        ({"turn": False}, leak_cancelled),
        pytest.param({"turn": False}, leak_nursery),
        ({"cancel": True}, leak_deadline),
        ({"cancel": True}, leak_cancelled),
        ({"cancel": True}, leak_nursery),
    ],
)
async def test_a_handler_that_leaves_a_scope_open_costs_one_message(
    autojump_clock: MockClock, room: str, options: dict[str, bool], leak: Callable[[], Any]
) -> None:
    kept: list[Any] = []
    server = make()

    @server.action("leak", **options)
    async def leaking() -> str:
        generator = leak()
        kept.append(generator)  # otherwise the interpreter closes it at once
        async for _ in generator:
            break
        return "left open"

    @server.action("wait")
    async def wait() -> str:
        await trio.sleep(5)
        return "slept"

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        for id in range(3):
            await ana.send("leak", target=room, id=f"leak-{id}")
            heard = await ana.settle()
            assert len(answers_of(heard, f"leak-{id}")) == 1
            assert await ana.request("wait", target=room) == "slept"
        assert is_at_rest(server)
        assert server.statistics()["rooms_crashed"] == 0
    kept.clear()
    gc.collect()
