"""Views: the rooms of a server and the code that runs in each, which `Server.tree()` returns.

Law: it reads the rooms and changes nothing.
"""

from collections.abc import Iterable, Iterator

import trio

from .._sessions.session import Session
from ..introspection import RoomView, Task, Tree
from .global_room import ClientTurns
from .hub import Hub
from .runtime import RoomRuntime
from .turns import Turns


def build_tree(hub: Hub) -> Tree:
    """Return a view of all rooms: the global room first, then the others, the oldest first."""
    now = trio.current_time()
    runtimes = sorted(hub.runtimes.values(), key=lambda runtime: (not runtime.is_global, runtime.created_at))
    away = sum(session.is_away for session in hub.clients.values())
    return Tree(hub.server_name, len(hub.clients), tuple(_look_at(runtime, now) for runtime in runtimes), away)


def count_waiting(hub: Hub) -> int:
    """Return how many messages, hooks and timers wait for a turn, in all rooms."""
    waiting = sum(runtime.turns.waiting for runtime in hub.runtimes.values())
    own = (turns for runtime in hub.runtimes.values() for _, turns in _own_turns(runtime))
    return waiting + sum(turns.waiting for turns in own)


def count_held(hub: Hub) -> int:
    """Return how many messages are held since their rooms, or these clients' shares, have no place for them."""
    return sum(session.intake.messages for session in hub.clients.values() if session.intake is not None)


def count_askings(hub: Hub) -> int:
    """Return how many joins wait for `on_auth`, for its end, or with its leave for their turn."""
    return sum(runtime.askings for runtime in hub.runtimes.values())


def count_paused(hub: Hub) -> int:
    """Return how many clients are not read now, since too much is held of them."""
    return sum(session.intake.is_paused for session in hub.clients.values() if session.intake is not None)


def _look_at(runtime: RoomRuntime, now: float) -> RoomView:
    turns, away = runtime.turns, runtime.members.count_away()
    return RoomView(
        name=runtime.name,
        class_name=type(runtime.room).__name__,
        age=now - runtime.created_at,
        reason=_why_alive(runtime, now, away),
        members=len(runtime.members),
        waiting=turns.waiting,
        handling=turns.running,
        handling_age=turns.waited(now),
        tasks=(
            *_handlers_of(runtime, now),
            *(Task(each.name, now - each.since) for each in runtime.tasks.under_way.values()),
        ),
        away=away,
    )


def _why_alive(runtime: RoomRuntime, now: float, away: int) -> str:
    """Say in words why the room is still there."""
    members = len(runtime.members)
    said = f"{members} members" if members != 1 else "1 member"
    if away:
        said += f", {away} of them away" if members > 1 else ", away"
    if runtime.is_global:
        return f"there as long as the server; {said}"
    if not runtime.is_open:
        return f"closing: {runtime.closing.reason}"
    if members:
        return said
    until = runtime.closing.empty_until
    if not runtime.members.was_joined:
        return "waits for its first member" + (f"; it closes in {until - now:.0f} s" if until is not None else "")
    return f"empty; it closes in {until - now:.0f} s" if until is not None else "empty; it stays until it is closed"


def _handlers_of(runtime: RoomRuntime, now: float) -> Iterator[Task]:
    """Yield the handlers that run in the clients' own turns; only the global room has such turns."""
    for session, turns in _own_turns(runtime):
        if turns.running:
            yield Task(f"{turns.running} for {session.id}", turns.waited(now))


def _own_turns(runtime: RoomRuntime) -> Iterable[tuple[Session, Turns]]:
    """Return the turns that clients have of their own in a room, each with its client."""
    return runtime.turns.of_clients() if isinstance(runtime.turns, ClientTurns) else ()
