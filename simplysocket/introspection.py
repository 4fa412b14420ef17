"""Introspection: what a server is made of, and what runs in it, as values to print or to walk through.

Law: words only. `Server.describe()` and `Server.tree()` fill them in; nothing here judges.
"""

import attrs

from .limits import Limits


@attrs.frozen
class ActionInfo:
    """One registered action. `room_class` None: for every room that has none of its own under this name."""

    name: str
    room_class: str | None
    body: str  # the annotation as it was written; "" when the handler takes no body
    turn: bool
    cancel: bool
    place: str  # "file.py:12"


@attrs.frozen
class RoomInfo:
    """One registered room class with its options; None means what it means there."""

    pattern: str
    class_name: str
    capacity: int | None
    relay: bool | None
    open: bool
    announce: bool
    empty_ttl: float | None  # seconds


@attrs.frozen
class Description:
    """A server's registrations and settings at one moment. `origins` None: pages of the same host and port."""

    name: str
    paths: tuple[str, ...]
    actions: tuple[ActionInfo, ...]
    rooms: tuple[RoomInfo, ...]
    middleware: tuple[str, ...]
    origins: tuple[str, ...] | None
    trusted_proxies: tuple[str, ...]
    is_authenticated: bool
    relay: bool
    direct: bool
    open_rooms: bool
    static: tuple[str, ...]
    limits: Limits


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


def _age(seconds: float) -> str:
    """Write a time as one reads it: 12 s, 3 min 5 s, 2 h 10 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
