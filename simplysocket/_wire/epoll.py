"""The epoll reader: reads every socket that has data, with one `epoll_wait` per pass for all of them.

Laws:
- What it calls never waits. What that raises is raised in the task that owns the socket.
- A socket is read only while its owner is in `wait`, and not while its consumer has a rest or is paused.
- Once the budget of a pass is spent, sockets stand in line. The first in line is served in each pass,
  whatever the budget says, and who needs more after it stands at the end.
- That the peer of a paused socket has hung up is seen at once.

Knows nothing of WebSockets. If each task waited for its own socket, every message
would cost a registration in the kernel and a switch of tasks: a third of all the
work that the server does for it.
"""

import select
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import trio

from .._pass_budget import PassBudget
from .._wakeup import Wakeup
from .consumer import CHUNK, OWNER, READ, TURN, Consumer, Next

HAS_EPOLL: Final = hasattr(select, "epoll")  # elsewhere each owner waits for its socket, with trio

_DATA: Final = 0x001  # EPOLLIN: bytes, or the end
_HANG_UP: Final = 0x2000 | 0x010 | 0x008  # EPOLLRDHUP, EPOLLHUP, EPOLLERR: the peer sends no more, or is gone


class _Owner:
    """A task that sleeps while its socket is read for it."""

    __slots__ = ("consumer", "descriptor", "error", "is_held", "is_in_line", "receive", "take", "task")

    def __init__(self, descriptor: int, receive: Callable[[int], bytes], consumer: Consumer) -> None:
        self.descriptor = descriptor
        self.receive = receive
        self.consumer = consumer
        self.take = consumer.take  # without an attribute's look-up for each message
        self.task = trio.lowlevel.current_task()
        self.error: BaseException | None = None
        self.is_in_line = False
        self.is_held = False  # it is in line or paused: not to be read when it has data


class EpollReader:
    """Reads the sockets of one server; `run` must have begun before the first `wait`."""

    def __init__(self, budget: PassBudget) -> None:
        self._budget = budget
        self._owners: dict[int, _Owner] = {}  # {descriptor: the task that sleeps}
        self._line: deque[_Owner] = deque()  # those who have more to do than the passes so far had time for
        self._wakeup = Wakeup()  # of the task that serves the line
        self._epoll: Any = None  # Any: a select.epoll, which not every platform has

    @property
    def is_running(self) -> bool:
        """Whether it reads. It never does on a platform without epoll."""
        return self._epoll is not None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read for every owner, until cancelled."""
        if not HAS_EPOLL:
            task_status.started()
            return
        with select.epoll() as self._epoll:
            task_status.started()
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._serve_line)
                    await self._serve(self._epoll)
            finally:
                self._epoll = None

    async def wait(self, descriptor: int, receive: Callable[[int], bytes], consumer: Consumer) -> None:
        """Sleep until the consumer needs its owner; meanwhile give it what `receive`, called with a size, reads.

        An exception of `receive` is raised here, but that of a socket without data.
        """
        owner = _Owner(descriptor, receive, consumer)
        self._owners[descriptor] = owner
        self._epoll.register(descriptor, _HANG_UP if consumer.is_paused else _DATA)
        if consumer.is_paused:
            owner.is_held = True
        elif consumer.has_rest:
            self._line_up(owner)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._forget(owner)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        error, owner.error = owner.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # which refers to this frame: the garbage collector would have to find them

    def pause(self, descriptor: int) -> None:
        """Read this socket no more, since its consumer is paused. Whether its peer hangs up is still watched."""
        owner = self._owners.get(descriptor)
        if owner is not None and self._epoll is not None:
            owner.is_held = True
            self._epoll.modify(descriptor, _HANG_UP)

    def resume(self, descriptor: int) -> None:
        """Read this socket again, but after the rest that its consumer may have."""
        owner = self._owners.get(descriptor)
        if owner is not None and self._epoll is not None:
            owner.is_held = owner.is_in_line
            self._epoll.modify(descriptor, _DATA)
            if owner.consumer.has_rest:
                self._line_up(owner)

    # --- reading

    async def _serve(self, epoll: Any) -> None:
        """Read the sockets that have data. The hot path: written flat."""
        owners, line, budget = self._owners, self._line, self._budget
        descriptor, poll, clock = epoll.fileno(), epoll.poll, trio.lowlevel.current_clock().current_time
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            for ready, event in poll(0):  # at most 1,023; the kernel begins with the others the next time
                owner = owners.get(ready)
                if owner is None:
                    continue
                if owner.is_held:
                    if event & _HANG_UP and owner.consumer.is_paused:
                        self._settle(owner, OWNER)
                    continue
                now = clock()
                if line or now > budget.ends:
                    self._line_up(owner)
                    continue
                try:
                    step = owner.take(owner.receive(CHUNK), now)
                    if step is READ:
                        continue
                except BlockingIOError:
                    continue
                except BaseException as exc:
                    owner.error, step = exc, OWNER
                self._settle(owner, step)

    async def _serve_line(self) -> None:
        """Serve those in line: in each pass the first of them, and more of them while its budget lasts."""
        line, budget = self._line, self._budget
        while True:
            while not line:
                await self._wakeup.wait()
            await trio.lowlevel.checkpoint()
            for _ in range(len(line)):
                owner = line.popleft()
                owner.is_in_line = False
                owner.is_held = owner.consumer.is_paused
                if owner.is_held or self._owners.get(owner.descriptor) is not owner:
                    continue
                self._serve_one(owner, trio.current_time())
                if budget.is_spent():
                    break

    def _serve_one(self, owner: _Owner, now: float) -> None:
        """Let a consumer go on with its rest, or read its socket."""
        step = READ
        try:
            step = owner.consumer.go_on(now) if owner.consumer.has_rest else owner.take(owner.receive(CHUNK), now)
        except BlockingIOError:
            pass
        except BaseException as exc:
            owner.error, step = exc, OWNER
        self._settle(owner, step)

    def _settle(self, owner: _Owner, step: Next) -> None:
        """Do what a consumer needs next, when that is more than the next bytes."""
        if self._owners.get(owner.descriptor) is not owner:
            return  # what was read has led to its cancellation
        if step is TURN:
            self._line_up(owner)
        elif step is OWNER:
            self._forget(owner)
            trio.lowlevel.reschedule(owner.task)

    def _line_up(self, owner: _Owner) -> None:
        if not owner.is_in_line:
            owner.is_in_line = owner.is_held = True
            self._line.append(owner)
            self._wakeup.wake()

    def _forget(self, owner: _Owner) -> None:
        del self._owners[owner.descriptor]
        if self._epoll is not None:
            self._epoll.unregister(owner.descriptor)
