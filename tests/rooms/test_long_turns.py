"""What holds the turn for long while it waits is named in the log, and may be bounded."""

import logging
from typing import Any, ClassVar

import pytest
import trio
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, Call, Client, Room, action
from simplysocket.middleware import Next, middleware
from simplysocket.testing import open_server

from ..harness.error_log import errors_of
from ..harness.messages import answers_of, code_of
from ..harness.servers import make

NAMES = {
    "handler": "the handler of 'nap'",
    "relay": "the handler of 'other'",
    "direct": "the handler of 'whisper'",
    "on_create": "on_create",
    "on_auth": "on_auth for",
    "on_join": "the handler of 'join-room'",
    "on_leave": "the handler of 'leave-room'",
    "timer": "the timer ",
}


class Sleepy(Room):
    """A room in which one place waits for very long."""

    relay = True
    where: ClassVar[str]

    async def nap_at(self, where: str) -> None:
        if self.where == where:
            await trio.sleep(1_000)

    async def on_create(self) -> None:
        await self.nap_at("on_create")

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await self.nap_at("on_auth")

    async def on_join(self, client: Client) -> None:
        await self.nap_at("on_join")

    async def on_leave(self, client: Client) -> None:
        await self.nap_at("on_leave")

    @middleware
    async def ware(self, call: Call, next: Next) -> object:
        await self.nap_at({"other": "relay", "whisper": "direct"}.get(call.action, "nowhere"))
        return await next(call)

    @action("nap")
    async def nap(self) -> None:
        await self.nap_at("handler")

    @action("start timer")
    async def start_timer(self) -> None:
        self.after(1, lambda: self.nap_at("timer"))

    @action("outside", turn=False)
    async def outside(self) -> None:
        await trio.sleep(100)

    @action("cancellable", cancel=True)
    async def cancellable(self) -> None:
        await trio.sleep(1_000)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if "has been waiting" in each.getMessage()]


@pytest.mark.parametrize("is_bounded", [False, True])
@pytest.mark.parametrize("where", NAMES)
async def test_it_is_named_once_and_ends_at_its_bound(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, where: str, is_bounded: bool
) -> None:
    caplog.set_level(logging.WARNING)

    class Here(Sleepy):
        pass

    Here.where = where
    server = make(("one", Here), direct=True, waiting_seconds=5, handler_seconds=20 if is_bounded else None)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("join-room", {"roomname": "one"}, id=1)
        await ana.send("other", target="one", id=2)
        await trio.sleep(0.1)
        await ana.send("whisper", target=ana.id, IsTargetClient=True)
        await ana.send("nap", target="one", id=3)
        await ana.send("start timer", target="one")
        await trio.sleep(1.5)
        await ana.send("leave-room", {"roomname": "one"}, id=4)
        await trio.sleep(10)
        (line,) = warnings_of(caplog)
        assert line.startswith(NAMES[where])
        assert "'one'" in line
        assert f"for 5 s at '{__file__}:" in line
        await trio.sleep(30)
        assert len(warnings_of(caplog)) == 1
        ended = [
            each.getMessage() for each in caplog.records if "took over 20 s and was cancelled" in each.getMessage()
        ]
        assert len(ended) == is_bounded
        if is_bounded:
            messages = await ana.settle()
            asked = {"on_create": 1, "on_auth": 1, "on_join": 1, "relay": 2, "handler": 3}.get(where)
            assert asked is None or answers_of(messages, asked) == ["timeout"]
            assert server.metrics.handlers_failed == 1


async def test_many_that_wait_are_each_named(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    class Here(Sleepy):
        where = "handler"

    server = make(("*", Here), (GLOBAL_ROOM, Here), waiting_seconds=3)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for room in ("one", "two", "three"):
            await ana.join(room)
            await ana.send("nap", target=room)
            await trio.sleep(1)
        await ana.send("nap")
        await trio.sleep(3.5)
        assert [line.split("in room ")[1].split()[0] for line in warnings_of(caplog)] == [
            "'one'",
            "'two'",
            "'three'",
            "'mesh-global'",
        ]


async def test_what_ends_in_time_or_holds_no_turn_is_not_named(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Quick(Room):
        @action("quick")
        async def quick(self) -> None:
            await trio.sleep(10)

        @action("outside", turn=False)
        async def outside(self) -> None:
            await trio.sleep(100)

        @action("start")
        async def start(self) -> None:
            self.start_soon(trio.sleep, 100)

    server = make(("*", Quick), handler_seconds=50)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("outside", target="one", id=1)
        await ana.request("start", target="one")
        for _ in range(4):
            await ana.request("quick", target="one")
        await trio.sleep(90)
        assert answers_of(await ana.settle(), 1) == [None]
    async with open_server(make(("*", Sleepy), waiting_seconds=None)) as net:
        Sleepy.where = "handler"
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("nap", target="one")
        await trio.sleep(90)
    assert warnings_of(caplog) == []


async def test_a_bound_holds_for_a_handler_that_may_be_cancelled_too(autojump_clock: MockClock) -> None:
    class Here(Sleepy):
        where = ""

    server = make(("*", Here), handler_seconds=20)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await code_of(ana, "cancellable", target="one") == "timeout"
        assert trio.current_time() == pytest.approx(20)
        assert server.metrics.handlers_failed == 1


@pytest.mark.parametrize("why", ["closed", "stopped"])
async def test_an_on_close_that_takes_too_long_is_named(
    why: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Hall(Room):
        async def on_close(self) -> None:
            await trio.sleep(1_000)

    server = make(("*", Hall), close_seconds=3)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        if why == "closed":
            await server.rooms["one"].close()
        else:
            await server.stop(60)
    assert errors_of(caplog) == ["on_close of room 'one' took over 3 s and was cancelled"]
