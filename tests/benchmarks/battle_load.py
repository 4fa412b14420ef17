"""Games under load: players of the word battle in many rooms at once, with and without slow spectators in one of them.

Each player is a client with a socket of its own, and follows the game as the page of the example does. Whoever has the
turn thinks as long as the bots of the example do, and says a word that counts. Measured is the time from then until it
hears its own word.

Laws:
- Every wait and every number is bounded.
- The same games go on while spectators come and go, and blocks with and without them take turns. The first and the
  last one are without, so that games that grow longer favour neither.

Run: python -m tests.benchmarks.battle_load PORT --server PID; prints one line of JSON.
"""

import argparse
import gc
import heapq
import json
import random
import select
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Final

import attrs

from examples.lobby.bot import LEAST_SECONDS, MOST_SECONDS
from examples.lobby.words import DICTIONARY
from tests.benchmarks.clients import ERROR, action_frame, connect, split_frames
from tests.benchmarks.load import percentile
from tests.benchmarks.spectators import Spectators

SEATS: Final = 4
GAME_SECONDS: Final = 180  # the longest that a game may take: more than a run
PAUSE_SECONDS: Final = 1.0  # of the game, from a word to the next turn
OPENING_SECONDS: Final = 3.0  # from the start to the first turn, as battle_server.py has it
SPAN_SECONDS: Final = PAUSE_SECONDS + (LEAST_SECONDS + MOST_SECONDS) / 2  # of a turn
SETTLE_SECONDS: Final = 3.0  # after spectators have come or gone
MOST_BLOCK: Final = 15.0  # seconds: all blocks lie within one game
QUIET_SECONDS: Final = 2.0  # at most, for the echoes that are due when the players stop
READ_BYTES: Final = 65_536
LETTERS: Final = range(3, 9)  # of the words that are said
BLOCKS: Final = ("without", "with", "without", "with", "without", "with", "without")
TURN: Final = b'"whichclientturn"'
SAID: Final = b'"send-message"'


@attrs.define(eq=False)
class Player:
    """A client that plays, and what it waits for."""

    sock: socket.socket
    room: str
    id: str
    unread: bytes = b""  # the beginning of a frame
    said_at: float | None = None  # when it said the word that it has not heard yet


@attrs.frozen
class Block:
    """What was measured in some seconds."""

    p50_ms: float
    p99_ms: float
    words_per_second: float
    server_cpu: float  # share of its core
    generator_cpu: float
    waited: float  # share of the time in which one of the two waited for its core, since another program was on it


def words_by_letter() -> dict[str, list[str]]:
    """Return words of the dictionary by their first letter, the same in each run."""
    words: dict[str, list[str]] = defaultdict(list)
    for word in sorted(DICTIONARY):
        if len(word) in LETTERS:
            words[word[0]].append(word)
    for each in words.values():
        random.Random(len(each)).shuffle(each)
    return words


def core_seconds(process: int | str) -> tuple[float, float]:
    """Return how long a process has been on a core, and how long it waited for one (Linux)."""
    ran, waited, _ = map(int, Path(f"/proc/{process}/schedstat").read_text().split())
    return ran / 1e9, waited / 1e9


class Games:
    """Plays in all rooms, and takes the times."""

    def __init__(self, port: int, rooms: int) -> None:
        self.words = words_by_letter()
        self.taken: Counter[tuple[str, str]] = Counter()  # {(room, letter): words said}
        self.random = random.Random(rooms)
        self.players: dict[int, Player] = {}  # {descriptor: player}
        self.poll = select.epoll()
        self.calls: list[tuple[float, int, Callable[[], None]]] = []  # a heap of (time, number, what to do)
        self.numbers = count()
        self.took: list[float] = []  # seconds, for each word
        self.said = self.heard = self.errors = self.closed = 0
        self.first_error = ""
        self.is_over = False
        self.spectators: Spectators | None = None
        socks = connect(port, SEATS * rooms)
        self.owners = [self.seat(f"battle-{number}", list(islice(socks, SEATS))) for number in range(rooms)]

    def seat(self, room: str, socks: list[socket.socket]) -> Player:
        """Let the players of one room sit down; return the owner."""
        players = []
        for sock in socks:
            sock.sendall(action_frame("join-room", room, {"roomname": room, "playerlimit": SEATS}))
            payloads: list[bytes] = []
            unread = b""
            while not (mine := [each for each in payloads if b'"know-yourself"' in each]):
                data = sock.recv(READ_BYTES)
                if not data or ERROR in data:
                    raise SystemExit(f"the server refused a player: {data[-500:]!r}")
                more, unread = split_frames(unread + data)
                payloads += more
            player = Player(sock, room, json.loads(mine[0])["message_body"]["sender"], unread)
            sock.sendall(action_frame("set-client-name", room, {"setname": f"Player {len(players)}"}))
            sock.sendall(action_frame("follow", room))
            sock.setblocking(False)
            self.players[sock.fileno()] = player
            self.poll.register(sock, select.EPOLLIN)
            players.append(player)
        settings = {"game_duration": str(GAME_SECONDS), "player_limit": str(SEATS)}
        players[0].sock.send(action_frame("room-settings", room, settings))
        return players[0]

    # --- what players do

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function after some seconds."""
        heapq.heappush(self.calls, (time.perf_counter() + seconds, next(self.numbers), function))

    def start(self) -> None:
        """Let all games begin, evenly spread over the time that a turn takes."""
        for number, owner in enumerate(self.owners):
            start = action_frame("start-the-game", owner.room, {"message": owner.room})
            self.later(SPAN_SECONDS * number / len(self.owners), partial(owner.sock.send, start))

    def say(self, player: Player, letter: str) -> None:
        """Say a word that was not said before in this room."""
        if self.is_over:
            return
        words = self.words[letter]
        word = words[self.taken[player.room, letter] % len(words)]
        self.taken[player.room, letter] += 1
        player.said_at = time.perf_counter()
        self.said += 1
        player.sock.send(action_frame("attempt-word", player.room, {"message": word}))

    def read(self, player: Player) -> None:
        """Read once, and look for what concerns this player."""
        try:
            data = player.sock.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self.poll.unregister(player.sock)
            self.closed += 1
            return
        now = time.perf_counter()
        payloads, player.unread = split_frames(player.unread + data)
        for payload in payloads:
            if player.said_at is not None and SAID in payload and json.loads(payload)["sender"] == player.id:
                self.took.append(now - player.said_at)
                player.said_at = None
                self.heard += 1
            elif TURN in payload:
                body = json.loads(payload)["message_body"]
                if body["whichclientturn"]["slug"] == player.id:
                    seconds = self.random.uniform(LEAST_SECONDS, MOST_SECONDS)
                    self.later(seconds, partial(self.say, player, body["letter"]))
            elif ERROR in payload:
                self.errors += 1
                self.first_error = self.first_error or payload[:300].decode(errors="replace")

    def pump(self, seconds: float, *, until_heard: bool = False) -> None:
        """Play for some seconds, or until all words are heard."""
        now = time.perf_counter()
        end = now + seconds
        while now < end and not (until_heard and self.heard == self.said):
            while self.calls and self.calls[0][0] <= now:
                heapq.heappop(self.calls)[2]()
            until = min(end, self.calls[0][0]) if self.calls else end
            for descriptor, _ in self.poll.poll(max(0.0, until - now), len(self.players)):
                self.read(self.players[descriptor])
            before, now = now, time.perf_counter()
            if self.spectators is not None:
                self.spectators.trickle(now - before)

    # --- what is measured

    def measure(self, seconds: float, server: int) -> Block:
        """Play for some seconds; return what was measured."""
        self.took.clear()
        began, before = time.perf_counter(), (*core_seconds(server), *core_seconds("self"))
        self.pump(seconds)
        elapsed, after = time.perf_counter() - began, (*core_seconds(server), *core_seconds("self"))
        server_ran, server_waited, ran, waited = ((b - a) / elapsed for a, b in zip(before, after, strict=True))
        took = sorted(self.took) or [elapsed]
        return Block(
            p50_ms=percentile(took, 0.50) * 1000,
            p99_ms=percentile(took, 0.99) * 1000,
            words_per_second=len(self.took) / elapsed,
            server_cpu=server_ran,
            generator_cpu=ran,
            waited=server_waited + waited,
        )

    def run(self, spectators: Spectators, seconds: float, server: int) -> dict[str, object]:
        """Begin all games, measure all blocks, and wait for the last echoes; return the figures."""
        self.start()
        self.pump(SPAN_SECONDS + OPENING_SECONDS + SPAN_SECONDS)
        blocks: dict[str, list[dict[str, float]]] = defaultdict(list)
        cut = 0
        for kind in BLOCKS:
            if kind == "with":
                spectators.come()
                self.spectators = spectators
            self.pump(SETTLE_SECONDS)
            blocks[kind].append(attrs.asdict(self.measure(seconds, server)))
            if self.spectators is not None:
                cut += spectators.leave()
                self.spectators = None
        self.is_over = True
        self.pump(QUIET_SECONDS, until_heard=True)
        return {
            **blocks,
            "lost": self.said - self.heard,
            "errors": self.errors,
            "first_error": self.first_error,
            "closed": self.closed,
            "cut": cut,
        }


def main() -> None:
    """Run one load and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.battle_load", description="Play, in many rooms.")
    parser.add_argument("port", type=int)
    parser.add_argument("--server", type=int, required=True, metavar="PID", help="of the server on this port")
    parser.add_argument("--rooms", type=int, default=500)
    parser.add_argument("--spectators", type=int, default=500, help="of the first room, all of them slow")
    parser.add_argument("--seconds", type=float, default=8.0, help=f"of each block, at most {MOST_BLOCK:g}")
    options = parser.parse_args()
    games = Games(options.port, options.rooms)
    spectators = Spectators(options.port, games.owners[0].room, options.spectators)
    gc.disable()  # a pause would be measured as the server's
    print(json.dumps(games.run(spectators, min(options.seconds, MOST_BLOCK), options.server)))


if __name__ == "__main__":
    main()
