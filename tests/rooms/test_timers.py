"""Timers: they take their turn, and end with the room."""

import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Room, action
from simplysocket.testing import open_server

from ..harness.servers import make


async def test_timers_take_their_turn_and_end_with_the_room(autojump_clock: MockClock) -> None:
    ticks: list[str] = []

    class Timed(Room):
        async def on_create(self) -> None:
            self.is_busy = False
            self.every(10, self.tick)
            self.after(25, self.once)
            self.after(5, self.never).cancel()

        async def tick(self) -> None:
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
            self.timers = [self.after(1, self.run), self.every(2, self.run)]

        async def run(self) -> None:
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
