"""The census: how many rooms a server has, and how many of them each creator has made.

Laws:
- A room counts from its making to its end, also while it waits for its name, and after its
  creator has disconnected. A closing room that has a successor counts no longer: each name
  counts once.
- A plain machine. It counts every room but the global one, and refuses only those of clients.
"""

from collections import Counter

from ..errors import ActionError
from ..limits import Limits


class Census:
    """The number of living rooms, in all and by creator."""

    __slots__ = ("_by_creator", "_limits", "total")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.total = 0
        self._by_creator: Counter[str] = Counter()  # {`Session.counted_as` of the creator: living rooms}

    def check(self, creator: str | None, *, replaces: bool, replaces_own: bool) -> None:
        """Refuse one more room of this creator with `too-many`.

        `replaces`: it is the successor of a closing room, and takes that room's place.
        `replaces_own`: that room has the same creator.
        """
        most = self._limits.rooms
        if most is not None and self.total - replaces >= most:
            raise ActionError("too-many", f"the server has {self.total} rooms, and {most} is the most")
        most = self._limits.rooms_per_creator
        if most is not None and creator is not None and self._by_creator[creator] - replaces_own >= most:
            raise ActionError(
                "too-many", f"{most} rooms that your user or address has created still exist, and {most} is the most"
            )

    def add(self, creator: str | None) -> None:
        """Count a room that is made. `creator` is None for the server's own code, and where the creator is unknown."""
        self.total += 1
        if creator is not None:
            self._by_creator[creator] += 1

    def remove(self, creator: str | None) -> None:
        """Stop counting a room that has closed."""
        self.total -= 1
        if creator is not None:
            self._by_creator[creator] -= 1
            if not self._by_creator[creator]:
                del self._by_creator[creator]
