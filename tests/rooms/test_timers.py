"""Timers: they take their turn, and end with the room."""

import logging
import math
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room, Timer, action
from simplysocket.testing import open_server

from ..harness.servers import make


async def test_timers_take_their_turn_and_end_with_the_room(autojump_clock: MockClock) -> None:
    ticks: list[str] = []

    class Timed(Room):
        async def on_create(self) -> None:
            self.is_busy = False
            self.every(10, self.beat)
            self.after(25, self.once)
            self.after(5, self.never).cancel()

        async def beat(self) -> None:
            assert not self.is_busy
            ticks.append(f"tick {trio.current_time() - self.began:.0f}")
            await self.broadcast("tick")

        async def once(self) -> None:
            ticks.append("once")
            raise ValueError("a bug in a timer")

        async def never(self) -> None:
            ticks.append("never")

        async def on_join(self) -> None:
            self.began = trio.current_time()

        @action("busy")
        async def busy(self) -> None:
            self.is_busy = True
            await trio.sleep(34)
            self.is_busy = False

    server = make(("*", Timed))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await trio.sleep(51)
        assert ticks == ["tick 10", "tick 20", "once", "tick 30", "tick 40", "tick 50"]
        ticks.clear()
        await ana.request("busy", target="one")  # from 51 to 85: one tick is late, two are left out
        await trio.sleep(16)
        assert ticks == ["tick 85", "tick 90", "tick 100"]
        await ana.request("leave-room", {"roomname": "one"})
        await trio.sleep(100)
        assert len(ticks) == 3


async def test_a_timer_cancelled_while_its_call_waits_for_the_turn_does_not_run(autojump_clock: MockClock) -> None:
    class Timed(Room):
        async def on_create(self) -> None:
            self.ran = 0
            self.timers = [self.after(1, self.count), self.every(2, self.count)]

        async def count(self) -> None:
            self.ran += 1

        @action("hold")
        async def hold(self) -> None:
            await trio.sleep(10)
            for timer in self.timers:
                timer.cancel()

    server = make(("*", Timed))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("hold", target="one")
        await trio.sleep(10)
        assert server.rooms["one"].ran == 0  # type: ignore[attr-defined]


class Bell(Room):
    """A room without timers of its own, for tests to start them in."""

    async def on_create(self) -> None:
        self.rung: list[tuple[Any, ...]] = []

    async def ring(self, *args: Any) -> None:
        self.rung.append((*args, trio.current_time() - self.began))

    async def on_join(self) -> None:
        self.began = trio.current_time()

    @action("now")
    async def now(self, body: float) -> list[Any]:
        self.after(body, self.ring, "now")
        await trio.sleep(1)
        return list(self.rung)


async def test_a_timer_hands_on_its_arguments(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Bell))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        bell: Any = net.server.rooms["one"]
        bell.after(1, bell.ring, "once", 3)
        bell.every(2, bell.ring, "again")
        await trio.sleep(5)
        assert bell.rung == [("once", 3, 1), ("again", 2), ("again", 4)]


@pytest.mark.parametrize("seconds", [0, -1, -1e300, 0.0])
async def test_after_zero_seconds_or_less_is_as_soon_as_the_turn_comes(
    autojump_clock: MockClock, seconds: float
) -> None:
    async with open_server(make(("*", Bell))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("now", seconds, target="one") == []  # the handler had the turn until now
        await trio.testing.wait_all_tasks_blocked()
        bell: Any = net.server.rooms["one"]
        assert bell.rung == [("now", 1)]


async def test_a_timer_tells_how_many_seconds_are_left(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Bell))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        bell: Any = net.server.rooms["one"]
        once, again, cancelled = bell.after(5, bell.ring), bell.every(4, bell.ring), bell.after(5, bell.ring)
        assert isinstance(once, Timer)
        assert (once.seconds_left, again.seconds_left) == (5, 4)
        await trio.sleep(3)
        assert (once.seconds_left, again.seconds_left) == (2, 1)
        cancelled.cancel()
        assert cancelled.seconds_left is None
        assert "ended" in repr(cancelled)
        assert repr(once) == "<Timer once after 5 s: Bell.ring>"
        await trio.sleep(3)
        assert (once.seconds_left, again.seconds_left) == (None, 2)
        once.cancel()  # has no effect
        await ana.request("leave-room", {"roomname": "one"})
        await trio.testing.wait_all_tasks_blocked()
        assert again.seconds_left is None  # it ended with the room
        assert [when for (when,) in bell.rung] == [4, 5]


async def test_a_timer_that_waits_for_the_turn_has_no_seconds_left(autojump_clock: MockClock) -> None:
    class Busy(Bell):
        @action("hold")
        async def hold(self) -> list[float | None]:
            timer = self.after(1, self.ring)
            await trio.sleep(3)
            return [timer.seconds_left]

    async with open_server(make(("*", Busy))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("hold", target="one") == [0]


async def test_a_timer_may_cancel_itself_and_its_later_bug_is_reported_all_the_same(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Own(Bell):
        async def on_create(self) -> None:
            await super().on_create()
            self.errors: list[Exception] = []
            self.timer = self.every(1, self.beat)

        async def beat(self) -> None:
            self.timer.cancel()
            await trio.sleep(1)
            raise ValueError("after its cancel")

        async def on_error(self, error: Exception, client: Client | None) -> None:
            self.errors.append(error)

    async with open_server(make(("*", Own))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await trio.sleep(5)
        own: Any = net.server.rooms["one"]
        assert [str(error) for error in own.errors] == ["after its cancel"]
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "Own.beat (" in record.getMessage()
    assert __file__ in record.getMessage()


async def test_an_interval_may_be_as_short_as_a_float(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Bell))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        bell: Any = net.server.rooms["one"]
        await trio.sleep(1)  # so that the time is above 0, and the interval is lost in it
        timer = bell.every(math.ulp(0.0), bell.ring)
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        timer.cancel()
        assert len(bell.rung) > 1
        assert bell.is_open
