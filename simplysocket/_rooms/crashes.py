"""Crash policies: whether a room closes or starts again after a crash.

Law: plain machines. The time is an argument; the room runtime does what they decide.
"""

import math
from typing import Final, Protocol

_RESTART_FIRST: Final = 1.0  # seconds
_RESTART_MOST: Final = 30.0
_CALM_SECONDS: Final = 60.0  # after so long without a crash, the next one counts as the first


class CrashPolicy(Protocol):
    """Decides what a room does after a crash."""

    def after_crash(self, now: float) -> float | None:
        """Return the seconds after which `on_create` runs again; None: the room closes."""


class CloseAfterCrash:
    """Closes the room."""

    def after_crash(self, _: float) -> None:
        """Close the room."""


class RestartAfterCrash:
    """Starts the room's tasks again, after a wait that doubles if they crash again soon."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._crashed_at = -math.inf

    def after_crash(self, now: float) -> float:
        """Return the seconds to wait, from 1 to 30."""
        is_again = now - self._crashed_at < _CALM_SECONDS
        self._seconds = min(2 * self._seconds, _RESTART_MOST) if is_again else _RESTART_FIRST
        self._crashed_at = now
        return self._seconds
