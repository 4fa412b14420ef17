"""Handlers, hooks and timers that block the event loop are named in the log."""

import gc
import logging

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Limits, Room, action
from simplysocket.testing import open_server

from ..harness.servers import make


class FakeCounter:
    """A clock for the length of a step: it stands still until a handler advances it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> FakeCounter:
    fake = FakeCounter()
    monkeypatch.setattr("simplysocket._rooms.turns.perf_counter", fake)
    monkeypatch.setattr("simplysocket._rooms.stepping.perf_counter", fake)
    monkeypatch.setattr("simplysocket._loop_watch.perf_counter", fake)
    monkeypatch.setattr("simplysocket._loop_watch.thread_time", fake)
    return fake


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

    async with open_server(make(("hall", Hall), blocked_seconds=0.1)) as net:
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


async def test_a_handler_is_not_blamed_for_a_garbage_collection(
    autojump_clock: MockClock, counter: FakeCounter, caplog: pytest.LogCaptureFixture
) -> None:
    class Hall(Room):
        @action("collect")
        async def collect(self, body: float) -> None:
            counter.now += body
            gc.collect()

        @action("collect-apart", turn=False)
        async def collect_apart(self, body: float) -> None:
            await trio.sleep(1)
            counter.now += body
            gc.collect()

    def take_long(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            counter.now += 3

    async with open_server(make(("hall", Hall), blocked_seconds=0.1)) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        gc.callbacks.append(take_long)
        try:
            await ana.request("collect", 0.05, target="hall")
            await ana.request("collect-apart", 0.05, target="hall")
            await ana.request("collect", 0.5, target="hall")
        finally:
            gc.callbacks.remove(take_long)
    said = [message.split(",")[0] for message in caplog.messages]
    collection = "a garbage collection stopped the server for 3.00 s"
    assert said == [
        *[collection] * 3,
        "the handler of 'collect' in room 'hall' blocked the loop for 0.50 s",
    ]
