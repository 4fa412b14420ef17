"""What the leaving of one player, or of several at once, means for those who stay."""

import math
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import action
from simplysocket.games import Bot, Seat

from ..harness.tables import NAME, Logged, come, log_of, names, open_table, table_of, told


class Trio(Logged):
    """A game of three that begins when all who are there are ready."""

    seats = 3
    needed = 2
    starts = "code"

    async def on_ready(self) -> None:
        await super().on_ready()
        await self.start()


@pytest.mark.parametrize("leaves", [True, False])
async def test_all_are_ready_when_the_one_that_is_not_leaves(autojump_clock: MockClock, leaves: bool) -> None:
    async with open_table(Trio) as net:
        ana, ben, cat = await come(net, "ana", "ben", "cat")
        for client in (ana, ben):
            await client.request("ready", target=NAME)
        assert "ready" not in log_of(net)
        if leaves:
            await cat.request("leave-room", {"roomname": NAME})
        else:
            await cat.request("stand-up", target=NAME)
        await trio.sleep(1)
        assert log_of(net).count("ready") == 1
        assert table_of(net).phase == "playing"


async def test_all_are_ready_when_a_bot_that_was_needed_sits_down(autojump_clock: MockClock) -> None:
    class WithBots(Trio):
        @action("call-bot")
        async def call_bot(self) -> None:
            await self.seat_bot(Bot("one"))

    async with open_table(WithBots) as net:
        (ana,) = await come(net, "ana")
        await ana.request("ready", target=NAME)
        assert "ready" not in log_of(net)
        await ana.request("call-bot", target=NAME)
        assert log_of(net).count("ready") == 1
        assert table_of(net).phase == "playing"


async def test_on_ready_is_called_once_however_many_leave_after_it(autojump_clock: MockClock) -> None:
    class Calm(Trio):
        async def on_ready(self) -> None:
            await Logged.on_ready(self)

    async with open_table(Calm) as net:
        clients = await come(net, "ana", "ben", "cat")
        for client in clients:
            await client.request("ready", target=NAME)
        await clients[2].request("leave-room", {"roomname": NAME})
        assert log_of(net).count("ready") == 1
        await clients[0].request("ready", {"ready": False}, target=NAME)
        await clients[0].request("ready", target=NAME)
        assert log_of(net).count("ready") == 1


async def test_a_game_that_two_leave_at_once_ends_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Purging(Logged):
        seats = 3

        async def on_time_out(self, seat: Any) -> None:
            for each in self.all_seats[1:]:
                await self.stand_up(each)

        turn_seconds = 5

    async with open_table(Purging) as net:
        await come(net, "ana", "ben", "cat")
        await trio.sleep(6)
        assert table_of(net).phase == "over"
        assert table_of(net).errors == []
    assert caplog.text == ""


@pytest.mark.parametrize("seconds", [math.inf, math.nan, -1, "x", True, 10**400])
async def test_a_time_for_which_no_seat_can_be_held_is_refused_where_it_is_set(
    autojump_clock: MockClock, seconds: Any
) -> None:
    class Set(Logged):
        async def on_create(self) -> None:
            await super().on_create()
            with pytest.raises(ValueError, match="hold_seconds"):
                self.hold_seconds = seconds  # type: ignore[misc]  # an option that may differ from room to room

    async with open_table(Set, resume_seconds=60) as net:
        ana, _ = await come(net, "ana", "ben")
        ana.drop()
        await trio.sleep(125)
        assert names(net) == [None, "ben"]


async def test_on_turn_is_called_before_hooks_that_may_end_the_turn(autojump_clock: MockClock) -> None:
    class Brief(Logged):
        async def on_start(self) -> None:
            await self.next_turn(self.all_seats[0])
            await self.stand_up(self.all_seats[1])

        async def on_stand(self) -> None:  # type: ignore[override]  # a hook may be written without arguments
            await self.end("brief")

        async def on_turn(self, seat: Seat) -> None:
            self.note("turn", seat, self.phase)

    async with open_table(Brief) as net:
        await come(net, "ana", "ben")
        assert "turn 0 ana playing" in log_of(net)


async def test_a_rematch_that_changes_nothing_is_told_to_nobody(autojump_clock: MockClock) -> None:
    async with open_table(Logged) as net:
        ana, ben = await come(net, "ana", "ben")
        await ana.request("finish", 1, target=NAME)
        await ben.settle()
        for _ in range(3):
            await ana.request("rematch", target=NAME)
        assert len(await told(ben, "rematch")) == 1
