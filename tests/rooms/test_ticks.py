"""Ticks: `Room.tick` calls a function so many times a second, without drift, before a flood of messages."""

import math
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Client, Room, Timer, action
from simplysocket._rooms.schedule import Beat
from simplysocket.testing import open_server

from ..harness.messages import actions_of
from ..harness.servers import make


class World(Room):
    """A room that notes when it is ticked, and with which `dt`."""

    empty_ttl = None
    unjoined_ttl = None

    async def on_create(self) -> None:
        self.began = trio.current_time()
        self.steps: list[tuple[float, float]] = []  # (seconds since the beginning, dt)
        self.slow: dict[int, float] = {}  # {number of a step: seconds that it takes}
        self.noted: list[str] = []

    async def step(self, dt: float) -> None:
        self.steps.append((trio.current_time() - self.began, dt))
        self.noted.append("step")
        await trio.sleep(self.slow.get(len(self.steps), 0))

    @action("work")
    async def work(self, client: Client, body: float) -> None:
        self.noted.append(client.name)
        await trio.sleep(body)

    @property
    def times(self) -> list[float]:
        """The times of the steps."""
        return [at for at, _ in self.steps]


async def open_world(net: Any) -> World:
    world = await net.server.open_room("world")
    assert isinstance(world, World)
    return world


async def test_a_tick_is_called_so_many_times_a_second(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", World))) as net:
        world = await open_world(net)
        timer = world.tick(4, world.step)
        assert isinstance(timer, Timer)
        assert timer.seconds_left == 0.25
        await trio.sleep(1.1)
        assert world.times == pytest.approx([0.25, 0.5, 0.75, 1])
        assert [dt for _, dt in world.steps] == pytest.approx([0.25] * 4)
        timer.cancel()
        await trio.sleep(5)
        assert len(world.steps) == 4
        assert timer.seconds_left is None


@pytest.mark.parametrize("hz", [1000, 60, 7, 0.3])
async def test_the_times_of_the_calls_do_not_drift(autojump_clock: MockClock, hz: float) -> None:
    async with open_server(make(("*", World))) as net:
        world = await open_world(net)
        world.tick(hz, world.step)
        await trio.sleep(2_000.5 / hz)
        assert len(world.steps) == 2_000
        assert world.times[-1] == pytest.approx(2_000 / hz, abs=1e-9)


async def test_a_late_call_moves_no_other_and_no_time_is_lost(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", World))) as net:
        world = await open_world(net)
        world.slow = {2: 0.7, 5: 0.125}  # eighths, which a float holds exactly
        world.tick(8, world.step)
        await trio.sleep(1.55)
        # The second call takes until 0.95: those at 0.375 to 0.875 are skipped. The fifth ends when another is due.
        assert world.times == [0.125, 0.25, 1.0, 1.125, 1.25, 1.375, 1.5]
        assert [dt for _, dt in world.steps] == [0.125, 0.125, 0.75, 0.125, 0.125, 0.125, 0.125]


async def test_a_call_that_waits_for_its_turn_is_made_late_and_the_next_one_in_time(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", World))) as net:
        world = await open_world(net)
        ana = await net.connect("ana")
        await ana.join("world")
        world.tick(10, world.step)
        await trio.sleep(0.25)
        await ana.request("work", 0.12, target="world")  # until 0.37
        await trio.sleep(0.15)
        assert world.times == pytest.approx([0.1, 0.2, 0.37, 0.4, 0.5])
        assert [dt for _, dt in world.steps] == pytest.approx([0.1, 0.1, 0.17, 0.03, 0.1])


async def test_a_tick_waits_behind_at_most_one_message_of_each_client(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", World))) as net:
        world = await open_world(net)
        flooder, other = await net.connect("flooder"), await net.connect("other")
        await flooder.join("world")
        await other.join("world")
        for _ in range(40):
            await flooder.send("work", 0.3, target="world")
        for _ in range(3):
            await other.send("work", 0.3, target="world")
        world.tick(1, world.step)
        await trio.sleep(8)
        gaps = " ".join(world.noted).split("step")[1:-1]  # what is handled between two steps
        assert len(gaps) >= 4
        for gap in gaps:
            # What runs before the next tick is due, and then at most one of each client.
            assert gap.split().count("flooder") <= 3 + 1 + 1
        assert max(after - before for before, after in zip(world.times, world.times[1:], strict=False)) <= 1 + 0.3 * 3


async def test_a_tick_is_not_held_up_by_a_flood_that_never_waits(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", World))) as net:
        world = await open_world(net)
        ana = await net.connect("ana")
        await ana.join("world")
        await ana.send("work", 1.5, target="world")
        for _ in range(100):
            await ana.send("work", 0, target="world")
        world.tick(1, world.step)
        await trio.sleep(1.6)
        assert world.noted.index("step") <= 2  # the one that ran, and one that waited
        await ana.request("work", 0, target="world")
        assert world.noted.count("ana") == 102


async def test_a_step_that_raises_is_reported_and_the_next_ones_come(autojump_clock: MockClock) -> None:
    reported: list[object] = []

    class Failing(World):
        async def on_error(self, error: BaseException, client: Client | None) -> None:
            reported.append((type(error), client))

        async def fail(self, dt: float) -> None:
            await self.step(dt)
            raise ValueError("a bug in a step")

    async with open_server(make(("*", Failing))) as net:
        world: Any = await open_world(net)
        world.tick(2, world.fail)
        await trio.sleep(1.1)
        assert [dt for _, dt in world.steps] == pytest.approx([0.5, 0.5])
        assert reported == [(ValueError, None)] * 2
        assert net.server.statistics()["handlers_failed"] == 2


async def test_a_step_that_takes_too_long_is_cancelled_and_the_next_ones_come(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", World), handler_seconds=0.4)) as net:
        world = await open_world(net)
        world.slow = {1: 10}
        world.tick(10, world.step)
        await trio.sleep(0.85)
        assert world.times == pytest.approx([0.1, 0.5, 0.6, 0.7, 0.8])
        assert world.steps[1][1] == pytest.approx(0.4)


async def test_ticks_end_with_the_room(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", World))) as net:
        world = await open_world(net)
        ana = await net.connect("ana")
        await ana.join("world")
        timer = world.tick(10, world.step)
        await trio.sleep(0.95)
        assert "10 times a second: World.step" in str(net.server.tree())
        await world.close()
        await trio.sleep(5)
        assert len(world.steps) == 9
        assert timer.seconds_left is None
        assert actions_of(await ana.settle()) == ["room-closed"]


async def test_a_step_may_cancel_its_own_tick_and_close_its_room(autojump_clock: MockClock) -> None:
    class Ending(World):
        async def end(self, dt: float) -> None:
            await self.step(dt)
            if len(self.steps) == 3:
                await self.close("over")

        async def once(self, dt: float) -> None:
            await self.step(dt)
            self.once_timer.cancel()

    async with open_server(make(("*", Ending))) as net:
        world: Any = await open_world(net)
        world.once_timer = world.tick(10, world.once)
        await trio.sleep(1)
        assert len(world.steps) == 1
        world.tick(10, world.end)
        await trio.sleep(1)
        assert len(world.steps) == 3
        assert not world.is_open


async def test_the_global_room_ticks_while_clients_have_their_turns(autojump_clock: MockClock) -> None:
    class Lobby(World): ...

    server = make(("mesh-global", Lobby))
    async with open_server(server) as net:
        lobby: Any = server.rooms["mesh-global"]
        ana = await net.connect("ana")
        lobby.tick(10, lobby.step)
        await ana.send("work", 5)
        await trio.sleep(1.05)
        assert len(lobby.steps) == 10


@pytest.mark.parametrize("hz", [0, -1, -0.0, math.nan, math.inf, -math.inf, 1000.5, 1001, 10**400, True])
async def test_a_rate_that_cannot_be_kept_is_refused(autojump_clock: MockClock, hz: float) -> None:
    async with open_server(make(("*", World))) as net:
        world = await open_world(net)
        with pytest.raises(ValueError, match=r"tick\(.*\): give the calls a second, above 0 and at most 1000"):
            world.tick(hz, world.step)


async def test_a_function_that_cannot_be_a_step_is_refused(autojump_clock: MockClock) -> None:
    async def without_dt() -> None: ...

    def plain(dt: float) -> None: ...

    async with open_server(make(("*", World))) as net:
        world: Any = await open_world(net)
        for wrong, text in [
            (without_dt, "cannot call .*without_dt.* with 1 argument"),
            (plain, "write `async def`"),
            (3, "give an async function"),
        ]:
            with pytest.raises(TypeError, match=text):
                world.tick(10, wrong)
        with pytest.raises(TypeError, match="the calls a second first"):
            world.tick(world.step, 10)
        with pytest.raises(TypeError, match="give the calls a second first"):
            world.tick("10", world.step)


# --- the machine


@pytest.mark.parametrize("hz", [1000, 60, 30, 7, 3, 0.1])
def test_the_next_call_is_never_in_the_past_and_one_that_is_due_now_is_made(hz: float) -> None:
    beat = Beat(1e6 / 3, hz)
    number, due = 1, beat.first
    for skipped in [0, 1, 0, 5, 0, 0, 3, 10_000, 0, 2]:
        number += 1 + skipped
        exactly = 1e6 / 3 + number / hz
        assert Beat(1e6 / 3, hz).after(exactly - 0.5 / hz) == exactly
        due = beat.after(exactly)
        assert due == exactly
