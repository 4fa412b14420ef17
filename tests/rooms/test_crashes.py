"""Bugs in handlers, hooks and tasks: what they cost, and whom they do not touch."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Room, action
from simplysocket.testing import open_server

from ..harness.leaks import IGNORE_LEFT_OPEN, leak_cancelled, leak_deadline, leak_nursery, leave_open
from ..harness.messages import actions_of, bodies_of
from ..harness.rooms import Talk
from ..harness.servers import make


@IGNORE_LEFT_OPEN
@pytest.mark.parametrize("leak", [leak_deadline, leak_cancelled, leak_nursery])
async def test_a_handler_that_leaves_a_scope_open_hurts_nobody_else(
    autojump_clock: MockClock, leak: Callable[[], Any]
) -> None:
    kept: list[Any] = []

    class Leaking(Room):
        @action("leak")
        async def leak(self) -> str:
            generator = leak()
            kept.append(generator)  # else the interpreter closes it at once
            async for _ in generator:
                break
            return "left open"

        @action("wait")
        async def wait(self) -> str:
            await trio.sleep(5)
            return "slept"

    server = make(("*", Leaking))

    @server.action("lobby-leak")
    async def lobby_leak() -> None:
        generator = leak()
        kept.append(generator)
        async for _ in generator:
            break

    @server.action("lobby-wait")
    async def lobby_wait() -> str:
        await trio.sleep(5)
        return "slept"

    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("two")
        for _ in range(3):
            await ana.send("leak", target="one")
            assert await ana.request("wait", target="one") == "slept"
            await ana.send("lobby-leak")
            assert await ana.request("lobby-wait") == "slept"
        assert await bob.request("wait", target="two") == "slept"
        assert {"one", "two"} < set(server.rooms)
    kept.clear()
    gc.collect()


async def test_a_group_raised_out_of_a_finally_while_cancelled_hurts_nobody_else(autojump_clock: MockClock) -> None:
    class Failing(Talk):
        @action("wait")
        async def wait(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("a bug in a finally")

        @action("nurse")
        async def nurse(self) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                try:
                    await trio.sleep_forever()
                finally:
                    raise ValueError("a bug beside a Cancelled")

    server = make(("*", Failing))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await bob.join("two")
        for name in ("wait", "nurse"):
            await ana.join("one")
            await ana.send(name, target="one", id="w")
            await trio.testing.wait_all_tasks_blocked()
            await server.rooms["one"].close()
            heard = await ana.settle()
            assert [error["code"] for error in bodies_of(heard, "error")] == ["internal"]
            assert actions_of(heard)[-1] == "room-closed"
        await bob.send("say", {}, target="two")
        assert actions_of(await bob.settle()) == ["said"]


async def test_a_bug_in_a_handler_costs_one_message(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Buggy(Talk):
        @action("bug")
        async def bug(self) -> None:
            raise KeyError("secret of the server")

    server = make(("*", Buggy))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError) as refused:
            await ana.request("bug", target="one")
        assert refused.value.code == "internal"
        assert "secret" not in refused.value.message
        assert "secret of the server" in caplog.text
        await ana.request("say", {}, target="one")


async def test_a_crash_of_a_rooms_task_closes_that_room_only(autojump_clock: MockClock) -> None:
    class Crashing(Talk):
        async def on_create(self) -> None:
            self.start_soon(self.crash)

        async def crash(self) -> None:
            await trio.sleep(5)
            if self.name == "one":
                raise RuntimeError("a crash")

    server = make(("*", Crashing))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("two")
        await trio.sleep(10)
        heard = await ana.settle()
        assert bodies_of(heard, "room-closed") == [{"roomname": "one", "reason": "crashed"}]
        await bob.request("say", {}, target="two")
        assert set(server.rooms) == {"mesh-global", "two"}


@IGNORE_LEFT_OPEN
async def test_an_on_close_that_leaves_a_scope_open_or_never_returns_ends_only_itself(
    autojump_clock: MockClock,
) -> None:
    kept: list[Any] = []

    class Closing(Room):
        async def on_close(self) -> None:
            await leave_open(kept)
            await trio.sleep_forever()

    server = make(("*", Closing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await server.rooms["one"].close()
        assert [message["action"] for message in await ana.settle()] == ["room-closed"]
        assert (await ana.join("one"))["created"] is True


@IGNORE_LEFT_OPEN
async def test_a_task_that_is_cancelled_by_a_scope_it_left_open_closes_its_room(autojump_clock: MockClock) -> None:
    kept: list[Any] = []

    class Leaking(Room):
        async def on_create(self) -> None:
            self.start_soon(self.leak)

        async def leak(self) -> None:
            await leave_open(kept)
            await trio.sleep(10)

    server = make(("*", Leaking))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await trio.sleep(5)
        assert (await ana.settle())[-1]["message_body"] == {"roomname": "one", "reason": "crashed"}
