"""A join that takes a seat over and then fails, or is given up, leaves the seat to its person."""

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.games import Seat
from simplysocket.testing import open_server

from ..harness.tables import NAME, Logged, come, make_table, names, open_table, table_of, told


class Slow(Logged):
    """A game that takes its time when somebody is back."""

    hold_seconds = 60.0

    async def on_back(self, seat: Seat) -> None:
        await super().on_back(seat)
        await trio.sleep(5)


@pytest.mark.parametrize("handler_seconds", [2, None])
async def test_a_takeover_by_another_device_that_is_undone_keeps_the_seat_for_the_user(
    autojump_clock: MockClock, handler_seconds: float | None
) -> None:
    async with open_server(make_table(Slow, has_users=True, handler_seconds=handler_seconds)) as net:
        phone = await net.connect("ana", token="ana")
        ben = await net.connect("ben", token="ben")
        for client in (phone, ben):
            await client.join(NAME)
        assert table_of(net).phase == "playing"
        other = await net.connect("ana", token="ana")
        with pytest.raises(ActionError, match="timeout"):
            await other.request("join-room", {"roomname": NAME}, timeout=3)
        await trio.sleep(10)
        room = table_of(net)
        assert other.id not in room.members
        assert room.phase == "playing"
        assert room.all_seats[0].is_held
        assert names(net) == ["ana", "ben"]
        await phone.send("take-seat", target=NAME)
        await trio.sleep(10)
        assert room.seat_of(net.server.clients[phone.id]) is room.all_seats[0]
        assert room.phase == "playing"


async def test_a_takeover_by_a_key_that_is_undone_leaves_the_key_as_it_was(autojump_clock: MockClock) -> None:
    async with open_table(Slow) as net:
        ana, _ = await come(net, "ana", "ben")
        (seated,) = await told(ana, "seated")
        ana.drop()
        await trio.sleep(1)
        again = await net.connect("ana")
        with pytest.raises(ActionError, match="timeout"):
            await again.request("join-room", {"roomname": NAME, "key": seated["key"]}, timeout=1)
        await trio.sleep(10)
        assert table_of(net).all_seats[0].is_held
        await again.join(NAME, key=seated["key"])
        assert table_of(net).seat_of(net.server.clients[again.id]) is table_of(net).all_seats[0]


async def test_a_seat_whose_takeover_was_undone_is_freed_in_time(autojump_clock: MockClock) -> None:
    async with open_table(Slow) as net:
        ana, _ = await come(net, "ana", "ben")
        (seated,) = await told(ana, "seated")
        ana.drop()
        again = await net.connect("ana")
        with pytest.raises(ActionError, match="timeout"):
            await again.request("join-room", {"roomname": NAME, "key": seated["key"]}, timeout=1)
        await trio.sleep(100)
        assert names(net) == [None, "ben"]


async def test_who_leaves_long_after_a_takeover_gives_its_seat_up(autojump_clock: MockClock) -> None:
    async with open_table(Slow) as net:
        ana, _ = await come(net, "ana", "ben")
        (seated,) = await told(ana, "seated")
        ana.drop()
        again = await net.connect("ana")
        await again.join(NAME, key=seated["key"])
        await again.request("leave-room", {"roomname": NAME})
        assert names(net) == [None, "ben"]
