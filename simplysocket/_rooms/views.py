"""Views: the live tree of rooms, and of what runs in each: "why is this room alive?"

Law: it only looks.
"""

from collections.abc import Iterator

import trio

from ..introspection import RoomView, Task, Tree
from .hub import Hub
from .runtime import RoomRuntime


def look(hub: Hub) -> Tree:
    """Look at all rooms, the global one first, then the oldest."""
    now = trio.current_time()
    runtimes = sorted(hub.runtimes.values(), key=lambda runtime: (not runtime.is_global, runtime.created_at))
    return Tree(hub.server_name, len(hub.clients), tuple(_look_at(runtime, now) for runtime in runtimes))


def _look_at(runtime: RoomRuntime, now: float) -> RoomView:
    turns = runtime.turns
    return RoomView(
        name=runtime.name,
        class_name=type(runtime.room).__name__,
        age=now - runtime.created_at,
        reason=_why_alive(runtime, now),
        members=len(runtime.members),
        waiting=turns.waiting,
        handling=turns.running,
        handling_age=turns.waited(now),
        tasks=(
            *_handlers_of(runtime, now),
            *(Task(each.name, now - each.since) for each in runtime.tasks.under_way.values()),
        ),
    )


def _why_alive(runtime: RoomRuntime, now: float) -> str:
    """Say in words why the room has not ended."""
    members = len(runtime.members)
    if runtime.is_global:
        return f"there as long as the server; {members} members"
    if not runtime.is_open:
        return f"closing: {runtime.closing.reason}"
    if members:
        return f"{members} members" if members > 1 else "1 member"
    if not runtime.members.was_joined:
        return "waits for its first member"
    if runtime.room.empty_ttl is None:
        return "empty; it stays until it is closed"
    return f"empty; it closes in {runtime.closing.empty_until - now:.0f} s"


def _handlers_of(runtime: RoomRuntime, now: float) -> Iterator[Task]:
    """Return the handlers that run in the global room, where each client has turns of its own."""
    if runtime.is_global:
        for session in runtime.members.by_id.values():
            turns = session.global_turns
            if turns is not None and turns.running:
                yield Task(f"{turns.running} for {session.id}", turns.waited(now))
