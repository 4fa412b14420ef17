"""The consumer: what a transport gives the bytes of one connection to, and how one task reads for it alone.

Laws:
- A consumer never waits. After each call it says what it needs next.
- It is given no bytes while it has a rest of earlier ones, or is paused.

Knows nothing of WebSockets.
"""

import enum
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from .._pass_budget import Line, PassBudget
from .._wakeup import Wakeup

CHUNK: Final = 65_536  # bytes of one read


class Next(enum.Enum):
    """What a consumer needs next."""

    READ = "read"  # more bytes, as soon as there are some
    TURN = "turn"  # to go on with its rest, after the others
    RESUME = "resume"  # nothing until it is resumed
    OWNER = "owner"  # its own task must be woken


# An enum's member costs four times as much to look up as a global name.
READ: Final = Next.READ
TURN: Final = Next.TURN
RESUME: Final = Next.RESUME
OWNER: Final = Next.OWNER


class Consumer(Protocol):
    """Takes the bytes of one connection."""

    budget: PassBudget

    @property
    def is_paused(self) -> bool:
        """Whether it takes nothing until it is resumed."""

    @property
    def has_rest(self) -> bool:
        """Whether it has not handed on all that it has taken."""

    def take(self, data: bytes, now: float) -> Next:
        """Take bytes (b"" is the end) that were read at `now`."""

    def go_on(self, now: float) -> Next:
        """Go on with the rest."""


async def read_alone(receive: Callable[[], Awaitable[bytes]], consumer: Consumer, resumed: Wakeup) -> None:
    """Read for a consumer until its task must be woken, where the epoll reader cannot read for it."""
    step = TURN if consumer.has_rest else READ
    while step is not OWNER:
        while consumer.is_paused:
            await resumed.wait()
        is_new = step is READ
        data = await receive() if is_new else b""
        if not is_new:
            await trio.lowlevel.checkpoint()
        await consumer.budget.share(Line.READING)
        while consumer.is_paused:
            await resumed.wait()
        now = trio.current_time()
        step = consumer.take(data, now) if is_new else consumer.go_on(now)
