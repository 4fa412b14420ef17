"""Token buckets: how much of something one client may do in a time.

Law: the time is an argument, in seconds of any steady clock. A bucket holds at
most `burst` tokens and gains `rate` a second, so that in any span of t seconds
at most burst + rate * t are taken.
"""

import math


class TokenBucket:
    """A token bucket; `rate=None` is one that never runs dry.

    The hot path may itself lower `tokens` as far as they go while the time is still `since`.
    """

    __slots__ = ("_burst", "_rate", "since", "tokens")

    def __init__(self, rate: float | None, burst: float, now: float) -> None:
        self._rate = 0.0 if rate is None else rate
        self._burst = math.inf if rate is None else burst
        self.since = now  # when `tokens` was true
        self.tokens = self._burst

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` tokens; False, and nothing taken, when there are not so many at `now`."""
        tokens = self.tokens + (now - self.since) * self._rate
        if tokens > self._burst:
            tokens = self._burst
        self.since = now
        if tokens < amount:
            self.tokens = tokens
            return False
        self.tokens = tokens - amount
        return True

    def seconds_until(self, amount: float) -> float:
        """Return how long after `since` there will be `amount` tokens, in seconds."""
        lacking = min(amount, self._burst) - self.tokens
        return max(0.0, lacking / self._rate) if self._rate else 0.0
