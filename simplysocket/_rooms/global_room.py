"""The global room: every client is in it while it is connected, and has turns of its own there.

Laws:
- A client's message there never waits for another client's handler.
- The room never closes. When its tasks crash, they are started again.
- What a client has begun there ends `close_seconds` after it is gone; then its `on_leave` runs, whatever ends.
"""

import logging
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import trio

from .._sessions.session import Session
from ..errors import Gone
from ..message import GLOBAL_ROOM
from .charges import Charges
from .crashes import RestartAfterCrash
from .fanout import Fanout
from .inbox import Entry
from .jobs import TURN, Job, Work, run_job
from .runtime import RoomRuntime
from .stepping import TurnOutput
from .tasks import CURRENT_ROOM
from .turns import Turns

if TYPE_CHECKING:
    from .hub import Hub

logger = logging.getLogger("simplysocket.room")


def make_global_room(hub: "Hub", room_class: Callable[[RoomRuntime], Any]) -> RoomRuntime:
    """Make the runtime of the global room."""
    return RoomRuntime(
        hub, GLOBAL_ROOM, room_class, None, {}, make_turns=ClientTurns, crash_policy=RestartAfterCrash(), is_global=True
    )


class _ClientOutput:
    """The global room's fan-out, as the turns of one client see it.

    Others have turns at the same time, so nothing is held back. A client that says more while the room is being served
    in slices waits for these; the others do not wait for what it has said.
    """

    __slots__ = ("_before", "_cause", "_charges", "_fanout", "is_heavy", "said")

    def __init__(self, runtime: RoomRuntime) -> None:
        self._fanout = runtime.fanout
        self._cause = runtime.home.cause
        self._charges = Charges()
        self.said: float = 0  # infinite while anything is to be charged
        self._before = 0  # how many frames of the room waited when this step began
        self.is_heavy = False  # True: this client has added to them while the room was being served in slices

    @property
    def is_full(self) -> bool:
        self.is_heavy = self._fanout.is_full
        return self.is_heavy

    def say_in(self, room: Fanout, size: int) -> None:
        if not self._fanout.spared and self._charges.add(room.pace, size):
            self.said = math.inf

    def charge(self, now: float) -> float:
        self.said = 0
        return self._charges.charge(now)

    def hold(self) -> None:
        self._cause.output = self
        self._before = len(self._fanout.frames)

    def pause(self) -> None:
        self._cause.output = None
        fanout = self._fanout
        if fanout.is_heavy and len(fanout.frames) > self._before:
            self.is_heavy = True

    def release(self) -> None:
        self.pause()


class OwnTurns(Turns):
    """The turns of one client in the global room. Its handlers outlast it by `close_seconds`, and then it leaves.

    When it has made rooms say too much, nothing that it has sent is run for a while.
    """

    __slots__ = ("_ended", "_has_left", "_last", "_scope", "_session")

    def __init__(self, runtime: RoomRuntime, session: Session, ended: Callable[[Session], object]) -> None:
        """`ended` is called when the worker has ended."""
        super().__init__(runtime.name, runtime.home, runtime.boundary.run, _ClientOutput(runtime))
        self._session = session
        self._ended = ended
        self._scope = trio.CancelScope()
        self._has_left = trio.Event()
        self._last: Job | None = None

    def slow_down(self, output: TurnOutput) -> None:
        super().slow_down(output)
        now = trio.current_time()
        if self._delayed_until > now:
            self._inbox.hold_back(self._session, now)

    def end_after(self, last: Job | None) -> None:
        """Run what the client has sent; once a handler takes `close_seconds`, none waits any more. Then run `last`."""
        self._last = last
        self._has_left.set()
        if self.is_busy or self.waiting:
            self._home.start(self._end_stuck)
        self.end()

    async def _end_stuck(self) -> None:
        while not self._is_over:
            running = self._current
            await trio.sleep(self._home.limits.close_seconds)
            if running is not None and self._current is running:
                self._scope.cancel()
                return

    async def serve(self) -> None:
        """Run the entries until the end of the client."""
        seconds = self._home.limits.close_seconds
        try:
            with self._scope:
                await super().serve()
                await self._has_left.wait()  # after the handler that has stopped the server, no other runs
        except* trio.Cancelled:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + seconds):
                await self._has_left.wait()  # the server ends, and with it the client's connection
            raise
        finally:
            await self._run_rest()
            if self._last is not None:
                await self._run_last(self._last, seconds)
            self._ended(self._session)

    async def _run_rest(self) -> None:
        """Run what is left, in which nothing waits any more; refuse it where the server or the room ends."""
        waiting = math.inf
        while self._scope.cancelled_caught and self.waiting < waiting:
            waiting = self.waiting
            with trio.CancelScope() as scope:
                scope.cancel()
                await super().serve()
        gone = Gone(f"client {self._session.id} has disconnected")
        for _, session, item, _, _ in self.take_some(len(self._inbox)):
            if isinstance(item, Job):
                item.fail(gone)
            else:
                session.refuse(item.id, item.action, gone)

    async def _run_last(self, last: Job, seconds: float) -> None:
        self.post_always(run_job, self._session, last)
        self._is_over = False
        with trio.CancelScope(shield=True, deadline=trio.current_time() + seconds) as scope:
            await super().serve()
        if scope.cancelled_caught:
            logger.error("%r of room %.200r took over %g s for %r", last.name, self.name, seconds, self._session.client)


class ClientTurns(Turns):
    """The turns of the global room: one for each client, and one for the room's timers and `on_create`."""

    __slots__ = ("_own", "_runtime")

    def __init__(self, runtime: RoomRuntime) -> None:
        super().__init__(runtime.name, runtime.home, runtime.boundary.run, _ClientOutput(runtime))
        self._runtime = runtime
        self._own: dict[Session, OwnTurns] = {}  # {client: its turns, while their worker runs}

    def of(self, session: Session) -> Turns:
        """Return a client's own turns in this room; their worker starts with its first message."""
        turns = session.global_turns
        if turns is None:
            runtime = self._runtime
            turns = session.global_turns = self._own[session] = OwnTurns(runtime, session, self._own.pop)
            runtime.home.start(runtime.tasks.run_inside, turns.serve)
        return turns

    @property
    def post(self) -> Callable[[Work, Any, object, float, int], bool]:
        """The function that puts a client's message into its own inbox."""
        return self._post

    def _post(self, work: Work, client: Session, item: object, now: float, size: int) -> bool:
        return self.of(client).post(work, client, item, now, size)

    def post_always(self, work: Work, client: Session | None, job: Job) -> None:
        """Put a job, which no bound refuses, into the client's inbox, or without a client into the room's own."""
        if client is not None:
            self.of(client).post_always(work, client, job)
        else:
            super().post_always(work, client, job)

    def take_out_all(self, client: Session) -> list[Entry]:
        """Remove and return the messages of the client that wait."""
        return [] if client.global_turns is None else client.global_turns.take_out_all(client)

    @property
    def is_mine(self) -> bool:
        """Whether the caller holds a turn of any client in this room, or the room's own."""
        return TURN.get() is not None and CURRENT_ROOM.get() is self._runtime

    def finish_own_turn(self, then: Callable[[], None]) -> bool:
        """Call `then` after the handler that calls this, in a client's turn. Return False if none does."""
        return any(turns.finish_own_turn(then) for turns in self._own.values())

    def of_clients(self) -> Iterable[tuple[Session, Turns]]:
        """Return the turns of each client, also of those that are gone while a handler of theirs runs."""
        return self._own.items()
