"""Bots: they sit and play like players, and move in the room's turn."""

from typing import Any

import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Client, Message
from simplysocket.games import Bot, GameRoom, Seat

from ..harness.tables import NAME, Logged, come, log_of, names, open_table, table_of, told


class Passer(Bot):
    """A bot that passes its turn on after a second."""

    async def on_start(self, game: Any, seat: Seat) -> None:
        game.log.append(f"{self.name} starts on {seat.index}")

    async def on_turn(self, game: Any, seat: Seat) -> None:
        game.after(1, self.move, game, seat)

    async def move(self, game: Any, seat: Seat) -> None:
        if game.turn is seat:
            await game.next_turn()


class WithBots(Logged):
    """A game whose bots are seated by `add`."""

    late_seats = True

    async def on_message(self, client: Client, message: Message) -> int:
        seat = await self.seat_bot(Passer(message.body or "Bot", yields=message.action == "add-kind"))
        return seat.index


async def test_a_bot_sits_and_plays_like_a_player(autojump_clock: MockClock) -> None:
    async with open_table(WithBots) as net:
        (ana,) = await come(net, "ana")
        assert await ana.request("add", "Botto", target=NAME) == 1
        assert log_of(net)[-4:] == ["sit 1 Botto", "start", "Botto starts on 1", "turn 0 ana"]
        seat = table_of(net).all_seats[1]
        assert (seat.is_bot, seat.is_ready, seat.agrees, seat.name, seat.user) == (True, True, True, "Botto", None)
        body = (await told(ana, "seats"))[-1]["seats"][1]
        assert body == {
            "seat": 1,
            "role": None,
            "client": seat.id,
            "name": "Botto",
            "bot": True,
            "away": False,
            "ready": True,
        }
        assert await ana.request("move", target=NAME)
        assert table_of(net).turn is seat
        turns = [await ana.expect("turn", timeout=2) for _ in range(2)]
        assert [each["message_body"]["seat"] for each in turns] == [1, 0]


async def test_a_bot_plays_again_at_once_and_never_owns_the_game(autojump_clock: MockClock) -> None:
    async with open_table(WithBots) as net:
        (ana,) = await come(net, "ana")
        await ana.request("add", target=NAME)
        await ana.request("finish", "over", target=NAME)
        assert table_of(net).phase == "over"
        await ana.request("rematch", target=NAME)
        assert table_of(net).phase == "playing"
        await ana.request("stand-up", target=NAME)
        assert table_of(net).owner is None
        assert table_of(net).phase == "over"


async def test_bots_alone_do_not_play_again_and_again(autojump_clock: MockClock) -> None:
    async with open_table(WithBots) as net:
        (eve,) = await come(net, "eve", **{"as": "spectator"})
        for name in ("Abot", "Bbot"):
            await eve.request("add", name, target=NAME)
        assert table_of(net).phase == "playing"
        await eve.request("finish", "over", target=NAME)
        assert table_of(net).phase == "over"


async def test_a_bot_that_yields_gives_its_seat_to_a_person(autojump_clock: MockClock) -> None:
    async with open_table(WithBots) as net:
        (ana,) = await come(net, "ana")
        await ana.request("add-kind", "Kind", target=NAME)
        log_of(net)
        await come(net, "ben")
        assert names(net) == ["ana", "ben"]
        assert log_of(net)[:2] == ["stand 1 ben Kind yielded", "sit 1 ben"]
        assert table_of(net).phase == "playing"  # the game goes on


async def test_a_bot_that_does_not_yield_stays(autojump_clock: MockClock) -> None:
    async with open_table(WithBots) as net:
        (ana,) = await come(net, "ana")
        await ana.request("add", "Firm", target=NAME)
        await come(net, "ben")
        assert names(net) == ["ana", "Firm"]
        assert [client.name for client in table_of(net).watchers.values()] == ["ben"]


async def test_a_bot_is_removed(autojump_clock: MockClock) -> None:
    async with open_table(WithBots) as net:
        (ana,) = await come(net, "ana")
        bot = Passer("Gone")
        seat = await table_of(net).seat_bot(bot, table_of(net).all_seats[1])
        assert table_of(net).seat_of(bot) is seat
        with pytest.raises(ActionError, match="room-full"):
            await table_of(net).seat_bot(Passer())
        with pytest.raises(ActionError, match="seat 0 is not free"):
            await table_of(net).seat_bot(Passer(), table_of(net).all_seats[0])
        await table_of(net).remove_bot(bot)
        await table_of(net).remove_bot(bot)
        assert names(net) == ["ana", None]
        assert table_of(net).watchers == {}
        assert await told(ana, "game-over") == [{"result": {"reason": "too-few"}}]


async def test_one_bot_has_one_seat(autojump_clock: MockClock) -> None:
    class Large(WithBots):
        seats = 3

    async with open_table(Large) as net:
        await come(net, "ana")
        bot = Passer()
        await table_of(net).seat_bot(bot)
        with pytest.raises(ValueError, match="has a seat already"):
            await table_of(net).seat_bot(bot)
        assert names(net) == ["ana", "Bot", None]


async def test_a_bot_that_raises_costs_nothing_but_its_move(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Bot):
        async def on_turn(self) -> None:  # type: ignore[override]  # as hooks may be written
            raise RuntimeError("no idea")

    class Quick(WithBots):
        turn_seconds = 5

    async with open_table(Quick) as net:
        (ana,) = await come(net, "ana")
        await table_of(net).seat_bot(Broken())
        await ana.request("move", target=NAME)
        assert table_of(net).errors == ["no idea"]
        await ana.expect("turn")
        await ana.expect("turn")
        assert (await ana.expect("turn"))["message_body"]["seat"] == 0
    assert "Broken.on_turn (" in caplog.text


async def test_bots_may_be_seated_before_the_first_join(autojump_clock: MockClock) -> None:
    class Prepared(GameRoom):
        seats = 3
        roles = ("a", "b", "c")

        async def on_create(self) -> None:
            await self.set_seats(2, ("X", "O"))
            await self.seat_bot(Bot("Botto"), self.all_seats[1])

    async with open_table(Prepared) as net:
        (ana,) = await come(net, "ana")
        room = net.server.rooms[NAME]
        assert isinstance(room, Prepared)
        assert [(seat.role, seat.name) for seat in room.all_seats] == [("X", "ana"), ("O", "Botto")]
        assert room.phase == "playing"
        assert room.capacity == 103
        assert (await told(ana, "seats"))[-1]["owner"] == 0


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_bot_has_a_name(name: Any) -> None:
    with pytest.raises(TypeError, match="give the name"):
        Bot(name)
