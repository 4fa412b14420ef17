"""Wrong options and names of a game are told where they are written, with what to write."""

from collections.abc import Callable
from typing import Any

import pytest
from trio.testing import MockClock

from simplysocket import ActionError, RegistrationError, action
from simplysocket.games import GameRoom

from ..harness.servers import make
from ..harness.tables import NAME, Logged, come, names, open_table, table_of


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seats": 0}, "seats is 0: give a number from 1 to 100"),
        ({"seats": 101}, "from 1 to 100"),
        ({"seats": True}, "from 1 to 100"),
        ({"seats": "2"}, "from 1 to 100"),
        ({"roles": ("X",)}, r"has 2 seats and 1 roles: give one role for each seat, or \(\) for none"),
        ({"roles": "XO"}, 'give texts, such as \\("X", "O"\\)'),
        ({"roles": ("X", "X")}, "give each role once"),
        ({"roles": ("X", 0)}, "give texts"),
        ({"needed": 0}, "needed is 0: give a number above 0"),
        ({"needed": 3}, "needs 3 players and has 2 seats"),
        ({"spectators": -1}, "spectators is -1"),
        ({"spectators": None}, "give a number; 0 for none"),
        ({"turn_seconds": 0}, "give seconds above 0, or None for no clock"),
        ({"turn_seconds": "15"}, "give seconds"),
        ({"turn_seconds": float("inf")}, "give seconds"),
        ({"starts": "now"}, "give one of 'full', 'ready', 'owner', 'code'"),
        ({"late_seats": 1}, "late_seats is 1: give True or False"),
        ({"pauses_while_away": None}, "give True or False"),
        ({"capacity": 4}, "as many as there are seats and spectators"),
    ],
)
def test_a_wrong_option_is_refused_when_the_class_is_made(options: dict[str, Any], text: str) -> None:
    with pytest.raises(RegistrationError, match=text):
        type("Game", (GameRoom,), options)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("on_join", "on_sit"),
        ("on_leave", "on_stand"),
        ("on_drop", "on_away"),
        ("on_resume", "on_back"),
        ("start", "name it otherwise"),
        ("turn", "name it otherwise"),
        ("owner", "name it otherwise"),
        ("seat_of", "name it otherwise"),
    ],
)
def test_a_name_of_the_game_itself_is_refused(name: str, instead: str) -> None:
    async def own(self: object) -> None: ...

    with pytest.raises(RegistrationError, match=f"Game.{name}.*{instead}"):
        type("Game", (GameRoom,), {name: own})
    mixin = type("Mixin", (), {name: own})
    with pytest.raises(RegistrationError, match=f"Game.{name}"):
        type("Game", (mixin, GameRoom), {})


def test_hooks_of_a_game_are_checked_when_it_is_registered() -> None:
    class Greedy(GameRoom):
        async def on_turn(self, seat: Any, more: Any) -> None: ...  # type: ignore[override]

    class Misspelled(GameRoom):
        async def on_begin(self) -> None: ...

    class Twice(GameRoom):
        @action("ready")
        async def get_ready(self) -> None: ...

    for game, text in (
        (Greedy, "takes 2 arguments beside self, and is offered 1"),
        (Misspelled, "is no hook: .*on_start"),
        (Twice, "'ready' is registered twice"),
    ):
        with pytest.raises(RegistrationError, match=text):
            make((NAME, game))


def test_the_capacity_is_that_of_seats_and_spectators_and_one_who_takes_over() -> None:
    class Six(GameRoom):
        seats = 6
        spectators = 10

    class Eight(Six):
        seats = 8

    assert (GameRoom.capacity, Six.capacity, Eight.capacity) == (103, 17, 19)
    (info,) = make((NAME, Eight)).describe().rooms
    assert (info.capacity, info.hold_seconds) == (19, 120)


class Four(Logged):
    """Four seats."""

    seats = 4
    needed = 2
    starts = "code"


async def test_a_room_may_have_other_options_than_its_class(autojump_clock: MockClock) -> None:
    class Own(Four):
        async def on_create(self) -> None:
            await super().on_create()
            await self.set_seats(self.options["seats"])
            self.spectators = 1
            self.turn_seconds = 5
            self.starts = "full"

    async with open_table(Own) as net:
        await come(net, "ana", "ben", "cat", "eve", seats=3)
        room = table_of(net)
        assert (len(room.all_seats), room.seats, room.capacity) == (3, 3, 5)
        assert (room.phase, room.seconds_left) == ("playing", 5)
        with pytest.raises(ActionError, match="room-full"):
            await come(net, "dan")


@pytest.mark.parametrize(
    ("set_it", "error", "text"),
    [
        (lambda room: setattr(room, "seats", 3), AttributeError, "call `await self.set_seats"),
        (lambda room: setattr(room, "roles", ()), AttributeError, "call `await self.set_seats"),
        (lambda room: setattr(room, "capacity", 3), AttributeError, "every game has it"),
        (lambda room: setattr(room, "turn", None), AttributeError, "every game has it"),
        (lambda room: setattr(room, "phase", "over"), AttributeError, "every game has it"),
        (lambda room: setattr(room, "start", None), AttributeError, "every game has it"),
        (lambda room: setattr(room, "name", "x"), AttributeError, "cannot be set"),
        (lambda room: setattr(room, "needed", 5), ValueError, "needs 5 players and has 4 seats"),
        (lambda room: setattr(room, "starts", "now"), ValueError, "give one of"),
        (lambda room: setattr(room, "spectators", -1), ValueError, "give a number"),
    ],
)
async def test_what_cannot_be_set_in_a_room_says_what_to_do(
    autojump_clock: MockClock, set_it: Callable[[Any], None], error: type[Exception], text: str
) -> None:
    async with open_table(Four) as net:
        await come(net, "ana")
        with pytest.raises(error, match=text):
            set_it(table_of(net))


async def test_seats_come_and_go_while_no_game_is_played(autojump_clock: MockClock) -> None:
    async with open_table(Four) as net:
        (ana,) = await come(net, "ana", seat=3)
        await come(net, "ben")
        room = table_of(net)
        before = room.all_seats
        await room.set_seats(2, ["X", "O"])
        assert room.all_seats == before[:2]
        assert names(net) == ["ben", "ana"]
        assert room.owner is room.all_seats[1]
        (seated,) = [each["message_body"] for each in await ana.settle() if each["action"] == "seated"][1:]
        assert (seated["seat"], seated["role"]) == (1, "O")
        with pytest.raises(ValueError, match="needs 2 players and has 1 seats"):
            await room.set_seats(1)
        room.needed = None
        with pytest.raises(ValueError, match="2 seats are taken"):
            await room.set_seats(1)
        with pytest.raises(ValueError, match="has 3 seats and 2 roles"):
            await room.set_seats(3, ("X", "O"))
        await room.set_seats(3)
        assert [seat.role for seat in room.all_seats] == [None] * 3
        await room.set_seats(2)
        await room.start()
        with pytest.raises(ActionError, match="forbidden"):
            await room.set_seats(5)
