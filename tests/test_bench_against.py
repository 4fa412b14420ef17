"""The arithmetic of `make bench-against`, from fixed figures; nothing is measured here."""

import pytest

from tests.benchmarks.against import found_commit
from tests.benchmarks.comparison import Pairs, quartiles, table, verdict

UNEVEN = Pairs("echo", [(100.0, 110.0), (200.0, 180.0), (50.0, 52.0)])  # the machine was twice as fast, then half
LEVEL = Pairs("ask", [(1000.0, 980.0)])
SLOWER = Pairs("500x10", [(100.0, 96.0), (400.0, 388.0), (200.0, 194.0)])
LARGER = Pairs("memory", [(26.0, 26.25), (26.5, 26.5), (26.0, 26.5)])
LARGER_WITHIN = Pairs("memory", [(26.0, 26.125)])


def test_the_ratio_is_the_median_of_the_ratios_of_the_pairs() -> None:
    assert UNEVEN.ratios == [1.1, 0.9, 1.04]
    assert UNEVEN.ratio == 1.04
    assert (UNEVEN.old, UNEVEN.new) == (100.0, 110.0)  # their ratio would be 1.1


def test_the_difference_is_the_median_of_the_differences_of_the_pairs() -> None:
    assert LARGER.differences == [0.25, 0.0, 0.5]
    assert LARGER.difference == 0.25


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0], (7.0, 7.0)),
        ([1.0, 2.0], (1.25, 1.75)),
        ([9.0, 1.0, 3.0, 4.0, 2.0], (2.0, 4.0)),
    ],
)
def test_the_middle_half_leaves_out_a_quarter_on_each_side(values: list[float], expected: tuple[float, float]) -> None:
    assert quartiles(values) == expected


def test_the_table_has_a_line_for_each_column_and_the_memory_last() -> None:
    header, echo, memory = (line.split() for line in table([UNEVEN], LARGER))

    assert header[:4] == ["column", "old", "new", "new/old"]
    assert echo == ["echo", "100", "110", "1.040", "0.970-1.070", "0.900-1.100"]
    assert memory == ["memory,", "KiB", "26.00", "26.50", "+0.25", "+0.12..+0.38", "+0.00..+0.50"]


def test_a_table_of_the_memory_alone_has_a_header_too() -> None:
    assert len(table([], LARGER)) == 2


def test_nothing_is_named_up_to_the_bounds() -> None:
    assert verdict([UNEVEN, LEVEL], LARGER_WITHIN) == "within the bound"
    assert verdict([LEVEL], None) == "within the bound"
    assert verdict([], LARGER_WITHIN) == "within the bound"


def test_a_column_that_lost_more_than_two_percent_is_named() -> None:
    assert verdict([UNEVEN, SLOWER, LEVEL], LARGER_WITHIN) == "more than 2 % slower: 500x10 (3.0 %)"


def test_a_loss_that_a_quarter_of_the_pairs_does_not_show_is_called_uncertain() -> None:
    noisy = Pairs("wait", [(100.0, 90.0), (100.0, 96.0), (100.0, 104.0)])  # the middle half: 0.93 to 1

    assert verdict([noisy], None) == "more than 2 % slower: wait (4.0 %, uncertain)"


def test_memory_that_grew_is_named_beside_the_columns() -> None:
    memory = "an idle client takes 0.25 KiB more (bound: 0.2)"

    assert verdict([LEVEL], LARGER) == memory
    assert verdict([SLOWER], LARGER) == f"more than 2 % slower: 500x10 (3.0 %); {memory}"


def test_a_commit_that_does_not_exist_is_told_in_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^no commit 'no-such-commit' in [^\n]*$"):
        found_commit("no-such-commit")
