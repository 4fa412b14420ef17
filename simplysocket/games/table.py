"""The table: who sits down, watches, goes away, comes back and gives up its seat.

Laws:
- A member either has a seat or watches. Who is no member has no seat, but one may be held for it.
- A join that fails, or is given up, leaves a seat that it has taken over to its person.
"""

import secrets
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from ..client import Client
from ..errors import ActionError
from ..reasons import Reason, ReasonKind
from ._lobby.places import seats_kept
from .holding import Holding
from .phase import Phase
from .seat import Seat
from .wishes import Wish, read_wish

if TYPE_CHECKING:
    from .bot import Bot
    from .game import Game

_KEY_BYTES: Final = 16  # of randomness in the key of a seat: nobody guesses it

_UNDONE: Final = ("cancelled", "timeout")  # the reasons of a leave that undoes a join which was given up


@attrs.frozen
class _Takeover:
    """The last join that has taken a seat over, and what it has changed."""

    client: Client[Any]
    seat: Seat
    former: "Client[Any] | Bot | None"  # who had the seat
    key: str  # with which it could be taken


class Table:
    """Who sits at one game, and who watches."""

    def __init__(self, game: "Game") -> None:
        self._game = game
        self._holding = Holding(game)
        self._takeover: _Takeover | None = None

    # --- joins and leaves

    async def join(self, client: Client[Any], options: dict[str, Any]) -> None:
        """Let a client that joins sit down or watch; undo it if the join fails."""
        game = self._game
        if game.seats.of(client) is not None or client.id in game.watchers:
            return  # a member's join with other options
        try:
            self._let_in(client, read_wish(options, game.seats.all))
            await game.settle()
        except BaseException:
            self._forget(client)
            raise

    def _let_in(self, client: Client[Any], wish: Wish) -> None:
        """Let a new member sit down or watch; `room-full` if there is no place for it, or not the one it must have."""
        game = self._game
        claimed = None if wish.watches else game.seats.claimed(client.user, wish.key)
        if claimed is not None:
            self._takeover = _Takeover(client, claimed, claimed._occupant, claimed._key)
            self.take_over(claimed, client)
        elif not wish.watches and self._is_offered and self._seat(client, wish.seat, wish.role):
            pass
        elif wish.must_sit:
            raise ActionError("room-full", self._why_not(wish))
        elif len(game.watchers) >= game.room.spectators:
            raise ActionError("room-full", f"room {game.room.name!r} has no free seat, and no place for a spectator")
        else:
            self._watch(client)
        game.hooks.then(game.telling.greet, client)

    async def leave(self, client: Client[Any], reason: Reason) -> None:
        """Note that a member has left: its seat becomes free, or is held for its person."""
        game = self._game
        if game.watchers.pop(client.id, None) is not None:
            game.hooks.add(game.room.on_unwatch, client)
        seat = game.seats.of(client)
        if seat is not None and reason.kind is ReasonKind.LEFT and reason in _UNDONE:
            self._undo(client, seat, reason)
        elif seat is not None:
            self._hold_or_stand(seat, self._holding.seconds_for(seat, reason), reason)
        try:
            await game.settle()
        finally:
            self._holding.keep_room_open()

    def _hold_or_stand(self, seat: Seat, seconds: float, reason: Reason) -> None:
        if seconds > 0:
            self._holding.hold(seat, seconds)
        else:
            self.stand(seat, reason)

    def _undo(self, client: Client[Any], seat: Seat, reason: Reason) -> None:
        """Take a seat from a client whose join is undone: if it has taken it over, it is held as it was."""
        takeover, self._takeover = self._takeover, None
        seconds = 0.0
        if takeover is not None and takeover.client is client and takeover.seat is seat:
            self._game.seats.take_over(seat, client, takeover.key)
            seconds = self._holding.usual_seconds(seat)
        self._hold_or_stand(seat, seconds, reason)
        if seat.is_held and takeover is not None:
            seat._occupant = takeover.former

    def _forget(self, client: Client[Any]) -> None:
        """Undo the join of a client that has not become a member."""
        game = self._game
        if game.watchers.pop(client.id, None) is not None:
            game.hooks.add(game.room.on_unwatch, client)
        seat = game.seats.of(client)
        if seat is not None:
            self._undo(client, seat, Reason("cancelled", ReasonKind.LEFT))
        if game.hooks.are_waiting:
            game.settle_later()

    async def adopt(self) -> None:
        """Let members sit down or watch that the game has not let in: the room was made anew (`Room.on_crash`)."""
        game = self._game
        for member in list(game.room.members.values()):
            if game.seats.of(member) is None and member.id not in game.watchers:
                seat = self._seat(member, None, None)
                if seat is None:
                    self._watch(member)
                elif not member.is_connected:
                    self.go_away(seat)

    # --- sitting down and watching

    def take_seat(self, client: Client[Any], index: int | None, role: str | None) -> Seat:
        """Let a member sit down, or change its seat."""
        game = self._game
        own = game.seats.of(client)
        claimed = None if own is not None else game.seats.claimed(client.user, None)
        if claimed is not None:
            if game.watchers.pop(client.id, None) is not None:
                game.hooks.add(game.room.on_unwatch, client)
            self.take_over(claimed, client)
            return claimed
        if not self._is_offered or (own is not None and game.phase is Phase.PLAYING):
            raise ActionError("forbidden", "the game has begun: seats are taken when it is over")
        if own is not None:
            to = game.seats.free(index, role)
            if to is None:
                raise ActionError("room-full", self._why_not(Wish(seat=index, role=role)))
            self.move(own, to)
            game.hooks.then(self._give_key, to)
            return to
        seat = self._seat(client, index, role)
        if seat is None:
            raise ActionError("room-full", self._why_not(Wish(seat=index, role=role)))
        return seat

    def sit(self, seat: Seat, player: "Client[Any] | Bot") -> None:
        """Give a free seat to a player, and add the hooks."""
        game = self._game
        is_watcher = game.watchers.pop(player.id, None)
        if is_watcher is not None:
            game.hooks.add(game.room.on_unwatch, is_watcher)
        has_key = isinstance(player, Client) and game.room.tells
        game.seats.sit(seat, player, secrets.token_urlsafe(_KEY_BYTES) if has_key else "")
        if game.phase is Phase.OVER:
            game.seats.mark(seat, agrees=True)  # it came to play
        game.hooks.then(self._give_key, seat)
        game.hooks.add(game.room.on_sit, seat)
        game.note_owner()
        game.hooks.then(game.play.consider)

    def move(self, seat: Seat, to: Seat) -> None:
        """Let the player of a seat change to a free one, and add the hooks."""
        game = self._game
        game.seats.move(seat, to)
        self._moved(seat, to)
        game.hooks.then(game.play.consider)

    def resize(self, count: int, roles: tuple[str, ...]) -> None:
        """Change the number of seats. Who sits on one that is taken away changes to one that is free."""
        for seat, to in self._game.seats.resize(count, roles):
            self._moved(seat, to)
            self._game.hooks.then(self._give_key, to)
        self._game.hooks.then(self._game.play.consider)

    def _moved(self, seat: Seat, to: Seat) -> None:
        game = self._game
        self._holding.moved(seat, to)
        game.note_owner(has_moved=True)
        game.hooks.add(game.room.on_stand, seat, to._occupant, Reason("moved", ReasonKind.LEFT))
        game.hooks.add(game.room.on_sit, to)

    def _seat(self, client: Client[Any], index: int | None, role: str | None) -> Seat | None:
        """Let a client sit on a free seat, or on that of a bot that yields; None if there is none for it."""
        game = self._game
        if self.free_seats <= seats_kept(game.room, client):
            return None  # the lobby keeps them for others, who are about to join
        seat = game.seats.free(index, role)
        if seat is None:
            seat = game.seats.yielding(index, role)
            if seat is None:
                return None
            bot = game.seats.stand(seat)
            game.hooks.add(game.room.on_stand, seat, bot, Reason("yielded", ReasonKind.LEFT))
        self.sit(seat, client)
        return seat

    def _watch(self, client: Client[Any]) -> None:
        self._game.watchers[client.id] = client
        self._game.hooks.add(self._game.room.on_watch, client)

    @property
    def free_seats(self) -> int:
        """How many more clients may sit down now."""
        seats = self._game.seats.all if self._is_offered else ()
        return sum(seat.is_free or getattr(seat.player, "yields", False) for seat in seats)

    @property
    def _is_offered(self) -> bool:
        """Whether free seats may be taken now."""
        return self._game.phase is not Phase.PLAYING or self._game.room.late_seats

    def _why_not(self, wish: Wish) -> str:
        if not self._is_offered:
            return "the game has begun: seats are taken when it is over"
        asked = [f"seat {wish.seat}"] * (wish.seat is not None) + [f"the seat of {wish.role}"] * (wish.role is not None)
        return f"{' or '.join(asked)} is not free" if asked else "all seats are taken"

    async def _give_key(self, seat: Seat) -> None:
        """Tell a player which seat it has, and the key with which its person may take it again."""
        if isinstance(seat.player, Client):
            body = {"seat": seat.index, "role": seat.role, "key": seat._key}
            await self._game.telling.tell_one(seat.player, "seated", **body)

    # --- the same person, as another client

    def take_over(self, seat: Seat, client: Client[Any]) -> None:
        """Give a seat to another client of its person. The former one, if it is still there, watches or is removed."""
        game = self._game
        self._holding.end(seat)
        former = game.seats.take_over(seat, client, secrets.token_urlsafe(_KEY_BYTES) if game.room.tells else "")
        if isinstance(former, Client):
            game.hooks.then(self._see_off, former, seat)
        game.hooks.then(self._give_key, seat)
        game.hooks.add(game.room.on_back, seat)
        game.hooks.then(game.turns.resumed, seat)
        game.hooks.then(game.play.consider)

    async def _see_off(self, former: Client[Any], seat: Seat) -> None:
        """Give away the place of a client whose seat another one of its person has taken over, or let it watch."""
        game = self._game
        if former.id in game.room.members and not await game.room.release(former):
            await game.telling.tell_one(former, "seat-taken-over", seat=seat.index)
            await self._watch_or_go(former, "taken-over")

    async def _watch_or_go(self, client: Client[Any], reason: str) -> None:
        """Let a member that has lost its seat watch, or remove it if there is no place for a spectator."""
        game = self._game
        if client.id not in game.room.members or game.seats.of(client) is not None:
            return
        if len(game.watchers) < game.room.spectators:
            self._watch(client)
        else:
            await game.room.kick(client, reason)

    # --- standing up

    def stand_up(self, seat: Seat, reason: str) -> None:
        """Free a seat by the game's own code. Who sat there watches, or is removed if there is no place for it."""
        if isinstance(seat.player, Client):
            self._game.hooks.then(self._watch_or_go, seat.player, reason)
        self.stand(seat, Reason(reason, ReasonKind.KICKED))

    def stand(self, seat: Seat, reason: Reason) -> None:
        """Free a seat, and add the hooks."""
        game = self._game
        self._holding.end(seat)
        player = game.seats.stand(seat)
        had_turn = game.turns.current is seat
        if had_turn:
            game.turns.end()
        game.hooks.add(game.room.on_stand, seat, player, reason)
        game.note_owner()
        game.hooks.then(game.play.seat_given_up, game.turns.number if had_turn else None)

    def ask_to_stand(self, client: Client[Any]) -> None:
        """Free the seat of a client that asks for it, and let it watch."""
        game = self._game
        seat = game.seats.of(client)
        if seat is None:
            raise ActionError("forbidden", "you have no seat")
        if len(game.watchers) >= game.room.spectators:
            raise ActionError("room-full", "there is no place for a spectator: leave the room instead")
        self.stand(seat, Reason("stood up", ReasonKind.LEFT))
        self._watch(client)

    # --- going away and coming back

    async def drop(self, client: Client[Any]) -> None:
        """Note that a member has lost its connection, and may come back."""
        seat = self._game.seats.of(client)
        if seat is not None:
            self.go_away(seat)
            await self._game.settle()

    async def resume(self, client: Client[Any]) -> None:
        """Note that a member is back."""
        game = self._game
        seat = game.seats.of(client)
        if seat is not None and seat.is_away:
            game.seats.back(seat)
            game.hooks.add(game.room.on_back, seat)
            await game.turns.resumed(seat)
            game.hooks.then(game.play.consider)
        game.hooks.then(game.telling.greet, client)
        await game.settle()

    def go_away(self, seat: Seat) -> None:
        """Note that the player of a seat is away, and add the hook."""
        game = self._game
        if not seat.is_away:
            game.seats.drop(seat, trio.current_time())
            game.hooks.then(game.turns.paused, seat)
            game.hooks.add(game.room.on_away, seat)
