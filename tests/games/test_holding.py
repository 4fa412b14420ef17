"""A seat belongs to a person: it is kept for who comes back, as the same client or as another one."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Limits
from simplysocket.testing import Net, TestClient

from ..harness.tables import NAME, Logged, come, log_of, names, open_table, table_of, told


class Pair(Logged):
    """Two seats, one spectator."""

    spectators = 1
    hold_seconds = 60.0
    starts = "code"


async def come_as(net: Net, user: str, **options: Any) -> TestClient:
    """Connect as a user, without a session, and join."""
    client = await net.connect(user, token=user)
    await client.join(NAME, **options)
    return client


async def key_of(client: TestClient) -> str:
    (seated,) = await told(client, "seated")
    key: str = seated["key"]
    return key


async def test_who_comes_back_to_its_session_is_back_on_its_seat(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        ana = await net.connect("ana", resume=True)
        await ana.join(NAME)
        (ben,) = await come(net, "ben")
        log_of(net)
        await ben.settle()
        ana.drop()
        await trio.sleep(59)
        assert table_of(net).all_seats[0].is_away
        (body,) = await told(ben, "seats")
        assert [seat["away"] for seat in body["seats"]] == [True, False]
        await ana.come_back()
        assert log_of(net) == ["away 0 ana", "back 0 ana"]
        assert [each["away"] for each in (await told(ben, "seats"))[-1]["seats"]] == [False, False]
        assert table_of(net).seat_of(net.server.clients[ana.id]) is table_of(net).all_seats[0]


async def test_who_comes_back_with_a_gap_is_told_who_sits_where_and_whose_turn_it_is(
    autojump_clock: MockClock,
) -> None:
    class Clocked(Pair):
        turn_seconds = 50
        starts = "full"

    async with open_table(Clocked) as net:
        watcher = await net.connect("eve", resume=True)
        await watcher.join(NAME, **{"as": "spectator"})
        ana = await net.connect("ana", resume=True)
        await ana.join(NAME)
        await come(net, "ben")
        for client in (ana, watcher):
            await client.settle()
            client.drop()
            await trio.sleep(5)
            await client.come_back(forgets=True)
            messages = await client.settle()
            assert [each["action"] for each in messages] == ["seats", "turn"]
            assert messages[-1]["message_body"]["seat"] == 0
        assert messages[-1]["message_body"]["seconds"] == 40


async def test_a_seat_is_free_after_the_time_that_it_is_held(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        ana = await net.connect("ana", resume=True)
        await ana.join(NAME)
        await come(net, "ben")
        log_of(net)
        ana.drop()
        await trio.sleep(61)
        assert log_of(net) == ["away 0 ana", "stand 0 ana disconnected", "owner 1 ben"]
        assert names(net) == [None, "ben"]


async def test_a_place_that_the_game_gives_away_is_not_held(autojump_clock: MockClock) -> None:
    async with open_table(Pair, has_users=True) as net:
        ana = await net.connect("ana", token="ana", resume=True)
        await ana.join(NAME)
        await come_as(net, "ben")
        ana.drop()
        await trio.sleep(1)
        assert await table_of(net).release(net.server.clients[ana.id])
        assert names(net) == [None, "ben"]


@pytest.mark.parametrize("how", ["close", "leave", "kick"])
async def test_who_leaves_gives_up_its_seat_at_once(autojump_clock: MockClock, how: str) -> None:
    async with open_table(Pair, has_users=True) as net:
        ana, _ = await come_as(net, "ana"), await come_as(net, "ben")
        if how == "close":
            await ana.close()
        elif how == "leave":
            await ana.request("leave-room", {"roomname": NAME})
        else:
            await table_of(net).kick(net.server.clients[ana.id])
        await trio.sleep(1)
        assert names(net) == [None, "ben"]


async def test_a_seat_is_held_for_its_user_who_had_no_session(autojump_clock: MockClock) -> None:
    async with open_table(Pair, has_users=True) as net:
        ana, _ = await come_as(net, "ana"), await come_as(net, "ben")
        log_of(net)
        ana.drop()
        await trio.sleep(59)
        seat = table_of(net).all_seats[0]
        assert (seat.is_held, seat.is_away, seat.player, seat.name, seat.user) == (True, True, None, "ana", "ana")
        assert table_of(net).owner is seat
        await come_as(net, "cat")  # no seat is free
        again = await come_as(net, "ana")
        assert seat.player is net.server.clients[again.id]
        await trio.sleep(100)
        assert log_of(net) == ["away 0 ana", "watch cat", "back 0 ana"]


async def test_a_seat_that_is_held_is_free_in_time(autojump_clock: MockClock) -> None:
    async with open_table(Pair, has_users=True) as net:
        ana, _ = await come_as(net, "ana"), await come_as(net, "ben")
        log_of(net)
        ana.drop()
        await trio.sleep(61)
        assert log_of(net) == ["away 0 ana", "stand 0 ana disconnected", "owner 1 ben"]


async def test_a_room_stays_open_for_who_may_come_back(autojump_clock: MockClock) -> None:
    async with open_table(Pair, has_users=True) as net:
        ana = await come_as(net, "ana")
        ana.drop()
        await trio.sleep(59)
        again = await come_as(net, "ana")
        assert names(net) == ["ana", None]
        await again.close()
        await trio.sleep(1)
        assert NAME not in net.server.rooms  # it closes at once, as it did before
        other = await come_as(net, "ana")
        other.drop()
        await trio.sleep(61)
        assert NAME not in net.server.rooms


async def test_a_user_takes_its_seat_over_from_a_device_that_is_connected(autojump_clock: MockClock) -> None:
    async with open_table(Pair, has_users=True) as net:
        desk, _ = await come_as(net, "ana"), await come_as(net, "ben")
        log_of(net)
        phone = await come_as(net, "ana")
        room = table_of(net)
        assert room.seat_of(net.server.clients[phone.id]) is room.all_seats[0]
        assert list(room.watchers) == [desk.id]
        assert await told(desk, "seat-taken-over") == [{"seat": 0}]
        assert log_of(net) == ["back 0 ana", "watch ana"]
        assert (await desk.request("take-seat", target=NAME))["seat"] == 0  # and back again
        assert list(room.watchers) == [phone.id]


async def test_without_a_place_for_a_spectator_the_former_device_leaves(autojump_clock: MockClock) -> None:
    class Full(Pair):
        spectators = 0

    async with open_table(Full, has_users=True) as net:
        desk, _ = await come_as(net, "ana"), await come_as(net, "ben")
        phone = await come_as(net, "ana")
        assert desk.id not in table_of(net).members
        assert (await told(desk, "client-left-room"))[0]["reason"] == "taken-over"
        assert table_of(net).all_seats[0].id == phone.id
        assert len(table_of(net).members) == 2


async def test_a_device_that_is_away_leaves_when_its_user_comes_from_another_one(autojump_clock: MockClock) -> None:
    async with open_table(Pair, has_users=True) as net:
        desk = await net.connect("ana", token="ana", resume=True)
        await desk.join(NAME)
        await come_as(net, "ben")
        desk.drop()
        await trio.sleep(10)
        log_of(net)
        phone = await come_as(net, "ana")
        assert log_of(net) == ["back 0 ana"]
        assert desk.id not in table_of(net).members
        assert table_of(net).watchers == {}
        await desk.come_back()
        assert table_of(net).all_seats[0].id == phone.id


async def test_a_user_may_watch_its_own_game(autojump_clock: MockClock) -> None:
    async with open_table(Pair, has_users=True) as net:
        desk = await come_as(net, "ana")
        phone = await come_as(net, "ana", **{"as": "spectator"})
        assert table_of(net).all_seats[0].id == desk.id
        assert list(table_of(net).watchers) == [phone.id]


async def test_with_one_connection_for_each_user_the_newest_one_has_the_seat(autojump_clock: MockClock) -> None:
    async with open_table(Pair, has_users=True, connections_per_user=1) as net:
        await come_as(net, "ana")
        await come_as(net, "ben")
        phone = await come_as(net, "ana")
        await trio.sleep(1)
        assert table_of(net).all_seats[0].id == phone.id
        assert len(table_of(net).members) == 2
        assert [line for line in log_of(net) if "stand" in line] == []


async def test_a_guest_takes_its_seat_again_with_its_key(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        ana, ben = await come(net, "ana", "ben")
        key = await key_of(ana)
        ana.drop()
        await trio.sleep(30)
        (other,) = await come(net, "eve", key="x" * 22)
        assert list(table_of(net).watchers) == [other.id]
        (again,) = await come(net, "Ana", key=key)
        assert names(net) == ["Ana", "ben"]
        fresh = await key_of(again)
        assert fresh != key
        assert await key_of(ben) not in (key, fresh)
        (thief,) = await come(net, "ana", key=fresh)  # from a browser of the same person, while the other is connected
        assert table_of(net).all_seats[0].id == thief.id


async def test_the_key_of_a_seat_that_was_given_up_is_of_no_use(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        ana, _ = await come(net, "ana", "ben")
        key = await key_of(ana)
        await ana.request("stand-up", target=NAME)
        await ana.request("leave-room", {"roomname": NAME})
        await come(net, "cat")
        (again,) = await come(net, "ana", key=key)
        assert names(net) == ["cat", "ben"]
        assert list(table_of(net).watchers) == [again.id]


async def test_a_game_that_tells_nothing_holds_seats_for_users_only(autojump_clock: MockClock) -> None:
    class Silent(Pair):
        tells = False

    async with open_table(Silent) as net:
        ana, _ = await come(net, "ana", "ben")
        ana.drop()
        await trio.sleep(1)
        assert names(net) == [None, "ben"]


async def test_without_hold_seconds_the_limit_of_the_server_counts(autojump_clock: MockClock) -> None:
    class Usual(Pair):
        hold_seconds = None

    async with open_table(Usual, has_users=True, limits=Limits(resume_seconds=10)) as net:
        ana, _ = await come_as(net, "ana"), await come_as(net, "ben")
        ana.drop()
        await trio.sleep(9)
        assert names(net) == ["ana", "ben"]
        await trio.sleep(2)
        assert names(net) == [None, "ben"]


async def test_who_moves_away_is_held_where_it_moved(autojump_clock: MockClock) -> None:
    class Four(Pair):
        seats = 4

    async with open_table(Four, has_users=True) as net:
        ana, _ = await come_as(net, "ana", seat=3), await come_as(net, "ben")
        ana.drop()
        await trio.sleep(10)
        await table_of(net).set_seats(2)
        assert names(net) == ["ben", "ana"]
        await trio.sleep(49)
        assert names(net) == ["ben", "ana"]
        await trio.sleep(2)
        assert names(net) == ["ben", None]
