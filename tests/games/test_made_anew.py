"""A game whose room is made anew after a crash (`on_crash = "restart"`) lets its members sit down again."""

import pytest
import trio
from trio.testing import MockClock

from ..harness.tables import NAME, Crashing, Logged, come, log_of, names, open_table, table_of, told


class Restarting(Crashing):
    """A game that `on_create` gives a third seat."""

    seats = 2

    async def on_create(self) -> None:
        await super().on_create()
        await self.set_seats(3)


async def test_the_members_sit_down_again_in_the_order_of_their_joins(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_table(Restarting) as net:
        (ana,) = await come(net, "ana", seat=2)
        ben = await net.connect("ben", resume=True)
        await ben.join(NAME)
        await come(net, "cat", "dan")
        assert names(net) == ["ben", "cat", "ana"]
        first = table_of(net)
        ben.drop()
        await trio.sleep(1)
        await ana.settle()
        await ana.request("crash", target=NAME)
        await trio.sleep(1)
        assert table_of(net) is not first
        assert names(net) == ["ana", "ben", "cat"]
        assert [client.name for client in table_of(net).watchers.values()] == ["dan"]
        assert table_of(net).all_seats[1].is_away
        assert table_of(net).phase == "waiting"
        assert (await told(ana, "seats"))[-1]["phase"] == "waiting"
        assert "away 1 ben" in log_of(net)
        await ben.come_back()
        await trio.sleep(1)
        assert table_of(net).phase == "playing"
    assert "a bug" in caplog.text


async def test_the_members_sit_down_again_although_no_code_asks_for_the_seats(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Plain(Restarting):
        async def on_create(self) -> None:
            await Logged.on_create(self)

    async with open_table(Plain) as net:
        ana, _ = await come(net, "ana", "ben")
        await ana.settle()
        await ana.send("crash", target=NAME)
        await trio.sleep(1)
        assert (await told(ana, "seats"))[-1]["phase"] == "playing"
        assert log_of(net) == ["sit 0 ana", "owner 0 ana", "sit 1 ben", "start", "turn 0 ana"]
    assert "a bug" in caplog.text
