"""The timer, as users see it: what `Room.after`, `Room.every` and `Room.tick` return.

Law: it only holds the time and the scope. The calls are made in _rooms/timers.py.
"""

import trio


class Timer:
    """A function of yours that a room calls later: once (`Room.after`), at intervals (`Room.every`, `Room.tick`).

    A timer ends with its room. You need not keep it, unless you want to cancel it or to look at it.
    """

    __slots__ = ("_due", "_name", "_scope")

    def __init__(self, name: str, due: float) -> None:
        """Timers are made by rooms. `due` is the time of the next call, by trio's clock."""
        self._name = name
        self._due: float | None = due
        self._scope = trio.CancelScope()

    def __repr__(self) -> str:
        return f"<Timer {self._name}{'' if self._is_alive else ', ended'}>"

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the next call; 0 while a call waits for the turn or runs. None once the timer has ended."""
        if self._due is None or not self._is_alive:
            return None
        return max(0.0, self._due - trio.current_time())

    def cancel(self) -> None:
        """End the timer: there are no further calls. A call that has begun runs to its end.

        Has no effect on a timer that has ended.
        """
        self._scope.cancel()

    @property
    def _is_alive(self) -> bool:
        return self._due is not None and not self._scope.cancel_called
