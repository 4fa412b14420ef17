"""How long a bystander waits while one address attacks the server: `python -m tests.benchmarks.bystander`.

For each input of tests/harness/attacks.py a fresh server with the default limits, a hundred attackers in a process of
their own, an honest member of the attacked room beside them, and here the bystander, from another address and in no
room, which sends a `ping` every 20 ms: it is connected before the attack begins, and misses nothing of it.

Laws:
- Targets are shown as met or not met and never fail the run.
- Every attack goes on for as long as the bystander asks, attackers that are closed connect anew, and every process
  ends with the run.
"""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import attrs
import trio

from tests.benchmarks.runs import GENERATOR_CORE, SERVER_CORE, first_line, machine, module, resident_bytes, run_command
from tests.harness.attack import Attack
from tests.harness.attacked import make_besieged
from tests.harness.attacks import ATTACKS, ROOMS, AttackInput
from tests.harness.siege import honest_member, prepared, press

PING_SECONDS = 0.02
TARGET_MS = 250.0
ATTACK_SECONDS = 3.0
END_SECONDS = 10.0  # for an answer: what takes longer counts as this
KEPT_ROOMS = 300  # in the attacks on lists of rooms
NICE = 10  # the attackers give way to the bystander, which has the same core


@attrs.frozen
class Reached:
    """A server in another process, as the harness sees it."""

    port: int


@attrs.frozen
class Result:
    """What the bystander saw of one attack."""

    trips: list[float]  # milliseconds
    growth: int  # bytes of resident memory
    was_closed: bool  # the bystander or the honest member


async def serve(name: str) -> None:
    """Serve until the process is ended; say the port first."""
    server = make_besieged(has_login=name == "failed logins")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, "127.0.0.1", 0)
        for number in range(KEPT_ROOMS if name in [each.name for each in ROOMS] else 0):
            await server.open_room(f"hall-kept-{number}")
        print(server.port, flush=True)


async def attack_as(given: AttackInput, port: int) -> None:
    """Attack from when a line comes until the process is ended. Say when all is ready; end if a member is closed."""
    reached: object = Reached(port)
    attack = Attack(reached)  # type: ignore[arg-type]  # of a server it needs the port only
    async with honest_member(attack) as victim:
        peers = [await prepared(attack, given, number) for number in range(given.connections)]
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
        await press(attack, given, peers, victim, is_endless=True)
        await trio.sleep_forever()


async def ask(port: int, seconds: float, begin: Callable[[], None]) -> tuple[list[float], bool]:
    """Begin the attack and ask for a while; return the round trips in milliseconds, and whether one was closed."""
    reached: object = Reached(port)
    stay = Attack(reached, address="127.0.0.2")  # type: ignore[arg-type]  # as above
    peer = await stay.connect()
    trips: list[float] = []
    await peer.request("ping", id=0)
    begin()
    end = time.perf_counter() + seconds
    try:
        while time.perf_counter() < end:
            began = time.perf_counter()
            with trio.move_on_after(END_SECONDS):
                await peer.request("ping", id=len(trips) + 1)
            trips.append((time.perf_counter() - began) * 1000)
            await trio.sleep(PING_SECONDS)
    except AssertionError:
        return trips, True
    await stay.leave()
    return trips, False


def begin(attackers: subprocess.Popen[str]) -> None:
    """Let the attackers begin."""
    assert attackers.stdin is not None
    attackers.stdin.write("\n")
    attackers.stdin.flush()


def measure(given: AttackInput, seconds: float) -> Result:
    """Attack a fresh server with one input."""
    with module("bystander", "--serve", given.name, core=SERVER_CORE) as server:
        port = first_line(server)
        before = resident_bytes(server)
        with module("bystander", "--attack", given.name, "--port", port, core=GENERATOR_CORE) as attackers:
            subprocess.run(["renice", "-n", str(NICE), "-p", str(attackers.pid)], capture_output=True, check=False)
            first_line(attackers)
            trips, was_closed = trio.run(ask, int(port), seconds, partial(begin, attackers))
            was_closed |= attackers.poll() is not None
        return Result(trips, resident_bytes(server) - before, was_closed)


def report(names: Sequence[str], seconds: float) -> None:
    """Measure and print one line for each attack."""
    print(machine())
    print(f"{'attack':36}{'worst ms':>10}{'median ms':>11}{'asked':>7}{'RSS +MB':>9}  closed  target {TARGET_MS:g} ms")
    for given in ATTACKS:
        if names and str(given) not in names:
            continue
        result = measure(given, seconds)
        worst = max(result.trips, default=END_SECONDS * 1000)
        print(
            f"{given.name:36}{worst:10.0f}{statistics.median(result.trips or [worst]):11.1f}{len(result.trips):7}"
            f"{result.growth / 1e6:9.1f}  {'others' if result.was_closed else 'nobody'}"
            f"  {'met' if worst <= TARGET_MS and not result.was_closed else 'NOT met'}",
            flush=True,
        )


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--attacks", default="", help="names with commas, such as empty-pings,bad-JSON; else all")
    parser.add_argument("--seconds", type=float, default=ATTACK_SECONDS, help="of each attack")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # lines of the log are written, and not shown
            logging.basicConfig(stream=nowhere)
            trio.run(serve, options.serve)
    elif options.attack:
        trio.run(attack_as, next(each for each in ATTACKS if each.name == options.attack), options.port)
    else:
        names = [each for each in options.attacks.split(",") if each]
        unknown = set(names) - {str(each) for each in ATTACKS}
        if unknown:
            parser.error(f"no attack {', '.join(sorted(unknown))}: choose from {', '.join(map(str, ATTACKS))}")
        report(names, options.seconds)
    return 0


if __name__ == "__main__":
    run_command(main)
