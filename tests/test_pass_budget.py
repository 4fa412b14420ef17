"""The budget of a pass: time that all loops share, and turns for those who wait when it is spent.

Time is virtual and moves only where a test says so.
"""

from collections import Counter
from collections.abc import Awaitable, Callable

import trio
import trio.testing
from trio.testing import MockClock

from simplysocket._pass_budget import SECONDS, Line, PassBudget


def run_with_budget(test: Callable[[PassBudget, MockClock], Awaitable[None]]) -> None:
    """Run a test with a budget that is being renewed, and a clock that the test moves."""
    clock, budget = MockClock(), PassBudget()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(budget.run)
            await trio.lowlevel.checkpoint()
            await test(budget, clock)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)


def test_a_budget_is_spent_by_time_and_renewed_by_the_next_pass() -> None:
    async def test(budget: PassBudget, clock: MockClock) -> None:
        assert not budget.is_spent()
        clock.jump(SECONDS / 2)
        assert not budget.is_spent()
        clock.jump(SECONDS)
        assert budget.is_spent()
        await trio.lowlevel.checkpoint()
        assert not budget.is_spent()

    run_with_budget(test)


async def test_a_budget_without_a_server_is_never_spent() -> None:
    assert not PassBudget().is_spent()


def test_who_waits_goes_on_in_the_order_of_arrival_however_long_each_takes() -> None:
    arrived: list[int] = []
    went_on: list[int] = []

    async def test(budget: PassBudget, clock: MockClock) -> None:
        async def wait(number: int) -> None:
            arrived.append(number)
            clock.jump(SECONDS * 2)
            await budget.turn()
            went_on.append(number)
            clock.jump(SECONDS * 2)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(wait, number)

    run_with_budget(test)
    assert len(went_on) == 8
    # Those who go on in the same pass do so in any order: trio turns it round as it likes.
    assert all(abs(went_on.index(each) - arrived.index(each)) <= 1 for each in arrived), went_on


def test_loops_that_share_it_take_turns_with_those_who_wait() -> None:
    ran: list[int] = []

    async def test(budget: PassBudget, clock: MockClock) -> None:
        async def loop(number: int) -> None:
            for _ in range(20):
                await budget.share(Line.READING)
                ran.append(number)
                clock.jump(SECONDS / 4)
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(loop, number)

    run_with_budget(test)
    # Five fit into a pass. Those that have run first must not run in each of the next passes, too.
    for end in range(40, 300, 20):
        counted = Counter(ran[:end])
        assert max(counted.values()) - min(counted[number] for number in range(20)) <= 8


def test_handlers_that_use_up_every_pass_hold_up_neither_reading_nor_arrivals() -> None:
    ran = 0

    async def test(budget: PassBudget, clock: MockClock) -> None:
        async def work() -> None:
            nonlocal ran
            while True:
                await budget.turn()
                ran += 1
                clock.jump(SECONDS * 2)

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(work)
            for _ in range(10):
                await trio.lowlevel.checkpoint()
            for line in (Line.READING, Line.ARRIVALS) * 5:
                before = ran
                await budget.turn(line)
                assert ran - before <= 4
            nursery.cancel_scope.cancel()

    run_with_budget(test)
    assert ran > 10


def test_more_and_more_go_on_in_a_pass_while_there_is_time() -> None:
    passes: list[int] = [0]

    async def test(budget: PassBudget, clock: MockClock) -> None:
        async def wait() -> None:
            await budget.turn()
            passes[-1] += 1

        async def count() -> None:
            while sum(passes) < 100:
                await trio.lowlevel.checkpoint()
                passes.append(0)

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(wait)
            nursery.start_soon(count)

    run_with_budget(test)
    assert sum(passes) == 100
    assert len(passes) < 24, "1, 1, 2, 2, 4, 4, ... in each pass"


def test_a_wait_can_be_cancelled_and_the_others_go_on() -> None:
    async def test(budget: PassBudget, clock: MockClock) -> None:
        went_on: list[str] = []

        async def wait(name: str, scope: trio.CancelScope) -> None:
            with scope:
                await budget.turn()
                went_on.append(name)

        async with trio.open_nursery() as nursery:
            cancelled = trio.CancelScope()
            cancelled.cancel()
            nursery.start_soon(wait, "cancelled", cancelled)
            nursery.start_soon(wait, "other", trio.CancelScope())
        assert went_on == ["other"]
        assert not budget.waiting

    run_with_budget(test)


async def test_at_the_end_of_a_server_those_who_wait_go_on() -> None:
    budget = PassBudget()
    async with trio.open_nursery() as server, trio.open_nursery() as clients:
        await server.start(budget.run)
        clients.start_soon(budget.turn)
        await trio.lowlevel.checkpoint()
        server.cancel_scope.cancel()
    assert not budget.waiting


async def test_after_the_end_of_a_server_nobody_waits_for_a_turn() -> None:
    budget = PassBudget()
    async with trio.open_nursery() as server:
        await server.start(budget.run)
        server.cancel_scope.cancel()
    with trio.fail_after(5):
        await budget.turn()
        await budget.turn(shielded=True)
