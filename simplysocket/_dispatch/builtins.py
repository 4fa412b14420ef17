"""Built-in actions: those that the server itself handles, such as `join-room` and `cancel`.

Law: each answers at once, or puts an entry into an inbox whose work will answer.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from .._protocol import codec
from .._protocol.codec import Envelope
from .._protocol.names import PING, RESERVED_ACTIONS
from .._rooms.callers import check_in_time
from .._rooms.hub import Hub
from .._rooms.inbox import busy
from .._rooms.jobs import Work
from .._rooms.membership import leave_as_asked
from .._rooms.options import read_options
from .._rooms.runtime import RoomRuntime
from .._sessions.session import Session
from ..errors import ActionError, BadBody
from ..message import GLOBAL_ROOM
from .registry import Registry

_LIST_MOST: Final = 100  # rooms in one answer of list-rooms


class _RoomName(codec.Struct):
    roomname: str | None = None


class _Who(codec.Struct):
    after: str | None = None


class _Ping(codec.Struct):
    received: int | None = None


class _ListRooms(codec.Struct):
    after: str = ""


_read_room_name: Final = codec.body_decoder(_RoomName)
_read_who: Final = codec.body_decoder(_Who)
_read_ping: Final = codec.body_decoder(_Ping)
_read_list_rooms: Final = codec.body_decoder(_ListRooms)


class Builtins:
    """The built-in actions of one server. The application may override those that are not reserved."""

    def __init__(self, hub: Hub, registry: Registry) -> None:
        self._hub = hub
        self._registry = registry
        # Each is called with the session, the envelope, the time, and the size of the message.
        self.by_action: dict[str, Callable[[Session, Envelope, float, int], None]] = {
            "join-room": self._join,
            "leave-room": self._leave,
            "who": self._who,
            "list-rooms": self._list_rooms,
            "ping": self._ping,
            "renew": self._renew,
        }
        # What belongs to requests: each function returns whether a request waited for the message.
        self.to_requests: dict[str, Callable[[Session, Envelope], bool]] = {
            "cancel": self._cancel,
            "reply": partial(self._answer, is_error=False),
            "error": partial(self._answer, is_error=True),
        }
        for name in RESERVED_ACTIONS - self.by_action.keys() - self.to_requests.keys():
            self.by_action[name] = _forbid

    # --- rooms

    def _join(self, session: Session, envelope: Envelope, now: float, _: int) -> None:
        most, size = session.home.limits.join_bytes, memoryview(envelope.message_body).nbytes
        if most is not None and size > most:
            raise ActionError("too-large", f"a join holds {size} bytes, and {most} is the most")
        name = _named(envelope)
        wait = session.rates.charge_join(now)
        if wait is not None:
            raise ActionError("rate-limited", "too many joins", retry_after=wait)
        read_options(envelope.message_body)  # only to refuse at once what cannot be decoded; the result is not kept
        envelope.message_body = envelope.message_body.copy()  # the original holds on to the bytes of the whole frame
        envelope.target = None  # which nobody looks at, and may be as long as the frame
        answer = self._hub.joins.queue(session, name, envelope.message_body, envelope, now, size)
        if answer is not None:
            _answer_at_once(session, envelope, codec.encode_body(answer, may_hold_floats=False))

    def _leave(self, session: Session, envelope: Envelope, now: float, size: int) -> None:
        self._post_to_named(session, envelope, leave_as_asked, now, size)

    def _who(self, session: Session, envelope: Envelope, now: float, size: int) -> None:
        self._post_to_named(session, envelope, _who_is_here, now, size)

    def _post_to_named(self, session: Session, envelope: Envelope, work: Work, now: float, size: int) -> None:
        runtime = self._hub.room_for_message(_named(envelope))
        if self._registry.overrides(envelope.action, runtime):
            work = self._registry.handle
        else:
            envelope.target = None  # as in a join
        if not runtime.post(work, session, envelope, now, size):
            raise busy(runtime.name)

    def _list_rooms(self, session: Session, envelope: Envelope, _: float, __: int) -> None:
        after = _read_list_rooms(envelope.message_body).after
        runtimes, listing = self._hub.runtimes, self._hub.listing
        listed = []
        for name in listing.after(after, _LIST_MOST):
            members = runtimes[name].members
            listed.append({"roomname": name, "members": len(members), "capacity": members.capacity})
        answer = {"rooms": listed, "total": len(listing)}
        _answer_at_once(session, envelope, codec.encode_body(answer, may_hold_floats=False))

    def _ping(self, session: Session, envelope: Envelope, _: float, __: int) -> None:
        """Answer a ping. That of a client that may come back says what it has received, and is told the same."""
        answer: dict[str, object] = {}
        line = session.line
        if line is not None:
            line.uncount()
            received = _read_ping(envelope.message_body).received
            if received is not None and not line.ring.acknowledge(received):
                raise BadBody(f"you were sent {line.ring.sent} messages, not {received}", path="$.received")
            answer["received"] = line.received
        answer["now"] = round(time.time(), 3)
        body = codec.encode_body(answer)
        if envelope.id is None:
            session.say(PING, body, is_counted=False)
        else:
            session.say("reply", body, id=envelope.id, is_counted=False)

    def _renew(self, session: Session, envelope: Envelope, now: float, _: int) -> None:
        self._hub.renewal.ask(session, envelope, now)

    # --- requests; True if a request waited for the message, which is then not charged to the rate

    def _cancel(self, session: Session, envelope: Envelope) -> bool:
        """Remove a request that waits from its inbox, or cancel its handler if that may be cancelled."""
        if envelope.id is None:
            return False
        return session.cancel(envelope.id) or self._hub.callers.cancel(session, envelope.id)

    def _answer(self, session: Session, envelope: Envelope, *, is_error: bool) -> bool:
        return session.answer(envelope.id, envelope.message_body, is_error=is_error)


def _answer_at_once(session: Session, envelope: Envelope, body: codec.Raw) -> None:
    session.tell_without_id(envelope, body)
    if envelope.id is not None:
        session.reply(envelope.id, body)


def _forbid(_: Session, envelope: Envelope, __: float, ___: int) -> None:
    raise ActionError("forbidden", f"the action {envelope.action!r} is reserved for the protocol")


def _named(envelope: Envelope) -> str:
    """Return the name of the room that a built-in action is for: `roomname` in the body, or else the target."""
    named = _read_room_name(envelope.message_body).roomname
    name = envelope.target if named is None else named
    if not name or (named is None and name == GLOBAL_ROOM and envelope.action == "join-room"):
        raise BadBody("which room? give its name", path="$.roomname")
    return str(name)


async def _who_is_here(runtime: RoomRuntime, session: Session, envelope: Envelope) -> codec.Raw:
    """Answer a client's `who`: the work of its entry in the inbox."""
    check_in_time(envelope)
    if session not in runtime.members:
        raise ActionError("not-a-member", f"you are not in room {runtime.name!r}")
    page = runtime.members.page(_read_who(envelope.message_body).after)
    result = codec.encode_body(page, may_hold_floats=False)
    session.tell_without_id(envelope, result)
    return result
