"""The heartbeat: how long the two sides of a connection have been silent, and what is due then.

Laws:
- Every byte from the peer is a sign of life, not only a pong.
- A Ping is due when either side is silent: the peer, and what stands between, must also hear that the server lives.
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
    """Measures the silence of one connection; the reader sets `heard` to True at every read."""

    __slots__ = ("_is_pinged", "_limits", "_mute_seconds", "_quiet_seconds", "heard")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.heard = True  # since the last round
        self._quiet_seconds = 0.0  # since the peer was heard
        self._mute_seconds = 0.0  # since the server said something
        self._is_pinged = False  # since the peer was last heard

    def beat(self, seconds: float, *, said: bool, output_waits: bool) -> Due:
        """Count a round of `seconds`, and return what is due. `said`: the server has said something in it.

        While output waits no Ping is due: the write deadline is the better test.
        """
        limits = self._limits
        self._mute_seconds = 0.0 if said else self._mute_seconds + seconds
        if self.heard:
            self.heard = self._is_pinged = False
            self._quiet_seconds = 0.0
        else:
            self._quiet_seconds += seconds
        if limits.silence_seconds is not None and self._quiet_seconds >= limits.silence_seconds:
            return Due.CLOSE
        if limits.ping_seconds is None or max(self._quiet_seconds, self._mute_seconds) < limits.ping_seconds:
            return Due.NOTHING
        if self._is_pinged or output_waits:
            return Due.NOTHING
        self._is_pinged = True
        return Due.PING
