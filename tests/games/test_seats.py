"""The machine of seats: who sits where, who owns the game, and which role is whose."""

from typing import Any, cast

import attrs
import pytest

from simplysocket.games import Bot
from simplysocket.games.seats import Seats


@attrs.define(eq=False)
class Person:
    """A client, as far as the machine looks at it."""

    name: str
    user: str | None = None

    @property
    def id(self) -> str:
        return f"client-{self.name}"


def person(name: str, user: str | None = None) -> Any:  # Any: it stands for a Client
    return cast(Any, Person(name, user))


def test_a_seat_tells_who_sits_there() -> None:
    seats, ana = Seats(2, ("X", "O")), person("ana", "u1")
    first, second = seats.all
    seats.sit(first, ana, "secret")
    assert (first.index, first.role, first.player, first.name, first.id, first.user) == (
        *(0, "X", ana, "ana"),
        *("client-ana", "u1"),
    )
    assert not first.is_free
    assert second.is_free
    assert second.player is second.name is second.id is second.user is None
    assert seats.of(ana) is first
    assert "secret" not in repr(first)


def test_nobody_has_two_seats_and_no_seat_two_players() -> None:
    seats, ana, ben = Seats(2), person("ana"), person("ben")
    seats.sit(seats.all[0], ana)
    with pytest.raises(ValueError, match="has a seat already"):
        seats.sit(seats.all[1], ana)
    with pytest.raises(ValueError, match="it is taken"):
        seats.sit(seats.all[0], ben)
    assert seats.of(ben) is None


def test_a_free_seat_is_found_by_number_and_by_role() -> None:
    seats = Seats(3, ("a", "b", "c"))
    seats.sit(seats.all[0], person("ana"))
    assert seats.free() is seats.all[1]
    assert seats.free(2) is seats.all[2]
    assert seats.free(role="c") is seats.all[2]
    assert seats.free(0) is seats.free(role="a") is seats.free(1, "c") is None


def test_the_owner_is_who_has_sat_for_longest() -> None:
    seats, ana, ben, cat = Seats(3), person("ana"), person("ben"), person("cat")
    for seat, each in zip((2, 0, 1), (ana, ben, cat), strict=True):
        seats.sit(seats.all[seat], each)
    assert seats.owner is seats.of(ana)
    seats.stand(seats.all[2])
    assert seats.owner is seats.of(ben)
    seats.sit(seats.all[2], ana)
    assert seats.owner is seats.of(ben)
    seats.stand(seats.all[0])
    assert seats.owner is seats.of(cat)
    seats.stand(seats.all[1])
    seats.stand(seats.all[2])
    assert seats.owner is None


def test_a_bot_never_owns_a_game() -> None:
    seats, ana = Seats(2), person("ana")
    seats.sit(seats.all[0], Bot())
    assert seats.owner is None
    seats.sit(seats.all[1], ana)
    assert seats.owner is seats.all[1]
    seats.stand(seats.all[1])
    assert seats.owner is None


def test_who_moves_keeps_owning_and_its_time() -> None:
    seats, ana, ben = Seats(3), person("ana"), person("ben")
    seats.sit(seats.all[0], ana)
    seats.sit(seats.all[1], ben)
    seats.move(seats.all[0], seats.all[2])
    assert seats.of(ana) is seats.owner is seats.all[2]
    assert seats.all[0].is_free
    assert seats.taken == (seats.all[2], seats.all[1])


def test_a_seat_is_held_for_its_user_and_for_its_key() -> None:
    seats, ana, ben = Seats(2), person("ana", "u1"), person("ben")
    seats.sit(seats.all[0], ana)
    seats.sit(seats.all[1], ben, "the key of ben")
    for seat in seats.all:
        seats.hold(seat, 5.0)
        assert seat.is_held
        assert seat.is_away
        assert not seat.is_free
        assert seat.player is None
    assert (seats.all[0].name, seats.all[1].id) == ("ana", "client-ben")
    assert seats.of(ana) is seats.of(ben) is None
    assert seats.claimed("u1", None) is seats.all[0]
    assert seats.claimed(None, "the key of ben") is seats.all[1]
    assert seats.claimed("u2", "another key") is seats.claimed(None, "") is seats.claimed(None, None) is None


def test_another_client_of_the_person_takes_a_seat_over() -> None:
    seats, phone, desk = Seats(1), person("ana", "u1"), person("Ana", "u1")
    (seat,) = seats.all
    seats.sit(seat, phone, "first")
    assert seats.take_over(seat, desk, "second") is phone
    assert (seat.player, seats.of(desk), seats.of(phone)) == (desk, seat, None)
    assert seats.claimed(None, "first") is None
    seats.hold(seat, 1.0)
    assert seats.take_over(seat, phone, "third") is None
    assert not seat.is_away
    assert not seat.is_held
    assert seats.owner is seat


def test_the_seats_that_stay_are_the_same_objects() -> None:
    seats, ana = Seats(4), person("ana")
    seats.sit(seats.all[3], ana)
    before = seats.all
    assert seats.resize(2, ("X", "O")) == [(before[3], before[0])]
    assert seats.all == before[:2]
    assert seats.of(ana) is seats.owner is before[0]
    assert [seat.role for seat in seats.all] == ["X", "O"]
    assert seats.resize(3) == []
    assert seats.all[:2] == before[:2]
    assert [seat.role for seat in seats.all] == [None] * 3


def test_there_are_never_fewer_seats_than_are_taken() -> None:
    seats = Seats(3)
    for seat, name in zip(seats.all, "abc", strict=True):
        seats.sit(seat, person(name))
    with pytest.raises(ValueError, match="3 seats are taken"):
        seats.resize(2)
    assert len(seats.all) == 3


def test_roles_and_the_beginning_move_on_by_one_seat() -> None:
    seats = Seats(3, ("a", "b", "c"))
    seats.rotate()
    assert [seat.role for seat in seats.all] == ["c", "a", "b"]
    assert [seat.role for seat in seats.in_order] == ["a", "b", "c"]
    assert seats.free() is seats.all[1]
    seats.rotate()
    seats.rotate()
    assert [seat.role for seat in seats.all] == ["a", "b", "c"]


def test_bots_are_ready_and_agree_but_do_not_decide() -> None:
    seats, ana = Seats(2), person("ana")
    seats.sit(seats.all[0], Bot())
    assert seats.are_ready
    assert not seats.agree  # nobody is there for whom to play again
    seats.sit(seats.all[1], ana)
    assert not seats.are_ready
    seats.mark(seats.all[1], ready=True, agrees=True)
    assert seats.are_ready
    assert seats.agree
    seats.clear_marks()
    assert not seats.are_ready
    assert not seats.agree


def test_marks_go_with_their_player() -> None:
    seats, ana = Seats(1), person("ana")
    (seat,) = seats.all
    seats.sit(seat, ana)
    seats.mark(seat, ready=True, agrees=True)
    seats.drop(seat, 1.0)
    assert not seats.are_here
    seats.stand(seat)
    assert not seat.is_ready
    assert not seat.agrees
    assert seats.are_here
    assert not seats.are_ready  # nobody sits


def test_a_bot_that_yields_is_found() -> None:
    seats, firm, kind = Seats(3), Bot(), Bot(yields=True)
    seats.sit(seats.all[0], firm)
    seats.sit(seats.all[1], kind)
    assert seats.yielding() is seats.all[1]
    assert seats.yielding(0) is None
