"""The epoll reader: one task reads every socket that has data, with one `epoll_wait` per pass for all of them.

Laws:
- The functions that it calls never wait. What one of them raises is raised in the task that owns the socket.
- A socket is read only while its owner is in `wait`.

Knows nothing of WebSockets. If each task waited for its own socket, every message
would cost a registration in the kernel and a switch of tasks: a third of all the
work that the server does for it.
"""

import select
from collections.abc import Callable
from typing import Any, Final

import trio

from .._pass_budget import PassBudget

HAS_EPOLL: Final = hasattr(select, "epoll")  # elsewhere each owner waits for its socket, with trio

Readable = Callable[[float], bool]
"""Reads the socket once, given the time; returns False when its owner must be woken."""


class _Owner:
    """A task that sleeps while its socket is read for it."""

    __slots__ = ("error", "readable", "task")

    def __init__(self, readable: Readable) -> None:
        self.readable = readable
        self.task = trio.lowlevel.current_task()
        self.error: Exception | None = None


class EpollReader:
    """Reads the sockets of one server; `run` must have begun before the first `wait`."""

    def __init__(self, budget: PassBudget) -> None:
        self._budget = budget
        self._owners: dict[int, _Owner] = {}  # {descriptor: the task that sleeps}
        self._epoll: Any = None  # Any: a select.epoll, which not every platform has

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read for every owner, until cancelled."""
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
                if owners.get(ready) is owner:  # if not, what was read has led to its cancellation
                    self._forget(ready)
                    trio.lowlevel.reschedule(owner.task)

    async def wait(self, descriptor: int, readable: Readable) -> None:
        """Sleep until `readable` returns False or raises; it is called whenever the socket has data.

        An exception of `readable` is raised here.
        """
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
