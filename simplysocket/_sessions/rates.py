"""Rates: how many messages, bytes, joins and protocol errors one client is allowed in a time.

Laws: the time is an argument. A message is charged here before it is handled or answered.
"""

from typing import Final

from .._token_bucket import TokenBucket
from ..limits import Limits

_FORGIVEN_PER_SECOND: Final = 1 / 60  # protocol errors: one a minute
_OVERRUN: Final = 5.0  # times the burst: so many messages beyond the rate are answered before the connection is closed


class Rates:
    """The token buckets of one client. `messages` and `volume` (in bytes) are open to the hot path."""

    __slots__ = ("_bytes_burst", "_errors", "_joins", "_overrun", "messages", "volume")

    def __init__(self, limits: Limits, now: float) -> None:
        self.messages = TokenBucket(limits.messages_per_second, limits.messages_burst, now)
        self.volume = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now)
        self._bytes_burst = limits.bytes_burst
        self._overrun = TokenBucket(limits.messages_per_second, limits.messages_burst * _OVERRUN, now)
        self._joins = TokenBucket(limits.joins_per_second, limits.joins_burst, now)
        errors = limits.protocol_errors
        self._errors = TokenBucket(None if errors is None else _FORGIVEN_PER_SECOND, errors or 1, now)

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

    def is_overrun(self, now: float) -> bool:
        """Charge one refused message. Return True if there were so many that the connection must be closed."""
        return not self._overrun.take(1, now)

    def charge_join(self, now: float) -> float | None:
        """Charge one join. Return None, or the seconds to wait."""
        return None if self._joins.take(1, now) else self._joins.seconds_until(1)

    def charge_protocol_error(self, now: float) -> bool:
        """Charge one message that is not valid. Return False if there were too many."""
        return self._errors.take(1, now)
