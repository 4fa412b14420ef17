"""The tree: a live view of the rooms, and of what runs in each: "why is this room alive?"

Law: it only looks. Ages are in seconds by trio's clock.
"""

from collections.abc import Iterator

import attrs
import trio

from ._rooms.hub import Hub
from ._rooms.runtime import RoomRuntime


@attrs.frozen
class Task:
    """What runs in a room beside its turns: a task, a timer, a handler with `turn=False`."""

    name: str
    age: float  # seconds


@attrs.frozen
class RoomView:
    """One room at this moment."""

    name: str
    class_name: str
    age: float  # seconds
    reason: str  # why it is alive
    members: int
    waiting: int  # messages and calls that wait for their turn
    handling: str  # what has the turn and waits for something; "" when nothing does
    handling_age: float  # seconds since it began to wait
    tasks: tuple[Task, ...]

    def __str__(self) -> str:
        lines = [f"{self.name!r} ({self.class_name}, {_age(self.age)}): {self.reason}"]
        if self.waiting:
            lines.append(f"{self.waiting} waiting for a turn")
        if self.handling:
            lines.append(f"in its turn: {self.handling}, waiting for {_age(self.handling_age)}")
        lines += [f"{task.name}, {_age(task.age)}" for task in self.tasks]
        return "\n  ".join(lines)


@attrs.frozen
class Tree:
    """What `Server.tree()` returns; `print` it, or walk through `rooms`."""

    server: str
    clients: int
    rooms: tuple[RoomView, ...]

    def __str__(self) -> str:
        head = f"{self.server}: {self.clients} clients, {len(self.rooms)} rooms"
        return "\n".join([head, *("  " + str(room).replace("\n", "\n  ") for room in self.rooms)])


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


def _age(seconds: float) -> str:
    """Write a time as one reads it: 12 s, 3 min 5 s, 2 h 10 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
