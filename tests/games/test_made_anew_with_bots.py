"""A game with bots is made anew after a crash: its `on_create` seats them before members take the seats."""

import pytest
import trio
from trio.testing import MockClock

from simplysocket.games import Bot

from ..harness.tables import NAME, Crashing, come, log_of, names, open_table, table_of


class Mixed(Crashing):
    """A game of four, in which on_create seats two bots, one after the other."""

    seats = 4
    starts = "code"

    async def on_create(self) -> None:
        await super().on_create()
        for name in ("one", "two"):
            await self.seat_bot(Bot(name))


async def test_the_bots_of_on_create_sit_down_before_the_members(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_table(Mixed) as net:
        ana, _, _ = await come(net, "ana", "ben", "cat")
        assert names(net) == ["one", "two", "ana", "ben"]
        first = table_of(net)
        await ana.request("crash", target=NAME)
        await trio.sleep(1)
        assert table_of(net) is not first
        assert names(net) == ["one", "two", "ana", "ben"]
        assert [client.name for client in table_of(net).watchers.values()] == ["cat"]
        assert log_of(net) == ["sit 0 one", "sit 1 two", "sit 2 ana", "owner 2 ana", "sit 3 ben", "watch cat"]
    assert "a bug" in caplog.text
