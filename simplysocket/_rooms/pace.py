"""The pace: how much its clients may make a room say to each of its members.

Laws:
- A plain machine: the time is an argument.
- What a second brings may be said at once, after a pause.
- Only what a client has caused counts, not what the server's own code says, nor what is for one member alone.
"""

import math
from typing import Final

from ..limits import Limits

CHARGED: Final = 65_536  # bytes that are counted before the clock is read
_AHEAD_SECONDS: Final = 1.0  # of which the bytes may be said at once
_MOST_SECONDS: Final = 4.0  # for which clients wait at a time, however much one message made the room say


class Pace:
    """The pace of one room."""

    __slots__ = ("_rate", "_until")

    def __init__(self, limits: Limits) -> None:
        rate = limits.room_bytes_per_second
        self._rate = math.inf if rate is None else rate
        self._until = -math.inf  # the time at which all that was said has been paid for

    def charge(self, size: int, now: float) -> float:
        """Charge bytes that were said; return the time at which more may be said: after `now` if this was too much."""
        self._until = min(max(self._until, now - _AHEAD_SECONDS) + size / self._rate, now + _MOST_SECONDS)
        return self._until
