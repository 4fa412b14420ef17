"""Closing: how a room ends.

The steps, in this order:
1. The room accepts no more joins, messages and tasks. A join makes a new room of the name.
2. The running handler ends, if the room's own code asked for the end; otherwise it is cancelled.
3. The room's tasks are cancelled.
4. `on_close` runs, with the members still there.
5. Each member gets `room-closed`. `on_leave` is not called.
6. The name is free.

Law: an entry that waits in the inbox is answered, or goes on to the next room of the name.
"""

import logging
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import trio

from .._boundary import PASSING
from .._protocol import codec
from .._protocol.frames import text_frame
from ..errors import ActionError
from ..timer import Timer
from .jobs import TURN
from .seconds import seconds_of
from .state import RoomState
from .tasks import CURRENT_ROOM

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")


class Closing:
    """Closes one room: from the first call of `begin` until the name is free."""

    __slots__ = ("_closed", "_due", "_empty_timer", "_goodbye", "_rest", "_runtime", "empty_until", "reason")

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime
        self._due = trio.Event()
        self._closed = trio.Event()
        self._rest: Iterator[None] | None = None  # of the entries in the inbox, while they are handed over
        self._goodbye = b""  # the `room-closed` frame, made when the room begins to close
        self._empty_timer: Timer | None = None
        self.empty_until: float | None = None  # while the room has no members: the time at which it closes
        self.reason = ""

    @property
    def is_due(self) -> bool:
        """Whether the room ends now: it waits for no handler and no task any more."""
        return self._due.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether the room has no members any more and its name is free."""
        return self._closed.is_set()

    def begin(self, reason: str) -> None:
        """Stop accepting work and close: after the running handler if the room's own code asked, otherwise at once."""
        runtime = self._runtime
        if not runtime.is_open:
            return
        body = {"roomname": runtime.name, "reason": reason}
        self._goodbye = text_frame(codec.encode("room-closed", body, runtime.name, runtime.home.server_name))
        self.reason = reason
        runtime.enter(RoomState.CLOSING)
        self._rest = runtime.home.joins.hand_over(runtime)
        if self._hand_over_some():
            runtime.home.start(self._hand_over_rest)
        if CURRENT_ROOM.get() is runtime and runtime.turns.is_busy:
            runtime.turns.stop_after_this(self._due.set)
        else:
            runtime.turns.stop()
            self._due.set()

    @property
    def is_handing_over(self) -> bool:
        """Whether entries of its inbox still wait for an answer, or to go on to the next room of the name."""
        return self._rest is not None

    def _hand_over_some(self) -> bool:
        """Hand over the next entries. Return True if another call is needed."""
        if self._rest is not None and next(self._rest, self) is self:
            self._rest = None
        return self._rest is not None

    async def _hand_over_rest(self) -> None:
        while self._hand_over_some():
            await self._runtime.home.budget.turn()

    def hurry(self) -> None:
        """End without waiting for the running handler, since the room has crashed."""
        self._due.set()

    async def close(self, reason: str) -> None:
        """Close, and wait until the room is closed; called by the room's own code, return at once.

        Code that holds another room's turn waits for a bounded time, then gets `busy`.
        """
        self.begin(reason)
        runtime = self._runtime
        if CURRENT_ROOM.get() is runtime:
            return
        limits = runtime.home.limits
        seconds = limits.turn_seconds + limits.close_seconds if TURN.get() is not None else math.inf
        with trio.move_on_after(seconds):
            await self._closed.wait()
        if not self.is_closed:
            text = f"room {runtime.name!r} has not closed within {seconds:g} seconds"
            raise ActionError("busy", text, retry_after=1)

    async def wait_due(self) -> None:
        """Wait until `is_due`."""
        await self._due.wait()

    async def wait(self) -> None:
        """Wait until `is_closed`."""
        await self._closed.wait()

    # --- a room without members

    def begin_if_empty(self) -> None:
        """Close a room without members: now, or `empty_ttl` seconds after it was first found so.

        One that the server's own code opened has `unjoined_ttl` seconds until its first member comes. While `on_auth`
        is asked about a join the time does not begin; once it is over, such a join goes to the next room of the name.
        """
        runtime = self._runtime
        if runtime.members or runtime.is_global or not runtime.is_open:
            return
        if self.empty_until is not None:
            if trio.current_time() >= self.empty_until:
                self.begin("empty")
            return
        if runtime.askings:
            return
        waits_for_first = runtime.creator is None and not runtime.members.was_joined
        option = "unjoined_ttl" if waits_for_first else "empty_ttl"
        usual = getattr(type(runtime.room), option)  # checked when the class was registered
        seconds = seconds_of(runtime, option, usual, none_means="ever", may_be_endless=True)
        if seconds:
            self.empty_until = trio.current_time() + seconds
            self._empty_timer = runtime.timers.start(seconds, self.check_empty, repeat=False)
        elif seconds is not None:
            self.begin("empty")

    def joined(self) -> None:
        """Note that the room has a member: it does not close as empty."""
        self.empty_until = None
        if self._empty_timer is not None:
            self._empty_timer.cancel()
            self._empty_timer = None

    def tasks_ended(self) -> None:
        """Go on with the time of a room without members: the task that waited has ended with the others."""
        if self.empty_until is not None:
            seconds = self.empty_until - trio.current_time()
            self._empty_timer = self._runtime.timers.start(seconds, self.check_empty, repeat=False)

    async def check_empty(self) -> None:
        """Close a room without members: `begin_if_empty` as a function that waits for its turn."""
        self.begin_if_empty()

    # --- the last steps

    async def finish(self) -> None:
        """Take the last steps: run `on_close`, send `room-closed`, remove the members, free the name."""
        runtime = self._runtime
        self.begin("shutdown")
        runtime.tasks.nursery = None
        budget = runtime.home.budget
        while self._hand_over_some():
            await budget.turn(shielded=True)
        try:
            if runtime.is_created:
                await self._run_on_close()
        finally:
            if not runtime.is_global:  # all clients of the global room have disconnected by now
                runtime.home.metrics.broadcasts += 1
                runtime.fanout.add(self._goodbye)
            runtime.enter(RoomState.CLOSED)  # nothing is said after that
            while runtime.fanout.flush():
                await budget.turn(shielded=True)
            while runtime.home.joins.let_go(runtime):
                await budget.turn(shielded=True)
            runtime.home.authorizer.forget(runtime)
            runtime.close_channel()
            self._closed.set()
            runtime.home.closed(runtime)

    async def _run_on_close(self) -> None:
        """Run the hook in a task of its own, so that no scope or task that it leaves open stops the closing."""
        runtime, seconds = self._runtime, self._runtime.home.limits.close_seconds
        with trio.CancelScope(shield=True, deadline=trio.current_time() + seconds) as scope:
            try:
                async with trio.open_nursery() as nursery:
                    call = runtime.hooks.call_guarded
                    nursery.start_soon(runtime.tasks.run, "on_close", call, ("on_close", self.reason))
            except* PASSING:
                raise
            except* BaseException:
                logger.exception("on_close of room %.200r failed", runtime.name)
        if scope.cancelled_caught:
            logger.error("on_close of room %.200r took over %g s and was cancelled", runtime.name, seconds)
