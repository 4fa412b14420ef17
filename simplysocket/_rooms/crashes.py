"""Crash policies: whether a room closes or starts again after a crash of one of its tasks.

Law: plain machines. The time is an argument; the room runtime does what they decide.
"""

import math
from collections import deque
from typing import Final, Protocol

ON_CRASH: Final = ("close", "keep", "restart")
"""The values of the option `Room.on_crash`."""

_RESTARTS_MOST: Final = 3
_RESTARTS_SECONDS: Final = 60.0  # within which there are so many restarts at most
_RESTART_FIRST: Final = 1.0  # seconds
_RESTART_MOST: Final = 30.0
_CALM_SECONDS: Final = 60.0  # after so long without a crash, the next one counts as the first


class CrashPolicy(Protocol):
    """Decides what a room does after a crash."""

    def after_crash(self, now: float) -> float | None:
        """Return the seconds after which `on_create` runs again; None: the room closes."""


class RestartAtOnce:
    """Makes the room anew, and closes it when that has not helped three times within a minute."""

    def __init__(self) -> None:
        self._restarts: deque[float] = deque(maxlen=_RESTARTS_MOST)  # the times of the last ones

    def after_crash(self, now: float) -> float | None:
        """Return 0, or None if there were too many restarts."""
        if len(self._restarts) == _RESTARTS_MOST and now - self._restarts[0] < _RESTARTS_SECONDS:
            return None
        self._restarts.append(now)
        return 0.0


class RestartAfterCrash:
    """For the global room: starts its tasks again, after a wait that doubles if they crash again soon."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._crashed_at = -math.inf

    def after_crash(self, now: float) -> float:
        """Return the seconds to wait, from 1 to 30."""
        is_again = now - self._crashed_at < _CALM_SECONDS
        self._seconds = min(2 * self._seconds, _RESTART_MOST) if is_again else _RESTART_FIRST
        self._crashed_at = now
        return self._seconds
