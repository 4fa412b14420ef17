"""Crash policies: what becomes of a room whose tasks have crashed.

Law: plain machines. The time is an argument; the room runtime does what they say.
"""

import math
from typing import Final, Protocol

_RESTART_FIRST: Final = 1.0  # seconds
_RESTART_MOST: Final = 30.0
_CALM_SECONDS: Final = 60.0  # without a crash: then the next one counts as the first again


class CrashPolicy(Protocol):
    """Decides after each crash."""

    def after_crash(self, now: float) -> float | None:
        """Return after how many seconds `on_create` runs again; None: the room closes."""


class CloseAfterCrash:
    """The room closes."""

    def after_crash(self, _: float) -> None:
        """Close the room."""


class RestartAfterCrash:
    """The room stays, and its tasks are started again; later each time when they crash again and again."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._crashed_at = -math.inf

    def after_crash(self, now: float) -> float:
        """Return the seconds to wait."""
        is_again = now - self._crashed_at < _CALM_SECONDS
        self._seconds = min(2 * self._seconds, _RESTART_MOST) if is_again else _RESTART_FIRST
        self._crashed_at = now
        return self._seconds
