"""The boundary: runs one entry of the inbox, and answers it with its result or its error.

Law: a bug in one handler costs one message. Every request gets exactly one answer.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .._boundary import PASSING, check_shown
from .._log_limit import PLACE
from .._protocol.codec import Envelope
from .._sessions.session import Session
from ..errors import ActionError, Gone, RoomClosed, count_of, first_of
from .jobs import TURN, Work

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")

LATER: Final = object()
"""The result of work that is answered later, by a task of its own."""


class TurnBoundary:
    """The boundary around every handler of one room, in the turn and outside it."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime

    async def run(self, work: Work, session: Session, item: Any) -> None:  # Any: an Envelope or a Job
        """Run the work of one entry for `item`, its envelope or job, and answer it.

        Never raises an Exception.
        """
        is_answered = False
        TURN.set(item)
        try:
            try:
                result = await work(self._runtime, session, item)
            except BaseException as error:  # costs nothing where nothing is raised, unlike `SHOWN`
                check_shown(error)
                raise
            if item.id is not None and result is not LATER:
                session.reply(item.id, result)
            is_answered = True
        except* PASSING:
            raise
        except* BaseException as group:
            is_answered = True
            await self.answer_failure(session, item, group, partial(session.refuse, item.id, item.action))
        finally:
            if not is_answered and isinstance(item, Envelope):
                self._answer_cancelled(session, item)

    def _answer_cancelled(self, session: Session, envelope: Envelope) -> None:
        """Answer a handler that was cancelled: by the end of the room, or by a scope that a handler left open."""
        runtime = self._runtime
        error: ActionError
        if runtime.closing.is_due or runtime.home.is_stopping or runtime.tasks.is_cancelled:
            error = RoomClosed(f"room {runtime.name!r} closed meanwhile")
            if runtime.tasks.is_cancelled and not runtime.home.is_stopping and runtime.creation.is_due_again:
                error = ActionError("internal", "the room crashed meanwhile, and goes on")
            session.refuse(envelope.id, envelope.action, error)
            return
        if runtime.is_global and session.is_gone:
            seconds = runtime.home.limits.close_seconds
            logger.warning(
                "the handler of %.64r in room %.200r was ended: its client has been gone for %g s",
                envelope.action,
                runtime.name,
                seconds,
            )
            session.refuse(envelope.id, envelope.action, Gone(f"client {session.id} has disconnected"))
            return
        runtime.home.metrics.handlers_failed += 1
        logger.error(
            "the handler of %.64r in room %.200r was cancelled by a scope left open",
            envelope.action,
            runtime.name,
            extra={PLACE: runtime.home.place_of(runtime, envelope.action)},
        )
        session.refuse(envelope.id, envelope.action, ActionError("internal", "the handler failed"))

    async def answer_failure(
        self,
        session: Session,
        envelope: Envelope,
        group: BaseExceptionGroup[BaseException],
        refuse: Callable[[ActionError], None],
    ) -> None:
        """Answer a handler that has raised, by `refuse`: with its `ActionError`, or with `internal` for a bug."""
        refused, bugs = group.split(ActionError)
        if bugs is None and refused is not None:
            refuse(first_of(refused))
            return
        runtime = self._runtime
        runtime.home.metrics.handlers_failed += 1
        place = runtime.home.place_of(runtime, envelope.action)
        bug = first_of(bugs) if bugs is not None and count_of(bugs) == 1 else bugs  # a single bug without its group
        logger.error(
            "the handler of %.64r in room %.200r failed; it is at %.300r",
            envelope.action,
            runtime.name,
            place or "a place outside your code",
            exc_info=bug,
            extra={PLACE: place},
        )
        if isinstance(bug, RuntimeError) and str(bug) == "no running event loop":
            logger.error("asyncio does not run here: use trio, such as trio.sleep and trio.to_thread.run_sync")
        refuse(ActionError("internal", "the handler failed"))
        await runtime.hooks.report(bug, session)
