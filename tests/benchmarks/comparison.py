"""The arithmetic of a comparison: pairs of figures, their ratios, the table and the verdict.

Law: only figures of one pair are divided by each other, since they were measured one directly after the other.
Knows nothing of processes, trees or clocks.
"""

import statistics
from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen
class Bounds:
    """How much slower a column may be, and how much more memory an idle client may take."""

    loss: float = 0.02  # of the speed
    memory_kib: float = 0.2
    losses: Mapping[str, float] = attrs.Factory(dict)  # {column: a loss that is its own}

    def of(self, column: str) -> float:
        """Return how much of its speed a column may lose."""
        return self.losses.get(column, self.loss)


@attrs.frozen
class Pairs:
    """What was measured in one column: (old, new) of each pair."""

    name: str
    figures: Sequence[tuple[float, float]]

    @property
    def old(self) -> float:
        """The median of the old figures."""
        return statistics.median(old for old, _ in self.figures)

    @property
    def new(self) -> float:
        """The median of the new figures."""
        return statistics.median(new for _, new in self.figures)

    @property
    def ratios(self) -> list[float]:
        """The ratio new / old of each pair."""
        return [new / old for old, new in self.figures]

    @property
    def ratio(self) -> float:
        """The median of the ratios, which is not the ratio of the medians."""
        return statistics.median(self.ratios)

    @property
    def differences(self) -> list[float]:
        """The difference new - old of each pair."""
        return [new - old for old, new in self.figures]

    @property
    def difference(self) -> float:
        """The median of the differences."""
        return statistics.median(self.differences)


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of the middle half of the values; a single value is both."""
    if len(values) == 1:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


LAYOUT = "{:<11} {:>12} {:>12} {:>12}  {:>15}  {:>15}"
SIDES = ("old", "new")
BOUNDS = Bounds()  # of two commits


def table(columns: Sequence[Pairs], memory: Pairs | None, sides: tuple[str, str] = SIDES) -> list[str]:
    """Return the lines of the table: deliveries a second with their ratios, then KiB with their differences."""
    old, new = sides
    lines = [LAYOUT.format("column", old, new, f"{new}/{old}", "middle half", "lowest-highest")]
    for pairs in columns:
        bounds = [f"{low:.3f}-{high:.3f}" for low, high in spreads(pairs.ratios)]
        lines.append(LAYOUT.format(pairs.name, f"{pairs.old:,.0f}", f"{pairs.new:,.0f}", f"{pairs.ratio:.3f}", *bounds))
    if memory:
        bounds = [f"{low:+z.2f}..{high:+z.2f}" for low, high in spreads(memory.differences)]
        figures = (f"{memory.old:.2f}", f"{memory.new:.2f}", f"{memory.difference:+z.2f}", *bounds)
        lines.append(LAYOUT.format(memory.name + ", KiB", *figures))
    return lines


def spreads(values: Sequence[float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the middle half of the values, and the lowest and the highest."""
    return quartiles(values), (min(values), max(values))


def loss(pairs: Pairs) -> str:
    """Name a column that lost and by how much; it is uncertain if a quarter of the pairs shows no loss."""
    is_uncertain = quartiles(pairs.ratios)[1] >= 1
    return f"{pairs.name} ({percent(1 - pairs.ratio, 1)}{', uncertain' if is_uncertain else ''})"


def percent(share: float, digits: int = 0) -> str:
    """Return a share in percent."""
    return f"{share * 100:.{digits}f} %"


def verdict(columns: Sequence[Pairs], memory: Pairs | None, bounds: Bounds = BOUNDS) -> str:
    """Name the columns that lost too much and say whether memory grew too much; "within the bound" if neither."""
    findings = []
    for bound in sorted({bounds.of(pairs.name) for pairs in columns}):
        of_bound = [pairs for pairs in columns if bounds.of(pairs.name) == bound]
        slower = [loss(pairs) for pairs in of_bound if pairs.ratio < 1 - bound]
        if slower:
            findings.append(f"more than {percent(bound)} slower: {', '.join(slower)}")
    if memory and memory.difference > bounds.memory_kib:
        findings.append(f"an idle client takes {memory.difference:.2f} KiB more (bound: {bounds.memory_kib:g})")
    return "; ".join(findings) or "within the bound"
