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
    runtimes = sorted(hub.runtimes.values(), key=lambda runtime: (not runtime.is_global, runtime.born))
    return Tree(hub.server_name, len(hub.clients), tuple(_look_at(runtime, now) for runtime in runtimes))


def _look_at(runtime: RoomRuntime, now: float) -> RoomView:
    turns = runtime.turns
    return RoomView(
        name=runtime.name,
        class_name=type(runtime.room).__name__,
        age=now - runtime.born,
        reason=runtime.why_alive(now),
        members=len(runtime.members),
        waiting=turns.waiting,
        handling=turns.running,
        handling_age=turns.waited(now),
        tasks=(
            *_handlers_of(runtime, now),
            *(Task(each.name, now - each.since) for each in runtime.under_way.values()),
        ),
    )


def _handlers_of(runtime: RoomRuntime, now: float) -> Iterator[Task]:
    """Return what runs in the global room: there each client has turns of its own."""
    if runtime.is_global:
        for client in runtime.members.values():
            if client.global_turns is not None and client.global_turns.running:
                yield Task(f"{client.global_turns.running} for {client.id}", client.global_turns.waited(now))
