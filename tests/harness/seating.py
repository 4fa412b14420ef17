"""Clients that come, go, take seats and give them up at random, in a game of random options, and what must hold."""

import contextlib
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Message, Reason
from simplysocket.games import Bot, GameRoom, Seat
from simplysocket.testing import ConnectionEnded, Net, TestClient, open_server

from .tables import NAME, make_table

STEPS = 25  # of one run
PEOPLE = 5
SITTINGS = re.compile(r"(S(A?B)*A?T)*(S(A?B)*A?)?")
"""The hooks of one seat: S sit, A away, B back, T stand."""


class Random(GameRoom):
    """A game whose hooks take their time, or fail, at random; it checks itself in its own turns."""

    async def on_create(self) -> None:
        self.letters: dict[Seat, str] = {}  # the hooks of each seat
        self.chance = random.Random(self.options["seed"])
        self.every(1.7, self.check)

    async def note(self, seat: Seat | None, letter: str) -> None:
        if seat is not None:
            self.letters[seat] = self.letters.get(seat, "") + letter
        if self.chance.random() < 0.2:
            await trio.sleep(self.chance.choice((0.1, 1, 2)))
        if self.chance.random() < 0.03:
            raise ActionError("forbidden", "a hook fails")

    async def on_sit(self, seat: Seat) -> None:
        await self.note(seat, "S")

    async def on_stand(self, seat: Seat, player: Client | Bot, reason: Reason) -> None:
        assert player is not None
        await self.note(seat, "T")

    async def on_away(self, seat: Seat) -> None:
        await self.note(seat, "A")

    async def on_back(self, seat: Seat) -> None:
        await self.note(seat, "B")

    async def on_watch(self) -> None:
        await self.note(None, "")

    async def on_turn(self, seat: Seat) -> None:
        if self.chance.random() < 0.1:
            await self.next_turn()

    async def on_message(self, client: Client, message: Message) -> None:
        match message.action:
            case "move" if self.is_turn(client):
                await self.next_turn()
            case "finish":
                await self.end(None)
            case "bot":
                await self.seat_bot(Bot(yields=self.chance.random() < 0.5))
            case "no-bots":
                for seat in self.all_seats:
                    if isinstance(seat.player, Bot):
                        await self.remove_bot(seat.player)
            case "throw-out":
                await self.stand_up(self.chance.choice(self.all_seats), "out")
            case "kick":
                await self.kick(self.chance.choice(list(self.members.values())))
            case "release":
                await self.release(self.chance.choice(list(self.members.values())))
            case "ask-ready":
                await self.ask_ready(3)
            case "seats":
                with contextlib.suppress(ValueError):  # fewer than are taken or needed
                    await self.set_seats(self.chance.randint(1, 5))
            case "check":
                await self.check()

    async def check(self) -> None:
        """Check all that must hold between two turns."""
        seats, members, watchers = self.all_seats, set(self.members), set(self.watchers)
        players = [seat.player for seat in seats if isinstance(seat.player, Client)]
        ids = [player.id for player in players]
        assert len(set(ids)) == len(ids), f"a player has two seats: {seats}"
        assert not set(ids) & watchers, "a player watches"
        assert set(ids) | watchers == members, "who is a member has a seat or watches, and nobody else does"
        assert len(watchers) <= self.spectators, "too many spectators"
        assert all(self.seat_of(player) in seats for player in players)
        persons = [seat for seat in seats if not seat.is_free and not seat.is_bot]
        assert (self.owner in persons) if persons else self.owner is None, f"{self.owner} owns the game of {seats}"
        for seat in seats:
            assert not seat.is_held or (seat.is_away and seat.player is None and seat.name is not None)
            assert not seat.is_free or not (seat.is_away or seat.is_held or seat.is_ready or seat.agrees)
        assert set(self._game.table._holding._timers) == {seat for seat in seats if seat.is_held}, (
            "a seat is held for ever"
        )
        if self.phase == "playing":
            needed = len(seats) if self.needed is None else self.needed
            assert len(self.taken_seats) >= needed, "the game is played with too few"
            assert self.turn is not None
            assert not self.turn.is_free, "the turn is that of a free seat"
            assert (self.seconds_left is None) == (self.turn_seconds is None)
        else:
            assert self.turn is None
        for letters in self.letters.values():
            assert SITTINGS.fullmatch(letters), letters

    async def on_error(self, error: BaseException) -> None:
        if not isinstance(error, ActionError):
            FAULTS.append(error)


FAULTS: list[BaseException] = []


@attrs.define
class Person:
    """One who plays: its newest client, and the key that it was told."""

    name: str
    user: str | None
    client: TestClient | None = None
    is_dropped: bool = False
    key: str | None = None
    clients: list[TestClient] = attrs.field(factory=list)  # all that it ever had

    def note(self, messages: list[dict[str, Any]]) -> None:
        """Remember the newest key."""
        for each in messages:
            if each["action"] == "seated":
                self.key = each["message_body"]["key"]


def game_of(chance: random.Random) -> type[GameRoom]:
    """Return a game of random options."""
    seats = chance.randint(1, 4)
    return type(
        "Game",
        (Random,),
        {
            "seats": seats,
            "needed": chance.choice((None, chance.randint(1, seats))),
            "spectators": chance.randint(0, 3),
            "hold_seconds": chance.choice((0.0, 4.0, None)),
            "turn_seconds": chance.choice((None, 3.0)),
            "pauses_while_away": chance.random() < 0.5,
            "late_seats": chance.random() < 0.5,
            "starts": chance.choice(("full", "full", "ready", "owner")),
            "rotates": chance.random() < 0.5,
            "tells": chance.random() < 0.9,
        },
    )


async def _run(seed: int) -> Counter[str]:
    chance, done = random.Random(seed), Counter[str]()
    has_users = chance.random() < 0.5
    server = make_table(game_of(chance), has_users=has_users, resume_seconds=6.0)
    people = [Person(f"p{number}", f"u{number % 3}" if has_users else None) for number in range(PEOPLE)]
    async with open_server(server) as net:
        for _ in range(STEPS):
            act = chance.choice(_ACTS)
            async with trio.open_nursery() as nursery:
                for _ in range(chance.choice((1, 1, 1, 3))):  # some at once
                    nursery.start_soon(_try, act, net, chance.choice(people), chance, seed)
            done[act.__name__.strip("_")] += 1
            if chance.random() < 0.3:
                await trio.sleep(chance.choice((0.1, 1, 5)))
        await trio.sleep(30)
        room = server.rooms.get(NAME)
        if isinstance(room, Random):
            await room.check()
            assert not [seat for seat in room.all_seats if isinstance(seat.player, Client) and seat.player.is_gone]
            done[f"phase {room.phase}"] += 1
        for person in people:
            for client in person.clients:
                client.drop()
        await trio.sleep(60)
        assert NAME not in server.rooms
    return done


async def _try(act: Callable[..., Awaitable[None]], net: Net, person: Person, chance: random.Random, seed: int) -> None:
    with contextlib.suppress(ActionError, ConnectionEnded, trio.BrokenResourceError, trio.ClosedResourceError):
        with trio.move_on_after(20):  # the answer may be lost with the connection
            await act(net, person, chance, seed)


async def _come(net: Net, person: Person, chance: random.Random, seed: int) -> None:
    if person.client is None or chance.random() < 0.3:  # another device, or the same one anew
        person.client = await net.connect(person.name, token=person.user, resume=chance.random() < 0.7)
        person.clients.append(person.client)
        person.is_dropped = False
    await _join(net, person, chance, seed)


async def _join(net: Net, person: Person, chance: random.Random, seed: int) -> None:
    wish: dict[str, Any] = chance.choice(
        ({}, {}, {"as": "spectator"}, {"as": "player"}, {"seat": chance.randint(0, 3)})
    )
    if person.key is not None and chance.random() < 0.5:
        wish = {**wish, "key": person.key}
    if person.client is not None and not person.is_dropped:
        await person.client.join(NAME, seed=seed, **wish)
        if person.client is not None:  # another step may have closed it
            person.note(await person.client.settle())


async def _go(net: Net, person: Person, chance: random.Random, seed: int) -> None:
    if person.client is None:
        return
    match chance.choice(("drop", "drop", "drop", "close", "leave")):
        case "drop" if not person.is_dropped:
            person.client.drop()
            person.is_dropped = True
        case "close" if not person.is_dropped:
            await person.client.close(chance.choice((1000, 1001)))
            person.client = None
        case "leave" if not person.is_dropped:
            await person.client.request("leave-room", {"roomname": NAME})


async def _come_back(net: Net, person: Person, chance: random.Random, seed: int) -> None:
    if person.client is None or not person.is_dropped:
        return
    if person.client.resume is None:
        person.client = None
        return
    try:
        await person.client.come_back(forgets=chance.random() < 0.3)
        person.is_dropped = False
    except (ConnectionEnded, ActionError):
        person.client = None


async def _ask(net: Net, person: Person, chance: random.Random, seed: int) -> None:
    if person.client is None or person.is_dropped:
        return
    action = chance.choice(("take-seat", "take-seat", "stand-up", "ready", "ready", "start-game", "rematch", "rematch"))
    body: Any = None
    if action == "take-seat" and chance.random() < 0.5:
        body = {"seat": chance.randint(0, 3)}
    await person.client.request(action, body, target=NAME)


async def _say(net: Net, person: Person, chance: random.Random, seed: int) -> None:
    if person.client is None or person.is_dropped:
        return
    words = ("move", "move", "finish", "bot", "no-bots", "throw-out", "kick", "release", "ask-ready", "seats", "check")
    await person.client.request(chance.choice(words), target=NAME)


_ACTS = (_come, _come, _come, _go, _go, _come_back, _come_back, _ask, _ask, _ask, _say, _say, _say)


def run(seed: int) -> Counter[str]:
    """Do one run in virtual time; return what was done. It raises what is wrong, such as an AssertionError."""
    FAULTS.clear()
    done: Counter[str] = trio.run(_run, seed, clock=MockClock(autojump_threshold=0))
    if FAULTS:
        raise FAULTS[0]
    return done
