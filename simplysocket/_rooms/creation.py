"""Creation: calls `on_create`, opens the room or closes it, and makes the room anew after a crash.

Laws:
- `on_create` has the first turn of each room object: no message and no join is handled before it has ended.
- A room that is made anew keeps its members, what it has said, and all that waits for its turn. The room object, its
  tasks and its timers are gone.
"""

import logging
from typing import TYPE_CHECKING, Final

import trio

from .._boundary import PASSING
from .._functions import name_of
from .._sessions.session import Session
from ..errors import ActionError, first_of
from .crashes import ON_CRASH, CrashPolicy, RestartAtOnce
from .events import Events
from .jobs import Job, run_job
from .state import RoomState

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")

_MADE_ANEW: Final = "_simplysocket_made_anew"  # a plain method of games: the room has members that it has not let in
_AT_A_TIME: Final = 32  # members that are told of the new state before other tasks run


def on_crash_of(runtime: "RoomRuntime") -> str:
    """Return what a room does after a crash; what its class says if the room has set it to something else."""
    on_crash: object = runtime.room.on_crash
    if isinstance(on_crash, str) and on_crash in ON_CRASH:
        return on_crash
    usual = type(runtime.room).on_crash  # checked when the class was registered
    logger.error(
        "room %.200r has set on_crash to %.200r, so %.20r counts: give 'close', 'keep' or 'restart'",
        runtime.name,
        on_crash,
        usual,
    )
    return usual


class Creation:
    """The creation of one room, the first and each later one."""

    __slots__ = ("_policy", "_runtime", "_seconds")

    def __init__(self, runtime: "RoomRuntime", policy: CrashPolicy | None) -> None:
        """`policy` is that of the global room; the others begin again at once, if they do."""
        self._runtime = runtime
        self._policy = policy
        self._seconds: float | None = None  # in the global room after a crash: until `on_create` runs again

    def post(self) -> None:
        """Let the room be created in its next turn."""
        self._runtime.turns.post_always(run_job, None, Job("on_create", self._create))

    async def _create(self, *, is_anew: bool = False) -> None:
        """Call `on_create` in the turn, and open the room or close it."""
        runtime = self._runtime
        if runtime.failure is None:
            try:
                await runtime.hooks.call("on_create")
                runtime.is_created = True
                on_crash_of(runtime)  # a wrong value is told at once
            except* ActionError as group:
                runtime.failure = first_of(group)
            except* PASSING:
                raise
            except* BaseException:
                runtime.home.metrics.rooms_crashed += 1
                logger.exception("on_create of room %.200r failed", runtime.name)
                runtime.failure = ActionError("internal", "the room could not be created")
        if runtime.failure is not None and not runtime.is_global:
            if is_anew:
                runtime.closing.begin("crashed")
            else:
                runtime.closing.begin("not created")
        elif runtime.state is RoomState.CREATING:
            runtime.enter(RoomState.OPEN)
            runtime.home.listing.opened(runtime)
            if runtime.creator is None or runtime.members.was_joined:
                runtime.closing.begin_if_empty()  # no join has made it; its first one may never come
            if not is_anew:
                await self._run()

    async def _run(self) -> None:
        """Start the room's `run`, if it has one, and let it come to where it waits: for its first event, it may be."""
        runtime = self._runtime
        if runtime.hooks.is_written("run") and runtime.is_open:
            runtime.events = Events(runtime)
            runtime.tasks.start_user_task(runtime.events.run, name=name_of(runtime.room.run))
            await runtime.events.begun.wait()

    # --- after a crash

    @property
    def is_due_again(self) -> bool:
        """Whether the tasks end since one has crashed, and not since the room closes."""
        runtime = self._runtime
        return runtime.is_open and not runtime.is_global and on_crash_of(runtime) == "restart"

    def crashed(self) -> None:
        """Close the room, since one of its tasks has crashed and all have ended, or make it anew."""
        runtime, now = self._runtime, trio.current_time()
        if runtime.is_global:
            assert self._policy is not None
            self._seconds = self._policy.after_crash(now)
            return
        if self.is_due_again:
            self._policy = self._policy or RestartAtOnce()
            if self._policy.after_crash(now) is not None:
                self._make_anew()
                return
        runtime.closing.begin("crashed")
        runtime.closing.hurry()

    def go_on(self, nursery: trio.Nursery) -> None:
        """Create the global room again after its wait, now that the turns are served in a new nursery."""
        if self._seconds is not None:
            nursery.start_soon(self._create_again, self._seconds)

    async def _create_again(self, seconds: float) -> None:
        runtime = self._runtime
        await trio.sleep(seconds)
        if runtime.state is RoomState.OPEN:
            runtime.enter(RoomState.CREATING)
        runtime.failure = None
        self.post()

    def _make_anew(self) -> None:
        """Make a new room object, whose creation comes before all that waits."""
        runtime = self._runtime
        logger.warning("room %.200r is made anew, with its %d members", runtime.name, len(runtime.members))
        if runtime.state is RoomState.OPEN:
            runtime.enter(RoomState.CREATING)
        runtime.is_created = False
        runtime.make_room()
        runtime.turns.post_first(run_job, Job("on_create", self._create_anew))

    async def _create_anew(self) -> None:
        runtime = self._runtime
        runtime.closing.tasks_ended()
        await self._create(is_anew=True)
        made_anew = getattr(runtime.room, _MADE_ANEW, None)
        if made_anew is not None and runtime.is_open:
            made_anew()
        for number, session in enumerate(list(runtime.members.by_id.values()), 1):
            if runtime.is_open and session in runtime.members:
                await self._bring_in(session)
            if number % _AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()
        runtime.home.authorizer.ask_again(runtime)
        await self._run()

    async def _bring_in(self, session: Session) -> None:
        """Give a member the new state; if it is away, tell the new room of that, unless it will be told."""
        call, place = self._runtime.hooks.call_guarded, self._runtime.members.places.get(session.id)
        await call("on_snapshot", session.client, session=session)
        if place is not None and place.was_told_away:
            await call("on_drop", session.client, session=session)
