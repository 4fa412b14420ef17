"""Accounts: what users and addresses have used of their rates, over all their connections."""

import random
from typing import Any

import pytest

from simplysocket import Limits
from simplysocket._accounts import Accounts, Rate, Tokens

FIRST = 20.0  # messages: a tenth of the default burst, with which every session begins
BURST = 4_000.0  # messages of an account: 20 bursts


def make(**limits: Any) -> Accounts:
    return Accounts(Limits(**limits))


def begin(accounts: Accounts, now: float, *names: str) -> tuple[float, list[Tokens]]:
    """Begin a session; return its messages, and what was taken from each account."""
    tokens, taken = accounts.begin(names or ("a",), now)
    return tokens[Rate.MESSAGES], taken


def test_a_session_takes_its_burst_while_there_is_one_and_a_tenth_after_that() -> None:
    accounts = make()
    taken = [begin(accounts, 0)[0] for _ in range(23)]
    assert taken == [200.0] * 20 + [FIRST] * 3
    assert begin(accounts, 1.5)[0] == 150.0  # a hundred come back each second
    assert begin(accounts, 1.5, "b")[0] == 200.0


def test_what_a_session_has_not_used_is_given_back() -> None:
    accounts = make()
    sessions = [begin(accounts, 0)[1] for _ in range(20)]
    for (taken,) in sessions:
        accounts.end("a", taken, taken, 0)
    assert [begin(accounts, 0)[0] for _ in range(21)] == [200.0] * 20 + [FIRST]
    _, (taken,) = begin(accounts, 1)
    accounts.end("a", taken, [50.0] * 5, 1)
    assert begin(accounts, 1)[0] == 50.0


def test_no_more_is_given_back_than_was_taken() -> None:
    accounts = make()
    for _ in range(20):
        begin(accounts, 0)
    for _ in range(100):  # each begins with a tenth, although the account is empty
        _, (taken,) = begin(accounts, 0)
        accounts.end("a", taken, [1e9] * 5, 0)
    assert begin(accounts, 0)[0] == FIRST
    accounts.end("never seen", taken, [1e9] * 5, 0)
    assert begin(accounts, 0, "never seen")[0] == 200.0


def test_the_poorer_of_two_accounts_decides() -> None:
    accounts = make(account_bursts=1)
    assert begin(accounts, 0, "user", "address")[0] == 200.0
    assert begin(accounts, 0, "another user", "address")[0] == FIRST
    assert begin(accounts, 0, "user", "another address")[0] == FIRST
    assert begin(accounts, 0, "another user", "another address")[0] == 180.0


def test_in_any_time_an_account_gives_its_burst_its_rate_and_the_first_of_each_session() -> None:
    draw = random.Random(1)
    for _ in range(50):
        accounts, now, used, begun = make(), 0.0, 0.0, 0
        living: list[tuple[Tokens, float]] = []  # what was taken, and what is left
        for _ in range(400):
            now += draw.expovariate(20)
            if living and draw.random() < 0.45:
                taken, rest = living.pop(draw.randrange(len(living)))
                accounts.end("a", taken, [rest] * 5, now)
            else:
                tokens, (taken,) = begin(accounts, now)
                rest = draw.uniform(0, tokens)
                used += tokens - rest
                begun += 1
                living.append((taken, rest))
        assert used <= BURST + 100 * now + FIRST * begun


def test_a_charge_is_refused_with_the_time_to_wait() -> None:
    accounts = make(connects_per_second=2, connects_burst=3)
    assert [accounts.charge("a", Rate.CONNECTS, 0) for _ in range(4)] == [None, None, None, 0.5]
    assert accounts.wait_for("a", Rate.CONNECTS, 0.25) == 0.25
    assert accounts.charge("a", Rate.CONNECTS, 0.5) is None
    assert accounts.charge("b", Rate.CONNECTS, 0) is None
    assert accounts.wait_for("never seen", Rate.CONNECTS, 0) is None


@pytest.mark.parametrize("burst", [1, 3, 200])
@pytest.mark.parametrize("now", [0.0, 1e6 + 0.1])
def test_the_whole_burst_can_be_used(burst: int, now: float) -> None:
    accounts = make(connects_per_second=7, connects_burst=burst)
    assert [accounts.charge("a", Rate.CONNECTS, now) for _ in range(burst)] == [None] * burst
    wait = accounts.charge("a", Rate.CONNECTS, now)
    assert wait == pytest.approx(1 / 7)
    assert accounts.charge("a", Rate.CONNECTS, now + (wait or 0)) is None


def test_without_a_bound_nothing_is_charged() -> None:
    accounts = make(connects_per_second=None, account_bursts=None)
    assert [accounts.charge("a", Rate.CONNECTS, 0) for _ in range(10_000)] == [None] * 10_000
    assert {begin(accounts, 0)[0] for _ in range(100)} == {float("inf")}


def test_accounts_that_are_full_again_are_forgotten() -> None:
    accounts = make()
    for number in range(1_000):
        accounts.charge(f"a{number}", Rate.CONNECTS, 0)
    assert len(accounts) == 1_000
    for _ in range(500):
        accounts.charge("b", Rate.CONNECTS, 60)
    assert len(accounts) == 1


def test_beyond_the_bound_the_account_that_has_used_least_is_forgotten() -> None:
    accounts = make(accounts=100)
    for _ in range(100):
        accounts.charge("guesser", Rate.FAILED_LOGINS, 0)
    for number in range(10_000):  # as one who wants to be forgotten would do it
        accounts.charge(f"a{number}", Rate.FAILED_LOGINS, 0)
        assert len(accounts) <= 100
    assert accounts.charge("guesser", Rate.FAILED_LOGINS, 0) is not None


def test_an_account_of_a_long_name_is_kept_under_a_short_one() -> None:
    accounts = make(connects_burst=1)
    names = ["u" * 60_000, "u" * 60_000 + "v", "\ud800" * 200]
    for name in names:
        assert accounts.charge(name, Rate.CONNECTS, 0) is None
        assert accounts.charge(name, Rate.CONNECTS, 0) is not None
        assert accounts.wait_for(name, Rate.CONNECTS, 0) is not None
    assert max(map(len, accounts._accounts)) <= 100
