"""Turns: an inbox and one worker; one handler runs at a time, in the order of arrival.

Laws:
- Whatever is in the inbox is run or answered; nothing is dropped.
- A worker in which a handler left a cancel scope or a nursery open is replaced
  before the next handler: a stranger's deadline must not reach it.
- Code that holds the turn never queues behind itself: `TURN` records the holder.
"""

import contextvars
import logging
import math
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from time import perf_counter
from typing import Any, Final

import trio

from ..limits import Limits
from .inbox import Entry, Inbox
from .jobs import Job, Work
from .stepping import NOTHING_HELD, Held, go_on, innermost_scope

logger = logging.getLogger("simplysocket.turns")

_RUN_BEFORE_YIELD: Final = 64  # messages; yields by count, since by the clock virtual time would change what happens

TURN: Final[contextvars.ContextVar[object]] = contextvars.ContextVar("simplysocket.turn", default=None)
"""What is asked in the entry that has the turn, or had it: a task that a handler left behind still sees it."""


def name_ask(ask: object) -> str:
    """Name an entry for people: a client's action, or a job."""
    return ask.name if isinstance(ask, Job) else f"the handler of {getattr(ask, 'action', '')!r:.200}"


class Turns:
    """The turns of one room; in the global room, of one client there.

    `run` is given each entry's work and is the boundary: it answers and never raises an Exception.
    """

    __slots__ = (
        "_blocked_seconds",
        "_current",
        "_held",
        "_inbox",
        "_is_over",
        "_run",
        "_stop",
        "_waits",
        "_waits_since",
        "is_ending",
        "name",
    )

    def __init__(
        self,
        name: str,
        limits: Limits,
        run: Callable[[Work, Any, Any], Coroutine[Any, Any, None]],
        held: Held = NOTHING_HELD,
    ) -> None:
        """`name` is the room's, for logs."""
        self.name = name
        self._blocked_seconds = math.inf if limits.blocked_seconds is None else limits.blocked_seconds
        self._run = run
        self._held = held
        self._inbox = Inbox(limits)
        self._current: object = None  # what is asked in the entry that runs
        self._waits: object = None  # the entry that last began to wait for something
        self._waits_since = 0.0  # when it did
        self._is_over = False
        self._stop: Callable[[], None] | None = None
        self.is_ending = False  # True: the worker ends once the inbox is empty

    # --- the inbox

    @property
    def post(self) -> Callable[[Work, Any, object], bool]:
        """The function that puts a client's message into the inbox; it returns False when that is full."""
        return self._inbox.put

    def post_always(self, work: Work, client: Hashable, ask: object) -> None:
        """Put into the inbox an entry that no bound may refuse."""
        self._inbox.put_always(work, client, ask)

    def take_out(self, client: Hashable, id: str | int) -> Any:
        """Remove the waiting message of `client` with this `id` from the inbox and return it, or None."""
        return self._inbox.take_out(client, id)

    def take_all(self) -> list[Entry]:
        """Empty the inbox, and return the entries whose turn never came."""
        return self._inbox.take_all()

    # --- what has the turn

    @property
    def is_mine(self) -> bool:
        """Whether the caller is the handler that holds the turn, or was started by it and awaited in it."""
        return self._current is not None and TURN.get() is self._current

    @property
    def is_busy(self) -> bool:
        """Whether a handler is running."""
        return self._current is not None

    @property
    def waiting(self) -> int:
        """How many entries wait for their turn."""
        return len(self._inbox)

    @property
    def running(self) -> str:
        """The name of the entry that runs; "" when none does."""
        return "" if self._current is None else name_ask(self._current)

    def waited(self, now: float) -> float:
        """For how many seconds the entry that runs has waited for something; 0 when it has not."""
        return now - self._waits_since if self._current is not None and self._waits is self._current else 0.0

    # --- the end

    def stop_after_this(self, then: Callable[[], None]) -> None:
        """Let the running handler end, then run nothing more, and call `then`."""
        self._stop = then

    def finish_own_turn(self, then: Callable[[], None]) -> bool:
        """Call `then` after the handler that asks for this, which is the last; False when the caller has no turn."""
        if self.is_mine:
            self.stop_after_this(then)
            return True
        return False

    def end(self) -> None:
        """Let the worker run what waits, and end."""
        self.is_ending = True
        self._inbox.wakeup.wake()

    # --- the worker

    async def serve(self) -> None:
        """Run what comes, until `end` or `stop_after_this`; a worker that a handler has spoilt is replaced."""
        while not self._is_over:
            try:
                # The worker is a task of its own, so that scopes and nurseries which a handler
                # left open end with it: trio cancels and collects them here, and nowhere else.
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._work)
            except* Exception:
                logger.exception("a handler has spoilt the task it ran in; the task was replaced")
            if self._stop is not None:
                self._is_over = True
                self._stop()

    async def _work(self) -> None:
        task = trio.lowlevel.current_task()
        scope = innermost_scope(task)
        inbox, run, held, blocked = self._inbox, self._run, self._held, self._blocked_seconds
        entries, clients = inbox.entries, inbox.clients
        done = 0
        while True:
            held.hold()
            began = perf_counter()
            try:
                while entries:
                    work, client, ask = entries.popleft()
                    if ask.__class__ is Job:
                        inbox.jobs -= 1
                    elif (left := clients[client] - 1) > 0:
                        clients[client] = left
                    else:
                        del clients[client]
                    self._current = ask
                    # The first step by hand: most handlers never wait, and for them there is no generator then.
                    context, coroutine = contextvars.copy_context(), run(work, client, ask)
                    try:
                        trap = context.run(coroutine.send, None)
                    except StopIteration:
                        pass
                    else:
                        self._look_at_step(ask, began)
                        self._waits, self._waits_since = ask, trio.current_time()
                        await go_on(context, held, coroutine, trap, partial(self._look_at_step, ask))
                        began = perf_counter()
                    # One look at the clock for each message: 0.05 us.
                    ended = perf_counter()
                    if ended - began > blocked:
                        self._look_at_step(ask, began)
                    began = ended
                    if self._stop is not None:
                        return
                    if task.child_nurseries or innermost_scope(task) != scope:
                        return
                    done += 1
                    if done == _RUN_BEFORE_YIELD:
                        break
            finally:
                self._current = None
                held.release()
            if done == _RUN_BEFORE_YIELD:
                done = 0
                await trio.lowlevel.cancel_shielded_checkpoint()
            elif self.is_ending:
                self._is_over = True
                return
            else:
                await inbox.wakeup.wait()

    async def run_outside(self, ask: object, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine outside the turn, in a context of its own; it too is named if it blocks the loop."""
        context, began = contextvars.copy_context(), perf_counter()
        look = partial(self._look_at_step, ask)
        try:
            trap = context.run(coroutine.send, None)
        except StopIteration:
            return
        finally:
            look(began)
        await go_on(context, NOTHING_HELD, coroutine, trap, look)

    def _look_at_step(self, ask: object, began: float) -> None:
        """Log the name of a handler whose step without an await blocked the loop."""
        seconds = perf_counter() - began
        if seconds > self._blocked_seconds:
            logger.warning(
                "%s in room %.200r blocked the loop for %.2f s, and with it every client: await something meanwhile, or"
                " hand the work to `await trio.to_thread.run_sync(...)`",
                name_ask(ask),
                self.name,
                seconds,
            )
