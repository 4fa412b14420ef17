"""Accounts: what each user and each address has used of its rates, over all its connections.

Laws:
- The time is an argument. An account never holds more than its burst, and gains its rate a second.
- An account that is full again is forgotten, and at most `Limits.accounts` are kept.
- Every call is bounded work, however many accounts there are.

An account stores no tokens, but for each rate the time at which it will be full again. That is a number which
needs no care while time passes, and one that is in the past for a rate that was not used.
"""

import enum
import hashlib
import math
from array import array
from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from .limits import Limits

OVERRUN: Final = 5.0  # times the burst: so many messages beyond the rate are answered before the connection is closed
FORGIVEN_PER_SECOND: Final = 1 / 60  # protocol errors: one a minute
FIRST_SHARE: Final = 0.1  # of its burst: with so much a session begins also if its account is empty
_NAME_LENGTH: Final = 100  # characters of a name that is kept as it is; an address has fewer
_LOOKED_AT: Final = 4  # accounts, in each call: two may be added, and the full ones must go faster than new ones come
_CANDIDATES: Final = 8  # of which one is forgotten when there are too many accounts


class Rate(enum.IntEnum):
    """The rates of an account: its index in what an account stores."""

    # A session takes its first tokens of these, and gives the rest back at its end.
    MESSAGES = 0
    VOLUME = 1
    OVERRUN = 2
    ERRORS = 3
    FIRST_JOINS = 4
    # These are charged to the account itself.
    JOINS = 5
    REQUESTS = 6
    REFUSALS = 7
    CONNECTS = 8
    FAILED_LOGINS = 9
    WRONG_CODES = 10


Tokens = tuple[float, ...]
"""Of a session: messages, bytes, refused messages, protocol errors, joins; in the order of `Rate`."""
_OF_SESSIONS: Final = 5  # the first rates
_ROUNDING: Final = 1e-9  # seconds; a token that is missing by less is there


@attrs.frozen
class _Bound:
    """One rate: what an account holds of it, and what a session does."""

    per_second: float
    burst: float
    session_burst: float = 0.0

    @property
    def first(self) -> float:
        """What every session begins with at least."""
        return min(self.session_burst, max(1.0, self.session_burst * FIRST_SHARE))


def address_account(origin: str | None) -> str | None:
    """Return the name of the account of an address, given as `Proxies.origin_of` gives it; None has no account."""
    return None if origin is None else f"address {origin}"


class Accounts:
    """The accounts of one server, by name: "user ..." or "address ..."."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.accounts
        self._accounts: dict[str, array[float]] = {}  # {name: for each `Rate` when it is full again}
        self._round: deque[str] = deque()  # the names in the order in which they are looked at next
        self._bounds = _read(limits)
        self._first_bounds = self._bounds[:_OF_SESSIONS]
        # One tuple for all sessions that begin with their whole bursts.
        self._full: Tokens = tuple(math.inf if bound is None else bound.session_burst for bound in self._first_bounds)

    def __len__(self) -> int:
        """Return how many accounts are kept."""
        return len(self._accounts)

    # --- the rates that are charged to an account itself

    def charge(self, name: str, rate: Rate, now: float) -> float | None:
        """Take one token. Return None, or the seconds to wait when there is none; then nothing is taken."""
        bound = self._bounds[rate]
        if bound is None:
            return None
        self._look_at_some(now)
        account = self._find(name)
        wait = _wait(account[rate], bound, now)
        if wait is None:
            account[rate] = max(account[rate], now) + 1 / bound.per_second
        return wait

    def wait_for(self, name: str, rate: Rate, now: float) -> float | None:
        """Return None when there is a token, or the seconds to wait; takes nothing."""
        bound, account = self._bounds[rate], self._accounts.get(_key(name))
        return None if bound is None or account is None else _wait(account[rate], bound, now)

    # --- the first tokens of sessions

    def begin(self, names: Sequence[str], now: float) -> tuple[Tokens, list[Tokens]]:
        """Take the first tokens of a session from all these accounts.

        Return what the session begins with, and what was taken from each account, for `end`. Each
        account gives what it has, up to the session's burst. The least of these counts, but at least `first`.
        """
        self._look_at_some(now)
        accounts = [self._find(name) for name in names]
        tokens = list(self._full)
        for rate, bound in enumerate(self._first_bounds):
            if bound is not None:
                there = min(_there(account[rate], bound, now) for account in accounts)
                tokens[rate] = max(bound.first, min(bound.session_burst, there))
        begun = self._shared(tokens)
        return begun, [self._take(each, begun, now) for each in accounts]

    def end(self, name: str, taken: Tokens, rest: Sequence[float], now: float) -> None:
        """Give an account back what a session has not used: of what was `taken` from it, as much as the `rest`."""
        self._look_at_some(now)
        account = self._accounts.get(_key(name))
        if account is not None:
            for rate, bound in enumerate(self._first_bounds):
                if bound is not None:
                    account[rate] -= min(taken[rate], rest[rate]) / bound.per_second

    def _take(self, account: "array[float]", tokens: Tokens, now: float) -> Tokens:
        """Take as many tokens as there are, up to `tokens`; return how many."""
        taken = list(tokens)
        for rate, bound in enumerate(self._first_bounds):
            if bound is not None:
                taken[rate] = min(tokens[rate], _there(account[rate], bound, now))
                account[rate] = max(account[rate], now) + taken[rate] / bound.per_second
        return self._shared(taken)

    def _shared(self, tokens: Sequence[float]) -> Tokens:
        found = tuple(tokens)
        return self._full if found == self._full else found

    # --- which accounts are kept

    def _find(self, name: str) -> "array[float]":
        """Return an account, which is made if there is none."""
        key = _key(name)
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= self._most:
                self._forget_one()
            account = self._accounts[key] = array("d", bytes(8 * len(Rate)))
            self._round.append(key)
        return account

    def _look_at_some(self, now: float) -> None:
        """Forget those of the next accounts that are full again."""
        for _ in range(min(_LOOKED_AT, len(self._round))):
            key = self._round.popleft()
            if max(self._accounts[key]) <= now:
                del self._accounts[key]
            else:
                self._round.append(key)

    def _forget_one(self) -> None:
        """Forget, of the next accounts, the one that is full again soonest, since it has the least to hide."""
        keys = [self._round.popleft() for _ in range(min(_CANDIDATES, len(self._round)))]
        soonest = min(keys, key=lambda key: max(self._accounts[key]))
        del self._accounts[soonest]
        self._round.extend(key for key in keys if key != soonest)


def _read(limits: Limits) -> tuple[_Bound | None, ...]:
    """Return the bounds in the order of `Rate`; None is no bound."""
    bursts = limits.account_bursts

    def shared(per_second: float | None, burst: float) -> _Bound | None:
        return None if per_second is None or bursts is None else _Bound(per_second, bursts * burst, burst)

    def own(per_second: float | None, burst: float) -> _Bound | None:
        return None if per_second is None else _Bound(per_second, burst)

    errors = limits.protocol_errors
    requests = own(limits.http_requests_per_second, limits.http_requests_burst)
    return (
        shared(limits.messages_per_second, limits.messages_burst),
        shared(limits.bytes_per_second, limits.bytes_burst),
        shared(limits.messages_per_second, limits.messages_burst * OVERRUN),
        shared(None if errors is None else FORGIVEN_PER_SECOND, errors or 1),
        shared(limits.joins_per_second, limits.joins_burst),
        own(limits.account_joins_per_second, limits.account_joins_burst),
        requests,
        requests,
        own(limits.connects_per_second, limits.connects_burst),
        own(limits.failed_logins_per_second, limits.failed_logins_burst),
        own(limits.wrong_codes_per_second, limits.wrong_codes_burst),
    )


def _there(full_at: float, bound: _Bound, now: float) -> float:
    """Return how many tokens there are."""
    return max(0.0, bound.burst - max(0.0, full_at - now) * bound.per_second)


def _wait(full_at: float, bound: _Bound, now: float) -> float | None:
    """Return None when there is a token, or the seconds until there is one."""
    wait = full_at - now - (bound.burst - 1) / bound.per_second
    return wait if wait > _ROUNDING else None


def _key(name: str) -> str:
    """Return a name of bounded length: the application, and perhaps a client, chooses that of a user."""
    if len(name) <= _NAME_LENGTH:
        return name
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=32).hexdigest()
