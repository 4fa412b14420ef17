"""Dispatch: from the bytes of one message to the inbox of its room, or to the answer that refuses it.

Laws: runs where the socket is read, so it never waits, never raises and runs no user code
but outbound hooks, which are plain functions. Every message ends in an inbox or is answered.
"""

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .._protocol import codec
from .._protocol.codec import Envelope
from .._protocol.names import RESERVED_ACTIONS
from .._rooms.hub import Hub, Joining
from .._rooms.runtime import RoomRuntime
from .._sessions.session import Session
from ..errors import ActionError, BadBody, BadMessage, RoomClosed
from ..message import GLOBAL_ROOM
from .registry import Registry

_LIST_MOST: Final = 100  # rooms in one answer of list-rooms
_RETRY_BUSY: Final = 0.5  # seconds: a full inbox of 128 is mostly handled by then


class _RoomName(codec.Struct):
    roomname: str | None = None


class _ListRooms(codec.Struct):
    after: str = ""


_read_room_name: Final = codec.body_decoder(_RoomName)
_read_list_rooms: Final = codec.body_decoder(_ListRooms)
_read_options: Final = codec.body_decoder(dict[str, Any])


class Dispatch:
    """Sends every message of every client on its way."""

    def __init__(self, hub: Hub, registry: Registry, *, direct: bool) -> None:
        self._hub = hub
        self._registry = registry
        self._direct = direct
        # Actions that mean something to the server itself; all but the reserved ones may be overridden.
        self._special: dict[str, Callable[[Session, Envelope], bool | None]] = {
            "join-room": self._join,
            "leave-room": self._leave,
            "who": self._who,
            "list-rooms": self._list_rooms,
            "ping": self._ping,
            "cancel": self._cancel,
            "reply": partial(self._answer, is_error=False),
            "error": partial(self._answer, is_error=True),
        }
        for name in RESERVED_ACTIONS - self._special.keys():
            self._special[name] = _forbid

    def receive(self, client: Session, payload: bytes, now: float) -> None:
        """Take one message that a client's connection read at `now`: the hot path of everything that comes in."""
        hub = self._hub
        hub.metrics.messages_received += 1
        try:
            envelope = codec.decode(payload)
        except BadMessage as exc:
            if self._is_within_rate(client, len(payload), now, exc.id, ""):
                client.refuse_bad(exc)
            return
        special = self._special.get(envelope.action)
        if special is not None and envelope.action in _PASS_THE_BUCKET and special(client, envelope):
            return
        messages, volume, size = client.messages, client.volume, len(payload)
        if messages.since == now and messages.tokens >= 1.0 and volume.since == now and volume.tokens >= size:
            messages.tokens -= 1.0  # of several messages in one read, only the first fills the buckets up
            volume.tokens -= size
        elif not self._is_within_rate(client, size, now, envelope.id, envelope.action):
            return
        try:
            if special is not None and not self._registry.overrides(envelope.action):
                if envelope.action not in _PASS_THE_BUCKET:  # else it came too late to be of use, and has no answer
                    special(client, envelope)
                return
            if envelope.IsTargetClient:
                self._send_direct(client, envelope)
                return
            name = envelope.target or GLOBAL_ROOM
            runtime = hub.runtimes.get(name)
            if runtime is None or not runtime.is_open:
                runtime = self._runtime(name)
            if envelope.timeout is not None:
                envelope.timeout += now
            if not runtime.post(self._registry.find, client, envelope):
                raise _busy(runtime)
        except ActionError as exc:
            client.refuse(envelope.id, envelope.action, exc)

    def _is_within_rate(self, client: Session, size: int, now: float, id: str | int | None, action: str) -> bool:
        wait = client.may_send(size, now)
        if wait is None:
            return True
        client.refuse(id, action, ActionError("rate-limited", "too many messages", retry_after=wait))
        return False

    def _runtime(self, name: str) -> RoomRuntime:
        """Return what takes messages to the room of this name, or raise what the sender is told."""
        runtime = self._hub.runtime_for(name)
        if runtime is None:
            if name in self._hub.runtimes:
                raise RoomClosed(f"room {name!r} is closed")
            raise ActionError("unknown-target", f"there is no room {name!r}")
        return runtime

    # --- built-in actions: each answers, or posts what will

    def _join(self, client: Session, envelope: Envelope) -> None:
        name = _named(envelope)
        wait = client.may_join()
        if wait is not None:
            raise ActionError("rate-limited", "too many joins", retry_after=wait)
        options = _read_options(envelope.message_body)
        options.pop("roomname", None)
        runtime = self._hub.runtime_to_join(name, client, options)
        if runtime.is_global:
            _answer_at_once(client, envelope, {"roomname": name, "created": False, "members": runtime.list_members()})
        elif not runtime.post(Joining(options), client, envelope):
            raise _busy(runtime)

    def _leave(self, client: Session, envelope: Envelope) -> None:
        self._post_to_named(client, envelope, _leave_work)

    def _who(self, client: Session, envelope: Envelope) -> None:
        self._post_to_named(client, envelope, _who_work)

    def _post_to_named(self, client: Session, envelope: Envelope, work: Any) -> None:
        runtime = self._runtime(_named(envelope))
        if self._registry.overrides(envelope.action, runtime):
            work = self._registry.find
        if not runtime.post(work, client, envelope):
            raise _busy(runtime)

    def _list_rooms(self, client: Session, envelope: Envelope) -> None:
        after = _read_list_rooms(envelope.message_body).after
        runtimes = self._hub.runtimes
        names = heapq.nsmallest(_LIST_MOST, (name for name in runtimes if name > after and name != GLOBAL_ROOM))
        listed = [
            {"roomname": name, "members": len(runtimes[name].members), "capacity": runtimes[name].places}
            for name in names
        ]
        _answer_at_once(client, envelope, {"rooms": listed, "total": len(runtimes) - 1})  # without the global one

    def _ping(self, client: Session, envelope: Envelope) -> None:
        _answer_at_once(client, envelope, codec.EMPTY)

    # --- what belongs to requests; True when it was of use, and so costs nothing

    def _cancel(self, client: Session, envelope: Envelope) -> bool:
        """Take a request that still waits out of its inbox; one that has begun ends if it is declared so."""
        if envelope.id is None:
            return False
        for name in client.rooms_by_name:
            found = self._hub.runtimes[name].take_out(client, envelope.id)
            if found is not None:
                client.refuse(found.id, found.action, ActionError("cancelled", "cancelled by its caller"))
                return True
        return client.cancel(envelope.id)

    def _answer(self, client: Session, envelope: Envelope, *, is_error: bool) -> bool:
        return client.answer(envelope.id, envelope.message_body, is_error=is_error)

    # --- from client to client

    def _send_direct(self, client: Session, envelope: Envelope) -> None:
        """Send a message on to one client that shares a room with its sender."""
        if not self._direct:
            raise ActionError("forbidden", "this server lets no client write to another")
        target = self._hub.clients.get(envelope.target or "")
        shared = client.rooms_by_name.keys() & target.rooms_by_name.keys() if target is not None else set()
        if target is None or not shared - {GLOBAL_ROOM}:
            raise ActionError("unknown-target", "no client of this id is in a room with you")
        target.tell(envelope.action, envelope.message_body, sender=client.id)
        if envelope.id is not None:
            client.reply(envelope.id, None)


_PASS_THE_BUCKET: Final = frozenset({"reply", "error", "cancel"})


def _answer_at_once(client: Session, envelope: Envelope, result: object) -> None:
    client.tell_without_id(envelope, result)
    if envelope.id is not None:
        client.reply(envelope.id, result)


def _forbid(_: Session, envelope: Envelope) -> None:
    raise ActionError("forbidden", f"the action {envelope.action!r} is reserved for the protocol")


def _named(envelope: Envelope) -> str:
    """Return the room that a built-in action names: `roomname`, else the target."""
    named = _read_room_name(envelope.message_body).roomname
    name = envelope.target if named is None else named
    if not name or (named is None and name == GLOBAL_ROOM and envelope.action == "join-room"):
        raise BadBody("which room? give its name", path="$.roomname")
    return str(name)


def _busy(runtime: RoomRuntime) -> ActionError:
    return ActionError("busy", f"too much waits in room {runtime.name!r}", retry_after=_RETRY_BUSY)


async def _leave_work(runtime: RoomRuntime, client: Session, envelope: Envelope) -> dict[str, str]:
    if runtime.is_global:
        raise ActionError("forbidden", f"nobody leaves {GLOBAL_ROOM!r} but by disconnecting")
    if not await runtime.remove(client, "left"):
        raise ActionError("not-a-member", f"you are not in room {runtime.name!r}")
    result = {"roomname": runtime.name}
    client.tell_without_id(envelope, result)
    return result


async def _who_work(runtime: RoomRuntime, client: Session, envelope: Envelope) -> dict[str, list[dict[str, str]]]:
    if client.id not in runtime.members:
        raise ActionError("not-a-member", f"you are not in room {runtime.name!r}")
    result = {"members": runtime.list_members()}
    client.tell_without_id(envelope, result)
    return result
