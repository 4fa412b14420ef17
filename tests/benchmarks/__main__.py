"""Speed and memory of the product beside a plain trio-websocket server, in one run: `python -m tests.benchmarks`.

Laws:
- The two servers take turns within each column, every turn with a fresh server, so that whatever else the machine
  does meets both alike. Figures are medians over the rounds.
- Targets are shown as met or not met and never fail the run. Messages that the product loses do.
"""

import argparse
import json
import statistics
from functools import partial
from pathlib import Path

import attrs

from tests.benchmarks.clients import MESSAGE_BYTES
from tests.benchmarks.columns import COLUMNS, FULL_ROOM, Column, chosen_names
from tests.benchmarks.load import MAX_SECONDS
from tests.benchmarks.runs import (
    BUSY_GENERATOR,
    ServerProgram,
    idle_clients,
    machine,
    measure,
    measure_memory,
    missed,
    run_command,
)

KINDS = ("product", "plain")
HOUSE_KINDS = ("house", "product")  # what typed bodies, a middleware and identities cost
HOUSE_SHARE = 0.85  # of the product without them, in every column
IDLE_TARGET_KIB = 30.0  # of resident memory for each
COLUMN_OF = {column.name: column for column in COLUMNS}

Programs = dict[str, ServerProgram]  # by kind, in the order of their turns


@attrs.frozen
class Figures:
    """What one server did under one load: medians over the rounds, and the sums of what went wrong."""

    rate: float  # deliveries a second, or connections
    p50: float  # milliseconds
    p99: float
    generator: float  # share of its core
    lost: int  # or come twice, which is no better
    errors: int

    @classmethod
    def of(cls, turns: list[dict[str, float]]) -> "Figures":
        """Sum up the turns."""

        def median(name: str) -> float:
            return statistics.median(turn[name] for turn in turns)

        return cls(
            rate=median("per_second"),
            p50=median("p50_ms"),
            p99=median("p99_ms"),
            generator=median("generator_cpu"),
            lost=sum(missed(turn) for turn in turns),
            errors=sum(int(turn["errors"] + turn["closed"]) for turn in turns),
        )


def measure_column(column: Column, programs: Programs, rounds: int, seconds: float) -> dict[str, Figures]:
    """Let the servers take turns under one load; return {kind: figures}."""
    turns: dict[str, list[dict[str, float]]] = {kind: [] for kind in programs}
    for _ in range(rounds):
        for kind, program in programs.items():
            turns[kind].append(measure(program, column.load, seconds))
    return {kind: Figures.of(turns[kind]) for kind in programs}


def verdict(value: float, target: float) -> str:
    """Say whether a figure that should be high is."""
    return f"{target:g} {'met' if value >= target else 'NOT met'}"


HEADER = ("column", "", "{}/s", "{}/s", "ratio", "target", "p50 ms", "p99 ms", "lost")
LAYOUT = "{:<11} {:<39} {:>10} {:>9} {:>7}  {:<24} {:>15} {:>15} {:>7}"


def row(column: Column, kinds: tuple[str, ...], figures: dict[str, Figures], full_room: float | None) -> str:
    """Return one line of the table; what was not measured is a dash."""
    product, plain = (figures.get(kind) for kind in kinds)
    ratio = product.rate / plain.rate if product and plain else None
    target = "-"
    if kinds == HOUSE_KINDS:
        target = verdict(ratio, HOUSE_SHARE) if ratio is not None else "-"
    elif column.ratio is not None:
        target = verdict(ratio, column.ratio) if ratio is not None else f"{column.ratio:g}"
    elif column.share is not None and product and full_room:
        share = product.rate / full_room
        target = f"{share:.2f} of {FULL_ROOM}: {verdict(share, column.share)}"
    both = [(f"{f.rate:,.0f}", f"{f.p50:.2f}", f"{f.p99:.2f}", f"{f.lost}") if f else "----" for f in (product, plain)]
    rates, p50, p99, lost = zip(*both, strict=True)
    shown = f"{ratio:.2f}" if ratio is not None else "-"
    return LAYOUT.format(column.name, column.about, *rates, shown, target, *map(" / ".join, (p50, p99, lost)))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help=f"measured in each turn, at most {MAX_SECONDS:g}")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server in each column")
    columns = partial(chosen_names, names=list(COLUMN_OF))
    parser.add_argument("--columns", type=columns, default=list(COLUMN_OF), help="names or numbers, with commas")
    parser.add_argument("--only", choices=KINDS, help="measure one of the two servers")
    parser.add_argument("--loop", action="store_true", help="the plain server sends to one member after the other")
    parser.add_argument("--house", action="store_true", help="the product with typed bodies and so on, beside itself")
    parser.add_argument("--memory-only", action="store_true", help="leave the columns out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    return parser.parse_args()


def server_programs(options: argparse.Namespace) -> Programs:
    """Return the servers to measure, by kind."""
    kinds = (options.only,) if options.only else HOUSE_KINDS if options.house else KINDS
    flags = {"plain": ("--loop",)} if options.loop else {}
    return {kind: ServerProgram(kind, f"{kind}_server", flags.get(kind, ())) for kind in kinds}


def run_columns(options: argparse.Namespace, programs: Programs) -> dict[str, dict[str, Figures]]:
    """Measure and print the chosen columns, one line each; return {column: {kind: figures}}."""
    pair = HOUSE_KINDS if options.house else KINDS
    print(f"{options.rounds} rounds of {options.seconds:g} s; pairs of figures are {' / '.join(pair)}")
    print(LAYOUT.format(*HEADER).format(*pair), flush=True)
    results: dict[str, dict[str, Figures]] = {}
    for column in map(COLUMN_OF.__getitem__, options.columns):
        results[column.name] = figures = measure_column(column, programs, options.rounds, options.seconds)
        full_room = results.get(FULL_ROOM, {}).get("product")
        print(row(column, pair, figures, full_room.rate if full_room else None), flush=True)
        for kind, figure in figures.items():
            if figure.generator >= BUSY_GENERATOR:
                print(f"  the generator was {figure.generator:.0%} busy: the {kind} server might have done more")
    return results


def run_memory(programs: Programs) -> dict[str, float]:
    """Measure and print the memory of idle clients; return {kind: KiB for each client}."""
    clients = idle_clients()
    memory = {kind: measure_memory(program, clients) for kind, program in programs.items()}
    print(f"\nresident memory for each of {clients:,} idle clients")
    for kind, kib in memory.items():
        target = f"target {IDLE_TARGET_KIB:g}: {'met' if kib <= IDLE_TARGET_KIB else 'NOT met'}"
        print(f"  {kind:<8} {kib:6.1f} KiB  {target if kind == 'product' else ''}")
    return memory


def main() -> int:
    """Run what was asked for; return 1 if the product lost anything."""
    options = arguments()
    programs = server_programs(options)
    print(f"{machine()}; messages of {MESSAGE_BYTES} bytes")
    columns = {} if options.memory_only else run_columns(options, programs)
    memory = run_memory(programs)
    if options.json:
        plain = {name: {kind: attrs.asdict(f) for kind, f in figures.items()} for name, figures in columns.items()}
        report = {"machine": machine(), "seconds": options.seconds, "rounds": options.rounds}
        options.json.write_text(json.dumps(report | {"columns": plain, "idle_client_kib": memory}, indent=2) + "\n")
    lost = sum(figures["product"].lost for figures in columns.values() if "product" in figures)
    if lost:
        print(f"\nthe product lost {lost} messages, or delivered them twice")
    return 1 if lost else 0


if __name__ == "__main__":
    run_command(main)
