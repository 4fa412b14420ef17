"""Joins and leaves: of a client, of the server's own code, at a disconnect, at the end of a room.

Laws:
- Whatever makes a client a member, or removes it, waits here for the room's turn, in which membership.py does it.
- The jobs of a client that comes or goes wait behind all that it has sent to the room before.
"""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import trio

from .._protocol import codec
from .._protocol.codec import Envelope
from .._sessions.handler_scope import CURRENT_SCOPE
from .._sessions.session import Session
from ..errors import ActionError, RoomClosed
from ..message import GLOBAL_ROOM
from ..reasons import Reason, ReasonKind
from .authorizing import Asking, ask_for_code, must_ask
from .away import dropped, hold_places, longest_hold, missed, resumed
from .callers import Caller, check_in_time
from .departure import Departure
from .inbox import Entry, busy
from .jobs import Job, NeverBegun, run_job
from .membership import admit, answer, enter_global_room, leave_global_room, let_go, release, remove
from .options import NO_OPTIONS, Options
from .runtime import RoomRuntime
from .turn_boundary import LATER

if TYPE_CHECKING:
    from .hub import Hub

_HANDED_AT_A_TIME: Final = 128  # entries of a room that closes: about 3 ms
_JOIN_TRIES: Final = 3  # of the server's own code, if each time the room closes before the join has its turn


class Join:
    """The work of a client's join in an inbox. The room that runs it admits the client.

    This may be a later room of the name than the one that was asked.
    """

    __slots__ = ("asking", "options", "passed")

    def __init__(self, options: Options) -> None:
        self.options = options
        self.asking: Asking | None = None  # while `on_auth` is asked about it
        self.passed: RoomRuntime | None = None  # the room whose `on_auth` has let it pass

    async def __call__(self, runtime: RoomRuntime, session: Session, envelope: Envelope) -> object:
        if self.passed is runtime:
            runtime.askings -= 1
        elif must_ask(runtime, session, self.options):
            try:
                check_in_time(envelope)
                runtime.members.check_place(session)
                runtime.home.authorizer.ask(runtime, session, self, envelope)
            finally:
                runtime.closing.begin_if_empty()
            return LATER
        caller = Caller(envelope)
        session.handler_scopes.append(caller)
        try:
            result = codec.encode_body(await admit(runtime, session, caller, self.options), may_hold_floats=False)
        finally:
            session.handler_scopes.remove(caller)
        session.tell_without_id(envelope, result)
        return result

    def let_go(self) -> None:
        """Ask no longer: the room closes."""
        if self.asking is not None:
            self.asking.let_go()


class Joins:
    """The joins and leaves of all rooms of one server."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub

    # --- by a client

    def queue(
        self, session: Session, name: str, options: Options, envelope: Envelope, now: float, size: int
    ) -> dict[str, Any] | None:
        """Put a client's `join-room` into the inbox of the room. For the global room, return the answer at once.

        `size` is the number of bytes that the envelope holds on to.
        """
        runtime = self._hub.handing_over(name) or self._hub.runtime_to_join(name, session, options)
        if runtime.is_global:
            return answer(runtime, created=False)
        if not runtime.post(Join(options), session, envelope, now, size):
            raise busy(name)
        return None

    # --- by the server's own code

    async def join(self, session: Session, name: str, options: Options) -> dict[str, Any]:
        """Make a client a member and return the answer to the join; `ActionError` if it is refused."""
        for _ in range(_JOIN_TRIES):
            runtime = self._hub.runtime_to_join(name, session, options)
            if runtime.is_global:
                return answer(runtime, created=False)
            try:
                return await self.join_this(runtime, session, options)
            except NeverBegun:
                pass  # the room closed before the join had its turn: try the next room of the name
        raise RoomClosed(f"room {name!r} closed again and again")

    async def join_this(self, runtime: RoomRuntime, session: Session, options: Options) -> dict[str, Any]:
        """Make a client a member of this very room, not of the next one of its name; `NeverBegun` if it closes first.

        If its `on_create` has failed, its error instead.
        """
        if session not in runtime.members:
            self._hub.check_running()
        caller = Caller()
        try:
            if must_ask(runtime, session, options):
                await ask_for_code(runtime, session, options)
            work = functools.partial(admit, runtime, session, caller, options)
            result: dict[str, Any] = await runtime.in_turn("on_join", work, otherwise=runtime.closing.begin_if_empty)
            return result
        except NeverBegun:
            if runtime.failure is not None:
                raise runtime.failure from None
            raise
        finally:
            caller.end(ActionError("cancelled", "cancelled by its caller"))

    async def leave(self, session: Session, name: str, reason: str) -> bool:
        """Remove a client from a room. Return False if it was not a member."""
        runtime = self._hub.runtimes.get(name)
        if runtime is None or name not in session.rooms:
            return False
        if runtime.is_global:
            raise ActionError("forbidden", f"nobody leaves {GLOBAL_ROOM!r} but by disconnecting")
        why = Reason(reason, ReasonKind.LEFT)
        try:
            return bool(await runtime.in_turn("on_leave", functools.partial(remove, runtime, session, why)))
        except RoomClosed:
            return False  # the room has closed, and has removed its members

    async def kick(self, runtime: RoomRuntime, session: Session, reason: str) -> bool:
        """Remove a member from a room and tell it why. Return False if it was not a member."""
        own, why = CURRENT_SCOPE.get(), Reason(reason, ReasonKind.KICKED)
        if session in runtime.members:
            self._hub.callers.kicked(session, runtime, own)

        async def kick() -> bool:
            is_removed = await remove(runtime, session, why, tell=True)
            if is_removed:
                self._hub.callers.kicked(session, runtime, own)  # what has come since
            return is_removed

        return bool(await runtime.in_turn("on_leave", kick))

    # --- at the beginning and the end of a connection

    def connect(self, session: Session) -> None:
        """Put a new client into the global room; `on_join` runs in the client's own turn there."""
        enter_global_room(self._hub.global_room, session)

    def disconnect(self, session: Session, reason: Reason, *, is_registered: bool) -> Departure:
        """Remove a client that is gone from its rooms, in their turns, after its earlier messages.

        A client that was registered has been in the global room, whatever has become of that meanwhile.
        """
        jobs: list[Job] = []
        last: Job | None = None
        for runtime in list(session.rooms.values()):
            if runtime.is_open and not runtime.is_global:
                work = functools.partial(remove, runtime, session, reason)
                jobs.append(Job("on_leave", work, is_awaited=False))
                runtime.turns.post_always(run_job, session, jobs[-1])
        if is_registered:
            last = leave_global_room(self._hub.global_room, session, reason)
        return Departure(jobs, session.leaving, last)

    # --- while a client is away

    def drop(self, session: Session) -> None:
        """Note that a client has lost its connection and may come back; `on_drop` is called in its rooms' turns."""
        now = trio.current_time()
        for runtime in session.rooms.values():
            if runtime.is_open:
                dropped(runtime, session, now)
        hold_places(session)

    def resume(self, session: Session) -> None:
        """Note that a client that was away is back; `on_resume` is called in its rooms' turns."""
        for runtime in session.rooms.values():
            if runtime.is_open:
                resumed(runtime, session)

    def snapshot(self, session: Session) -> None:
        """Note that a client has missed messages of its rooms; `on_snapshot` is called in their turns."""
        for runtime in session.rooms.values():
            if runtime.is_open:
                missed(runtime, session)

    def hold_seconds(self, session: Session) -> float:
        """Return how long a client that is away is kept: the grace, or longer if one of its rooms holds its place."""
        return longest_hold(session)

    async def release(self, runtime: RoomRuntime, session: Session) -> bool:
        """Remove a member that is away. Return False if it is no member, or not away."""

        try:
            return bool(await runtime.in_turn("on_leave", functools.partial(release, runtime, session)))
        except RoomClosed:
            return False  # the room has closed, and has removed its members

    # --- at the end of a room

    def hand_over(self, runtime: RoomRuntime) -> Iterator[None]:
        """Empty the inbox of a closing room, at most `_HANDED_AT_A_TIME` entries a step.

        Joins, and messages of the same client after its join, go to the next room of the name.
        The others are refused. What comes for the name between two steps waits in this inbox, behind the rest.
        """
        joining: set[Session] = set()
        while entries := runtime.turns.take_some(_HANDED_AT_A_TIME):
            self._hand_over_some(runtime, entries, joining)
            if not runtime.turns.waiting:
                return
            yield

    def _hand_over_some(self, runtime: RoomRuntime, entries: list[Entry], joining: set[Session]) -> None:
        """Hand over these entries. `joining`: those whose joins have gone to the next room."""
        now = trio.current_time()
        for work, session, item, _, size in entries:
            if isinstance(work, Join):
                work.let_go()
            if isinstance(item, Job):
                item.fail(NeverBegun(f"room {runtime.name!r} is closed"))
            elif (isinstance(work, Join) or session in joining) and runtime.is_created and not self._hub.is_stopping:
                # A room whose on_create failed has no successor: it would fail once more.
                options = work.options if isinstance(work, Join) else NO_OPTIONS
                try:
                    successor = self._hub.successor_of(runtime, session, options)
                    if not successor.post(work, session, item, now, size):
                        raise busy(runtime.name)
                except ActionError as refusal:
                    session.refuse(item.id, item.action, refusal)
                    continue
                joining.add(session)
            else:
                error = runtime.failure or RoomClosed(f"room {runtime.name!r} is closed")
                session.refuse(item.id, item.action, error)

    def let_go(self, runtime: RoomRuntime) -> bool:
        """Remove members from a room that has ended, without `on_leave`. Return True if another call is needed."""
        return let_go(runtime)
