"""A join that fails, or is given up, takes no seat."""

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client
from simplysocket.games import Seat

from ..harness.tables import NAME, Logged, come, log_of, names, open_table, table_of


class Slow(Logged):
    """A game that takes its time when `slow` sits down."""

    starts = "code"
    empty_ttl = None

    async def on_sit(self, seat: Seat) -> None:
        self.note("sit", seat)
        if seat.name == "slow":
            await trio.sleep(5)


async def test_a_join_that_takes_too_long_is_undone(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_table(Slow, handler_seconds=2) as net:
        await come(net, "ana")
        slow = await net.connect("slow")
        with pytest.raises(ActionError):
            await slow.join(NAME)
        await trio.sleep(1)
        assert names(net) == ["ana", None]
        assert slow.id not in table_of(net).members
        assert log_of(net) == ["sit 0 ana", "owner 0 ana", "sit 1 slow", "stand 1 slow cancelled"]
        await come(net, "ben")
        assert names(net) == ["ana", "ben"]
    assert "was cancelled" in caplog.text


async def test_a_join_that_was_given_up_is_undone(autojump_clock: MockClock) -> None:
    async with open_table(Slow) as net:
        await come(net, "ana")
        slow = await net.connect("slow")
        with pytest.raises(ActionError, match="timeout"):
            await slow.request("join-room", {"roomname": NAME}, timeout=1)
        await trio.sleep(10)
        assert names(net) == ["ana", None]
        assert log_of(net)[-2:] == ["sit 1 slow", "stand 1 slow timeout"]


async def test_who_disconnects_while_it_joins_has_no_seat(autojump_clock: MockClock) -> None:
    async with open_table(Slow) as net:
        await come(net, "ana")
        slow = await net.connect("slow")
        await slow.send("join-room", {"roomname": NAME})
        await trio.sleep(1)
        await slow.close()
        await trio.sleep(10)
        assert names(net) == ["ana", None]
        assert len(table_of(net).members) == 1


async def test_who_is_refused_by_on_auth_takes_no_seat(autojump_clock: MockClock) -> None:
    class Private(Slow):
        async def on_auth(self, client: Client) -> None:
            if client.name == "eve":
                raise ActionError("forbidden", "not you")

    async with open_table(Private) as net:
        await come(net, "ana")
        with pytest.raises(ActionError, match="not you"):
            await come(net, "eve")
        assert names(net) == ["ana", None]


async def test_who_is_thrown_out_by_a_hook_has_no_seat(autojump_clock: MockClock) -> None:
    class Strict(Slow):
        async def on_sit(self, seat: Seat) -> None:
            self.note("sit", seat)
            if seat.name == "eve":
                assert isinstance(seat.player, Client)
                await self.kick(seat.player, "not you")

    async with open_table(Strict) as net:
        await come(net, "ana")
        eve = await net.connect("eve")
        with pytest.raises(ActionError, match="forbidden"):
            await eve.join(NAME)
        assert names(net) == ["ana", None]
        assert log_of(net)[-2:] == ["sit 1 eve", "stand 1 eve not you"]


async def test_a_room_that_closes_in_a_hook_calls_no_more(autojump_clock: MockClock) -> None:
    closed = []

    class Short(Slow):
        async def on_sit(self, seat: Seat) -> None:
            await self.close("enough")

        async def on_owner(self) -> None:
            closed.append("owner")

        async def on_close(self, reason: str) -> None:
            closed.append(reason)

    async with open_table(Short) as net:
        ana = await net.connect("ana")
        await ana.join(NAME)
        await ana.expect("room-closed")
        assert closed == ["enough"]
