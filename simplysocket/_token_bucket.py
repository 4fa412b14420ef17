"""Token buckets: bound a rate, and allow bursts.

Law: the time is an argument, in seconds of any monotonic clock. A bucket holds at
most `burst` tokens and gains `rate` a second, so at most burst + rate * t tokens
are taken in any t seconds.
"""

import math


class TokenBucket:
    """A token bucket; with `rate=None` it never runs out.

    The hot path may lower `tokens` itself, not below 0, while the time is still `since`.
    """

    __slots__ = ("_burst", "_rate", "since", "tokens")

    def __init__(self, rate: float | None, burst: float, now: float) -> None:
        self._rate = 0.0 if rate is None else rate
        self._burst = math.inf if rate is None else burst
        self.since = now  # the time at which `tokens` was counted
        self.tokens = self._burst

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` tokens; return False and take nothing when there are fewer at `now`."""
        tokens = self.tokens + (now - self.since) * self._rate
        if tokens > self._burst:
            tokens = self._burst
        self.since = now
        if tokens < amount:
            self.tokens = tokens
            return False
        self.tokens = tokens - amount
        return True

    def owe(self, amount: float, now: float) -> None:
        """Take `amount` tokens, also if there are fewer: then none are there until that is made up for."""
        self.tokens = self.count(now) - amount
        self.since = now

    def count(self, now: float) -> float:
        """Return how many tokens there are at `now`."""
        return min(self._burst, self.tokens + (now - self.since) * self._rate)

    def seconds_until(self, amount: float) -> float:
        """Return how many seconds after `since` there will be `amount` tokens."""
        lacking = min(amount, self._burst) - self.tokens
        return max(0.0, lacking / self._rate) if self._rate else 0.0
