"""The loop watch: what a long step or pass was spent on, and who is blamed. Tests move the time."""

import gc
import logging
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from simplysocket import Limits
from simplysocket._loop_watch import _WATCH, LoopWatch, overlook
from simplysocket._pass_budget import PassBudget
from simplysocket._stack_place import OWN_CODE


@attrs.define
class Time:
    """The clock of the loop watch, and that of its thread; a collection takes `collection` seconds."""

    now: float = 1_000.0
    collection: float = 0.0

    def __call__(self) -> float:
        return self.now

    def collect(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            self.now += self.collection


@attrs.define
class Seen:
    """What a sampler has seen of the pass that runs."""

    at: list[tuple[float, str]] = attrs.Factory(list)
    late: list[tuple[float, float]] = attrs.Factory(list)
    off: float = 0.0
    starved: float = 0.0
    busy: float = 0.0

    def places(self) -> list[tuple[float, str]]:
        return self.at

    def pauses(self, now: float) -> list[tuple[float, float]]:
        return self.late

    def idle(self, now: float) -> tuple[float, float]:
        return self.off, self.starved

    def busy_until(self, began: float) -> float:
        return self.busy

    def stop(self) -> None: ...


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr("simplysocket._loop_watch.perf_counter", time)
    monkeypatch.setattr("simplysocket._loop_watch.thread_time", time)
    monkeypatch.setattr("simplysocket._pass_budget.perf_counter", time)
    return time


@attrs.define
class Watched:
    """A watch that a test tells of passes."""

    watch: LoopWatch
    budget: PassBudget
    seen: Seen
    time: Time
    timeout: float = 0.0

    def begin(self) -> None:
        self.budget.after_io_wait(self.timeout)

    def end(self, timeout: float = 0.0) -> None:
        """End the pass; without a `timeout` the next one begins at once."""
        self.timeout, self.seen.busy = timeout, self.time.now
        if not timeout:
            self.begin()

    def step(self, seconds: float) -> Any:
        began = self.time.now
        self.time.now += seconds
        return self.watch.look_at_step(began, self.time.now)


@pytest.fixture
def watched(time: Time) -> Iterator[Watched]:
    budget, seen = PassBudget(), Seen()
    watch = LoopWatch(Limits(), budget)
    watch._sampler = seen  # type: ignore[assignment]
    budget.began, budget.look_back, budget.watched_seconds = time.now, watch.look_back, 0.1
    budget._offset = 0.0
    callbacks = [watch._look_at_collection, time.collect]  # the clock moves after the watch has read it
    gc.callbacks.extend(callbacks)
    yield Watched(watch, budget, seen, time)
    for callback in callbacks:
        gc.callbacks.remove(callback)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_short_pass_is_not_told(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.begin()
    watched.time.now += 0.09
    watched.end(5)
    watched.time.now += 5.09  # waiting for I/O
    watched.begin()
    watched.end()
    assert said(caplog) == []


async def test_a_long_pass_is_told_with_the_places_at_which_it_was_seen(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.begin()
    watched.seen.at = [(watched.time.now + 0.1, place) for place in ("a.py:1 in a", "b.py:2 in b", "b.py:2 in b")]
    watched.time.now += 0.5
    watched.end()
    assert [line.split(":", 1)[0] for line in said(caplog)] == [
        "the loop was blocked for 0.50 s, and with it every client, computing at b.py"
    ]
    assert "b.py:2 in b; a.py:1 in a: await something" in said(caplog)[0]


async def test_code_that_waits_in_a_call_is_told_apart_from_code_that_computes(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.begin()
    watched.seen.at, watched.seen.off = [(watched.time.now + 0.1, "a.py:1 in a")], 0.4
    watched.time.now += 0.5
    watched.end()
    assert "blocked for 0.50 s, and with it every client, waiting at a.py:1 in a:" in said(caplog)[0]


async def test_a_pass_that_nobody_has_seen_is_told(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.begin()
    watched.time.now += 0.5
    watched.end()
    assert "by code that nobody has seen" in said(caplog)[0]


async def test_the_packages_own_code_is_named_as_such(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.begin()
    watched.seen.at = [(watched.time.now + 0.1, f"{OWN_CODE}, simplysocket/_rooms/fanout.py:120 in Fanout.deliver")]
    watched.time.now += 0.5
    watched.end()
    (line,) = said(caplog)
    assert line.endswith(f"{OWN_CODE}, {watched.seen.at[0][1].split(', ')[1]}: if this comes again, please report it")


async def test_what_was_told_of_a_step_is_not_told_of_its_pass(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.begin()
    watched.time.now += 0.05
    stall = watched.step(2)
    watched.time.now += 0.05
    watched.end()
    assert stall.own == pytest.approx(2)
    assert said(caplog) == []  # the caller logs the step


async def test_what_a_pass_took_besides_a_step_is_told_alone(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.begin()
    watched.step(2)
    watched.time.now += 0.3
    watched.end()
    assert [line.split(",")[0] for line in said(caplog)] == ["the loop was blocked for 0.30 s"]


@pytest.mark.parametrize("work", [0.05, 0.5])
async def test_a_collection_is_named_and_code_is_blamed_for_the_rest_only(
    watched: Watched, caplog: pytest.LogCaptureFixture, work: float
) -> None:
    watched.time.collection = 2.0
    watched.begin()
    began = watched.time.now
    watched.time.now += work
    gc.collect()
    stall = watched.watch.look_at_step(began, watched.time.now)
    assert stall.own == pytest.approx(work)
    watched.end()
    (line,) = said(caplog)
    assert line.startswith("a garbage collection stopped the server for 2.00 s")
    assert "gc.freeze()" in line


async def test_a_collection_outside_of_handlers_is_named(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.time.collection = 2.0
    watched.begin()
    gc.collect()
    watched.end()
    (line,) = said(caplog)
    assert line.startswith("a garbage collection stopped the server for 2.00 s")


async def test_young_collections_count_for_the_code_that_makes_the_objects(watched: Watched) -> None:
    watched.begin()
    began = watched.time.now
    watched.watch._look_at_collection("start", {"generation": 0})
    watched.time.now += 0.5
    watched.watch._look_at_collection("stop", {"generation": 0, "collected": 7})
    assert watched.watch.look_at_step(began, watched.time.now).own == pytest.approx(0.5)


@pytest.mark.parametrize("is_late", [True, False])
async def test_a_process_that_did_not_run_is_named_and_code_is_not_blamed(
    watched: Watched, caplog: pytest.LogCaptureFixture, is_late: bool
) -> None:
    watched.begin()
    if is_late:  # nobody ran, not even the sampler
        watched.seen.late = [(watched.time.now + 0.05, watched.time.now + 3.05)]
    else:  # the kernel says that the thread had no processor
        watched.seen.starved = 3.0
    watched.seen.off = 3.0
    stall = watched.step(3.08)
    watched.end()
    assert stall.own == pytest.approx(0.08)
    (line,) = said(caplog)
    assert line.startswith("the process did not run for 3.00 s")


async def test_a_c_function_that_keeps_the_lock_is_blamed_although_the_sampler_was_late(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.begin()
    watched.seen.late = [(watched.time.now, watched.time.now + 3)]
    watched.seen.at = [(watched.time.now + 3, "a.py:1 in a, in re/__init__.py:166 in match")]
    watched.time.now += 3
    watched.end()
    (line,) = said(caplog)
    assert line.startswith("the loop was blocked for 3.00 s, and with it every client, computing at a.py:1 in a, in re")


async def test_two_causes_that_are_long_together_are_one_line_for_the_larger(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.time.collection = 0.09
    watched.begin()
    began = watched.time.now
    gc.collect()
    watched.time.now += 0.05
    assert watched.watch.look_at_step(began, watched.time.now).own == pytest.approx(0.05)
    watched.end()
    (line,) = said(caplog)
    assert line.startswith("a garbage collection stopped the server for 0.09 s")


async def test_a_wait_for_io_that_ended_late_is_named(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.begin()
    watched.end(2)
    watched.time.now += 5
    watched.begin()
    watched.end()
    (line,) = said(caplog)
    assert line.startswith("the process did not run for 3.00 s")


async def test_what_is_overlooked_is_not_told(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    _WATCH.set(watched.watch)
    watched.watch._told.append((0.0, 1.0))  # of a pass before
    watched.begin()
    began = watched.time.now
    watched.time.now += 3
    overlook(began)
    watched.end()
    assert said(caplog) == []


def test_outside_of_a_loop_nothing_is_overlooked() -> None:
    overlook(0.0)
