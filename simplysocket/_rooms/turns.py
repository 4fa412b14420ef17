"""Turns: an inbox and one worker; one handler at a time, in the order of arrival.

Laws:
- Whatever stands in the inbox is run or answered; nothing is dropped.
- Each handler runs in its own copy of the context, so that what one sets no other sees.
- A worker in which a handler left a cancel scope or a nursery open is replaced
  before the next handler: a stranger's deadline must not reach it.
- Nobody waits for himself: who holds the turn is known (`TURN`).
"""

import contextvars
import logging
import math
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol

import trio

from .._wakeup import Wakeup
from ..errors import ActionError, RoomClosed, first_of
from ..limits import Limits

logger = logging.getLogger("simplysocket.turns")

_RUN_BEFORE_YIELD: Final = 64  # messages; yields by count, since by the clock virtual time would change what happens

# Any, here and below: what is asked (an envelope or a `Job`) and who asks are the business of those who run it.
Work = Callable[[Any, Any, Any], Awaitable[object]]
"""What an entry is about: called with (room, client or None, what is asked)."""

Entry = tuple[Work, Any, Any]

TURN: Final[contextvars.ContextVar[object]] = contextvars.ContextVar("simplysocket.turn", default=None)
"""What is being asked by the entry whose turn this is, or was: a task that a handler left behind still sees it."""


class NeverBegun(RoomClosed):
    """The room closed before the call had its turn."""


class Job:
    """A function of the server's own code that waits for a turn: a timer, a join, a kick."""

    id = None  # nobody on the wire waits for it

    def __init__(
        self, name: str, function: Callable[[], Awaitable[object]], *, otherwise: Callable[[], object] | None = None
    ) -> None:
        """`name` says what it is. `otherwise` is called in the turn instead, when nobody waits for it any more."""
        self.name = name
        self.function = function
        self.otherwise = otherwise
        self.is_wanted = True  # False: who asked has gone; it is skipped unless it has begun
        self.has_begun = False
        self.result: object = None
        self.error: BaseException | None = None
        self.done = trio.Event()

    async def run(self) -> None:
        """Run it in the turn; what comes of it is for the one who waits."""
        if not self.is_wanted:
            if self.otherwise is not None:
                self.otherwise()
        else:
            self.has_begun = True
            self.error = RoomClosed("the room closed meanwhile")  # stands if it is cancelled
            try:
                self.result = await self.function()
                self.error = None
            except* Exception as group:
                self.error = first_of(group)
            finally:
                self.done.set()

    def fail(self, error: ActionError) -> None:
        """Say that its turn never came."""
        self.error = error
        self.done.set()

    async def wait(self, turn_seconds: float = math.inf) -> Any:
        """Return the result, or raise; `busy` when the turn has not come within `turn_seconds`."""
        try:
            with trio.move_on_after(turn_seconds):
                await self.done.wait()
            if not self.done.is_set():
                if not self.has_begun:
                    raise ActionError("busy", f"no turn within {turn_seconds:g} seconds", retry_after=turn_seconds)
                await self.done.wait()
        finally:
            self.is_wanted = False
        if self.error is not None:
            raise self.error
        return self.result


def _scope_of(task: trio.lowlevel.Task) -> object:
    """Return what tells whether a cancel scope is open in `task` that was not before.

    trio has no public name for the innermost scope of a task. Its effective deadline,
    which is public, takes 1 us behind seven scopes, a fifth of a message, and misses
    scopes without one; so it is only the answer where trio has changed inside.
    """
    status: object = getattr(task, "_cancel_status", None)
    return trio.current_effective_deadline() if status is None else status


def _name(ask: object) -> str:
    """Say what an entry is: a client's action, or a function of the server's own code."""
    return ask.name if isinstance(ask, Job) else f"the handler of {getattr(ask, 'action', '')!r:.200}"


class Voice(Protocol):
    """What a room says in a turn. It goes out when the worker has run all that waits, or as soon as a handler waits."""

    def begin(self) -> None:
        """Hold back what is said from now on: more may follow in this step."""

    def pause(self) -> None:
        """Let out in the next pass of the scheduler what was said, since the handler waits."""

    def end(self) -> None:
        """Let out now what was said."""


class _Silence:
    """The voice of turns in which nothing is held back: those of one client among many in the global room."""

    def begin(self) -> None: ...

    def pause(self) -> None: ...

    def end(self) -> None: ...


SILENCE: Final = _Silence()


@types.coroutine
def _go_on(
    context: contextvars.Context,
    voice: Voice,
    coroutine: Coroutine[Any, Any, None],
    trap: Any,
    look: Callable[[float], None],
) -> Generator[Any, Any, None]:
    """Await the rest of `coroutine`, which has yielded `trap` at its first step.

    Every step is run in `context`; what was said goes out whenever it waits. `look`
    is told when each step began.
    """
    step: Callable[[Any], Any]
    value: Any
    while True:
        voice.pause()
        try:
            value = yield trap
            step = coroutine.send
        except BaseException as exc:
            value = exc
            step = coroutine.throw
        voice.begin()
        began = perf_counter()
        try:
            trap = context.run(step, value)
        except StopIteration:
            return
        finally:
            look(began)


class Turns:
    """The turns of one room; in the global room, of one client there.

    `run` is given each entry's work and is the boundary: it answers and never raises an Exception.
    """

    __slots__ = (
        "_blocked",
        "_calls",
        "_clients",
        "_current",
        "_inbox",
        "_is_over",
        "_most",
        "_most_each",
        "_run",
        "_stop",
        "_voice",
        "_waits",
        "_waits_since",
        "_wakeup",
        "is_ending",
        "name",
    )

    def __init__(
        self,
        name: str,
        limits: Limits,
        run: Callable[[Work, Any, Any], Coroutine[Any, Any, None]],
        voice: Voice = SILENCE,
    ) -> None:
        """`name` is the room's, for whoever reads the log."""
        self.name = name
        self._blocked = math.inf if limits.blocked_seconds is None else limits.blocked_seconds
        self._most = math.inf if limits.inbox_messages is None else limits.inbox_messages
        self._most_each = math.inf if limits.inbox_per_client is None else limits.inbox_per_client
        self._run = run
        self._voice = voice
        self._inbox: deque[Entry] = deque()
        self._clients: dict[Hashable, int] = {}  # {client: its messages in the inbox}
        self._calls = 0  # entries of the server's own
        self._wakeup = Wakeup()
        self._current: object = None  # what is being asked, while it is handled
        self._waits: object = None  # what last began to wait for something
        self._waits_since = 0.0  # when it did
        self._is_over = False
        self._stop: Callable[[], None] | None = None
        self.is_ending = False  # True: the worker ends once the inbox is empty

    def post(self, work: Work, client: Hashable, ask: object) -> bool:
        """Take an entry from a client; False when the inbox, or this client's share of it, is full."""
        clients = self._clients
        waiting = clients.get(client, 0)
        if waiting >= self._most_each or len(self._inbox) - self._calls >= self._most:
            return False
        clients[client] = waiting + 1
        self._inbox.append((work, client, ask))
        self._wakeup.wake()
        return True

    def post_always(self, work: Work, client: Hashable, ask: object) -> None:
        """Take an entry of the server's own, which no bound refuses."""
        if isinstance(ask, Job):
            self._calls += 1
        else:
            self._clients[client] = self._clients.get(client, 0) + 1
        self._inbox.append((work, client, ask))
        self._wakeup.wake()

    @property
    def is_mine(self) -> bool:
        """Whether the caller is the handler that holds the turn, or what it waits for."""
        return self._current is not None and TURN.get() is self._current

    @property
    def waiting(self) -> int:
        """How many entries wait for their turn."""
        return len(self._inbox)

    @property
    def running(self) -> str:
        """What is being handled, in words; "" when nothing is."""
        return "" if self._current is None else _name(self._current)

    def waited(self, now: float) -> float:
        """For how many seconds what is being handled has waited for something; 0 when it runs."""
        return now - self._waits_since if self._current is not None and self._waits is self._current else 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a handler is running."""
        return self._current is not None

    def stop_after_this(self, then: Callable[[], None]) -> None:
        """Let the running handler end, then run nothing more, and call `then`."""
        self._stop = then

    def end(self) -> None:
        """Let the worker run what waits, and end."""
        self.is_ending = True
        self._wakeup.wake()

    def take_out(self, client: Hashable, id: str | int) -> Any:
        """Take the waiting message of `client` with this `id` out of the inbox and return it, or None."""
        if self._clients.get(client):
            for entry in self._inbox:
                if entry[1] is client and getattr(entry[2], "id", None) == id:
                    self._inbox.remove(entry)
                    self._clients[client] -= 1
                    if not self._clients[client]:
                        del self._clients[client]
                    return entry[2]
        return None

    def take_all(self) -> list[Entry]:
        """Empty the inbox: what never got its turn."""
        entries = list(self._inbox)
        self._inbox.clear()
        self._clients.clear()
        self._calls = 0
        return entries

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

    def _look_at_step(self, ask: object, began: float) -> None:
        """Name a handler whose step without an await held up everyone else."""
        seconds = perf_counter() - began
        if seconds > self._blocked:
            logger.warning(
                "%s in room %.200r blocked the loop for %.2f s, and with it every client: await something meanwhile, or"
                " hand the work to `await trio.to_thread.run_sync(...)`",
                _name(ask),
                self.name,
                seconds,
            )

    async def run_apart(self, ask: object, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run what is none of the turns, in a context of its own, and name it if a step of it blocks the loop."""
        context, began = contextvars.copy_context(), perf_counter()
        look = partial(self._look_at_step, ask)
        try:
            trap = context.run(coroutine.send, None)
        except StopIteration:
            return
        finally:
            look(began)
        await _go_on(context, SILENCE, coroutine, trap, look)

    async def _work(self) -> None:
        task = trio.lowlevel.current_task()
        scope = _scope_of(task)
        inbox, clients, run, voice, blocked = self._inbox, self._clients, self._run, self._voice, self._blocked
        done = 0
        while True:
            voice.begin()
            began = perf_counter()
            try:
                while inbox:
                    work, client, ask = inbox.popleft()
                    if ask.__class__ is Job:
                        self._calls -= 1
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
                        await _go_on(context, voice, coroutine, trap, partial(self._look_at_step, ask))
                        began = perf_counter()
                    # One look at the clock for each message: 0.05 us.
                    ended = perf_counter()
                    if ended - began > blocked:
                        self._look_at_step(ask, began)
                    began = ended
                    if self._stop is not None:
                        return
                    if task.child_nurseries or _scope_of(task) != scope:
                        return
                    done += 1
                    if done == _RUN_BEFORE_YIELD:
                        break
            finally:
                self._current = None
                voice.end()
            if done == _RUN_BEFORE_YIELD:
                done = 0
                await trio.lowlevel.cancel_shielded_checkpoint()
            elif self.is_ending:
                self._is_over = True
                return
            else:
                await self._wakeup.wait()
