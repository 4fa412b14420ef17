"""Handlers outside the turn (`turn=False`): tasks of the room that are answered as handlers in the turn are.

Laws: such a handler is cancelled when its caller cancels, times out or disconnects. How many
of one client run at a time is bounded.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from .._protocol.codec import Envelope
from .._sessions.handler_scope import HandlerScope
from .._sessions.session import Session
from ..errors import ActionError
from .turns import TURN

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")


async def start_outside_turn(
    runtime: "RoomRuntime", session: Session, ask: Envelope, handle: Callable[[], Awaitable[object]]
) -> None:
    """Start a handler as a task of the room; return once it has begun."""
    most = runtime.home.limits.tasks_per_client
    if most is not None and session.outside_turns >= most:
        raise ActionError("too-many", f"{most} of your requests run beside the turns already")
    scope, begun = HandlerScope(session, ask), trio.Event()
    try:
        name = f"the handler of {ask.action!r} for {session.id}"
        runtime.tasks.start(name, _run, runtime, scope, begun, handle, session, ask)
    except BaseException:
        scope.forget()
        raise
    session.outside_turns += 1
    with trio.CancelScope(shield=True):  # its first step is certain to come: from then on it answers for itself
        await begun.wait()


async def _run(
    runtime: "RoomRuntime",
    scope: HandlerScope,
    begun: trio.Event,
    handle: Callable[[], Awaitable[object]],
    session: Session,
    ask: Envelope,
) -> None:
    async def work(*_: object) -> object:
        TURN.set(None)
        begun.set()
        try:
            return await scope.run(handle)
        finally:
            session.outside_turns -= 1

    try:
        # A task of its own, so that scopes and nurseries which it leaves open end with it, as in the turn.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.turns.run_outside, ask, runtime.boundary.run(work, session, ask))
    except* Exception:
        logger.exception("the handler of %.64r has spoilt the task it ran in", ask.action)
