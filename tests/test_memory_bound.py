"""The memory bound: its terms, and when it is infinite. tests/serving/test_memory.py compares it with a process."""

import math
from pathlib import Path
from typing import Any

import attrs
import pytest

from simplysocket import Limits
from simplysocket._memory_bound import (
    COUNTED_BYTES,
    ENTRIES_A_PASS,
    LARGE_ROOM,
    READ_BYTES,
    SMALL_BYTES,
    lifted,
    terms_of,
)
from simplysocket._rooms import turns
from simplysocket._rooms.fanout import SLICE
from simplysocket._rooms.inbox import LARGE
from simplysocket._sessions import intake
from simplysocket._wire.consumer import CHUNK

from .harness.limits import LIMITS, can_be_lifted

DOCS = Path(__file__).parents[1] / "docs"
INFINITE = {"message_bytes", "connections", "rooms", "tasks_per_client", "outboxes_bytes", "static_bytes"}
# What decides how much is held, and not how fast or for how long.
COUNTED = {
    *INFINITE,
    *("name_length", "join_bytes", "head_bytes", "accounts", "rooms_per_client"),
    *("inbox_messages", "inbox_bytes", "inbox_per_client", "intake_bytes", "intake_messages"),
}


def changed(**values: Any) -> Limits:
    return attrs.evolve(Limits(), **values)


def test_the_defaults_have_a_bound() -> None:
    bound = Limits().memory_bound()
    assert isinstance(bound, int)
    assert bound > 1.25 * (Limits().outboxes_bytes or 0)
    assert lifted(Limits()) == ()


@pytest.mark.parametrize("name", [name for name in LIMITS if can_be_lifted(name)])
def test_the_bound_is_infinite_without_a_limit_that_it_needs(name: str) -> None:
    limits = changed(**{name: None})
    assert math.isinf(limits.memory_bound()) == (name in INFINITE)
    assert lifted(limits) == ((name,) if name in INFINITE else ())


@pytest.mark.parametrize("names", [("inbox_messages", "inbox_per_client"), ("intake_messages", "intake_bytes")])
def test_one_of_two_limits_is_enough_for_a_bound(names: tuple[str, ...]) -> None:
    limits = changed(**dict.fromkeys(names))
    assert math.isinf(limits.memory_bound())
    assert lifted(limits) == names


def test_every_lifted_limit_that_counts_is_named() -> None:
    limits = changed(**{name: None for name in LIMITS if can_be_lifted(name)})
    assert math.isinf(limits.memory_bound())
    assert set(lifted(limits)) > INFINITE


@pytest.mark.parametrize("name", sorted(COUNTED))
def test_each_limit_that_counts_lowers_the_bound(name: str) -> None:
    lower = changed(**{name: getattr(Limits(), name) // 2})
    assert lower.memory_bound() < Limits().memory_bound()
    assert all(new <= old for new, old in zip(terms_of(lower).values(), terms_of(Limits()).values(), strict=True))


def test_the_numbers_of_other_modules_are_the_same_here() -> None:
    assert READ_BYTES == CHUNK
    assert SMALL_BYTES == LARGE
    assert LARGE_ROOM == SLICE
    assert ENTRIES_A_PASS == turns._RUN_BEFORE_YIELD
    assert COUNTED_BYTES == intake.MESSAGE_BYTES


def test_the_reference_has_each_term_with_its_default() -> None:
    text = (DOCS / "reference" / "limits.md").read_text("utf-8").partition("## The memory that they bound")[2]
    rows = [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == [f"{term / 2**20:,.0f}" for term in terms_of(Limits()).values()]
    gigabytes = f"With the defaults it is {Limits().memory_bound() / 2**30:.0f} GiB"
    assert gigabytes in (DOCS / "howto" / "limits.md").read_text("utf-8")
