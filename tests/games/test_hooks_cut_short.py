"""Hooks of a game that are cancelled, or raise: what comes after them is not lost."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Reason, action
from simplysocket.games import Bot, Seat

from ..harness.tables import NAME, Logged, come, log_of, names, open_table, table_of, told


class Slow(Logged):
    """A game that takes its time in the hooks of whoever is called slow."""

    starts = "code"

    async def on_sit(self, seat: Seat) -> None:
        await super().on_sit(seat)
        if seat.name == "slow":
            await trio.sleep(5)

    async def on_stand(self, seat: Seat, player: Client | Bot, reason: Reason) -> None:
        await super().on_stand(seat, player, reason)
        if player.name == "slow":
            await trio.sleep(5)

    async def on_watch(self, client: Client) -> None:
        await super().on_watch(client)
        if client.name == "slow":
            await trio.sleep(5)

    async def on_away(self, seat: Seat) -> None:
        await super().on_away(seat)
        await trio.sleep(5)


async def test_what_a_cancelled_hook_leaves_to_do_is_done_all_the_same(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(Slow):
        starts = "full"

        async def on_watch(self, client: Client) -> None:
            await Logged.on_watch(self, client)

    async with open_table(Full, handler_seconds=2) as net:
        (ana,) = await come(net, "ana")
        (slow,) = await come(net, "slow", **{"as": "spectator"})
        await ana.settle()
        with pytest.raises(ActionError):
            await slow.request("take-seat", target=NAME)
        await trio.sleep(1)
        assert names(net) == ["ana", "slow"]
        assert table_of(net).phase == "playing"
        assert [each["phase"] for each in await told(ana, "seats")][-1] == "playing"
    assert "was cancelled" in caplog.text


async def test_a_caller_that_cancels_a_handler_does_not_stop_the_game(autojump_clock: MockClock) -> None:
    class Given(Logged):
        async def on_end(self, result: Any) -> None:
            await super().on_end(result)
            await trio.sleep(5)

        @action("give-up", cancel=True)
        async def give_up(self, client: Client) -> None:
            seat = self.seat_of(client)
            assert seat is not None
            await self.end({"loser": seat.index})
            await self.stand_up(seat)

    async with open_table(Given) as net:
        ana, ben = await come(net, "ana", "ben")
        await ben.settle()
        with pytest.raises(ActionError, match="timeout"):
            await ana.request("give-up", target=NAME, timeout=1)
        await trio.sleep(1)
        assert (await told(ben, "seats"))[-1]["phase"] == "over"


async def test_a_member_whose_standing_up_is_cut_short_watches(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Thrown(Slow):
        @action("throw")
        async def throw(self, body: int) -> None:
            await self.stand_up(self.all_seats[body])

    class Swift(Thrown):
        async def on_sit(self, seat: Seat) -> None:
            await Logged.on_sit(self, seat)

    async with open_table(Swift, handler_seconds=2) as net:
        _, slow = await come(net, "ana", "slow")
        with pytest.raises(ActionError):
            await slow.request("throw", 1, target=NAME)
        await trio.sleep(10)
        assert list(table_of(net).watchers) == [slow.id]
    assert "was cancelled" in caplog.text


async def test_a_room_whose_last_player_is_lost_stays_open_although_on_away_is_cut_short(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_table(Slow, handler_seconds=2) as net:
        (ana,) = await come(net, "ana")
        ana.drop()
        await trio.sleep(30)
        assert NAME in net.server.rooms
        assert names(net) == ["ana", None]
        await trio.sleep(100)
        assert NAME not in net.server.rooms
    assert "was cancelled" in caplog.text


async def test_a_spectator_whose_join_is_undone_is_told_of_by_on_unwatch(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_table(Slow, handler_seconds=2) as net:
        await come(net, "ana")
        log_of(net)
        slow = await net.connect("slow")
        with pytest.raises(ActionError):
            await slow.join(NAME, **{"as": "spectator"})
        await trio.sleep(1)
        assert log_of(net) == ["watch slow", "unwatch slow"]
    assert "was cancelled" in caplog.text
