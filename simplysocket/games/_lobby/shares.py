"""Shares: how many searches run for one user, or else one address, where each of them may ask `on_auth`.

Law: those that wait go on in the order in which they came. Nothing is kept of a user or an address without a search.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Shares:
    """The searches of one server, by who searches."""

    def __init__(self, most: int | None) -> None:
        """`most` run for one user or address; None: any number."""
        self._most = most
        self._limiters: dict[str, trio.CapacityLimiter] = {}

    @asynccontextmanager
    async def one_of(self, counted_as: str | None) -> AsyncIterator[None]:
        """Wait for a place among the searches of a user or address; None is nobody that is known."""
        if counted_as is None or self._most is None:
            yield
            return
        limiter = self._limiters.setdefault(counted_as, trio.CapacityLimiter(self._most))
        try:
            async with limiter:
                yield
        finally:
            statistics = limiter.statistics()
            if not statistics.borrowed_tokens and not statistics.tasks_waiting:
                self._limiters.pop(counted_as, None)
