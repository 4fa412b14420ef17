"""Callers: who waits for an answer of a room, and what becomes of it when they give up or are thrown out.

Laws:
- A join whose caller has given up makes nobody a member: one that is in `on_join` is undone when that ends.
- After the server's own kick or close nothing more of the client is handled that waited, and its handlers that end with
  it end; but the one that kicks or closes its own client goes on.
- What a client sent before it left or disconnected is handled.
"""

from typing import TYPE_CHECKING

import trio

from .._protocol.codec import Envelope
from .._sessions.handler_scope import CURRENT_SCOPE
from .._sessions.running import Running
from .._sessions.session import Session
from ..errors import ActionError, Gone
from .jobs import Job, run_job

if TYPE_CHECKING:
    from .hub import Hub
    from .inbox import Entry
    from .runtime import RoomRuntime


def check_in_time(envelope: Envelope) -> None:
    """Refuse a message whose caller waits no more."""
    if envelope.timeout is not None and trio.current_time() > envelope.timeout:
        raise ActionError("timeout", "its turn came too late")


class Caller:
    """Who has asked for the join that runs: a client, by its envelope, or the server's own code."""

    __slots__ = ("_envelope", "_error", "id")

    runtime = None  # not of one room, as the session sees it: a kick does not give up the join

    def __init__(self, envelope: Envelope | None = None) -> None:
        self.id = None if envelope is None else envelope.id
        self._envelope = envelope
        self._error: ActionError | None = None

    def end(self, error: ActionError) -> None:
        """Note that the caller has given up. One that disconnects has joined, and leaves."""
        if error.code == "cancelled":
            self._error = error

    def check(self) -> None:
        """Raise why the caller has given up, if it has."""
        if self._error is not None:
            raise self._error
        if self._envelope is not None:
            check_in_time(self._envelope)


class Callers:
    """Ends what waits from each client for its turn, over all rooms of one server."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub

    def cancel(self, session: Session, id: str | int) -> bool:
        """Take out the message with this id and answer its caller. Return False if none waits."""
        inbox = session.waiting.get(id)
        entry = None if inbox is None else inbox.take_out(session, id)
        if inbox is None or entry is None:
            return False
        _refuse(self._hub.runtime_for(inbox.name), entry, ActionError("cancelled", "cancelled by its caller"))
        return True

    def expel(self, session: Session, code: int, reason: str) -> None:
        """Close a client by the server's own will."""
        if not session.is_connected:
            if session.is_reachable:  # away, or about to be
                self._hub.end(session, code, reason)
        else:
            session.close(code, reason)
            error = Gone(f"client {session.id} was closed")
            _end_handlers(session, error, CURRENT_SCOPE.get())
            for runtime in session.rooms.values():
                _refuse_all(runtime, session, error)
            for id in list(session.waiting):  # in rooms that it has asked to join
                self.cancel(session, id)

    def kicked(self, session: Session, runtime: "RoomRuntime", spared: Running | None) -> None:
        """End in one room what a client has under way there, since it is removed by the server's own will."""
        error = ActionError("not-a-member", f"you were removed from room {runtime.name!r}")
        _end_handlers(session, error, spared, runtime)
        _refuse_all(runtime, session, error)


def _end_handlers(
    session: Session, error: ActionError, spared: Running | None, only: "RoomRuntime | None" = None
) -> None:
    """End the handlers that end with their client, those of one room or all."""
    for scope in list(session.handler_scopes):  # some leave the list at once
        if scope is not spared and (only is None or scope.runtime is only):
            scope.end(error)


def _refuse_all(runtime: "RoomRuntime", session: Session, error: ActionError) -> None:
    for entry in runtime.turns.take_out_all(session):
        _refuse(runtime, entry, error)


def _refuse(runtime: "RoomRuntime | None", entry: "Entry", error: ActionError) -> None:
    """Answer a message that was taken out. If it was the join that has made the room, the room closes in its turn."""
    work, session, item, _, _ = entry
    session.refuse(item.id, item.action, error)
    if runtime is None:
        return
    passed: object = getattr(work, "passed", None)
    if passed is runtime:  # a join that `on_auth` has let pass
        runtime.askings -= 1
    if runtime.is_open and not runtime.is_global and not runtime.members:
        runtime.turns.post_always(run_job, None, Job("nothing", runtime.closing.check_empty))
