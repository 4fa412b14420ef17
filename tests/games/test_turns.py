"""Turns with a clock: a move and the end of the time never count both, and the clock may wait for who is away."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Client, action
from simplysocket.games import Seat
from simplysocket.testing import Net

from ..harness.tables import NAME, Logged, come, log_of, open_table, table_of, told


class Clocked(Logged):
    """Three players with 15 seconds each."""

    seats = 3
    needed = 2
    turn_seconds = 15.0


class Patient(Clocked):
    pauses_while_away = True


def turn_of(net: Net) -> int | None:
    turn = table_of(net).turn
    return None if turn is None else turn.index


async def test_a_turn_that_runs_out_passes_on(autojump_clock: MockClock) -> None:
    async with open_table(Clocked) as net:
        ana, *_ = await come(net, "ana", "ben", "cat")
        assert table_of(net).seconds_left == 15
        log_of(net)
        await trio.sleep(15.5)
        assert log_of(net) == ["time out 0 ana", "turn 1 ben"]
        assert table_of(net).seconds_left == 14.5
        assert [(body["seat"], body["seconds"]) for body in await told(ana, "turn")] == [(0, 15), (1, 15)]
        await trio.sleep(30)
        assert turn_of(net) == 0


async def test_a_turn_that_a_move_has_ended_never_times_out(autojump_clock: MockClock) -> None:
    async with open_table(Clocked) as net:
        ana, ben, _ = await come(net, "ana", "ben", "cat")
        await trio.sleep(14)
        assert await ana.request("move", target=NAME)
        await trio.sleep(14)
        assert await ben.request("move", target=NAME)
        await trio.sleep(14)
        assert not [line for line in log_of(net) if "time out" in line]
        assert turn_of(net) == 2


@pytest.mark.parametrize("seed", range(10))
async def test_of_a_move_and_the_end_of_the_time_exactly_one_counts(autojump_clock: MockClock, seed: int) -> None:
    class Slow(Clocked):
        @action("hold")
        async def hold(self) -> None:
            await trio.sleep(2)

    async with open_table(Slow) as net:
        ana, *_ = await come(net, "ana", "ben", "cat")
        answers: list[Any] = []

        async def move() -> None:
            answers.append(await ana.request("move", target=NAME))

        async with trio.open_nursery() as nursery:
            if seed % 2:
                await trio.sleep(14)
                await ana.send("hold", target=NAME)  # both wait for the turn of the room
                await trio.sleep(1)
                nursery.start_soon(move)
            else:
                await trio.sleep(15)
                nursery.start_soon(move)
        await trio.sleep(2)
        assert turn_of(net) == 1
        timed_out = len([line for line in log_of(net) if "time out" in line])
        assert answers == [not timed_out]
        assert timed_out in (0, 1)


async def test_without_a_clock_turns_take_as_long_as_they_take(autojump_clock: MockClock) -> None:
    class Endless(Clocked):
        turn_seconds = None

    async with open_table(Endless) as net:
        ana, *_ = await come(net, "ana", "ben", "cat")
        await trio.sleep(3_600)
        assert (turn_of(net), table_of(net).seconds_left) == (0, None)
        assert await told(ana, "turn") == [{"seat": 0, "seconds": None, "paused": False}]


async def test_the_clock_goes_on_while_a_player_is_away(autojump_clock: MockClock) -> None:
    async with open_table(Clocked) as net:
        ana = await net.connect("ana", resume=True)
        await ana.join(NAME)
        await come(net, "ben", "cat")
        ana.drop()
        await trio.sleep(16)
        assert turn_of(net) == 1


async def test_the_clock_stands_still_while_a_player_is_away_if_the_game_says_so(autojump_clock: MockClock) -> None:
    async with open_table(Patient) as net:
        ana = await net.connect("ana", resume=True)
        await ana.join(NAME)
        ben, _ = await come(net, "ben", "cat")
        await ben.settle()
        await trio.sleep(5)
        ana.drop()
        await trio.sleep(50)
        assert (turn_of(net), table_of(net).seconds_left) == (0, 10)
        await ana.come_back()
        await trio.sleep(9)
        assert turn_of(net) == 0
        await trio.sleep(2)
        assert turn_of(net) == 1
        turns = [(body["seat"], body["seconds"], body["paused"]) for body in await told(ben, "turn")]
        assert turns == [(0, 10, True), (0, 10, False), (1, 15, False)]


async def test_the_turn_of_a_player_that_is_away_begins_when_it_is_back(autojump_clock: MockClock) -> None:
    async with open_table(Patient) as net:
        (ana,) = await come(net, "ana")
        ben = await net.connect("ben", resume=True)
        await ben.join(NAME)
        await come(net, "cat")
        ben.drop()
        await ana.request("move", target=NAME)
        await trio.sleep(40)
        assert (turn_of(net), table_of(net).seconds_left) == (1, 15)
        await ben.come_back()
        await trio.sleep(14)
        assert turn_of(net) == 1
        await trio.sleep(2)
        assert turn_of(net) == 2


async def test_the_clock_of_a_seat_that_is_held_goes_on_when_it_is_taken_again(autojump_clock: MockClock) -> None:
    async with open_table(Patient, has_users=True) as net:
        clients = []
        for user in ("ana", "ben", "cat"):
            clients.append(await net.connect(user, token=user))
            await clients[-1].join(NAME)
        await trio.sleep(5)
        clients[0].drop()
        await trio.sleep(30)
        again = await net.connect("ana", token="ana")
        await again.join(NAME)
        assert (turn_of(net), table_of(net).seconds_left) == (0, 10)
        await trio.sleep(11)
        assert turn_of(net) == 1


async def test_the_turn_of_who_gives_up_its_seat_passes_on(autojump_clock: MockClock) -> None:
    async with open_table(Clocked) as net:
        ana, _, _ = await come(net, "ana", "ben", "cat")
        await trio.sleep(10)
        log_of(net)
        await ana.request("stand-up", target=NAME)
        assert log_of(net) == ["stand 0 ana stood up", "owner 1 ben", "watch ana", "turn 1 ben"]
        assert table_of(net).seconds_left == 15


async def test_who_gives_up_another_seat_does_not_end_the_turn(autojump_clock: MockClock) -> None:
    async with open_table(Clocked) as net:
        _, ben, _ = await come(net, "ana", "ben", "cat")
        await trio.sleep(10)
        await ben.request("stand-up", target=NAME)
        assert (turn_of(net), table_of(net).seconds_left) == (0, 5)
        await trio.sleep(6)
        assert turn_of(net) == 2


async def test_a_game_may_choose_its_order_and_its_first_turn(autojump_clock: MockClock) -> None:
    class Chosen(Clocked):
        async def on_start(self) -> None:
            a, b, c = self.all_seats
            self.order = [b, a, c]
            await self.next_turn(c)

        async def on_message(self, client: Client) -> None:
            await self.next_turn()

    async with open_table(Chosen) as net:
        ana, *_ = await come(net, "ana", "ben", "cat")
        seen = [turn_of(net)]
        for _ in range(3):
            await ana.request("pass", target=NAME)
            seen.append(turn_of(net))
        assert seen == [2, 1, 0, 2]
        assert next(line for line in log_of(net) if line.startswith("turn")) == "turn 2 cat"
        with pytest.raises(ValueError, match="no seat of this room"):
            await table_of(net).next_turn(Seat(0, None))
        with pytest.raises(ValueError, match="no seat of this room"):
            table_of(net).order = [Seat(0, None)]


async def test_a_game_in_which_all_play_at_once_has_no_turns(autojump_clock: MockClock) -> None:
    class AtOnce(Clocked):
        has_turns = False

    async with open_table(AtOnce) as net:
        ana, *_ = await come(net, "ana", "ben", "cat")
        await trio.sleep(60)
        assert table_of(net).turn is None
        assert await told(ana, "turn") == []
        await table_of(net).next_turn()  # it may have some all the same
        assert turn_of(net) == 0


async def test_a_time_out_may_end_the_game(autojump_clock: MockClock) -> None:
    class Sudden(Clocked):
        async def on_time_out(self, seat: Seat) -> None:
            await self.end({"loser": seat.index})

    async with open_table(Sudden) as net:
        ana, *_ = await come(net, "ana", "ben", "cat")
        await trio.sleep(100)
        assert await told(ana, "game-over") == [{"result": {"loser": 0}}]
        assert table_of(net).phase == "over"


async def test_hooks_are_called_one_after_the_other(autojump_clock: MockClock) -> None:
    class Hasty(Clocked):
        turns = 0

        async def on_turn(self, seat: Seat) -> None:
            self.turns += 1
            if self.turns < 3_000:  # deeper than Python nests calls
                await self.next_turn()
            self.note("moved", seat)

    async with open_table(Hasty) as net:
        await come(net, "ana", "ben", "cat")
        room = table_of(net)
        assert isinstance(room, Hasty)
        assert room.turns == 3_000
        assert room.errors == []


async def test_who_comes_late_is_told_how_long_the_turn_still_takes(autojump_clock: MockClock) -> None:
    async with open_table(Clocked) as net:
        await come(net, "ana", "ben", "cat")
        await trio.sleep(4)
        (eve,) = await come(net, "eve")
        assert await told(eve, "turn") == [{"seat": 0, "seconds": 11, "paused": False}]


async def test_the_time_may_be_another_one_from_the_next_turn_on(autojump_clock: MockClock) -> None:
    async with open_table(Clocked) as net:
        ana, *_ = await come(net, "ana", "ben", "cat")
        table_of(net).turn_seconds = 5
        assert table_of(net).seconds_left == 15
        await ana.request("move", target=NAME)
        assert table_of(net).seconds_left == 5


async def test_who_comes_to_a_game_that_all_have_left_gets_the_turn(autojump_clock: MockClock) -> None:
    class Open(Clocked):
        late_seats = True

        async def on_too_few(self) -> None: ...

    async with open_table(Open) as net:
        clients = await come(net, "ana", "ben", "cat")
        for client in clients:
            await client.request("stand-up", target=NAME)
        assert (table_of(net).phase, turn_of(net)) == ("playing", None)
        await clients[2].request("take-seat", {"seat": 1}, target=NAME)
        assert turn_of(net) == 1
