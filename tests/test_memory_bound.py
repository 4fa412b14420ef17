"""The memory bound: its terms, and when it is infinite. tests/serving/test_memory.py compares it with a process."""

import math
from typing import Any

import attrs
import pytest

from simplysocket import Limits, _memory_bound
from simplysocket._memory_bound import ENTRIES_A_PASS, LARGE_ROOM, READ_BYTES, SMALL_BYTES, lifted, terms_of
from simplysocket._rooms import turns
from simplysocket._rooms.fanout import SLICE
from simplysocket._rooms.inbox import LARGE
from simplysocket._sessions import intake
from simplysocket._wire.intake import CHUNK

from .harness.limits import LIMITS, can_be_lifted

INFINITE = {"message_bytes", "connections", "rooms", "tasks_per_client", "outboxes_bytes", "static_bytes"}
# What decides how much is held, and not how fast or for how long.
COUNTED = {
    *INFINITE,
    *("name_length", "join_bytes", "head_bytes", "accounts", "rooms_per_client"),
    *("inbox_messages", "inbox_bytes", "inbox_per_client", "intake_bytes"),
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
    assert _memory_bound.MESSAGE_BYTES == intake.MESSAGE_BYTES
