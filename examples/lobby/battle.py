"""A room of the word battle: who plays, the course of a game, and what the bot of the room says.

It speaks the vocabulary of the Go game, so that pages which were written for that game work here. Our own page asks to
`follow`, and is then sent `battle` after each change: all that there is to show.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from simplysocket import ActionError, BadBody, Client, Reason, Timer, action
from simplysocket.games import Bot, GameRoom, Seat

from .bot import WordBot
from .messages import DURATIONS, LIMITS, NAME_LENGTH, Listing, Name, Settings, Stage, Text, Word
from .picture import picture_of
from .rules import Battle, Player, Verdict
from .words import DICTIONARY

BOT: Final = "bot-of-the-room"  # the sender of what the room itself says
TALK_SECONDS: Final = 10  # before the first turn
FIRST_TURN_SECONDS: Final = 10
TURN_SECONDS: Final = 11  # of all other turns: they begin while the players still read what became of the last word
PAUSE_SECONDS: Final = 1  # between two things that the bot says
BOARD_SECONDS: Final = 0.7  # from the end to the board
LINES: Final = 50  # of the chat, for those who come later
COLORS: Final = (  # one for each player; dark text can be read on all of them
    *("#f2b84b", "#8fb8f0", "#ef8f7a", "#7fc8a9", "#c9a3f0"),
    *("#f09ac0", "#b7cf5f", "#6fd0d6", "#e0a876", "#b0b7c3"),
)
SPECTATOR: Final = "#c4c0cc"
COMMENTS: Final = {
    Verdict.GOOD: "Bravo, {}!",
    Verdict.WRONG_LETTER: "That begins with another letter, {}.",
    Verdict.USED: "That was said before, {}.",
    Verdict.NO_WORD: "That is not in my dictionary, {}.",
    Verdict.TOO_LATE: "Time is up, {}.",
}


class BattleRoom(GameRoom):
    """A room of the word battle. The first who sits down is its host, who sets it up and starts the game."""

    listing: Any = Listing
    seats = 4
    needed = 2
    spectators = 1_000
    turn_seconds: int = FIRST_TURN_SECONDS
    starts = "owner"
    has_turns = False  # `take_turns` begins them, after the time to talk
    tells = False  # the room tells of seats and turns in the words of the Go game
    is_random = False

    async def on_create(self) -> None:
        limit = self.options.get("playerlimit", self.seats)
        if type(limit) is not int or limit not in LIMITS:
            raise BadBody(f"a game is for {LIMITS[0]} to {LIMITS[-1]} players", path="$.playerlimit")
        await self.set_seats(limit)
        if self.options.get("hidden") is True:
            self.hide()
        self.duration = 60  # seconds of a game
        self.players: dict[str, Player] = {}  # {id: who has a seat and a name}
        self.host: Client | None = None
        self.battle = Battle([], DICTIONARY)
        self.board: list[Player] = []  # of the last game, once it is over
        self.stage = Stage.WAITING
        self.step: Timer | None = None  # to the next stage
        self.step_seconds: float = 0  # that it takes in all
        self.end_of_time: Timer | None = None
        self.chat: deque[dict[str, str]] = deque(maxlen=LINES)

    # --- who comes and goes

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        if "setplayername" in options:
            client.name = read_name(options["setplayername"])
        if options.get("as") != "spectator":
            await self.check_place(client)

    async def check_place(self, client: Client) -> None:
        """Refuse a client that comes to play when it cannot have a seat."""
        why = "The game has begun" if self.phase == "playing" else "" if self.free_seats else "The room is full"
        if why:
            await client.send("fail-join-room-notify", {"message": f"{why}."}, sender=BOT)
            raise ActionError("room-full", f"{why}, but you can watch.")

    async def on_sit(self, seat: Seat) -> None:
        player = seat.player
        if isinstance(player, Bot):
            await self.enter(player.id, player.name)
        elif player is not None and player.id not in self.players:
            if self.is_random:
                await player.send("found-random-room-notify", {"roomname": self.name}, sender=BOT)
            await self.broadcast("join-room-notify", {"newmessage": f"{player.name} joined the room"}, sender=player)
            await self.tell_host()
            await player.send("know-yourself", {"sender": player.id}, sender=BOT)

    async def on_stand(self, seat: Seat, player: Client | Bot, reason: Reason) -> None:
        if self.seat_of(player) is None and player.id in self.players:  # else it has moved to another seat
            del self.players[player.id]
            self.battle.leave(player.id)
            await self.tell_players()
        await self.tell_host()

    async def on_watch(self, client: Client) -> None:
        await client.send("know-yourself", {"sender": client.id}, sender=BOT)
        await self.show()

    async def on_unwatch(self, client: Client) -> None:
        await self.show()

    async def on_away(self, seat: Seat) -> None:
        await self.show()

    async def on_back(self, seat: Seat) -> None:
        await self.show()

    async def tell_host(self) -> None:
        """Tell a client that has become the host."""
        host = None if self.owner is None else self.owner.player
        if isinstance(host, Client) and host is not self.host:
            await host.send("is-room-maker", {"message": host.id}, sender=BOT)
            self.host = host

    # --- who may do what

    def may_start(self, client: Client) -> bool:
        """Nobody is the host of a random room: both may want to play again."""
        return self.is_player(client) if self.is_random else self.is_owner(client)

    def has_turn(self, client: Client) -> bool:
        return self.stage is Stage.TURN and self.is_turn(client)

    # --- names and settings

    @action("set-client-name")
    async def set_name(self, client: Client, body: Name) -> None:
        if not self.is_player(client):
            await self.check_place(client)
            raise ActionError("forbidden", "You are watching: take a seat first.")
        client.name = body.setname  # what nobody sees in it is left out
        is_new = client.id not in self.players
        await self.enter(client.id, client.name)
        if self.is_random and is_new and len(self.players) == len(self.all_seats):
            await self.start()

    async def enter(self, id: str, name: str) -> None:
        """Give a player its name, and a colour if it is new."""
        if id in self.players:
            self.players[id].name = name
        else:
            used = {player.color for player in self.players.values()}
            color = next(each for each in COLORS if each not in used)
            self.players[id] = Player(color, name, 0, id)
        await self.tell_players()

    async def tell_players(self) -> None:
        await self.say("client-list-notify", {"clientsinroomessage": list(self.players.values())})
        await self.show()

    @action("room-settings", only=GameRoom.is_owner)
    async def change_settings(self, body: Settings) -> None:
        duration, limit = int(body.game_duration), int(body.player_limit)
        if duration not in DURATIONS:
            raise BadBody(f"A game takes {DURATIONS[0]} to {DURATIONS[-1]} seconds.", path="$.game_duration")
        least = max(LIMITS[0], len(self.taken_seats))
        if not least <= limit <= LIMITS[-1]:
            raise BadBody(f"There can be {least} to {LIMITS[-1]} players.", path="$.player_limit")
        await self.set_seats(limit)
        self.duration = duration
        await self.say("room-setting-applied", {"message": f"Up to {limit} players, {duration} seconds"})
        await self.show()

    @action("add-bot", only=GameRoom.is_owner)
    async def add_bot(self) -> None:
        """Let a bot play, too. A random game starts with it at once."""
        await self.seat_bot(WordBot("Wordy"))
        if self.is_random:
            await self.start()

    # --- the course of a game

    @action("start-the-game", only=may_start)
    async def start_game(self, body: Text) -> None:
        await self.start()

    async def on_start(self) -> None:
        self.enter_stage(Stage.OPENING, PAUSE_SECONDS, self.explain)
        for seat in self.taken_seats:
            if seat.id not in self.players:  # it did not say its name in time
                await self.enter(str(seat.id), str(seat.name))
        self.battle = Battle(self.players.values(), DICTIONARY, self.battle.letter)
        self.board = []
        self.end_of_time = self.after(self.duration, self.end, "Time is up for all of you!")
        await self.say("room-bot-greetings", {"message": "Welcome to the word battle"})
        await self.show()

    async def explain(self) -> None:
        await self.bot_says("Each word begins with the last letter of the one before, and no word counts twice.")
        self.enter_stage(Stage.OPENING, PAUSE_SECONDS, self.let_talk)

    async def let_talk(self) -> None:
        self.enter_stage(Stage.TALK, TALK_SECONDS, self.take_turns)
        await self.tell_stand(f"You have {TALK_SECONDS} seconds to talk, then it begins.", TALK_SECONDS)

    async def take_turns(self) -> None:
        self.turn_seconds = FIRST_TURN_SECONDS
        await self.next_turn()

    async def on_turn(self, seat: Seat) -> None:
        self.enter_stage(Stage.TURN)
        player, letter = self.players[str(seat.id)], self.battle.letter
        text = f"{player.name}, say a word with {letter.upper()}."
        await self.tell_stand(text, self.turn_seconds, letter, whichclientturn=player)

    @action("attempt-word", only=has_turn)
    async def attempt(self, client: Client, body: Word) -> None:
        await self.try_word(client.id, body.message)

    async def try_word(self, id: str, text: str) -> None:
        """Judge the word of the player that has the turn, and pass the turn on."""
        verdict = self.battle.attempt(id, text)
        await self.pass_on(id, verdict, text)

    async def on_time_out(self, seat: Seat) -> None:
        if self.stage is Stage.TURN:  # else the word has come in time
            self.battle.miss(str(seat.id))
            await self.pass_on(str(seat.id), Verdict.TOO_LATE)

    async def pass_on(self, id: str, verdict: Verdict, text: str = "") -> None:
        """Tell what became of a turn, and begin the next one soon."""
        self.turn_seconds = TURN_SECONDS
        self.enter_stage(Stage.PAUSE, PAUSE_SECONDS, self.next_turn)
        await self.show()
        if text:
            await self.say_as(id, text)
        await self.bot_says(COMMENTS[verdict].format(self.players[id].name))

    async def on_too_few(self) -> None:
        await self.end("The others have left!")

    async def on_end(self, why: str) -> None:
        self.enter_stage(Stage.ENDING, BOARD_SECONDS, self.show_board)
        if self.end_of_time is not None:
            self.end_of_time.cancel()
        await self.bot_says(why)
        await self.show()

    async def show_board(self) -> None:
        self.enter_stage(Stage.OVER)
        self.board = self.battle.board()
        body = {"message": "The game is over", "client_list": self.board, "word_list": self.battle.words}
        await self.say("room-bot-end-game", body)
        await self.show()

    def enter_stage(self, stage: Stage, seconds: float = 0, then: Callable[[], Awaitable[None]] | None = None) -> None:
        """Go on to a stage of the game, and from there to what follows after some seconds."""
        self.stage = stage
        if self.step is not None:
            self.step.cancel()
        self.step = None if then is None else self.after(seconds, then)
        self.step_seconds = seconds

    # --- what is said

    @action("send-message")
    async def talk(self, client: Client, body: Text) -> None:
        line = {"slug": client.id, "name": client.name, "color": self.color_of(client.id), "text": body.message}
        self.chat.append(line)
        await self.say_as(client.id, body.message)

    def color_of(self, id: str) -> str:
        return self.players[id].color if id in self.players else SPECTATOR

    async def say_as(self, id: str, text: str) -> None:
        """Send what a player or a spectator says to all."""
        name = self.players[id].name if id in self.players else self.members[id].name
        body = {"message": text, "useravatar": name[:2], "color": self.color_of(id)}
        await self.broadcast("send-message", body, sender=id)

    async def say(self, action: str, body: dict[str, Any]) -> None:
        """Send something to all that comes from the bot of the room."""
        await self.broadcast(action, body, sender=BOT)

    async def bot_says(self, text: str) -> None:
        await self.say("send-message", {"message": text, "useravatar": "🤖", "color": SPECTATOR})

    async def tell_stand(self, text: str, timer: int, letter: str = "", **more: Player) -> None:
        """Say how the game stands: for how many seconds, with which letter, and whose turn it is."""
        stats = list(self.battle.players.values())
        await self.say(
            "message-by-bot", {"message": text, "timer": timer, "clientstats": stats, "letter": letter, **more}
        )
        await self.show()

    # --- what our own page shows

    @action("follow")
    async def follow(self, client: Client) -> dict[str, Any]:
        """Reply with all that there is to show, and send it to this client after each change from now on."""
        client.state["follows"] = True
        return {**picture_of(self), "chat": list(self.chat)}

    async def show(self) -> None:
        """Show what has changed to those who follow, and to the lobby."""
        host = "" if self.owner is None else str(self.owner.name)
        listing = Listing(host, self.phase, len(self.taken_seats), len(self.all_seats))
        if listing != self.listing:
            self.listing = listing
        others = [client for client in self.members.values() if "follows" not in client.state]
        if len(others) < len(self.members):
            await self.broadcast("battle", picture_of(self), sender=BOT, exclude=others, coalesce="battle")


def read_name(name: object) -> str:
    """Check a name that comes with a join."""
    if isinstance(name, str) and len(name) <= NAME_LENGTH:
        return name
    raise BadBody(f"A name has at most {NAME_LENGTH} characters.", path="$.setplayername")


class RandomBattleRoom(BattleRoom):
    """A room for two who do not know each other. The game starts when both have said their names."""

    is_random = True
    seats = 2
    starts = "code"
