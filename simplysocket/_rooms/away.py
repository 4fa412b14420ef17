"""Away: what happens in rooms to members that have lost their connections and may come back.

Laws:
- Of each membership, `on_drop` is followed by exactly one of `on_resume` and `on_leave`, unless the room closes first.
- A hook comes after all that its client has sent to the room before.
- However often a client goes and comes back while a room does not keep up, a few hooks for it wait there.
"""

from typing import Final

from .._sessions.session import Session
from ..errors import ActionError
from ..reasons import Reason, ReasonKind
from .holds import Place
from .jobs import Job, run_job
from .runtime import RoomRuntime
from .seconds import seconds_of

_PENDING_MOST: Final = 4  # of `on_drop` and `on_resume` for one member: it was away twice, and came back


def dropped(runtime: RoomRuntime, session: Session, now: float) -> None:
    """Note that a member is away since `now`; `on_drop` is called in its turn."""
    place = runtime.members.place_of(session)
    place.since = now
    _call_later(place, "on_drop")


def resumed(runtime: RoomRuntime, session: Session) -> None:
    """Note that a member is back; `on_resume` is called in its turn, after `on_drop`."""
    place = runtime.members.places.get(session.id)
    if place is not None:
        runtime.home.holds.cancel(place)
        _call_later(place, "on_resume")


def missed(runtime: RoomRuntime, session: Session) -> None:
    """Note that a member has missed messages; `on_snapshot` is called in its turn, and its views are made anew."""
    place = runtime.members.place_of(session)
    if place.snapshot is None and (runtime.hooks.is_written("on_snapshot") or runtime.views is not None):
        place.snapshot = _Hook("on_snapshot", place)
        runtime.turns.post_always(run_job, session, place.snapshot)


def longest_hold(session: Session) -> float:
    """Return how long a client that is away is kept: the grace, or longer if one of its rooms holds its place."""
    grace = session.home.limits.resume_seconds
    return max((grace, *(hold_seconds(runtime) for runtime in session.rooms.values() if runtime.is_open)))


def hold_places(session: Session) -> None:
    """Let the places of a client that is away be given up in time: those that are not kept as long as the client."""
    longest = longest_hold(session)
    for runtime in session.rooms.values():
        place = runtime.members.places.get(session.id)
        if place is not None and place.hold is None and not runtime.is_global:
            seconds = hold_seconds(runtime)
            if seconds < longest:
                runtime.home.holds.add(place, seconds)


def hold_seconds(runtime: RoomRuntime) -> float:
    """Return for how long a room keeps the place of a member that is away: `hold_seconds`, or else the grace."""
    grace = runtime.home.limits.resume_seconds
    seconds = seconds_of(runtime, "hold_seconds", grace, none_means="Limits.resume_seconds")
    return grace if seconds is None else seconds


def why_away(session: Session) -> Reason:
    """Return why a client is away."""
    return session.lost_as or Reason("disconnected", ReasonKind.LOST)


def _call_later(place: Place, name: str) -> None:
    """Call `on_drop` or `on_resume` in the room's turn, whichever it is: they alternate."""
    hooks = place.runtime.hooks
    if not hooks.is_written("on_drop") and not hooks.is_written("on_resume"):
        return
    if len(place.pending) >= _PENDING_MOST:
        last = place.pending[-1]
        last.is_wanted = not last.is_wanted  # the last that waits and this one come to nothing, or to the last
        return
    hook = _Hook(name, place)
    place.pending += (hook,)
    place.runtime.turns.post_always(run_job, place.session, hook)


class _Hook(Job):
    """A hook for a member, which waits for the room's turn. It takes 200 bytes: it has no result, and nobody waits."""

    __slots__ = ("_place",)

    def __init__(self, name: str, place: Place) -> None:
        self.name = name
        self.is_wanted = True
        self.error = None
        self._place = place

    async def run(self) -> None:
        """Call the hook, unless its membership has ended."""
        place = self._place
        is_snapshot = self is place.snapshot
        if is_snapshot:
            place.snapshot = None
        else:
            place.pending = place.pending[1:]
        if self.is_wanted and place.is_kept:
            await place.runtime.hooks.call_guarded(self.name, place.session.client, session=place.session)
            if is_snapshot and place.runtime.views is not None:
                await place.runtime.views.give_missed(place.session)

    def fail(self, error: ActionError) -> None:
        """Do nothing: the room closes, and the membership ends with it."""
