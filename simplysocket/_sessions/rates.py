"""Rates: how many messages, bytes, joins and protocol errors one client is allowed in a time.

Laws:
- The time is an argument. A message is charged here before it is handled or answered.
- A message is charged to one bucket of each kind only. What the connections of one user or one address
  have in common counts where a session begins and ends, and at each join.
"""

from collections.abc import Sequence
from typing import Final

from .._accounts import FORGIVEN_PER_SECOND, OVERRUN, Accounts, Rate, Tokens
from .._token_bucket import TokenBucket
from ..limits import Limits

_NOBODY: Final = ()
_AT_ONCE: Final = 10  # tokens that are waited for at a time


class Rates:
    """The token buckets of one client. `messages` and `volume` (in bytes) are open to the hot path."""

    __slots__ = (
        "_accounts",
        "_began",
        "_bytes_burst",
        "_errors",
        "_first",
        "_joins",
        "_limits",
        "_names",
        "_overrun",
        "_taken",
        "messages",
        "volume",
    )

    def __init__(
        self, limits: Limits, now: float, accounts: Accounts | None = None, names: Sequence[str] = _NOBODY
    ) -> None:
        """`names` are the accounts that give the first tokens; joins are charged to the first of them.

        Without names every bucket is full.
        """
        self.messages = TokenBucket(limits.messages_per_second, limits.messages_burst, now)
        self.volume = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now)
        self._bytes_burst = limits.bytes_burst
        self._joins = TokenBucket(limits.joins_per_second, limits.joins_burst, now)
        self._limits, self._began = limits, now
        self._overrun: TokenBucket | None = None  # until the first refused message, which most clients never send
        self._errors: TokenBucket | None = None  # until the first message that is not valid
        self._first: Tokens | None = None  # in the order of `Rate`; None if every bucket begins full
        self._accounts, self._names = accounts, names if accounts is not None else _NOBODY
        self._taken: Sequence[Tokens] = ()  # for each of the names
        if accounts is not None and names:
            self._first, self._taken = accounts.begin(names, now)
            self.messages.tokens, self.volume.tokens = self._first[Rate.MESSAGES], self._first[Rate.VOLUME]
            self._joins.tokens = self._first[Rate.FIRST_JOINS]

    def end(self, now: float) -> None:
        """Give back what is left of the first tokens."""
        if self._accounts is not None and self._names:
            buckets = self.messages, self.volume, self._overrun_bucket(), self._error_bucket(), self._joins
            rest = [bucket.count(now) for bucket in buckets]  # in the order of `Rate`
            for name, taken in zip(self._names, self._taken, strict=True):
                self._accounts.end(name, taken, rest, now)
            self._names = _NOBODY

    def _overrun_bucket(self) -> TokenBucket:
        if self._overrun is None:
            limits = self._limits
            self._overrun = TokenBucket(limits.messages_per_second, limits.messages_burst * OVERRUN, self._began)
            if self._first is not None:
                self._overrun.tokens = self._first[Rate.OVERRUN]
        return self._overrun

    def _error_bucket(self) -> TokenBucket:
        if self._errors is None:
            errors = self._limits.protocol_errors
            self._errors = TokenBucket(None if errors is None else FORGIVEN_PER_SECOND, errors or 1, self._began)
            if self._first is not None:
                self._errors.tokens = self._first[Rate.ERRORS]
        return self._errors

    def charge_message(self, size: float, now: float) -> float | None:
        """Charge one message of `size` bytes. Return None, or the seconds to wait.

        A message larger than the burst takes all of it: else it would never pass where `message_bytes` was raised.
        """
        size = min(size, self._bytes_burst)
        if not self.messages.take(1, now):
            return self.messages.seconds_until(1)
        if not self.volume.take(size, now):
            return self.volume.seconds_until(size)
        return None

    def owe_message(self, size: float, now: float) -> float:
        """Charge one message that is not refused although it is beyond the rate. Return the seconds to wait for that.

        A few tokens more are waited for, so that not each message waits by itself.
        """
        self.messages.owe(1, now)
        self.volume.owe(min(size, self._bytes_burst), now)
        return max(self.messages.seconds_until(_AT_ONCE), self.volume.seconds_until(0))

    def is_overrun(self, now: float) -> bool:
        """Charge one refused message. Return True if there were so many that the connection must be closed."""
        return not self._overrun_bucket().take(1, now)

    def charge_join(self, now: float) -> float | None:
        """Charge one join. Return None, or the seconds to wait."""
        if not self._joins.take(1, now):
            return self._joins.seconds_until(1)
        if self._accounts is not None and self._names:
            return self._accounts.charge(self._names[0], Rate.JOINS, now)
        return None

    def wait_for_code(self, now: float) -> float | None:
        """Return None if a code of a private room may be looked up, or the seconds to wait. Takes nothing."""
        if self._accounts is None or not self._names:
            return None
        return self._accounts.wait_for(self._names[0], Rate.WRONG_CODES, now)

    def charge_wrong_code(self, now: float) -> None:
        """Charge one code that was wrong."""
        if self._accounts is not None and self._names:
            self._accounts.charge(self._names[0], Rate.WRONG_CODES, now)

    def charge_protocol_error(self, now: float) -> bool:
        """Charge one message that is not valid. Return False if there were too many."""
        return self._error_bucket().take(1, now)
