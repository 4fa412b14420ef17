"""The game room, as users write and see it: options and hooks to set, and methods to call.

Law: a facade. It checks its arguments and hands them on to the parts of the game.
"""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..actions import action, hook
from ..client import Client, State
from ..errors import ActionError
from ..reasons import Reason
from ..room import Room
from .bodies import Ready, Rematch, TakeSeat
from .bot import Bot
from .game import Game
from .options import check_names, check_numbers, check_options, check_set
from .phase import Phase
from .seat import Seat
from .wishes import read_seat


class GameRoom(Room[State]):
    """A room that holds a game: with seats, spectators, an owner, turns, ready checks and rematches.

    Write a subclass with options, hooks and `@action` methods, as with `Room`. Who joins sits down if
    a seat is free, else it watches. A lost connection keeps its seat for `hold_seconds`.

    The hooks of a game run in the room's turn, one after the other: those that a hook causes are called
    after it has returned. Each may be written without its last arguments. An exception is logged and given
    to `on_error`, and changes no seat. Call the methods in the room's turn, too: from handlers, hooks and timers.

    `on_join`, `on_leave`, `on_drop` and `on_resume` of `Room` are the game's own. `on_create`, `on_auth`,
    `on_snapshot`, `on_error` and `on_close` are yours.

    `on_create` may set the options for one room, except `seats` and `roles`, which `set_seats` changes.
    """

    seats: ClassVar[int] = 2
    """How many seats there are, 1 to 100; `set_seats` changes it."""
    needed: int | None = None
    """How many seats must be taken for a game; None: all."""
    roles: ClassVar[tuple[str, ...]] = ()
    """A role for each seat, such as `("X", "O")`; () for none."""
    spectators: int = 100
    """Members that may watch at most. `capacity` is the seats, these, and one who takes over from another device."""
    hold_seconds: ClassVar[float | None] = 120.0
    """Seconds for which a lost connection keeps its seat; None: `Limits.resume_seconds`."""
    turn_seconds: float | None = None
    """Seconds that a turn takes at most, from the next one on; then `on_time_out` is called. None: no clock."""
    has_turns: bool = True
    """Whether the first turn begins by itself after `on_start`. False for a game in which all play at once, or that
    calls `next_turn` itself."""
    pauses_while_away: bool = False
    """Whether the clock stands still while the player that has the turn is away."""
    late_seats: bool = False
    """Whether free seats may be taken while the game is played."""
    starts: str = "full"
    """When a game starts by itself, if nobody is away: "full", when all seats are taken, or `needed` and the owner asks
    for it; "ready", when all are ready; "owner", when the owner asks for it; "code", when your code calls `start`."""
    rotates: bool = False
    """Whether roles, and the seat that begins, move on by one seat with each further game."""
    tells: bool = True
    """Whether members are told of seats, turns, starts and ends; False for a game that tells this in its own words."""
    capacity: ClassVar[int | None] = seats + spectators + 1

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check_names(cls, GameRoom)
        check_options(cls)
        cls.capacity = cls.seats + cls.spectators + 1

    if not TYPE_CHECKING:  # to a type checker it would mean that any name may be set

        def __setattr__(self, name: str, value: object) -> None:
            check_set(self, name, value, GameRoom)
            super().__setattr__(name, value)
            if name in ("spectators", "late_seats"):
                self._fit_capacity()

    @functools.cached_property
    def _game(self) -> Game:
        return Game(self)

    # --- hooks, which a subclass may override

    @hook
    async def on_start(self) -> None:
        """Called when a game has begun. Set up its state; `order` is the order of the turns, and may be changed."""

    @hook
    async def on_turn(self, seat: Seat) -> None:
        """Called when the turn of a seat has begun."""

    @hook
    async def on_time_out(self, seat: Seat) -> None:
        """Called when the time of a turn is over. If you override it, give the turn to a seat, or end the game."""
        await self.next_turn()

    @hook
    async def on_end(self, result: Any) -> None:
        """Called when the game is over, with what was given to `end`."""

    @hook
    async def on_too_few(self) -> None:
        """Called while a game is played when fewer than `needed` seats are taken. By default the game ends."""
        await self.end({"reason": "too-few"})

    @hook
    async def on_sit(self, seat: Seat) -> None:
        """Called after somebody has sat down."""

    @hook
    async def on_stand(self, seat: Seat, player: Client[Any] | Bot, reason: Reason) -> None:
        """Called after a seat was given up; it is free. `player` has left the room, or watches now.

        `reason` is that of `on_leave`, "stood up", "moved", "not ready", "yielded", or what `stand_up` was given.
        """

    @hook
    async def on_away(self, seat: Seat) -> None:
        """Called when the player of a seat has lost its connection; `on_back` or `on_stand` follows."""

    @hook
    async def on_back(self, seat: Seat) -> None:
        """Called when the player is back, as the same client or as another one of its user, or from another device."""

    @hook
    async def on_watch(self, client: Client[Any]) -> None:
        """Called after a member has begun to watch."""

    @hook
    async def on_unwatch(self, client: Client[Any]) -> None:
        """Called after a spectator has left, or before it sits down."""

    @hook
    async def on_owner(self, seat: Seat) -> None:
        """Called when another person owns the game."""

    @hook
    async def on_ready(self) -> None:
        """Called when all who have a seat are ready, and `needed` are there."""

    # --- what to look at

    @property
    def phase(self) -> Phase:
        """Whether the game waits, is played, or is over: equal to "waiting", "playing" or "over"."""
        return self._game.phase

    @property
    def all_seats(self) -> tuple[Seat, ...]:
        """All seats, by their index."""
        return self._game.seats.all

    @property
    def taken_seats(self) -> tuple[Seat, ...]:
        """The seats that are taken or held; who has sat for longest comes first."""
        return self._game.seats.taken

    @property
    def free_seats(self) -> int:
        """How many more clients may sit down now: the seats that are free, or whose bot yields; 0 while none may."""
        return self._game.table.free_seats

    @property
    def watchers(self) -> Mapping[str, Client[State]]:
        """The members without a seat, {client id: client}."""
        return dict(self._game.watchers)

    @property
    def owner(self) -> Seat | None:
        """The seat of the person that owns the game; None if no person has a seat.

        That is who sat down first. After it comes who has sat for longest; never a bot.
        """
        return self._game.seats.owner

    @property
    def turn(self) -> Seat | None:
        """The seat that has the turn."""
        return self._game.turns.current

    @property
    def seconds_left(self) -> float | None:
        """Seconds that are left of the turn, also while its clock stands still; None without a clock."""
        return self._game.turns.seconds_left

    @property
    def order(self) -> list[Seat]:
        """The order of the turns. Free seats in it are passed over. Set it, or change the list, at any time."""
        return self._game.turns.order

    @order.setter
    def order(self, seats: Iterable[Seat]) -> None:
        order = list(seats)
        for each in order:
            self._check_seat(each)
        self._game.turns.set_order(order)

    def seat_of(self, player: Client[Any] | Bot) -> Seat | None:
        """Return the seat of a client or a bot; None if it has none."""
        return self._game.seats.of(player)

    def is_player(self, client: Client[Any]) -> bool:
        """Tell whether a client has a seat."""
        return self.seat_of(client) is not None

    def is_owner(self, client: Client[Any]) -> bool:
        """Tell whether a client owns the game."""
        seat = self.seat_of(client)
        return seat is not None and seat is self.owner

    def is_turn(self, client: Client[Any]) -> bool:
        """Tell whether a client has the turn."""
        seat = self.seat_of(client)
        return seat is not None and seat is self.turn

    # --- methods to call

    async def start(self) -> None:
        """Begin a game; `ActionError` with the code `forbidden` while one is played, and with too few players."""
        await self._game.play.start()
        await self._game.settle_soon()

    async def end(self, result: Any = None) -> None:
        """End the game; members get `game-over` with the result. `ActionError`, `forbidden`, while none is played."""
        await self._game.play.end(result)
        await self._game.settle_soon()

    async def next_turn(self, seat: Seat | None = None) -> None:
        """End the turn, and begin that of `seat`, or of the next one in the order that is taken.

        ValueError for a free seat; `ActionError` with the code `forbidden` while no game is played.
        """
        if seat is not None:
            self._check_seat(seat)
        await self._game.turns.next(seat)
        await self._game.settle_soon()

    async def ask_ready(self, seconds: float) -> None:
        """Ask all who have a seat whether they are ready; who is not after `seconds` has to stand up. Returns at once.

        `on_ready` is called when all are. `ActionError` with `forbidden` while a game is played.
        """
        if not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
            raise ValueError(f"ask_ready({seconds!r:.200}): give seconds above 0")
        await self._game.play.ask_ready(seconds)
        await self._game.settle_soon()

    async def stand_up(self, seat: Seat, reason: str = "stood up") -> None:
        """Free a seat. Who sat there watches, or is kicked if there is no place for a spectator."""
        self._check_seat(seat)
        if not seat.is_free:
            self._game.table.stand_up(seat, reason)
            await self._game.settle_soon()

    async def set_seats(self, seats: int, roles: Sequence[str] = ()) -> None:
        """Change the number of seats, while no game is played. Who would lose a seat changes to one that is free.

        `roles` is one for each, or empty. ValueError for another number of roles, and for fewer seats than are taken
        or `needed`; `ActionError` with `forbidden` while a game is played.
        """
        roles = tuple(roles)
        check_numbers(seats, self.needed, roles)
        if self.phase is Phase.PLAYING:
            raise ActionError("forbidden", "the game is played: its seats stay")
        self._game.table.resize(seats, roles)
        vars(self).update(seats=seats, roles=roles)
        self._fit_capacity()
        await self._game.settle_soon()

    async def seat_bot(self, bot: Bot, seat: Seat | None = None) -> Seat:
        """Let a bot sit down, on `seat` or the first that is free; return its seat.

        `ActionError` with the code `room-full` if it is not free; ValueError for a bot that has a seat.
        """
        if seat is not None:
            self._check_seat(seat)
        found = self._game.seats.free(None if seat is None else seat.index)
        if found is None:
            raise ActionError("room-full", "no seat is free" if seat is None else f"seat {seat.index} is not free")
        self._game.table.sit(found, bot)
        await self._game.settle_soon()
        return found

    async def remove_bot(self, bot: Bot) -> None:
        """Free the seat of a bot, if it has one."""
        if (seat := self.seat_of(bot)) is not None:
            await self.stand_up(seat, "removed")

    def _check_seat(self, seat: Seat) -> None:
        if seat not in self.all_seats:
            raise ValueError(f"{seat!r:.200} is no seat of this room: give one of `all_seats`")

    def _fit_capacity(self) -> None:
        super().__setattr__("capacity", self.seats + self.spectators + 1)  # the lobby is told of it

    def _simplysocket_made_anew(self) -> None:
        _ = self._game  # it lets the members in

    # --- hooks of Room, which are the game's own

    async def on_join(self, client: Client[State], options: dict[str, Any]) -> None:
        """Let a client that joins sit down or watch. Yours are `on_sit` and `on_watch`."""
        await self._game.table.join(client, options)

    async def on_leave(self, client: Client[State], reason: Reason) -> None:
        """Free or hold the seat of a member that has left. Yours are `on_stand` and `on_unwatch`."""
        await self._game.table.leave(client, reason)

    async def on_drop(self, client: Client[State]) -> None:
        """Note that a player is away. Yours is `on_away`."""
        await self._game.table.drop(client)

    async def on_resume(self, client: Client[State]) -> None:
        """Note that a player is back. Yours is `on_back`."""
        await self._game.table.resume(client)

    # --- actions that every game has

    @action("take-seat")
    async def _act_take_seat(self, client: Client[State], body: TakeSeat | None = None) -> dict[str, Any]:
        body = body or TakeSeat()
        asked = read_seat(body.seat, body.role, self.all_seats)
        seat = self._game.table.take_seat(client, *asked)
        await self._game.settle()
        return {"seat": seat.index, "role": seat.role}

    @action("stand-up")
    async def _act_stand_up(self, client: Client[State]) -> None:
        self._game.table.ask_to_stand(client)
        await self._game.settle()

    @action("ready")
    async def _act_ready(self, client: Client[State], body: Ready | None = None) -> None:
        await self._game.play.set_ready(client, is_ready=(body or Ready()).ready)
        await self._game.settle()

    @action("start-game")
    async def _act_start_game(self, client: Client[State]) -> None:
        await self._game.play.start_by_owner(client)
        await self._game.settle()

    @action("rematch")
    async def _act_rematch(self, client: Client[State], body: Rematch | None = None) -> None:
        await self._game.play.set_agreed(client, agrees=(body or Rematch()).agree)
        await self._game.settle()
