"""The speed of lobbies and games: searches, players beside slow spectators, ticks; about three minutes.

Laws:
- Goals are shown as met or not met and never fail the run. Words that are lost do.
- The server has one core; players and spectators have another.

Run: make bench-lobby, or one part: python -m tests.benchmarks.lobby --part ticks.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any, Final

import trio
from trio.testing import MockClock

from examples.lobby.battle import BattleRoom
from examples.lobby.bot import WordBot
from simplysocket import Server
from simplysocket.testing import open_server
from tests.benchmarks import lobby_searches, ticks
from tests.benchmarks.runs import (
    FINISH_SECONDS,
    GENERATOR_CORE,
    ServerProgram,
    idle_clients,
    machine,
    module,
    run_command,
    running,
)

MOST_TIMES: Final = 1.2  # the p99 with spectators, of that without them
JITTER_MS: Final = 10.0  # p99
GAMES_SECONDS: Final = 120.0  # of a run, beyond which it hangs
GAME_SECONDS: Final = 180  # the longest game
ROUNDS: Final = 5


def verdict(value: float, most: float) -> str:
    """Say whether a figure that should be low is."""
    return f"goal: at most {most:g}, {'met' if value <= most else 'NOT met'}"


def searches() -> int:
    """Measure what a lobby does."""
    print("\nA lobby, in one process without sockets\n")
    lobby_searches.report()
    return 0


def games() -> int:
    """Measure players with and without slow spectators; return how many words were lost."""
    print("\n500 games of the word battle with 4 players each; 500 slow spectators of one of them come and go\n")
    idle_clients()  # raises the limit of open files
    with (
        running(ServerProgram("battle", "battle_server")) as server,
        module("battle_load", server.port, f"--server={server.process.pid}", core=GENERATOR_CORE) as load,
    ):
        try:
            output, _ = load.communicate(timeout=GAMES_SECONDS + FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            output = ""
    if not output:
        raise SystemExit("the games came to no result: see their own message above")
    figures: dict[str, Any] = json.loads(output)
    rows: dict[str, tuple[str, Callable[[float], str]]] = {
        "p50_ms": ("a word and its echo, p50", lambda value: f"{value:.2f} ms"),
        "p99_ms": ("the same, p99", lambda value: f"{value:.2f} ms"),
        "words_per_second": ("words a second", lambda value: f"{value:.0f}"),
        "server_cpu": ("the server's core", lambda value: f"{value:.0%}"),
        "generator_cpu": ("the core of the players", lambda value: f"{value:.0%}"),
        "waited": ("waited for a core that others had", lambda value: f"{value:.1%}"),
    }
    print("| medians (all blocks) | without spectators | with 500 |\n| --- | --- | --- |")
    middle: dict[tuple[str, str], float] = {}
    for name, (text, shown) in rows.items():
        cells = []
        for kind in ("without", "with"):
            values = [block[name] for block in figures[kind]]
            middle[name, kind] = statistics.median(values)
            cells.append(f"{shown(middle[name, kind])} ({', '.join(map(shown, values))})")
        print(f"| {text} | {' | '.join(cells)} |")
    times = middle["p99_ms", "with"] / middle["p99_ms", "without"]
    print(f"\np99 with spectators / without: {times:.2f}; {verdict(times, MOST_TIMES)}")
    print(f"lost words: {figures['lost']}; players that were closed: {figures['closed']}; spectators: {figures['cut']}")
    if figures["errors"]:
        print(f"{figures['errors']} errors: {figures['first_error']}")
    return int(figures["lost"] + figures["closed"] + figures["errors"])


def exactness() -> int:
    """Measure ticks."""
    print(f"\nTicks: {ticks.HERTZ} a second in each of {ticks.ROOMS} rooms at once\n")
    print("| clients told of each | late, p50 | p99 | worst | calls made | the server's core | |\n|" + " --- |" * 7)
    for members in (0, 1):
        figures = ticks.measure(members)
        late = " | ".join(f"{figures[name]:.2f} ms" for name in ("p50", "p99", "worst"))
        shares = f"{figures['made']:.1%} | {figures['cpu']:.0%}"
        print(f"| {members} | {late} | {shares} | {verdict(figures['p99'], JITTER_MS)} |")
    return 0


async def play_alone() -> float:
    """Let two bots play the longest game by themselves; return the seconds of processor time."""
    server = Server("bots")
    server.room("battle-*")(BattleRoom)
    async with open_server(server) as net:
        eve = await net.connect("eve")
        began = time.thread_time()
        await eve.join("battle-1", **{"as": "spectator"})
        room = server.rooms["battle-1"]
        assert isinstance(room, BattleRoom)
        room.duration = GAME_SECONDS
        for name in ("Wordy", "Worder"):
            await room.seat_bot(WordBot(name))
        await room.start()
        await eve.expect("room-bot-end-game", timeout=2 * GAME_SECONDS)
        return time.thread_time() - began


def bots() -> int:
    """Measure what a game costs in virtual time."""
    best = min(trio.run(play_alone, clock=MockClock(autojump_threshold=0)) for _ in range(ROUNDS))
    print(f"\nA game of two bots that takes {GAME_SECONDS} s, in virtual time: {best:.3f} s of processor time")
    return 0


PARTS: Final = {"searches": searches, "games": games, "ticks": exactness, "bots": bots}


def main() -> int:
    """Run the command; return 1 if a word was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.lobby", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--part", choices=PARTS, help="only this one")
    options = parser.parse_args()
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}")
    failed = sum([part() for name, part in PARTS.items() if options.part in (None, name)])
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main)
