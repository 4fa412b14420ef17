"""The heartbeat: how long a peer has been silent, and what is due then.

Laws:
- Every byte from the peer is a sign of life, not only a pong.
- Time is counted in the rounds that are reported; nothing here reads a clock, waits or sends.
"""

import enum

from ..limits import Limits


class Due(enum.Enum):
    """What to do after a round."""

    NOTHING = "nothing"
    PING = "ping"
    CLOSE = "close"


class Heartbeat:
    """Measures the silence of one peer; the reader sets `heard` to True at every read."""

    __slots__ = ("_is_pinged", "_limits", "_quiet_seconds", "heard")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.heard = True  # since the last round
        self._quiet_seconds = 0.0
        self._is_pinged = False  # since the peer was last heard

    def beat(self, seconds: float, *, output_waits: bool) -> Due:
        """Count a round of `seconds`, and return what is due.

        While output waits no Ping is due: the write deadline is the better test.
        """
        limits = self._limits
        if self.heard:
            self.heard = self._is_pinged = False
            self._quiet_seconds = 0.0
            return Due.NOTHING
        self._quiet_seconds += seconds
        if limits.silence_seconds is not None and self._quiet_seconds >= limits.silence_seconds:
            return Due.CLOSE
        if limits.ping_seconds is None or self._quiet_seconds < limits.ping_seconds:
            return Due.NOTHING
        if self._is_pinged or output_waits:
            return Due.NOTHING
        self._is_pinged = True
        return Due.PING
