"""The line: what a session keeps so that its client can come back and has missed nothing.

Laws:
- Only sessions whose clients asked for it have one.
- A message of the client counts when it is handed on, whatever becomes of it; `ping` never counts.
- It knows no connection and reads no clock.
"""

import math
from typing import Final

from .._protocol.resume_tokens import ResumeTokens
from .._token_bucket import TokenBucket
from .._wire.ring import Ring
from .._wire.stretch import Counts
from ..limits import Limits
from ..metrics import Metrics

_UNSAID: Final = 2  # so many `silence_seconds` may pass until a client acknowledges something of what it was sent


class Line:
    """The counts, the frames and the tokens of one session, over all its connections."""

    __slots__ = (
        "_acknowledged",
        "_owed",
        "_quiet_seconds",
        "_silence_seconds",
        "is_confirmed",
        "is_unheard",
        "is_waiting",
        "received",
        "returns",
        "ring",
        "tokens",
    )

    def __init__(self, limits: Limits, counts: Counts, metrics: Metrics, tokens: ResumeTokens, now: float) -> None:
        self.ring = Ring(limits, counts, metrics)
        self.tokens = tokens
        self.received = 0  # messages of the client
        self.is_waiting = False  # the client is not read, since it has sent again faster than its rate
        self.is_confirmed = False  # True: the client has sent something, so it knows a token of this session
        self.returns = TokenBucket(limits.resumes_per_second, limits.resumes_burst, now)
        self._owed = 0  # up to this number the client sends again what has not come: it is not refused for its rate
        self.is_unheard = True  # nothing was read from the connection of the newest token
        self._acknowledged = 0  # what the client had acknowledged at the last round of the heartbeat
        self._quiet_seconds = 0.0  # since it has acknowledged anything of what it was sent
        self._silence_seconds = math.inf if limits.silence_seconds is None else limits.silence_seconds

    def hear(self, now: float) -> None:
        """Note that something was read from the connection of the newest token."""
        self.is_unheard = False
        self.is_confirmed = True
        self.tokens.heard(now)

    @property
    def is_sent_again(self) -> bool:
        """Whether the message that was counted last is one that the client had to send again."""
        return self.received <= self._owed

    def uncount(self) -> None:
        """Note that the message that was counted last was a `ping`."""
        self.received -= 1

    def begin(self, sent: int) -> None:
        """Begin on another connection. `sent` is how many messages the client has sent in all, by its own count."""
        self._owed = sent
        self.is_unheard = True
        self._quiet_seconds = 0.0

    def beat(self, seconds: float, *, is_read: bool) -> bool:
        """Count a round of the heartbeat. Return False if frames are not acknowledged for too long.

        `is_read`: whether the client is read at all, so that its acknowledgements can come.
        """
        ring = self.ring
        if not is_read or ring.acknowledged != self._acknowledged or ring.acknowledged == ring.sent:
            self._acknowledged, self._quiet_seconds = ring.acknowledged, 0.0
            return True
        self._quiet_seconds += seconds
        return self._quiet_seconds < _UNSAID * self._silence_seconds
