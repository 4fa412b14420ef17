"""Games of random options, with players that come, go and come back at random."""

import logging

import pytest

from ..harness.seating import run

RUNS = 10  # of one test; `make soak-games` does 10,000


@pytest.mark.parametrize("first", range(0, 100, RUNS))
def test_no_seat_is_lost_or_taken_twice(first: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "simplysocket")  # hooks fail on purpose
    for seed in range(first, first + RUNS):
        run(seed)
