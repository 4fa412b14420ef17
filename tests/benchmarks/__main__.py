"""Speed and memory of the product beside a plain trio-websocket server, in one run: `python -m tests.benchmarks`.

Laws:
- The two servers take turns within each column, every turn with a fresh server, so that whatever else the machine
  does meets both alike. The server has one core and the load generator another. Figures are medians over the rounds.
- Targets are shown as met or not met and never fail the run. Messages that the product loses do.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import attrs

from tests.benchmarks.clients import MESSAGE_BYTES
from tests.benchmarks.load import MAX_SECONDS, Load

ROOT = Path(__file__).parents[2]
KINDS = ("product", "plain")
HOUSE_KINDS = ("house", "product")  # what typed bodies, a middleware and identities cost
HOUSE_SHARE = 0.85  # of the product without them, in every column
SERVER_OPTIONS: dict[str, list[str]] = {"product": [], "plain": [], "house": []}  # of their command lines; set by ours
SERVER_CORE, GENERATOR_CORE = 0, 1  # places in the list of cores this process may use
WARM_UP_SECONDS = 0.5
START_SECONDS = 60.0  # for a server to listen or the idle clients to be connected; only what hangs takes as long
FINISH_SECONDS = 60.0  # for a load to connect, join and collect the last messages, beside the time it measures
BUSY_GENERATOR = 0.95  # of its core: from here on the server might have done more
FULL_ROOM = "500x10"  # the column that some others are measured against
IDLE_CLIENTS = 5_000
IDLE_TARGET_KIB = 30.0  # of resident memory for each
SETTLE_SECONDS = 2.0  # before memory is read: what the handshakes needed has been given back
SPARE_FILES = 200  # open files beside one for each client


@attrs.frozen
class Column:
    """One kind of load, and what the product is to reach under it."""

    name: str
    about: str
    load: Load
    ratio: float | None = None  # product / plain
    share: float | None = None  # product / the product's own FULL_ROOM


COLUMNS = (
    Column("echo", "64 clients, a room each, 1 in flight", Load(64, 1, 1, 1), ratio=3),
    Column("echo-8", "the same, 8 in flight", Load(64, 1, 1, 8), ratio=9),
    Column("500x1", "1 room of 500, 1 sender, 4 in flight", Load(1, 500, 1, 4), ratio=28),
    Column("500x10", "the same, 10 senders, 4 in flight each", Load(1, 500, 10, 4), ratio=50),
    Column("100x4", "100 rooms of 4, all send, 1 in flight", Load(100, 4, 4, 1), ratio=11),
    Column("ask", "500x10, each message a request", Load(1, 500, 10, 4, "ask"), share=0.6),
    Column("others", "500x10, the sender left out", Load(1, 500, 10, 4, "others"), share=0.6),
    Column("wait", "500x10, the handler sleeps 1 ms", Load(1, 500, 10, 4, "wait")),
)


@attrs.frozen
class Figures:
    """What one server did under one load: medians over the rounds, and the sums of what went wrong."""

    deliveries: float  # a second
    p50: float  # milliseconds
    p99: float
    generator: float  # share of its core
    lost: int  # or come twice, which is no better
    errors: int

    @classmethod
    def of(cls, turns: list[dict[str, float]]) -> "Figures":
        """Sum up the turns; a message that came twice is no better than one that did not come."""

        def median(name: str) -> float:
            return statistics.median(turn[name] for turn in turns)

        return cls(
            deliveries=median("deliveries_per_second"),
            p50=median("p50_ms"),
            p99=median("p99_ms"),
            generator=median("generator_cpu"),
            lost=sum(int(turn["lost"] + turn["doubled"]) for turn in turns),
            errors=sum(int(turn["errors"] + turn["closed"]) for turn in turns),
        )


@contextmanager
def module(name: str, *options: str, core: int) -> Iterator[subprocess.Popen[str]]:
    """Run a module of this package as a process on a core of its own; it ends with the block."""
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *options]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            cores = sorted(os.sched_getaffinity(0))
            if len(cores) > 1:
                os.sched_setaffinity(process.pid, {cores[core]})
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return what a process says first: a server its port, the idle clients that they are connected."""
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        watchdog.cancel()
    if not line:
        raise SystemExit(f"{process.args!r} ended before it was ready: see its own message above")
    return line.strip()


def measure(kind: str, load: Load, seconds: float) -> dict[str, float]:
    """Put one fresh server under one load, once."""
    options = [f"--{field.name}={getattr(load, field.name)}" for field in attrs.fields(Load)]
    options += [f"--seconds={seconds}", f"--warm-up={WARM_UP_SECONDS}"]
    with (
        module(f"{kind}_server", *SERVER_OPTIONS[kind], core=SERVER_CORE) as server,
        module("load", first_line(server), *options, core=GENERATOR_CORE) as generator,
    ):
        try:
            output, _ = generator.communicate(timeout=seconds + FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            output = ""
    if not output:
        raise SystemExit(f"the load on the {kind} server came to no result: see its own message above")
    turn: dict[str, float] = json.loads(output)
    if turn["errors"] or turn["closed"]:
        print(f"  {kind}: {turn['errors']} errors, {turn['closed']} closed. {turn['first_error']}", flush=True)
    return turn


def measure_column(column: Column, kinds: tuple[str, ...], rounds: int, seconds: float) -> dict[str, Figures]:
    """Let the servers take turns under one load; return {kind: figures}."""
    turns: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            turns[kind].append(measure(kind, column.load, seconds))
    return {kind: Figures.of(turns[kind]) for kind in kinds}


def resident_bytes(process: subprocess.Popen[str]) -> int:
    """Return the resident memory of a process: the second figure of statm, in pages."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def measure_memory(kind: str, clients: int) -> float:
    """Return the resident memory of a server for each idle client, in KiB."""
    with module(f"{kind}_server", *SERVER_OPTIONS[kind], core=SERVER_CORE) as server:
        port = first_line(server)
        before = resident_bytes(server)
        with module("load", port, f"--idle={clients}", core=GENERATOR_CORE) as generator:
            first_line(generator)
            time.sleep(SETTLE_SECONDS)
            return (resident_bytes(server) - before) / clients / 1024


def raise_file_limit(wanted: int) -> int:
    """Let this process and its children open `wanted` files, or as many as they may; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(soft, limit)


def machine() -> str:
    """Say what the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    cores = len(os.sched_getaffinity(0))
    packages = ", ".join(f"{name} {version(name)}" for name in ("trio", "trio-websocket", "msgspec"))
    apart = "server and generator have one each" if cores > 1 else "SERVER AND GENERATOR SHARE IT: compare nothing"
    return f"{model}, {cores} cores ({apart}); Python {platform.python_version()}, {packages}"


def verdict(value: float, target: float) -> str:
    """Say whether a figure that should be high is."""
    return f"{target:g} {'met' if value >= target else 'NOT met'}"


HEADER = ("column", "", "{}/s", "{}/s", "ratio", "target", "p50 ms", "p99 ms", "lost")
LAYOUT = "{:<7} {:<39} {:>10} {:>9} {:>7}  {:<24} {:>15} {:>15} {:>7}"


def row(column: Column, kinds: tuple[str, ...], figures: dict[str, Figures], full_room: float | None) -> str:
    """Return one line of the table; what was not measured is a dash."""
    product, plain = (figures.get(kind) for kind in kinds)
    ratio = product.deliveries / plain.deliveries if product and plain else None
    target = "-"
    if kinds == HOUSE_KINDS:
        target = verdict(ratio, HOUSE_SHARE) if ratio is not None else "-"
    elif column.ratio is not None:
        target = verdict(ratio, column.ratio) if ratio is not None else f"{column.ratio:g}"
    elif column.share is not None and product and full_room:
        share = product.deliveries / full_room
        target = f"{share:.2f} of {FULL_ROOM}: {verdict(share, column.share)}"
    both = [
        (f"{f.deliveries:,.0f}", f"{f.p50:.2f}", f"{f.p99:.2f}", f"{f.lost}") if f else "----" for f in (product, plain)
    ]
    rates, p50, p99, lost = zip(*both, strict=True)
    shown = f"{ratio:.2f}" if ratio is not None else "-"
    return LAYOUT.format(column.name, column.about, *rates, shown, target, *map(" / ".join, (p50, p99, lost)))


def chosen_columns(text: str) -> list[Column]:
    """Read --columns: names, or numbers from 1."""
    named = {column.name: column for column in COLUMNS} | {str(n): column for n, column in enumerate(COLUMNS, 1)}
    try:
        return [named[name.strip()] for name in text.split(",")]
    except KeyError as unknown:
        choices = ", ".join(column.name for column in COLUMNS)
        raise argparse.ArgumentTypeError(
            f"no column {unknown}: choose from {choices}, or 1 to {len(COLUMNS)}"
        ) from None


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help=f"measured in each turn, at most {MAX_SECONDS:g}")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server in each column")
    parser.add_argument("--columns", type=chosen_columns, default=list(COLUMNS), help="names or numbers, with commas")
    parser.add_argument("--only", choices=KINDS, help="measure one of the two servers")
    parser.add_argument("--loop", action="store_true", help="the plain server sends to one member after the other")
    parser.add_argument("--house", action="store_true", help="the product with typed bodies and so on, beside itself")
    parser.add_argument("--memory-only", action="store_true", help="leave the columns out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    options = parser.parse_args()
    if options.loop:
        SERVER_OPTIONS["plain"].append("--loop")
    return options


def run_columns(options: argparse.Namespace, kinds: tuple[str, ...]) -> dict[str, dict[str, Figures]]:
    """Measure and print the chosen columns, one line each; return {column: {kind: figures}}."""
    pair = HOUSE_KINDS if options.house else KINDS
    print(f"{options.rounds} rounds of {options.seconds:g} s; pairs of figures are {' / '.join(pair)}")
    print(LAYOUT.format(*HEADER).format(*pair), flush=True)
    results: dict[str, dict[str, Figures]] = {}
    for column in options.columns:
        results[column.name] = figures = measure_column(column, kinds, options.rounds, options.seconds)
        full_room = results.get(FULL_ROOM, {}).get("product")
        print(row(column, pair, figures, full_room.deliveries if full_room else None), flush=True)
        for kind, figure in figures.items():
            if figure.generator >= BUSY_GENERATOR:
                print(f"  the generator was {figure.generator:.0%} busy: the {kind} server might have done more")
    return results


def run_memory(kinds: tuple[str, ...]) -> dict[str, float]:
    """Measure and print the memory of idle clients; return {kind: KiB for each client}."""
    clients = min(IDLE_CLIENTS, raise_file_limit(IDLE_CLIENTS + SPARE_FILES) - SPARE_FILES)
    memory = {kind: measure_memory(kind, clients) for kind in kinds}
    print(f"\nresident memory for each of {clients:,} idle clients")
    for kind, kib in memory.items():
        target = f"target {IDLE_TARGET_KIB:g}: {'met' if kib <= IDLE_TARGET_KIB else 'NOT met'}"
        print(f"  {kind:<8} {kib:6.1f} KiB  {target if kind == 'product' else ''}")
    return memory


def main() -> int:
    """Run what was asked for; return 1 if the product lost anything."""
    options = arguments()
    kinds = (options.only,) if options.only else HOUSE_KINDS if options.house else KINDS
    print(f"{machine()}; messages of {MESSAGE_BYTES} bytes")
    columns = {} if options.memory_only else run_columns(options, kinds)
    memory = run_memory(kinds)
    if options.json:
        plain = {name: {kind: attrs.asdict(f) for kind, f in figures.items()} for name, figures in columns.items()}
        report = {"machine": machine(), "seconds": options.seconds, "rounds": options.rounds}
        options.json.write_text(json.dumps(report | {"columns": plain, "idle_client_kib": memory}, indent=2) + "\n")
    lost = sum(figures["product"].lost for figures in columns.values() if "product" in figures)
    if lost:
        print(f"\nthe product lost {lost} messages, or delivered them twice")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
