"""Schedules: when the calls of a timer are due.

Laws:
- Plain machines. The time is an argument.
- A late call does not move the later ones. A call whose time has passed is skipped; one that is due now is made.
"""

import math
from typing import Protocol


class Schedule(Protocol):
    """The times of the calls of one timer."""

    first: float

    def after(self, now: float) -> float | None:
        """Return when the next call is due, since one has ended; None if there is no other."""


class Once:
    """One call."""

    def __init__(self, due: float) -> None:
        self.first = due

    def after(self, _: float) -> None:
        """Return None: there is no other call."""


class Interval:
    """A call every so many seconds."""

    def __init__(self, due: float, seconds: float) -> None:
        self.first = due
        self._due = due
        self._seconds = seconds

    def after(self, now: float) -> float:
        """Return when the next call is due."""
        self._due = max(self._due + self._seconds, now + (self._due - now) % self._seconds)
        return self._due


class Beat:
    """So many calls a second. Each time is computed from the first, so that no error of rounding adds up."""

    def __init__(self, start: float, hz: float) -> None:
        self.first = start + 1 / hz
        self._start = start
        self._hz = hz
        self._number = 1  # of the call that is due next, or runs

    def after(self, now: float) -> float:
        """Return when the next call is due: start + n / hz, for the first n that is not over."""
        # One too small, as the product may be rounded up; the loop finds the number in at most three steps.
        self._number = max(self._number + 1, math.floor((now - self._start) * self._hz) - 1)
        while self._start + self._number / self._hz < now:
            self._number += 1
        return self._start + self._number / self._hz
