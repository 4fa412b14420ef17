"""Token buckets: in no span of time do they give more than their burst and rate allow."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplysocket._token_bucket import TokenBucket

STEADY = settings(derandomize=True, deadline=None)  # the same examples in every run


def test_a_full_bucket_gives_its_burst_at_once() -> None:
    bucket = TokenBucket(1, 3, 0)
    assert [bucket.take(1, 0) for _ in range(4)] == [True, True, True, False]


def test_a_bucket_gains_its_rate() -> None:
    bucket = TokenBucket(2, 4, 10)
    assert bucket.take(4, 10)
    assert not bucket.take(1, 10.25)
    assert bucket.take(1, 10.5)
    assert not bucket.take(1, 10.5)
    assert bucket.take(3, 12)


def test_a_failed_take_takes_nothing() -> None:
    bucket = TokenBucket(1, 5, 0)
    assert not bucket.take(6, 0)
    assert bucket.take(5, 0)


def test_a_bucket_holds_no_more_than_its_burst_after_a_pause() -> None:
    bucket = TokenBucket(10, 3, 0)
    assert bucket.take(3, 0)
    assert not bucket.take(4, 1_000)
    assert bucket.take(3, 1_000)


def test_after_a_pause_no_more_than_the_burst_is_taken_at_once() -> None:
    bucket = TokenBucket(1, 10, 0)
    assert sum(bucket.take(1, 100) for _ in range(50)) == 10


def test_a_bucket_without_a_rate_never_runs_dry() -> None:
    bucket = TokenBucket(None, 1, 0)
    assert all(bucket.take(1_000_000, 0) for _ in range(1_000))
    assert bucket.seconds_until(1_000_000) == 0


def test_the_hot_path_may_lower_the_tokens_itself() -> None:
    bucket = TokenBucket(1, 2, 0)
    bucket.tokens -= 2
    assert not bucket.take(1, 0.5)
    assert bucket.take(1, 1)


@STEADY
@given(st.floats(0.1, 1_000), st.integers(1, 100), st.integers(1, 100))
def test_after_the_seconds_it_says_a_take_succeeds(rate: float, burst: int, amount: int) -> None:
    bucket = TokenBucket(rate, burst, 0)
    amount = min(amount, burst)
    assert bucket.take(burst, 0)
    assert not bucket.take(amount, 0)
    seconds = bucket.seconds_until(amount)
    assert seconds == pytest.approx(amount / rate)
    assert not bucket.take(amount, seconds * 0.99)
    assert bucket.take(amount, seconds * 1.000001)


def test_what_is_there_needs_no_waiting() -> None:
    bucket = TokenBucket(1, 2, 0)
    assert bucket.seconds_until(2) == 0


def test_more_than_the_burst_is_said_to_come_when_the_bucket_is_full() -> None:
    bucket = TokenBucket(2, 4, 0)
    assert bucket.take(4, 0)
    assert bucket.seconds_until(100) == 2


def test_from_the_beginning_on_no_more_than_burst_and_rate_are_taken() -> None:
    rng = random.Random(1)
    for _ in range(200):
        rate, burst, now, taken = rng.choice([0.5, 1, 7]), rng.randrange(1, 20), 0.0, 0
        bucket = TokenBucket(rate, burst, 0)
        for _ in range(60):
            now += rng.choice([0, 0, 0.1, 1, 10])
            taken += bucket.take(1, now)
            assert taken <= burst + rate * now + 1e-6


def test_in_any_span_no_more_than_burst_and_rate_are_taken() -> None:
    rng = random.Random(2)
    for _ in range(200):
        rate, burst, now = rng.choice([0.5, 1, 7]), rng.randrange(1, 20), 0.0
        bucket, taken = TokenBucket(rate, burst, 0), []
        for _ in range(60):
            now += rng.choice([0, 0, 0.1, 1, 10])
            if bucket.take(1, now):
                taken.append(now)
        for first, since in enumerate(taken):
            for last in range(first, len(taken)):
                assert last - first + 1 <= burst + rate * (taken[last] - since) + 1e-6
