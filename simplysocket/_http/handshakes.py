"""Handshakes: how many TLS handshakes run at once, and who is next.

Laws:
- The others wait, and their time does not run: it begins when they get a slot. If all of a crowd ran at once, each
  would take as long as all of them together.
- Addresses take turns, and each has few slots. So one address with many connections delays nobody for long.
- A peer that keeps a slot waiting, in all for `_PATIENCE_SECONDS`, goes on without one, within its own time.

How many may wait is bounded by `Limits.connections`.
"""

from collections import Counter, deque
from typing import Any, Final

import trio

from ..limits import Limits
from .peer_time import PeerTime

_PATIENCE_SECONDS: Final = 1.0  # for the peer's parts of one handshake


class Slot:
    """The permission of one connection to run its handshake."""

    __slots__ = ("_handshakes", "_is_held", "account")

    def __init__(self, handshakes: "Handshakes", account: str) -> None:
        self._handshakes = handshakes
        self._is_held = True
        self.account = account

    def release(self) -> None:
        """Give the slot to the next who waits; may be called again."""
        if self._is_held:
            self._is_held = False
            self._handshakes.release(self)

    async def shake_hands(self, stream: trio.SSLStream[Any], time: PeerTime) -> None:
        """Do the handshake, and release the slot at its end or when the peer has kept it waiting."""
        inner = stream.transport_stream
        stream.transport_stream = _Watched(inner, self, time)
        try:
            await stream.do_handshake()
        finally:
            stream.transport_stream = inner
            self.release()


class Handshakes:
    """The slots of one server."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.handshakes
        self._most_of_one = limits.handshakes_per_address
        self.running = 0
        self._running_by_account: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Waiter]] = {}  # {account: those who wait, in the order of coming}
        self._next: dict[str, None] = {}  # the accounts that wait and may have a slot; a dict as an ordered set

    @property
    def waiting(self) -> int:
        """The number of connections that wait for a slot."""
        return sum(map(len, self._waiting.values()))

    async def slot(self, account: str | None) -> Slot:
        """Wait for a slot. `account` is that of the peer's address; None may use all slots."""
        name = account or ""
        if self.running < self._most and self._may_have_one_more(name):
            await trio.lowlevel.checkpoint_if_cancelled()
            return self._take(name)
        waiter = _Waiter()
        self._waiting.setdefault(name, deque()).append(waiter)
        if self._may_have_one_more(name):
            self._next.setdefault(name)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._waiting[name].remove(waiter)
            self._forget_if_empty(name)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        assert waiter.slot is not None  # it was rescheduled by `release`
        return waiter.slot

    def release(self, slot: Slot) -> None:
        """Take a slot back, and give it to the next who waits."""
        name = slot.account
        self.running -= 1
        self._running_by_account[name] -= 1
        if not self._running_by_account[name]:
            del self._running_by_account[name]
        if name in self._waiting:
            self._next.setdefault(name)
        while self._next and self.running < self._most:
            name = next(iter(self._next))
            del self._next[name]
            waiter = self._waiting[name].popleft()
            waiter.slot = self._take(name)
            trio.lowlevel.reschedule(waiter.task)
            self._forget_if_empty(name)
            if name in self._waiting and self._may_have_one_more(name):
                self._next[name] = None  # after all other addresses

    def _take(self, name: str) -> Slot:
        self.running += 1
        self._running_by_account[name] += 1
        return Slot(self, name)

    def _may_have_one_more(self, name: str) -> bool:
        return not name or self._running_by_account[name] < self._most_of_one

    def _forget_if_empty(self, name: str) -> None:
        if not self._waiting[name]:
            del self._waiting[name]
            self._next.pop(name, None)


class _Waiter:
    """A task that waits for a slot."""

    __slots__ = ("slot", "task")

    def __init__(self) -> None:
        self.task = trio.lowlevel.current_task()
        self.slot: Slot | None = None


class _Watched(trio.abc.Stream):
    """The stream below a handshake: releases the slot of a slow peer, and lets others run when the pass is over."""

    def __init__(self, stream: trio.abc.Stream, slot: Slot, time: PeerTime) -> None:
        self._stream = stream
        self._slot = slot
        self._time = time
        self._patience = _PATIENCE_SECONDS  # what is left of it

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        received = await self._receive(max_bytes)
        await self._time.turn()
        return received

    async def _receive(self, max_bytes: int | None) -> bytes | bytearray:
        if self._patience > 0:
            began = trio.current_time()
            with trio.move_on_after(self._patience):
                received = await self._stream.receive_some(max_bytes)
                self._patience -= trio.current_time() - began
                return received
            self._patience = 0
        self._slot.release()
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
