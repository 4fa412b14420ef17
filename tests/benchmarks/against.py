"""The speed of the working tree beside that of another commit: `python -m tests.benchmarks.against REF`.

Laws:
- Only the package differs: both sides run the server program and the load generator of the working tree.
- Both packages are copied into one temporary folder first, so that the working tree may be edited meanwhile; the
  folder is removed at the end, also after Ctrl+C.
- Each pair measures both sides in every column, one directly after the other, and the side that goes first changes
  from pair to pair: a machine that gets slower or faster meets both alike.
- Speed never fails the run. Messages that are lost do.
"""

import argparse
import io
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import attrs

from tests.benchmarks.columns import COLUMNS, Column, chosen_names
from tests.benchmarks.come_back import ComeBack
from tests.benchmarks.comparison import BOUNDS, Bounds, Pairs, table, verdict
from tests.benchmarks.load import Load
from tests.benchmarks.runs import (
    BUSY_GENERATOR,
    ROOT,
    SETTLE_SECONDS,
    WARM_UP_SECONDS,
    ServerProgram,
    idle_clients,
    machine,
    measure,
    measure_memory,
    missed,
    run_command,
    running,
)

PACKAGE = "simplysocket"
MEMORY = "memory"  # the last column
MAX_PAIRS = 100
DISTURBED_SHARE = 0.05  # of its time that a process waits for its core; 0.01 on a quiet machine, as measured
MEMORY_PAIRS = 3  # at most: memory hardly moves from run to run
RUN_SECONDS = 2.0
RUN_OVERHEAD_SECONDS = 1.2  # to start a server, connect, collect the last messages and stop; as measured
MEMORY_OVERHEAD_SECONDS = 4.0  # to start a server and connect the idle clients; as measured

# What a service adds (house_server): the column that it costs most.
TYPED = Column("typed-8", "echo-8 with typed bodies, a middleware, identities", Load(64, 1, 1, 8))
CROWD = Column("come-back", "2,000 clients come back in the same moment", ComeBack(2_000))  # only with_resume
COLUMN_OF = {column.name: column for column in (*COLUMNS, TYPED, CROWD)}
MODULES = {TYPED.name: "house_server"}  # of the columns that product_server does not serve
NAMES = (*(name for name in COLUMN_OF if name != CROWD.name), MEMORY)


@attrs.frozen
class Side:
    """One of the two that are compared, such as "old" and "new": a package, by its folder, and what clients ask."""

    name: str
    packages: Path
    protocols: str = ""  # that all clients offer

    def program(self, column: str) -> ServerProgram:
        """Return the server of a column, to run with this package."""
        return ServerProgram(self.name, MODULES.get(column, "product_server"), packages=self.packages)


@attrs.define
class Figures:
    """What the pairs came to so far."""

    pairs: dict[str, list[tuple[float, float]]]  # {column: [(old, new)]}
    missed: Counter[str] = attrs.Factory(Counter)  # messages, by side
    busy: dict[str, float] = attrs.Factory(dict)  # {column: share of its core that the generator used, if too much}
    runs: int = 0
    disturbed: int = 0  # of the runs: other programs were on the cores

    def named(self, *names: str) -> list[Pairs]:
        """Return the pairs of some columns."""
        return [Pairs(name, self.pairs[name]) for name in names]


def git(*arguments: str) -> bytes:
    """Run git in the working tree; an empty answer if it fails."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


def title(commit: str) -> str:
    """Return the short hash and the subject of a commit."""
    return git("log", "-1", "--format=%h %s", commit).decode().strip()


def found_commit(ref: str) -> str:
    """Return the hash of a commit that has the package, or exit with one line that says what is missing."""
    commit = git("rev-parse", "--verify", "--quiet", "--end-of-options", ref + "^{commit}").decode().strip()
    if not commit:
        raise SystemExit(f"no commit {ref!r} in {ROOT}: give a hash, a branch, a tag or, say, HEAD~5")
    if not git("ls-tree", commit, f"{PACKAGE}/__init__.py"):
        raise SystemExit(f"{title(commit)!r} has no package {PACKAGE}/: compare with a later commit")
    return commit


def copied_sides(commit: str, folder: Path) -> list[Side]:
    """Copy both packages, each into a folder of its own, and return them, the old one first."""
    old, new = Side("old", folder / "old"), Side("new", folder / "new")
    archive = git("archive", "--format=tar", commit, PACKAGE)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(old.packages, filter="data")
    copy_package(new.packages)
    return [old, new]


def copy_package(folder: Path) -> None:
    """Copy the package of the working tree into a folder."""
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))


def check_imports(sides: list[Side], columns: list[str]) -> None:
    """Start every server once and ask it which package it imported; one that imported another ends the run."""
    modules = {side.program(column).module: column for side in sides for column in columns}
    for side in sides:
        for column in modules.values():
            with running(side.program(column)) as server:
                package = server.package
            if not package:
                raise SystemExit(f"the {side.name} server does not say which {PACKAGE} it imported")
        print(f"  {side.name} imports {package}")


def expected_seconds(columns: list[str], pairs: int) -> float:
    """Return about how long the run takes."""
    run = WARM_UP_SECONDS + RUN_SECONDS + RUN_OVERHEAD_SECONDS
    memory_pairs = min(pairs, MEMORY_PAIRS) if MEMORY in columns else 0
    speed_pairs = pairs * len([column for column in columns if column != MEMORY])
    return 2 * (speed_pairs * run + memory_pairs * (SETTLE_SECONDS + MEMORY_OVERHEAD_SECONDS))


def minutes(seconds: float) -> str:
    """Return a time as minutes:seconds."""
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def measure_speed(side: Side, column: str, figures: Figures) -> float:
    """Run one column once on one side; return its deliveries a second."""
    load = attrs.evolve(COLUMN_OF[column].load, protocols=side.protocols)
    run = measure(side.program(column), load, RUN_SECONDS)
    figures.missed[side.name] += missed(run)
    figures.runs += 1
    figures.disturbed += max(run["server_waited"], run["generator_waited"]) > DISTURBED_SHARE
    if run["generator_cpu"] >= BUSY_GENERATOR:
        figures.busy[column] = max(run["generator_cpu"], figures.busy.get(column, 0.0))
    if not run["per_second"]:
        raise SystemExit(f"the {side.name} server delivered nothing in {column}")
    return run["per_second"]


def measure_pair(sides: list[Side], order: list[Side], column: str, figures: Figures, clients: int) -> str:
    """Run one column once on each side, note the figures, and return how they compare (*: disturbed)."""
    disturbed = figures.disturbed
    took = {
        side.name: measure_memory(side.program(column), clients, side.protocols)
        if column == MEMORY
        else measure_speed(side, column, figures)
        for side in order
    }
    old, new = (took[side.name] for side in sides)
    figures.pairs[column].append((old, new))
    mark = "*" if figures.disturbed > disturbed else ""
    return f"{column} {new - old:+z.2f}" if column == MEMORY else f"{column} {new / old:.3f}{mark}"


def measure_all(sides: list[Side], columns: list[str], pairs: int) -> Figures:
    """Measure every pair and print its ratios as they come."""
    figures = Figures({column: [] for column in columns})
    clients = idle_clients() if MEMORY in columns else 0
    started = time.perf_counter()
    for number in range(pairs):
        order = sides if number % 2 == 0 else sides[::-1]
        print(f"pair {number + 1}/{pairs}, {order[0].name} first:", end="", flush=True)
        for column in columns:
            if column != MEMORY or number < MEMORY_PAIRS:
                print(f"  {measure_pair(sides, order, column, figures, clients)}", end="", flush=True)
        print(f"  [{minutes(time.perf_counter() - started)}]", flush=True)
    return figures


def report(figures: Figures, columns: list[str], sides: Sequence[Side], bounds: Bounds) -> None:
    """Print the table, what to know about it, and the verdict."""
    speed = figures.named(*(column for column in columns if column != MEMORY))
    memory = figures.named(MEMORY)[0] if MEMORY in columns else None
    print("", *table(speed, memory, (sides[0].name, sides[1].name)), "", sep="\n")
    for column, share in figures.busy.items():
        print(f"the generator was {share:.0%} busy in {column}: the server might have done more")
    for side, count in figures.missed.items():
        if count:
            print(f"the {side} server lost {count} messages, or delivered them twice")
    if figures.disturbed:
        share = f"{figures.disturbed} of {figures.runs}"
        print(f"other programs disturbed {share} runs (*): repeat on a quiet machine")
    print(verdict(speed, memory, bounds))


def pair_count(text: str) -> int:
    """Read --pairs."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PAIRS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_PAIRS}")
    return int(text)


def add_choices(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Let the command line choose the pairs and the columns."""
    parser.add_argument("--pairs", type=pair_count, default=9, help="runs of each side in each column")
    columns = partial(chosen_names, names=names)
    parser.add_argument("--columns", type=columns, default=list(names), help=f"with commas: {', '.join(names)}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.against", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("ref", metavar="REF", help="the commit to compare with: a hash, a branch, a tag, HEAD~5")
    add_choices(parser, NAMES)
    return parser.parse_args()


def compare(sides: list[Side], columns: list[str], pairs: int, bounds: Bounds = BOUNDS) -> int:
    """Compare two sides and print how they do; return 1 if a server lost anything."""
    check_imports(sides, columns)
    about = minutes(expected_seconds(columns, pairs))
    print(f"{pairs} pairs of {RUN_SECONDS:g} s in each column: about {about} minutes", flush=True)
    figures = measure_all(sides, columns, pairs)
    report(figures, columns, sides, bounds)
    return 1 if any(figures.missed.values()) else 0


def main() -> int:
    """Compare the two packages; return 1 if a server lost anything."""
    options = arguments()
    commit = found_commit(options.ref)
    changed = " and uncommitted changes" if git("status", "--porcelain", "--", PACKAGE) else ""
    print(f"{machine()}\nold: {title(commit)}\nnew: {title('HEAD')}{changed}")
    with tempfile.TemporaryDirectory(prefix="bench-against-") as folder:
        return compare(copied_sides(commit, Path(folder).resolve()), options.columns, options.pairs)


if __name__ == "__main__":
    run_command(main)
