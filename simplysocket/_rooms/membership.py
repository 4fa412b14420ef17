"""Membership: how a client becomes a member of a room, and ceases to be one.

Laws:
- That happens only here, and in the room's turn. At the end of a room its members are removed without a turn.
- Each new member has passed `on_auth` and `on_join`. A join whose `on_join` raises is undone.
- A room closes after its last member has left, at once or after `empty_ttl`.
"""

import functools
from itertools import islice
from typing import Any

import trio

from .._protocol import codec
from .._protocol.codec import Envelope
from .._sessions.session import Session
from ..errors import ActionError
from ..message import GLOBAL_ROOM
from ..reasons import Reason, ReasonKind
from .announcements import announcements_of
from .away import dropped, hold_places, why_away
from .callers import Caller, check_in_time
from .fanout import SLICE
from .holds import Place
from .jobs import Job, run_job
from .options import Options, digest_of, read_options
from .runtime import RoomRuntime

# --- in: in the room's turn


async def admit(runtime: RoomRuntime, session: Session, caller: Caller, options: Options) -> dict[str, Any]:
    """Make a client a member and return the answer to the join; raise the reason if it is refused."""
    try:
        caller.check()
        created = False
        if session not in runtime.members:
            created = runtime.creator is session and not runtime.members.was_joined
            await _make_member(runtime, session, caller, options)
        elif runtime.members.is_other_join(session, options):
            await _call_on_join(runtime, session, options)
            caller.check()
        return answer(runtime, created=created)
    finally:
        runtime.closing.begin_if_empty()


async def _make_member(runtime: RoomRuntime, session: Session, caller: Caller, options: Options) -> None:
    """Add a client that `on_auth` has let pass to the members, call `on_join`, and announce the join."""
    members = runtime.members
    members.check_place(session)  # while on_auth ran, the client may have disconnected or joined other rooms
    members.add(session)
    if session.is_away:
        dropped(runtime, session, trio.current_time())
        hold_places(session)
    try:
        await _call_on_join(runtime, session, options)
    except BaseException:
        members.remove(session)
        raise
    try:
        caller.check()
    except ActionError as error:  # it gave up meanwhile
        await remove(runtime, session, Reason(error.code, ReasonKind.LEFT), was_announced=False)
        raise
    members.was_joined = True
    runtime.closing.joined()
    if announcements := announcements_of(runtime):
        announcements.joined(session)
    if runtime.events is not None:
        await runtime.events.tell("join", session)
        if session not in members:
            raise _not_kept(runtime)


async def _call_on_join(runtime: RoomRuntime, session: Session, options: Options) -> None:
    """Call `on_join` and then `on_snapshot` for a member; raise what `on_join` raises."""
    hooks, members = runtime.hooks, runtime.members
    digest = digest_of(options) if runtime.room.rejoin else b""  # before the hook changes them
    if hooks.is_written("on_join"):
        offered = [read_options(options)] if hooks.takes("on_join") > 1 else []  # not decoded for who takes none
        await hooks.call("on_join", session.client, *offered)
    if session in members:
        if digest:
            members.joined_with[session.id] = digest
        if hooks.is_written("on_snapshot"):
            await hooks.call_guarded("on_snapshot", session.client, session=session)
    if session not in members:
        raise _not_kept(runtime)


def _not_kept(runtime: RoomRuntime) -> ActionError:
    return ActionError("forbidden", f"room {runtime.name!r} did not keep you")


def answer(runtime: RoomRuntime, *, created: bool) -> dict[str, Any]:
    """Return the answer to a join: it lists the first members, and `who` the others."""
    page = runtime.members.page()
    return {"roomname": runtime.name, "created": created, "members": page["members"], "total": page["total"]}


# --- out: in the room's turn


async def remove(
    runtime: RoomRuntime, session: Session, reason: Reason, *, tell: bool = False, was_announced: bool = True
) -> bool:
    """Remove a member. Return False if it was not a member. With `tell`, the removed client is told, too."""
    if session not in runtime.members:
        return False
    client = session.client
    body = codec.encode_body({"client": client.id, "name": client.name, "reason": reason})
    runtime.members.remove(session)
    left = trio.Event()
    session.leaving += (left,)
    is_cut_short = True
    try:
        await runtime.hooks.call_guarded("on_leave", client, reason, session=session)
        if runtime.events is not None:
            await runtime.events.tell("leave", session, reason)
        is_cut_short = False
    finally:
        # Of a leave that was cut short, the members are told only in a room that goes on.
        if not is_cut_short or runtime.creation.is_due_again:
            if was_announced and (announcements := announcements_of(runtime)):
                announcements.left(session, body)
            if tell:
                session.tell("client-left-room", body, room=runtime.name)
        left.set()
        session.leaving = tuple(each for each in session.leaving if each is not left)
        runtime.closing.begin_if_empty()
    return True


async def leave_as_asked(runtime: RoomRuntime, session: Session, envelope: Envelope) -> dict[str, str]:
    """Answer a client's `leave-room`: the work of its entry in the inbox."""
    check_in_time(envelope)
    if runtime.is_global:
        raise ActionError("forbidden", f"nobody leaves {GLOBAL_ROOM!r} but by disconnecting")
    if not await remove(runtime, session, Reason("left", ReasonKind.LEFT)):
        raise ActionError("not-a-member", f"you are not in room {runtime.name!r}")
    result = {"roomname": runtime.name}
    session.tell_without_id(envelope, result)
    return result


async def release(runtime: RoomRuntime, session: Session) -> bool:
    """Remove a member that is away, and tell it when it is back. Return False if it is no member, or not away."""
    return session.is_away and await remove(runtime, session, why_away(session), tell=True)


def give_up(place: Place) -> None:
    """Remove a member whose hold is over, in the room's turn, unless it is back by then."""
    runtime = place.runtime
    if runtime.is_open and not place.is_leaving:
        place.is_leaving = True
        job = Job("on_leave", functools.partial(_leave_if_due, place), is_awaited=False)
        runtime.turns.post_always(run_job, place.session, job)


async def _leave_if_due(place: Place) -> None:
    place.is_leaving = False
    if place.is_due:
        await remove(place.runtime, place.session, why_away(place.session), tell=True)


# --- without a turn


def enter_global_room(runtime: RoomRuntime, session: Session) -> None:
    """Put a new client into the global room; its hooks run in the client's own turns there."""
    runtime.members.add(session)
    for job in (_global_hook(runtime, "on_join", session, {}), _global_hook(runtime, "on_snapshot", session)):
        if job is not None:
            runtime.turns.post_always(run_job, session, job)


def leave_global_room(runtime: RoomRuntime, session: Session, reason: Reason) -> Job | None:
    """Remove a client that is gone from the global room; return its `on_leave`, which will be the last of its turns."""
    runtime.members.remove(session)
    last = _global_hook(runtime, "on_leave", session, reason)
    if last is not None:
        runtime.turns.of(session)
    if session.global_turns is not None:
        session.global_turns.end_after(last)
    return last


def _global_hook(runtime: RoomRuntime, hook: str, session: Session, *args: object) -> Job | None:
    """Return the call of a hook of the global room for a client, which runs in the client's own turns there."""
    if not runtime.hooks.is_written(hook):
        return None
    call = functools.partial(runtime.hooks.call_guarded, hook, session.client, *args, session=session)
    return Job(hook, call, is_awaited=False)


def let_go(runtime: RoomRuntime) -> bool:
    """Remove members from a room that has ended, without `on_leave`. Return True if another call is needed."""
    by_id = runtime.members.by_id
    for session in list(islice(reversed(by_id.values()), SLICE)):  # the last first, so that no order moves up
        runtime.members.remove(session)
    return bool(by_id)
