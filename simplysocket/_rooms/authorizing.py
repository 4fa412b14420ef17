"""Authorizing: runs `on_auth` for joins, outside the turn of the room.

Laws:
- Of one client one `on_auth` runs at a time; of one user or address and for one room, so many as the limits allow.
  The other joins wait, each group in the order in which its joins came.
- Until it ends, all that the client has sent to this room waits behind its join.
- It ends with the join: when its caller cancels, times out or disconnects, and when the room closes. The join
  then goes to the next room of the name, which asks anew.
- No member waits for it: what strangers make it do costs no turn.
"""

import logging
import math
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

import trio

from .._boundary import PASSING
from .._protocol.codec import Envelope
from .._sessions.handler_scope import CURRENT_SCOPE
from .._sessions.session import Session
from ..errors import ActionError, Gone, RoomClosed
from ..limits import Limits
from .jobs import TURN, CutShort, Job, NeverBegun
from .options import Options, read_options

if TYPE_CHECKING:
    from .joining import Join
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")

_AT_A_TIME: Final = 1  # of one client


class Asking:
    """One join that `on_auth` is asked about: a handler that ends with its caller, as the session sees it."""

    __slots__ = ("envelope", "group", "id", "is_over", "join", "runtime", "scope", "session")

    def __init__(self, runtime: "RoomRuntime", session: Session, join: "Join", envelope: Envelope) -> None:
        """Keep the join waiting; `Gone` if the client has disconnected."""
        if session.is_gone:
            raise Gone(f"client {session.id} has disconnected")
        self.id = envelope.id
        self.runtime = runtime
        self.session = session
        self.join = join
        self.envelope = envelope
        self.group: _Group | None = None  # for whose place it waits
        self.scope = trio.CancelScope(deadline=math.inf if envelope.timeout is None else envelope.timeout)
        self.is_over = False  # True: the join was let in or answered, or belongs to the next room of the name
        join.asking = self
        session.handler_scopes.append(self)
        runtime.askings += 1
        runtime.turns.hold(join, session, envelope, memoryview(envelope.message_body).nbytes)

    @property
    def name(self) -> str:
        """The name of the room."""
        return self.runtime.name

    @property
    def running(self) -> str:
        """What is running, for the log."""
        return f"on_auth for {self.session.id}"

    def end(self, error: ActionError) -> None:
        """End it now, and answer the join with `error`."""
        if self._is_first_end():
            self.runtime.turns.drop_held(self.session, self.envelope)
            self.session.refuse(self.id, self.envelope.action, error)
            self.runtime.closing.begin_if_empty()

    def passed(self) -> None:
        """Let the join go on into the inbox, and all that waits behind it."""
        if self._is_first_end():
            self.join.passed = self.runtime
            self.runtime.askings += 1  # until its turn: the room must not close as empty before
            self.runtime.turns.let_in(self.session)

    def let_go(self) -> None:
        """End it without an answer: its room closes, and the join is answered there or goes on to the next room."""
        self._is_first_end()

    def _is_first_end(self) -> bool:
        if self.is_over:
            return False
        self.is_over = True
        self.join.asking = None
        self.session.handler_scopes.remove(self)
        self.runtime.askings -= 1
        self.scope.cancel()
        if self.group is not None:
            del self.group.waiting[self]
        return True


class _Group:
    """The joins of one client, of one user or address, or for one room, while `on_auth` is asked about one of them."""

    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting: dict[Asking, None] = {}  # for a place in this group; a dict as an ordered set


class Authorizer:
    """Runs the `on_auth` of all rooms of one server."""

    def __init__(self, limits: Limits) -> None:
        self._of_origin = math.inf if limits.auths_per_address is None else limits.auths_per_address
        self._of_room = math.inf if limits.auths_per_room is None else limits.auths_per_room
        self._groups: dict[Hashable, _Group] = {}  # by session, by `Session.counted_as`, by runtime
        self._cut_short: dict[RoomRuntime, list[Asking]] = {}  # by crashes of rooms that are made anew

    def ask(self, runtime: "RoomRuntime", session: Session, join: "Join", envelope: Envelope) -> None:
        """Ask `on_auth` about a join whose turn has come; `Gone` if the client has disconnected."""
        self._begin(Asking(runtime, session, join, envelope))

    def _begin(self, asking: Asking) -> None:
        """Start it, or let it wait for the first of its groups that has no place."""
        wanted = self._places(asking)
        for key, most in wanted:
            group = self._groups.get(key)
            if group is not None and group.running >= most:
                group.waiting[asking] = None
                asking.group = group
                return
        try:
            name = f"on_auth for {asking.session.id}"
            asking.runtime.tasks.start(name, self._run, asking)
        except RoomClosed:
            self._cut(asking)  # the join waits until its room hands it over, or is made anew
            return
        for key, _ in wanted:
            self._groups.setdefault(key, _Group()).running += 1

    def _places(self, asking: Asking) -> list[tuple[Hashable, float]]:
        """Return the keys of the groups in which it needs a place, and how many places each has."""
        wanted: list[tuple[Hashable, float]] = [(asking.session, _AT_A_TIME), (asking.runtime, self._of_room)]
        if asking.session.counted_as is not None:
            wanted.append((asking.session.counted_as, self._of_origin))
        return wanted

    async def _run(self, asking: Asking) -> None:
        runtime = asking.runtime
        try:
            # A task of its own, so that scopes and nurseries that the hook leaves open end with it, as in the turn.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(runtime.turns.run_outside, asking.envelope, self._call(asking))
        except* PASSING:
            raise
        except* BaseException:
            logger.exception("on_auth of room %.200r left a cancel scope or a nursery open", runtime.name)
            asking.end(ActionError("internal", "the handler failed"))
        finally:
            self._cut(asking)
            self._ended(asking)

    async def _call(self, asking: Asking) -> None:
        runtime, session = asking.runtime, asking.session
        has_passed = False
        CURRENT_SCOPE.set(asking)
        try:
            with asking.scope:
                hook = runtime.hooks.call("on_auth", session.client, read_options(asking.join.options))
                runtime.home.long_turns.begin(asking, trio.current_time(), hook)
                await hook
                has_passed = True
            if has_passed:
                asking.passed()
            else:
                asking.end(ActionError("timeout", "it took longer than its caller would wait"))
        except* PASSING:
            raise
        except* BaseException as group:
            runtime.askings += 1  # an empty room stays until its `on_error` has been told
            try:
                await runtime.boundary.answer_failure(session, asking.envelope, group, asking.end)
            finally:
                runtime.askings -= 1
                runtime.closing.begin_if_empty()

    def _cut(self, asking: Asking) -> None:
        if not asking.is_over and asking.runtime.is_open:
            self._cut_short.setdefault(asking.runtime, []).append(asking)

    def ask_again(self, runtime: "RoomRuntime") -> None:
        """Ask anew about the joins of a room that a crash has cut short."""
        for asking in self._cut_short.pop(runtime, ()):
            if not asking.is_over:
                asking.scope = trio.CancelScope(deadline=asking.scope.deadline)
                self._begin(asking)

    def forget(self, runtime: "RoomRuntime") -> None:
        """Ask nothing anew for a room that has ended."""
        self._cut_short.pop(runtime, None)

    def _ended(self, asking: Asking) -> None:
        """Give its places to those who wait."""
        asking.runtime.home.long_turns.end(asking)
        places = self._places(asking)
        for key, _ in places:
            self._groups[key].running -= 1
        for key, most in places:
            group = self._groups[key]
            while group.waiting and group.running < most:
                following = next(iter(group.waiting))
                del group.waiting[following]
                following.group = None
                self._begin(following)
            if not group.running:  # and nobody waits
                del self._groups[key]


def must_ask(runtime: "RoomRuntime", session: Session, options: Options) -> bool:
    """Tell whether `on_auth` must be asked about a join."""
    return runtime.hooks.is_written("on_auth") and runtime.members.is_other_join(session, options)


async def ask_for_code(runtime: "RoomRuntime", session: Session, options: Options) -> None:
    """Ask `on_auth` about a join by the server's own code: outside the turn, unless the caller holds it.

    The same errors as `RoomRuntime.in_turn`, and those of `on_auth`.
    """

    async def ask() -> None:
        runtime.members.check_place(session)
        await runtime.hooks.call("on_auth", session.client, read_options(options))

    async def ask_outside() -> None:
        TURN.set(job)  # what it waits for has a bound, since its caller may hold the turn of another room
        await ask()

    if runtime.turns.is_mine:
        await ask()
        return
    scope = trio.CancelScope()

    async def ask_in_scope() -> None:
        with scope:
            await job.run()

    job = Job("on_auth", ask_outside)
    runtime.askings += 1
    is_refused = False
    try:
        await runtime.wait_turn(otherwise=runtime.closing.begin_if_empty)
        is_refused = True
        try:
            runtime.tasks.start("on_auth", ask_in_scope)
        except RoomClosed as closed:
            raise NeverBegun(closed.message) from None
        try:
            await job.wait()
        except CutShort as closed:
            raise NeverBegun(closed.message) from None
        is_refused = False
    finally:
        scope.cancel()
        runtime.askings -= 1
        if is_refused:
            runtime.closing.begin_if_empty()
