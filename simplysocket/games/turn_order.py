"""The order of turns: whose turn it is, and whose comes next.

Laws:
- Free seats are passed over. The turn of a seat that becomes free ends.
- Each turn has a number, so that what belongs to an earlier one is known by it.
- A machine: it knows neither time nor rooms.
"""

from collections.abc import Iterable

from .seat import Seat


class TurnOrder:
    """The order of the turns of one game."""

    def __init__(self) -> None:
        self.order: list[Seat] = []
        self.current: Seat | None = None
        self.number: int = 0  # of turns that have begun, over all games
        self._place = 0  # in the order: where the next turn is looked for, if no seat has the turn

    def begin(self, order: Iterable[Seat]) -> None:
        """Begin a game. Nobody has the turn."""
        self.order = list(order)
        self.current, self._place = None, 0

    def set_order(self, order: Iterable[Seat]) -> None:
        """Change the order. The turn stays where it is, and the next one is that of the seat after it."""
        self.order = list(order)

    def next(self, seat: Seat | None = None) -> Seat | None:
        """Give the turn to a seat, or to the next in the order that is not free; None if all are free.

        ValueError for a seat that is free.
        """
        if seat is not None and seat.is_free:
            raise ValueError(f"{seat!r} cannot have the turn: nobody sits there")
        self.end()
        found = self._find() if seat is None else seat
        if found is not None:
            self.current = found
            self.number += 1
            if found in self.order:
                self._place = self.order.index(found)
        return found

    def end(self) -> None:
        """End the turn. The next one is that of the seat after it."""
        if self.current is not None and self.current in self.order:
            self._place = self.order.index(self.current) + 1
        self.current = None

    def _find(self) -> Seat | None:
        size = len(self.order)
        places = (self._place + step for step in range(size))
        return next((seat for place in places if not (seat := self.order[place % size]).is_free), None)
