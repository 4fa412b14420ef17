"""The play: when a game starts and ends, ready checks, and playing again.

Laws:
- A game starts by itself only while nobody who has a seat is away.
- With fewer players than it needs, a game does not start, and `on_too_few` is called while it is played.
"""

from typing import TYPE_CHECKING, Any

from ..client import Client
from ..errors import ActionError
from ..timer import Timer
from .bot import Bot
from .phase import Phase
from .seat import Seat

if TYPE_CHECKING:
    from .game import Game


class Play:
    """How one game begins, ends and begins again."""

    def __init__(self, game: "Game") -> None:
        self._game = game
        self._check: Timer | None = None  # of a ready check: its deadline
        self._were_ready = False  # True: `on_ready` was called for those who have a seat
        self._games = 0  # that have begun
        self._has_turns = False  # True: the turns of the game that is played have begun

    @property
    def needed(self) -> int:
        """How many seats must be taken."""
        game = self._game
        return len(game.seats.all) if game.room.needed is None else game.room.needed

    @property
    def has_enough(self) -> bool:
        """Whether so many seats are taken."""
        return len(self._game.seats.taken) >= self.needed

    # --- start and end

    async def start(self) -> None:
        """Begin a game: tell the members, and add the hooks."""
        game = self._game
        if game.phase is Phase.PLAYING:
            raise ActionError("forbidden", "the game is played already")
        if not self.has_enough:
            taken = len(game.seats.taken)
            raise ActionError("forbidden", f"the game needs {self.needed} players, and {taken} have a seat")
        self._end_check()
        self._were_ready = False
        if game.room.rotates and self._games:
            game.seats.rotate()
        self._games += 1
        game.phase = Phase.PLAYING
        game.seats.clear_marks()
        game.turns.begin(game.seats.in_order)
        await game.telling.tell("game-started")
        game.hooks.add(game.room.on_start)
        self._has_turns = False
        game.hooks.then(self._begin_turns, self._games, game.turns.number)

    async def _begin_turns(self, games: int, turns: int) -> None:
        """Call the bots, and give the first turn to a seat unless `on_start` has done so."""
        game = self._game
        if game.phase is not Phase.PLAYING or games != self._games:
            return
        for seat in game.seats.all:
            if isinstance(seat.player, Bot):
                game.hooks.add(seat.player.on_start, game.room, seat)
        self._has_turns = game.room.has_turns
        if self._has_turns and turns == game.turns.number:
            await game.turns.next(None)

    async def end(self, result: object) -> None:
        """End the game: tell the members, and add the hook. EncodeError changes nothing."""
        game = self._game
        if game.phase is not Phase.PLAYING:
            raise ActionError("forbidden", "no game is played")
        await game.telling.tell("game-over", result=result)
        game.phase = Phase.OVER
        game.turns.end()
        game.hooks.add(game.room.on_end, result)
        game.hooks.then(self.consider)

    async def consider(self) -> None:
        """Start a game, if it is time. While one is played, give the turn to who has sat down where nobody was."""
        game = self._game
        if game.phase is Phase.PLAYING and self._has_turns and game.turns.current is None:
            await game.turns.next(None)
        if self._look_if_ready():
            return  # it is considered after `on_ready`
        if game.phase is Phase.PLAYING or not self.has_enough or not game.seats.are_here:
            return
        if game.phase is Phase.OVER:
            is_time = game.seats.agree
        else:
            is_full = not any(seat.is_free for seat in game.seats.all)
            starts = game.room.starts
            is_time = (starts == "full" and is_full) or (starts == "ready" and game.seats.are_ready)
        if is_time:
            await self.start()

    async def seat_given_up(self, turn: int | None) -> None:
        """Go on after a seat was given up; `turn` is the number of the turn that it had."""
        game = self._game
        if game.phase is not Phase.PLAYING:
            await self.consider()
        else:
            if not self.has_enough:
                game.hooks.then(self._call_on_too_few)
            game.hooks.then(self._pass_on, turn)

    async def _call_on_too_few(self) -> None:
        """Call the hook, unless the game has ended by now, or others have sat down."""
        if self._game.phase is Phase.PLAYING and not self.has_enough:
            self._game.hooks.add_next(self._game.room.on_too_few)

    async def _pass_on(self, turn: int | None) -> None:
        """Give the turn that a seat had to the next one, unless this has happened."""
        game = self._game
        if game.phase is Phase.PLAYING and turn == game.turns.number and game.turns.current is None:
            await game.turns.next(None)

    # --- what players ask for

    async def start_by_owner(self, client: Client[Any]) -> None:
        """Start a game, if the client may do so."""
        game, starts = self._game, self._game.room.starts
        if not game.room.is_owner(client):
            raise ActionError("forbidden", "only the owner starts the game")
        if starts == "code" or starts == "ready":
            how = "when all are ready" if starts == "ready" else "by itself"
            raise ActionError("forbidden", f"this game starts {how}")
        if starts == "full" and game.phase is Phase.OVER:
            raise ActionError("forbidden", "the game starts again when all have agreed to a rematch")
        await self.start()

    async def set_ready(self, client: Client[Any], *, is_ready: bool) -> None:
        """Note whether a player is ready."""
        game = self._game
        seat = self._seat_of(client)
        if game.phase is Phase.PLAYING:
            raise ActionError("forbidden", "the game is played already")
        if seat.is_ready is not is_ready:
            game.seats.mark(seat, ready=is_ready)
            self._look_if_ready()

    async def set_agreed(self, client: Client[Any], *, agrees: bool) -> None:
        """Note whether a player wants to play again."""
        game = self._game
        seat = self._seat_of(client)
        if game.phase is not Phase.OVER:
            raise ActionError("forbidden", "a rematch comes after a game that is over")
        if seat.agrees is agrees:
            return
        game.seats.mark(seat, agrees=agrees)
        agreed = [each.index for each in game.seats.all if not each.is_free and each.agrees]
        await game.telling.tell("rematch", agreed=agreed)
        game.hooks.then(self.consider)

    def _seat_of(self, client: Client[Any]) -> Seat:
        seat = self._game.seats.of(client)
        if seat is None:
            raise ActionError("forbidden", "you have no seat")
        return seat

    # --- ready checks

    async def ask_ready(self, seconds: float) -> None:
        """Ask all players whether they are ready. At the end of the time, who is not gives up its seat."""
        game = self._game
        if game.phase is Phase.PLAYING:
            raise ActionError("forbidden", "the game is played already")
        self._end_check()
        self._were_ready = False
        for seat in game.seats.all:
            game.seats.mark(seat, ready=False)
        self._check = game.room.after(seconds, self._end_of_check)
        await game.telling.tell("ready-check", seconds=seconds)
        self._look_if_ready()

    async def _end_of_check(self) -> None:
        """Free the seats of those who are not ready; called in the room's turn."""
        game = self._game
        if self._check is None:
            return
        self._check = None
        for seat in game.seats.taken:
            if not seat.is_ready:
                game.table.stand_up(seat, "not ready")
        self._look_if_ready()
        await game.settle()

    def _look_if_ready(self) -> bool:
        """Add the hook if all who have a seat are ready, and were not when this was called before."""
        game, were_ready = self._game, self._were_ready
        self._were_ready = game.phase is not Phase.PLAYING and game.seats.are_ready and self.has_enough
        if were_ready or not self._were_ready:
            return False
        self._end_check()
        game.hooks.add(game.room.on_ready)
        game.hooks.then(self.consider)
        return True

    def _end_check(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None
