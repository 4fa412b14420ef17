"""Token buckets: how much of something one client may do in a time.

Law: the time is an argument, in seconds of any steady clock. A bucket holds at
most `burst` tokens and gains `rate` a second, so that in any span of t seconds
at most burst + rate * t are taken.
"""

import math


class Bucket:
    """A token bucket. It refills only when it runs dry, so that a take costs no look at the clock.

    `tokens` may be read and lowered by the hot path: while it holds what is
    asked for, taking needs no time. `rate=None` is a bucket that never runs dry.
    """

    __slots__ = ("_burst", "_rate", "_since", "tokens")

    def __init__(self, rate: float | None, burst: float, now: float) -> None:
        self._rate = math.inf if rate is None else rate
        self._burst = math.inf if rate is None else burst
        self._since = now  # when the tokens were last filled up
        self.tokens = self._burst

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` tokens; False, and nothing taken, when there are not so many at `now`."""
        if self.tokens < amount:
            self.tokens = min(self._burst, self.tokens + (now - self._since) * self._rate)
            self._since = now
            if self.tokens < amount:
                return False
        self.tokens -= amount
        return True

    def seconds_until(self, amount: float) -> float:
        """Return how long after the last failed take `amount` tokens will be there, in seconds."""
        return max(0.0, (min(amount, self._burst) - self.tokens) / self._rate)
