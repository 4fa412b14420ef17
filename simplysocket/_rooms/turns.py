"""Turns: an inbox and one worker; one handler runs at a time, in the order of arrival.

Laws:
- Every entry of the inbox is run or answered; none is dropped.
- If a handler leaves a cancel scope or a nursery open, the worker is replaced before the next
  handler, which must not be cancelled by another one's scope.
- Code that holds the turn never queues behind itself: `TURN` records the holder.
"""

import contextvars
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from .._boundary import PASSING
from .._log_limit import PLACE
from .._loop_watch import LoopWatch
from .._pass_budget import PassBudget
from ..limits import Limits
from .charges import Cause, ChargedOutput
from .inbox import LARGE, Entry, Inbox
from .jobs import TURN, Job, Work, name_item
from .pace import CHARGED
from .stepping import DIRECT_OUTPUT, StepOutput, TurnOutput, go_on, has_left_open, innermost_scope

if TYPE_CHECKING:
    from .._sessions.session import Session
    from .long_turns import LongTurns
    from .overdue import Overdue

logger = logging.getLogger("simplysocket.turns")

_RUN_BEFORE_YIELD: Final = 64  # entries; a count and not a time, so that a virtual clock changes nothing
_TURN_SECONDS: Final = 0.001  # for which a worker that has waited for its turn runs, if others wait for theirs


class Home(Protocol):
    """The hub, as the turns see it."""

    limits: Limits
    budget: PassBudget
    watch: LoopWatch
    overdue: "Overdue"
    long_turns: "LongTurns"

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""


class Turns:
    """The turns of one room; in the global room, of one client.

    `run` is the boundary: it is called with each entry, answers it, and never raises an Exception.
    """

    __slots__ = (
        "_blocked_seconds",
        "_budget",
        "_current",
        "_delayed_until",
        "_home",
        "_inbox",
        "_is_over",
        "_output",
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
        home: Home,
        run: Callable[[Work, Any, Any], Coroutine[Any, Any, None]],
        output: TurnOutput = DIRECT_OUTPUT,
    ) -> None:
        """Make the turns of the room `name`; `home` is the hub.

        `run` is `TurnBoundary.run`; `output` is the `Fanout` of the room.
        """
        self.name = name
        self._blocked_seconds = math.inf if home.limits.blocked_seconds is None else home.limits.blocked_seconds
        self._budget = home.budget
        self._run = run
        self._output = output
        self._home = home
        self._delayed_until = 0.0  # the time until which no message of a client is taken in
        self._inbox = Inbox(name, home.limits, home.overdue)
        self._current: object = None  # the envelope or job of the entry that runs
        self._waits: object = None  # the envelope or job that last began to wait for something
        self._waits_since = 0.0  # the time at which it began to wait
        self._is_over = False
        self._stop: Callable[[], None] | None = None
        self.is_ending = False  # True: the worker ends when the inbox is empty

    # --- the inbox

    @property
    def post(self) -> Callable[[Work, Any, object, float, int], bool]:
        """The function that takes a client's message: `Inbox.put`."""
        return self._inbox.put

    def post_always(self, work: Work, client: "Session | None", job: Job) -> None:
        """Put a job, which no bound refuses, behind all that its client has sent, or among the room's own."""
        self._inbox.put_always(work, client, job, trio.current_time())

    def post_first(self, work: Work, job: Job) -> None:
        """Put a job of the room's own before all that waits."""
        self._inbox.put_first(work, job, trio.current_time())

    def hold(self, work: Work, client: "Session", item: object, size: int) -> None:
        """Let a message of `size` bytes wait whose turn has come, and behind it all that its client sends here.

        Until `let_in` or `drop_held`; see `Inbox.hold`.
        """
        self._inbox.hold(client, (work, client, item, trio.current_time(), size))

    def let_in(self, client: "Session") -> None:
        """Let what waits because of `hold` have its turns."""
        self._inbox.let_in(client, trio.current_time())

    def drop_held(self, client: "Session", item: object) -> None:
        """Drop the message that `hold` was called with, and let what waits behind it have its turns."""
        self._inbox.drop_held(client, item, trio.current_time())

    def take_some(self, most: int) -> list[Entry]:
        """Remove and return the next entries that wait, at most `most`."""
        return self._inbox.take_some(most)

    def take_out_all(self, client: "Session") -> list[Entry]:
        """Remove and return the messages of `client` that wait."""
        return self._inbox.take_out_all(client)

    # --- the entry that has the turn

    @property
    def is_mine(self) -> bool:
        """Whether the caller holds the turn: the handler that runs, or a task that this has started and awaits."""
        return self._current is not None and TURN.get() is self._current

    @property
    def is_busy(self) -> bool:
        """Whether a handler is running."""
        return self._current is not None

    @property
    def waiting(self) -> int:
        """The number of entries that wait for their turn."""
        return len(self._inbox)

    @property
    def running(self) -> str:
        """The name of the entry that runs; "" if none does."""
        return "" if self._current is None else name_item(self._current)

    def waited(self, now: float) -> float:
        """Return the seconds since the entry that runs began to wait for something; 0 if it has not waited."""
        return now - self._waits_since if self._current is not None and self._waits is self._current else 0.0

    # --- the end

    def stop_after_this(self, then: Callable[[], None]) -> None:
        """Let the running handler end, run no other, and call `then`."""
        self._stop = then

    def finish_own_turn(self, then: Callable[[], None]) -> bool:
        """Let the caller's handler be the last, and call `then` after it. Return False if the caller has no turn."""
        if self.is_mine:
            self.stop_after_this(then)
            return True
        return False

    def stop(self) -> None:
        """Run no further entry."""
        if self._stop is None:
            self._stop = lambda: None

    def end(self) -> None:
        """Let the worker run the entries that wait, and then end."""
        self.is_ending = True
        self._inbox.wakeup.wake()

    # --- the worker

    async def serve(self) -> None:
        """Run the entries until `end` or `stop_after_this`. A worker that a handler has broken is replaced."""
        while not self._is_over:
            try:
                # The worker is a task of its own, so that the scopes and nurseries that a handler
                # left open end with it: trio cancels and collects them here, and nowhere else.
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._work)
            except* PASSING:
                raise
            except* BaseException:
                logger.exception("a handler left a cancel scope or a nursery open; the task it ran in was replaced")
            if self._stop is not None:
                self._is_over = True
                self._stop()

    async def _work(self) -> None:
        task = trio.lowlevel.current_task()
        scope, knows_scope = innermost_scope(task), hasattr(task, "_cancel_status")
        inbox, run, output, blocked = self._inbox, self._run, self._output, self._blocked_seconds
        entries, clients, jobs = inbox.entries, inbox.clients, inbox.jobs
        budget, long_turns = self._budget, self._home.long_turns
        done, must_wait = 0, False
        while True:
            while output.is_heavy and output.is_full:  # no reader can make this last: what it does not read is queued
                await trio.lowlevel.checkpoint()
            if self._stop is not None:
                return
            began = perf_counter()
            ask_from = budget.ask_from
            if must_wait or (began > ask_from and (entries or jobs) and budget.is_spent()):
                must_wait = False
                # Shielded, since a worker that is cancelled still answers all entries. One of them is run then.
                await budget.turn(shielded=True)
                began = perf_counter()
                ask_from = min(budget.ask_from, began + _TURN_SECONDS)
            output.hold()
            try:
                while entries or jobs or (inbox.held is not None and inbox.admit(trio.current_time())):
                    if jobs:
                        entry = inbox.next()
                    else:
                        entry = entries.popleft()
                        client = entry[1]
                        left = clients[client] - 1
                        if left:
                            clients[client] = left
                        else:
                            del clients[client]
                        if entry[2].id is not None:
                            client.waiting.pop(entry[2].id, None)
                    work, client, item, _, size = entry
                    if size > LARGE:
                        inbox.bytes -= size
                    self._current = item
                    # The first step by hand: most handlers never wait, and then no generator is made.
                    context, coroutine = contextvars.copy_context(), run(work, client, item)
                    try:
                        trap = context.run(coroutine.send, None)
                    except StopIteration:
                        pass
                    else:
                        self._look_at_step(item, began)
                        self._waits, self._waits_since = item, trio.current_time()
                        long_turns.begin(self, self._waits_since, coroutine)
                        await go_on(context, output, coroutine, trap, partial(self._look_at_step, item))
                        long_turns.end(self)
                        began = perf_counter()
                    # The clock is read once for each message: 0.05 us.
                    ended = perf_counter()
                    if ended - began > blocked:
                        self._look_at_step(item, began)
                    began = ended
                    if self._stop is not None:
                        return
                    # A nursery has a scope, too. Read without a call: this is the hot path.
                    if task._cancel_status is not scope if knows_scope else has_left_open(task, scope):
                        return
                    if output.said > CHARGED:
                        self.slow_down(output)
                    done += 1
                    if done == _RUN_BEFORE_YIELD:
                        break
                    if ended > ask_from and (budget.waiting or budget.is_spent()):
                        must_wait = True
                        break
            finally:
                long_turns.end(self)  # of a handler that was cancelled
                self._current = None
                output.release()
            if done == _RUN_BEFORE_YIELD:
                done = 0
                inbox.admit(trio.current_time())
                await trio.lowlevel.cancel_shielded_checkpoint()
            elif entries or jobs or (inbox.held is not None and inbox.admit(trio.current_time())):
                done = 0  # the budget of the pass is spent, or others wait for theirs
            elif self.is_ending and inbox.held is None:
                self._is_over = True
                return
            else:
                must_wait = False
                await inbox.wakeup.wait()

    def of(self, _: "Session") -> "Turns":
        """Return the turns in which the messages of a client are handled: these."""
        return self

    def slow_down(self, output: TurnOutput) -> None:
        """Take in no message of a client for a while if clients have made the room say too much."""
        now = trio.current_time()
        self._delayed_until = output.charge(now)
        if self._delayed_until > now and self._inbox.delay():
            self._home.start(self._go_on_later)

    async def _go_on_later(self) -> None:
        while trio.current_time() < self._delayed_until:  # noqa: ASYNC110 - more may be said meanwhile
            await trio.sleep_until(self._delayed_until)
        self._inbox.go_on()

    async def run_outside(self, item: object, coroutine: Coroutine[Any, Any, None], cause: Cause | None = None) -> None:
        """Run a coroutine outside the turn, in a context of its own. If it blocks the loop, it is logged, too.

        With `cause`, what it says is charged as if it was said in the turn.
        """
        output: StepOutput = DIRECT_OUTPUT if cause is None else ChargedOutput(cause, self._output)
        context, began = contextvars.copy_context(), perf_counter()
        look = partial(self._look_at_step, item)
        output.hold()
        try:
            try:
                trap = context.run(coroutine.send, None)
            except StopIteration:
                return
            finally:
                look(began)
            await go_on(context, output, coroutine, trap, look)
        finally:
            output.release()
            if self._output.said > CHARGED:
                self.slow_down(self._output)

    def _look_at_step(self, item: object, began: float) -> None:
        """Log the name of a handler whose step without an await blocked the loop."""
        ended = perf_counter()
        if ended - began <= self._blocked_seconds:
            return
        stall = self._home.watch.look_at_step(began, ended)
        if stall.own > self._blocked_seconds:
            logger.warning(
                "%s in room %.200r blocked the loop for %.2f s, and with it every client%s: await something meanwhile,"
                " or hand the work to `await trio.to_thread.run_sync(...)`",
                name_item(item),
                self.name,
                stall.own,
                stall.doing and f", {stall.doing}",
                extra={PLACE: name_item(item)},
            )
