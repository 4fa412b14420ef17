"""Handlers outside the turn (`turn=False`): tasks of the room, answered as handlers in the turn are.

Laws:
- Such a handler is cancelled when its caller cancels, times out or disconnects.
- Of one client at most `Limits.tasks_per_client` run at a time.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from .._boundary import PASSING
from .._log_limit import PLACE
from .._protocol.codec import Envelope
from .._sessions.handler_scope import HandlerScope
from .._sessions.session import Session
from ..errors import ActionError
from .jobs import TURN

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")


async def start_outside_turn(
    runtime: "RoomRuntime", session: Session, envelope: Envelope, handle: Callable[[], Awaitable[object]]
) -> None:
    """Start a handler as a task of the room, and return when it has begun."""
    most = runtime.home.limits.tasks_per_client
    if most is not None and session.outside_turns >= most:
        raise ActionError("too-many", f"{most} of your requests run outside the turn already")
    scope, begun = HandlerScope(session, envelope, runtime), trio.Event()
    try:
        name = f"the handler of {envelope.action!r} for {session.id}"
        runtime.tasks.start(name, _run, runtime, scope, begun, handle, session, envelope)
    except BaseException:
        scope.forget()
        raise
    session.outside_turns += 1
    # Not for long: the task begins in the next pass, and from then on it answers the request itself.
    with trio.CancelScope(shield=True):
        await begun.wait()


async def _run(
    runtime: "RoomRuntime",
    scope: HandlerScope,
    begun: trio.Event,
    handle: Callable[[], Awaitable[object]],
    session: Session,
    envelope: Envelope,
) -> None:
    """Run the handler in its scope and the room's boundary, and count it while it runs."""

    async def work(*_: object) -> object:
        TURN.set(None)
        begun.set()
        try:
            return await scope.run(handle)
        finally:
            session.outside_turns -= 1

    try:
        # A task of its own, so that scopes and nurseries that the handler leaves open end with it, as in the turn.
        async with trio.open_nursery() as nursery:
            run = runtime.boundary.run(work, session, envelope)
            nursery.start_soon(runtime.turns.of(session).run_outside, envelope, run, runtime.home.cause)
    except* PASSING:
        raise
    except* BaseException:
        place = runtime.home.place_of(runtime, envelope.action)
        logger.exception(
            "the handler of %.64r left a cancel scope or a nursery open", envelope.action, extra={PLACE: place}
        )
