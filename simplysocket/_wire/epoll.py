"""The epoll reader: one task reads every socket that has something, with one system call a pass for all of them.

Laws: what it calls never waits; what that raises is the owner's, and is handed to
him. A socket whose owner is not in `wait` is not read. Knows nothing of WebSockets.

Waiting for each socket by itself costs a registration in the kernel and a switch of
tasks for every message, a third of all that the server does for it.
"""

import select
from collections.abc import Callable
from typing import Any, Final

import trio

HAS_EPOLL: Final = hasattr(select, "epoll")  # elsewhere each owner waits for himself, as trio has it

Readable = Callable[[float], bool]
"""Reads what is there, told what time it is; False when the owner must be woken."""


class _Owner:
    """A task that sleeps while the reader reads for it."""

    __slots__ = ("error", "readable", "task")

    def __init__(self, readable: Readable) -> None:
        self.readable = readable
        self.task = trio.lowlevel.current_task()
        self.error: Exception | None = None


class EpollReader:
    """Watches the sockets of one server; `run` must have begun before anyone waits."""

    def __init__(self) -> None:
        self._owners: dict[int, _Owner] = {}  # {descriptor: who sleeps}
        self._epoll: Any = None  # Any: a select.epoll, which not every platform has

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read for everyone, for as long as the server runtimes."""
        if not HAS_EPOLL:
            task_status.started()
            return
        with select.epoll() as self._epoll:
            task_status.started()
            try:
                await self._serve(self._epoll)
            finally:
                self._epoll = None

    async def _serve(self, epoll: Any) -> None:
        owners, descriptor, poll = self._owners, epoll.fileno(), epoll.poll
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            now = trio.current_time()
            for ready, _ in poll(0):
                owner = owners.get(ready)
                if owner is None:
                    continue
                try:
                    if owner.readable(now):
                        continue
                except Exception as exc:
                    owner.error = exc
                if owners.get(ready) is owner:  # else what it read has had it cancelled
                    self._forget(ready)
                    trio.lowlevel.reschedule(owner.task)

    async def wait(self, descriptor: int, readable: Readable) -> None:
        """Sleep while `readable` is called whenever there is something to read, until it returns False or raises."""
        if self._epoll is None:
            await trio.lowlevel.wait_readable(descriptor)
            while readable(trio.current_time()):
                await trio.lowlevel.wait_readable(descriptor)
            return
        owner = _Owner(readable)
        self._owners[descriptor] = owner
        self._epoll.register(descriptor, select.EPOLLIN)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._forget(descriptor)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        if owner.error is not None:
            raise owner.error

    def _forget(self, descriptor: int) -> None:
        del self._owners[descriptor]
        if self._epoll is not None:
            self._epoll.unregister(descriptor)
