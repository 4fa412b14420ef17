"""Charges: who has caused what is said, in which rooms, and who waits for it.

Laws:
- What a step of a client's handler says is charged to the pace of the room in which it is said, wherever the handler
  runs. Who waits is the room of the handler; in the global room, the client itself.
- Little is never charged: who says a few words in a room waits for nobody who says much there.
- A plain machine: the time is an argument.
"""

from typing import Final

from .pace import Pace
from .stepping import TurnOutput

_LITTLE: Final = 4_096  # bytes, for each room: less is not charged
_ROOMS: Final = 128  # whose few bytes are remembered: more than `Limits.rooms_per_client` by default


class Charges:
    """What the handlers of one room, or of one client in the global room, say in other rooms."""

    __slots__ = ("_counted", "_due", "due")

    def __init__(self) -> None:
        self._counted: dict[Pace, int] = {}  # {pace of a room: bytes, at most _LITTLE}
        self._due: list[tuple[Pace, int]] = []
        self.due = 0  # bytes that are charged next

    def add(self, pace: Pace, size: int) -> int:
        """Count bytes that were said in the room of this pace. Return how many are due to be charged now."""
        size += self._counted.pop(pace, 0)
        if size <= _LITTLE:
            if len(self._counted) == _ROOMS:
                self._counted.clear()
            self._counted[pace] = size
            return 0
        self._due.append((pace, size))
        self.due += size
        return size

    def charge(self, now: float) -> float:
        """Charge what is due; return the time at which more may be said."""
        due, self._due, self.due = self._due, [], 0
        return max((pace.charge(size, now) for pace, size in due), default=now)


class Cause:
    """Whose step is running: one for all rooms of a server."""

    __slots__ = ("output",)

    def __init__(self) -> None:
        self.output: TurnOutput | None = None  # of the client that has caused the step; None for other code


class ChargedOutput:
    """The output of a handler outside the turn: what it says is charged as if its turn said it, and leaves at once."""

    __slots__ = ("_cause", "_output")

    def __init__(self, cause: Cause, output: TurnOutput) -> None:
        """`output` is that of the turns which wait."""
        self._cause = cause
        self._output = output

    def hold(self) -> None:
        self._cause.output = self._output

    def pause(self) -> None:
        self._cause.output = None

    def release(self) -> None:
        self._cause.output = None
