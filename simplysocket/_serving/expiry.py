"""Expiry: closes clients when their credentials have expired.

Law: credentials expire by the wall clock, which is read again and again: it may be set, and it goes on while the
machine sleeps and trio's clock stands still. They also expire when their time has passed by trio's clock.
"""

import math
import time
from typing import Final, Protocol

import trio

from .._pass_budget import PassBudget
from .._wakeup import Wakeup
from ..errors import CloseCode
from ..request import Identity

_LOOK_SECONDS: Final = 5.0  # between two looks at the wall clock at most
_LEAST_SECONDS: Final = 0.1  # between two looks at least: a look at 10,000 connections takes a millisecond


def end_of(identity: Identity | None) -> float | None:
    """Return when credentials expire, in seconds since the epoch; None if they never do."""
    end = None if identity is None else identity.expires_at
    return None if end is None or math.isinf(end) else end


def time_left(identity: Identity | None) -> dict[str, float]:
    """Return `expires_in`, in seconds, as the client is told it; nothing if its credentials never expire."""
    end = end_of(identity)
    return {} if end is None else {"expires_in": max(0.0, round(end - time.time(), 3))}


class Closable(Protocol):
    """A client. `close` never waits."""

    def close(self, code: int, reason: str) -> None: ...


class Expiry:
    """Closes the clients of one server that have credentials with an end, while `run` runs."""

    def __init__(self, budget: PassBudget) -> None:
        self._budget = budget
        self._ends: dict[Closable, tuple[float, float]] = {}  # {client: (by trio's clock, by the wall clock)}
        self._looks_at = math.inf  # by trio's clock
        self._wakeup = Wakeup()

    def add(self, client: Closable, expires_at: float) -> None:
        """Close a client at `expires_at`, in seconds since the epoch, unless `remove` or another `add` comes before."""
        end = trio.current_time() + expires_at - time.time()
        self._ends[client] = end, expires_at
        self._look_before(end)

    def remove(self, client: Closable) -> None:
        """Forget a client, whether it was added or not."""
        self._ends.pop(client, None)

    async def run(self) -> None:
        """Close what has expired, until cancelled."""
        while True:
            if trio.current_time() < self._looks_at:
                with trio.move_on_at(self._looks_at):
                    await self._wakeup.wait()  # it looks earlier
                continue
            await self._close_expired()
            self._looks_at = math.inf
            if self._ends:
                self._look_before(min(end for end, _ in self._ends.values()))

    async def _close_expired(self) -> None:
        now, wall = trio.current_time(), time.time()
        for client, ends in list(self._ends.items()):
            if (ends[0] > now and ends[1] > wall) or self._ends.get(client) is not ends:
                continue  # the second: it has gone or was renewed while this waited for its turn
            self.remove(client)
            client.close(CloseCode.EXPIRED, "the credentials have expired")
            if self._budget.is_spent():
                await self._budget.turn()

    def _look_before(self, end: float) -> None:
        now = trio.current_time()
        looks_at = now + min(max(end - now, _LEAST_SECONDS), _LOOK_SECONDS)
        if looks_at < self._looks_at:
            self._looks_at = looks_at
            self._wakeup.wake()
