"""The table: who sits down, watches, goes away, comes back and gives up its seat.

Laws:
- A member either has a seat or watches. Who is no member has no seat, but one may be held for it.
- A seat that is held is freed in time.
"""

import secrets
from typing import TYPE_CHECKING, Any, Final

import trio

from ..client import Client
from ..errors import ActionError
from ..reasons import Reason, ReasonKind
from ..timer import Timer
from ._lobby.places import seats_kept
from .phase import Phase
from .seat import Seat
from .wishes import Wish, read_wish

if TYPE_CHECKING:
    from .bot import Bot
    from .game import Game

_KEY_BYTES: Final = 16  # of randomness in the key of a seat: nobody guesses it

# Its connection ended without its wish, so whoever left may come back, as another client of the same person. That a
# member was away before means that its time to come back is over, or that the game has given its place away.
_LOST: Final = frozenset({ReasonKind.LOST, ReasonKind.SILENT, ReasonKind.SLOW, ReasonKind.EXPIRED, ReasonKind.INTERNAL})
# Another connection of the same person has come, and has made this one end.
_REPLACED: Final = frozenset({ReasonKind.TOO_MANY, ReasonKind.TAKEN_OVER})
_PAGE_LEFT: Final = 1001  # the code of the Close when a page is left or loaded anew (RFC 6455, 7.4.1)


class Table:
    """Who sits at one game, and who watches."""

    def __init__(self, game: "Game") -> None:
        self._game = game
        self._holds: dict[Seat, Timer] = {}  # {a seat that is held: the timer that frees it}
        self._empty_ttl: float | None = None  # the room's own, while a hold prolongs it

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
        seconds = 0.0 if seat is None else self._seconds_to_hold(seat, reason)
        if seat is not None and seconds > 0:
            await self._hold(seat, seconds)
        elif seat is not None:
            self.stand(seat, reason)
        try:
            await game.settle()
        finally:
            self._stay_open()

    def _forget(self, client: Client[Any]) -> None:
        """Undo the join of a client that has not become a member."""
        game = self._game
        if game.watchers.pop(client.id, None) is not None:
            game.hooks.add(game.room.on_unwatch, client)
        seat = game.seats.of(client)
        if seat is not None:
            self.stand(seat, Reason("cancelled", ReasonKind.LEFT))
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
                    await self._go_away(seat)

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
        if seat in self._holds:
            left = self._holds.pop(seat)
            self._start_hold(to, left.seconds_left or 0.0)
            left.cancel()
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
        self._end_hold(seat)
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
        self._end_hold(seat)
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
            await self._go_away(seat)
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

    async def _go_away(self, seat: Seat) -> None:
        game = self._game
        if not seat.is_away:
            game.seats.drop(seat, trio.current_time())
            game.hooks.add(game.room.on_away, seat)
            await game.turns.paused(seat)

    # --- holding a seat

    def _seconds_to_hold(self, seat: Seat, reason: Reason) -> float:
        """Return for how long the seat of a client that has left is held; 0 if it becomes free."""
        if seat.user is None and not seat._key:
            return 0.0  # nobody could show to be the same
        is_lost = reason.kind in _LOST or (reason.kind is ReasonKind.CLOSED and reason.code == _PAGE_LEFT)
        if not (reason.kind in _REPLACED or (is_lost and not seat.is_away)):
            return 0.0
        room = self._game.room
        seconds = room.server.limits.resume_seconds if room.hold_seconds is None else room.hold_seconds
        return seconds - (trio.current_time() - seat._away_since if seat.is_away else 0.0)

    async def _hold(self, seat: Seat, seconds: float) -> None:
        await self._go_away(seat)
        self._game.seats.hold(seat, trio.current_time())
        self._start_hold(seat, seconds)

    def _start_hold(self, seat: Seat, seconds: float) -> None:
        if self._game.room.is_open:
            self._holds[seat] = self._game.room.after(seconds, self._free_held, seat)

    def _end_hold(self, seat: Seat) -> None:
        timer = self._holds.pop(seat, None)
        if timer is not None:
            timer.cancel()

    def _stay_open(self) -> None:
        """Let a room that its last member has left stay open for as long as a seat is held."""
        room: Any = self._game.room  # Any: `empty_ttl` is an option of the class for mypy
        if self._empty_ttl is not None:
            room.empty_ttl, self._empty_ttl = self._empty_ttl, None
        held = max((timer.seconds_left or 0.0 for timer in self._holds.values()), default=0.0)
        if held and not room.members and room.empty_ttl is not None:
            self._empty_ttl = room.empty_ttl
            room.empty_ttl = max(room.empty_ttl, held)

    async def _free_held(self, seat: Seat) -> None:
        """Free a seat whose time is over; called in the room's turn."""
        if seat in self._holds:
            self.stand(seat, Reason("disconnected", ReasonKind.LOST))
            await self._game.settle()
