"""Built-in actions: what the server itself does for a client that asks.

Law: each answers at once, or puts into an inbox the work that will answer.
"""

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import trio

from .._protocol import codec
from .._protocol.codec import Envelope
from .._protocol.names import RESERVED_ACTIONS
from .._rooms.hub import Hub
from .._rooms.jobs import Work
from .._rooms.joining import busy, leave_as_asked
from .._rooms.runtime import RoomRuntime
from .._sessions.session import Session
from ..errors import ActionError, BadBody, RoomClosed
from ..message import GLOBAL_ROOM
from .registry import Registry

_LIST_MOST: Final = 100  # rooms in one answer of list-rooms


class _RoomName(codec.Struct):
    roomname: str | None = None


class _ListRooms(codec.Struct):
    after: str = ""


_read_room_name: Final = codec.body_decoder(_RoomName)
_read_list_rooms: Final = codec.body_decoder(_ListRooms)
_read_options: Final = codec.body_decoder(dict[str, Any])


class Builtins:
    """The actions that mean something to the server itself; all but the reserved ones may be overridden."""

    def __init__(self, hub: Hub, registry: Registry) -> None:
        self._hub = hub
        self._registry = registry
        # {action: what does it}; of a reply, an error and a cancel: whether it was of use
        self.by_action: dict[str, Callable[[Session, Envelope], bool | None]] = {
            "join-room": self._join,
            "leave-room": self._leave,
            "who": self._who,
            "list-rooms": self._list_rooms,
            "ping": self._ping,
            "cancel": self._cancel,
            "reply": partial(self._answer, is_error=False),
            "error": partial(self._answer, is_error=True),
        }
        for name in RESERVED_ACTIONS - self.by_action.keys():
            self.by_action[name] = _forbid

    def room_of(self, name: str) -> RoomRuntime:
        """Return the room that takes messages under this name; `ActionError` with what the sender is told."""
        runtime = self._hub.runtime_for(name)
        if runtime is None:
            if name in self._hub.runtimes:
                raise RoomClosed(f"room {name!r} is closed")
            raise ActionError("unknown-target", f"there is no room {name!r}")
        return runtime

    # --- rooms

    def _join(self, session: Session, envelope: Envelope) -> None:
        name = _named(envelope)
        wait = session.rates.charge_join(trio.current_time())
        if wait is not None:
            raise ActionError("rate-limited", "too many joins", retry_after=wait)
        options = _read_options(envelope.message_body)
        options.pop("roomname", None)
        answer = self._hub.joins.queue(session, name, options, envelope)
        if answer is not None:
            _answer_at_once(session, envelope, answer)

    def _leave(self, session: Session, envelope: Envelope) -> None:
        self._post_to_named(session, envelope, leave_as_asked)

    def _who(self, session: Session, envelope: Envelope) -> None:
        self._post_to_named(session, envelope, _who_is_here)

    def _post_to_named(self, session: Session, envelope: Envelope, work: Work) -> None:
        runtime = self.room_of(_named(envelope))
        if self._registry.overrides(envelope.action, runtime):
            work = self._registry.find
        if not runtime.post(work, session, envelope):
            raise busy(runtime)

    def _list_rooms(self, session: Session, envelope: Envelope) -> None:
        after = _read_list_rooms(envelope.message_body).after
        runtimes = self._hub.runtimes
        names = heapq.nsmallest(_LIST_MOST, (name for name in runtimes if name > after and name != GLOBAL_ROOM))
        listed = []
        for name in names:
            members = runtimes[name].members
            listed.append({"roomname": name, "members": len(members), "capacity": members.capacity})
        _answer_at_once(session, envelope, {"rooms": listed, "total": len(runtimes) - 1})  # without the global one

    def _ping(self, session: Session, envelope: Envelope) -> None:
        _answer_at_once(session, envelope, codec.EMPTY)

    # --- requests; True when the message was of use, and so costs nothing

    def _cancel(self, session: Session, envelope: Envelope) -> bool:
        """Take a request that still waits out of its inbox; one that has begun ends if it is declared so."""
        if envelope.id is None:
            return False
        for runtime in session.rooms.values():
            found = runtime.turns.take_out(session, envelope.id)
            if found is not None:
                session.refuse(found.id, found.action, ActionError("cancelled", "cancelled by its caller"))
                return True
        return session.cancel(envelope.id)

    def _answer(self, session: Session, envelope: Envelope, *, is_error: bool) -> bool:
        return session.answer(envelope.id, envelope.message_body, is_error=is_error)


def _answer_at_once(session: Session, envelope: Envelope, result: object) -> None:
    session.tell_without_id(envelope, result)
    if envelope.id is not None:
        session.reply(envelope.id, result)


def _forbid(_: Session, envelope: Envelope) -> None:
    raise ActionError("forbidden", f"the action {envelope.action!r} is reserved for the protocol")


def _named(envelope: Envelope) -> str:
    """Return the room that a built-in action names: `roomname`, else the target."""
    named = _read_room_name(envelope.message_body).roomname
    name = envelope.target if named is None else named
    if not name or (named is None and name == GLOBAL_ROOM and envelope.action == "join-room"):
        raise BadBody("which room? give its name", path="$.roomname")
    return str(name)


async def _who_is_here(runtime: RoomRuntime, session: Session, envelope: Envelope) -> dict[str, list[dict[str, str]]]:
    if session not in runtime.members:
        raise ActionError("not-a-member", f"you are not in room {runtime.name!r}")
    result = {"members": runtime.members.list()}
    session.tell_without_id(envelope, result)
    return result
