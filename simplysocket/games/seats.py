"""The seats of a game: who sits where, who owns the game, and which role is whose.

Laws:
- Nobody has two seats, and no seat has two players.
- The owner is a seat that a person has. If it is given up, the person who has sat for longest is the next.
- A machine: it knows neither time nor rooms, and sends nothing. The time is given to it.
"""

import hmac
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .seat import Seat

if TYPE_CHECKING:
    from ..client import Client
    from .bot import Bot

    Player: TypeAlias = Client[Any] | Bot


class Seats:
    """All seats of one game."""

    def __init__(self, count: int, roles: Sequence[str] = ()) -> None:
        """`roles` is empty, or has one role for each seat."""
        self._roles = tuple(roles)
        self._rotation = 0  # the index of the seat that has the first role
        self._sittings = 0
        self._by_player: dict[str, Seat] = {}  # {id of a player: its seat}; not those that are held
        self.all: tuple[Seat, ...] = tuple(Seat(index, self._role_of(index, count)) for index in range(count))
        self.owner: Seat | None = None

    # --- to look at

    @property
    def taken(self) -> tuple[Seat, ...]:
        """The seats that somebody has, those that are held included; who has sat for longest comes first."""
        return tuple(sorted((seat for seat in self.all if not seat.is_free), key=lambda seat: seat._since))

    @property
    def in_order(self) -> tuple[Seat, ...]:
        """All seats, that of the first role first."""
        return self.all[self._rotation :] + self.all[: self._rotation]

    def of(self, player: "Player") -> Seat | None:
        """Return the seat of a player; None if it has none."""
        return self._by_player.get(player.id)

    def claimed(self, user: str | None, key: str | None) -> Seat | None:
        """Return the seat of this user, or the one that this key belongs to; None if there is none."""
        if user is not None:
            for seat in self.all:
                if seat.user == user:
                    return seat
        if key:
            for seat in self.all:
                if seat._key and hmac.compare_digest(seat._key.encode(), key.encode()):
                    return seat
        return None

    def free(self, index: int | None = None, role: str | None = None) -> Seat | None:
        """Return the first free seat, or the one with this index or role if it is free."""
        return next((seat for seat in self.asked(index, role) if seat.is_free), None)

    def yielding(self, index: int | None = None, role: str | None = None) -> Seat | None:
        """Return the first such seat whose bot gives it to a person."""
        return next((seat for seat in self.asked(index, role) if getattr(seat.player, "yields", False)), None)

    def asked(self, index: int | None, role: str | None) -> Iterable[Seat]:
        """Return the seats with this index and this role, where they are given; that of the first role first."""
        return [
            seat
            for seat in self.in_order
            if (index is None or seat.index == index) and (role is None or seat.role == role)
        ]

    @property
    def are_ready(self) -> bool:
        """Whether all who have a seat are ready, and there is somebody."""
        return bool(self._by_player) and all(seat.is_ready for seat in self.taken)

    @property
    def agree(self) -> bool:
        """Whether all who have a seat want to play again, and one of them is a person."""
        taken = self.taken
        return all(seat.agrees for seat in taken) and not all(seat.is_bot for seat in taken)

    @property
    def are_here(self) -> bool:
        """Whether nobody who has a seat is away."""
        return not any(seat.is_away for seat in self.all)

    # --- to sit down and to stand up

    def sit(self, seat: Seat, player: "Player", key: str = "") -> None:
        """Give a free seat to a player that has none."""
        if not seat.is_free or player.id in self._by_player:
            raise ValueError(f"{player!r} cannot sit on {seat!r}: it is taken, or this player has a seat already")
        self._sittings += 1
        seat._occupant, seat._key, seat._since = player, key, self._sittings
        self._by_player[player.id] = seat
        self._find_owner()

    def take_over(self, seat: Seat, player: "Client[Any]", key: str = "") -> "Player | None":
        """Give a taken or held seat to another client of the same person; return who sat there, if it still did."""
        former = seat.player
        if former is not None:
            del self._by_player[former.id]
        seat._occupant, seat._key = player, key
        seat._is_held = seat._is_away = False
        self._by_player[player.id] = seat
        return former

    def stand(self, seat: Seat) -> "Player | None":
        """Free a seat; return who had it."""
        occupant = seat._occupant
        if seat.player is not None:
            del self._by_player[seat.player.id]
        seat._vacate()
        self._find_owner()
        return occupant

    def move(self, seat: Seat, to: Seat) -> None:
        """Let the player of a seat change to a free one. It keeps its key, and the time that it has sat for."""
        if seat.is_free or not to.is_free:
            raise ValueError(f"nobody can move from {seat!r} to {to!r}")
        for name in ("_occupant", "_key", "_since", "_is_held", "_is_away", "_away_since", "_is_ready", "_agrees"):
            setattr(to, name, getattr(seat, name))
        if to.player is not None:
            self._by_player[to.player.id] = to
        seat._vacate()
        if self.owner is seat:
            self.owner = to

    # --- to go away and to come back

    def drop(self, seat: Seat, now: float) -> None:
        """Note that the player of a seat is away since `now`."""
        if not seat._is_away:
            seat._is_away, seat._away_since = True, now

    def back(self, seat: Seat) -> None:
        """Note that the player of a seat is back."""
        seat._is_away = False

    def hold(self, seat: Seat, now: float) -> None:
        """Keep a seat for its person, whose client has left."""
        self.drop(seat, now)
        if seat.player is not None:
            del self._by_player[seat.player.id]
        seat._is_held = True

    # --- all seats

    def resize(self, count: int, roles: Sequence[str] = ()) -> list[tuple[Seat, Seat]]:
        """Change the number of seats; return who had to move, as (from, to). Those that stay are the same objects.

        ValueError if more seats are taken.
        """
        if len(self.taken) > count:
            raise ValueError(f"{len(self.taken)} seats are taken: there cannot be only {count}")
        self._roles, self._rotation = tuple(roles), 0
        before = self.all
        self.all = (*before[:count], *(Seat(index, None) for index in range(len(before), count)))
        moves = []
        for seat in before[count:]:
            if not seat.is_free:
                to = next(each for each in self.all if each.is_free)
                self.move(seat, to)
                moves.append((seat, to))
        self._give_roles()
        return moves

    def rotate(self) -> None:
        """Give each seat the role of the one before it; the next seat is then the first in the order of turns."""
        self._rotation = (self._rotation + 1) % len(self.all)
        self._give_roles()

    def mark(self, seat: Seat, *, ready: bool | None = None, agrees: bool | None = None) -> None:
        """Note whether the player of a seat is ready, or wants to play again."""
        if ready is not None:
            seat._is_ready = ready
        if agrees is not None:
            seat._agrees = agrees

    def clear_marks(self) -> None:
        """Forget who is ready, and who wants to play again."""
        for seat in self.all:
            seat._is_ready = seat._agrees = False

    def _give_roles(self) -> None:
        for seat in self.all:
            seat._role = self._role_of(seat.index, len(self.all))

    def _role_of(self, index: int, count: int) -> str | None:
        return self._roles[(index - self._rotation) % count] if self._roles else None

    def _find_owner(self) -> None:
        if self.owner is None or self.owner.is_free:
            self.owner = next((seat for seat in self.taken if not seat.is_bot), None)
