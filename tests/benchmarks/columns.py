"""The columns: each is one kind of load, and what the product should reach under it."""

import argparse
from collections.abc import Sequence

import attrs

from tests.benchmarks.arrivals import Arrivals
from tests.benchmarks.clients import LARGE_BYTES
from tests.benchmarks.come_back import ComeBack
from tests.benchmarks.load import Load

FULL_ROOM = "500x10"  # the column that some others are measured against


@attrs.frozen
class Column:
    """One kind of load, and what the product should reach under it."""

    name: str
    about: str
    load: Load | Arrivals | ComeBack
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
    Column("500x10-64k", "500x10, 65 kB each, 1 in flight", Load(1, 500, 10, 1, message_bytes=LARGE_BYTES)),
    Column("connect", "connect and join, one after another", Arrivals(1), ratio=0.9),
    Column("connect-200", "the same, 200 at once", Arrivals(200), ratio=1),
)


def chosen_names(text: str, names: Sequence[str]) -> list[str]:
    """Read --columns: some of `names`, or their numbers from 1, with commas."""
    named = {name: name for name in names} | {str(number): name for number, name in enumerate(names, 1)}
    try:
        return [named[name.strip()] for name in text.split(",")]
    except KeyError as unknown:
        raise argparse.ArgumentTypeError(
            f"no column {unknown}: choose from {', '.join(names)}, or 1 to {len(names)}"
        ) from None
