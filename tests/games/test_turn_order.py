"""The machine of turns: whose turn it is, and whose comes next."""

from typing import Any, cast

import attrs
import pytest

from simplysocket.games.seats import Seats
from simplysocket.games.turn_order import TurnOrder


@attrs.define(eq=False)
class Person:
    id: str
    name: str = ""
    user: None = None


def table(count: int) -> Seats:
    seats = Seats(count)
    for seat in seats.all:
        seats.sit(seat, cast(Any, Person(f"p{seat.index}")))
    return seats


def test_turns_go_round_and_pass_over_free_seats() -> None:
    seats, turns = table(4), TurnOrder()
    turns.begin(seats.all)
    assert turns.current is None
    seats.stand(seats.all[2])
    given = [turns.next() for _ in range(5)]
    assert [seat and seat.index for seat in given] == [0, 1, 3, 0, 1]
    assert turns.number == 5


def test_a_turn_may_be_given_to_a_certain_seat() -> None:
    seats, turns = table(3), TurnOrder()
    turns.begin(seats.all)
    assert turns.next(seats.all[2]) is seats.all[2]
    assert turns.next() is seats.all[0]
    assert turns.next(seats.all[0]) is seats.all[0]
    seats.stand(seats.all[1])
    with pytest.raises(ValueError, match="nobody sits there"):
        turns.next(seats.all[1])
    assert turns.current is seats.all[0]


def test_after_a_turn_that_ended_comes_the_next_seat() -> None:
    seats, turns = table(3), TurnOrder()
    turns.begin(seats.all)
    turns.next()
    seats.stand(seats.all[0])
    turns.end()
    assert turns.current is None
    assert turns.next() is seats.all[1]


def test_without_anybody_nobody_has_the_turn() -> None:
    seats, turns = table(2), TurnOrder()
    turns.begin(seats.all)
    turns.next()
    for seat in seats.all:
        seats.stand(seat)
    assert turns.next() is None
    assert turns.current is None
    turns.begin([])
    assert turns.next() is None


def test_another_order_holds_from_the_next_turn_on() -> None:
    seats, turns = table(3), TurnOrder()
    turns.begin(seats.all)
    turns.next()
    a, b, c = seats.all
    turns.set_order([c, a, b])
    assert turns.current is a
    assert [turns.next() for _ in range(3)] == [b, c, a]
    turns.set_order([b])
    assert turns.next() is b
    assert turns.next() is b
