"""The time of a peer: a deadline in which the time that the server needs for others does not count.

Law: a peer that has sent its part loses no time while the server is busy. So a crowd that comes at once is served,
and one that comes while much is going on is served later.
"""

import math

import trio

from .._pass_budget import Line, PassBudget


class PeerTime:
    """The deadline of one connection before it is a client's."""

    __slots__ = ("_budget", "_scope")

    def __init__(self, budget: PassBudget, scope: trio.CancelScope) -> None:
        """`scope` has the deadline of the peer."""
        self._budget = budget
        self._scope = scope

    async def turn(self) -> None:
        """Go on at once, or in a later pass of the scheduler if the time of this one is used up."""
        if self._budget.is_spent():
            began, deadline = trio.current_time(), self._scope.deadline
            self._scope.deadline = math.inf
            await self._budget.turn(Line.ARRIVALS)
            # It is nearer than that only if the server has begun to stop meanwhile.
            self._scope.deadline = min(self._scope.deadline, deadline + trio.current_time() - began)
