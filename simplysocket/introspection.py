"""Introspection: a server's registrations, and what runs in it, as values to print or to walk through.

Law: values only, which report and do not judge. `Server.describe()` and `Server.tree()` make them.
"""

import attrs

from .limits import Limits


@attrs.frozen
class ActionInfo:
    """One registered action."""

    name: str
    room_class: str | None  # the class whose method handles it; None: for each room without a handler of its own
    body: str  # the annotation of the handler's body, as text; empty if the handler takes no body
    turn: bool  # whether the handler runs in the room's turn
    cancel: bool  # whether it was registered with `cancel=True`
    place: str  # where the handler is defined, such as `file.py:12`
    unbounded_patterns: tuple[str, ...] = ()  # the regular expressions in its body that run over texts of any length
    only: str = ""  # the name of the function that tells who may do it; empty: every member


@attrs.frozen
class RoomInfo:
    """One registered room class, with its options as they are in the class."""

    pattern: str  # of the rooms' names, as given to `server.room`
    class_name: str
    capacity: int | None  # members at most; None: `Limits.members_per_room`
    relay: bool | None  # whether it relays messages that no handler takes; None: as the server does
    open: bool  # whether a join may create such a room
    announce: bool  # whether members are told who joins and leaves
    empty_ttl: float | None  # seconds that it stays open without members; None: until it is closed
    unjoined_ttl: float | None = None  # seconds that it waits for its first member, if the server's code opened it
    hold_seconds: float | None = None  # that it keeps the place of a member that is away; None: `Limits.resume_seconds`
    rejoin: bool = False  # whether a member's join with other options is for `on_join` again
    on_crash: str = "close"  # what a crash of a task costs: the room, only the task ("keep"), its state ("restart")
    listing: str | None = None  # the class of what its rooms publish


@attrs.frozen
class Description:
    """A server's registrations and settings, at one moment."""

    name: str
    paths: tuple[str, ...]  # where WebSockets connect
    actions: tuple[ActionInfo, ...]
    rooms: tuple[RoomInfo, ...]  # the room classes, in the order in which their patterns are tried
    middleware: tuple[str, ...]  # the name of each function that is middleware for every room, and where it is defined
    origins: tuple[str, ...] | None  # the pages that may connect; None: those of the same host and port
    trusted_proxies: tuple[str, ...]
    is_authenticated: bool  # whether `authenticate` is registered
    relay: bool  # whether a room relays messages that no handler takes, if its class does not say
    direct: bool  # whether clients may send messages to each other
    open_rooms: bool  # whether a join may open a room whose name fits no registered class
    static: tuple[str, ...]  # the URLs that static files are served under
    limits: Limits
    hosts: tuple[str, ...] | None = None  # the names by which the server may be asked for; None: any
    connections_per_user: int | None = None  # beyond it the oldest one of a user is closed; None: any number


@attrs.frozen
class Task:
    """Code that runs in a room outside its turn: a task, a timer, or a handler with `turn=False`.

    In the global room also a handler that runs in the turn of one client.
    """

    name: str
    age: float  # seconds since it began; of a handler in a client's turn, since it began to wait


@attrs.frozen
class RoomView:
    """One room, at one moment."""

    name: str
    class_name: str
    age: float  # seconds since the room was made
    reason: str  # why the room is still there, such as `3 members` or `closing: shutdown`
    members: int  # how many there are
    waiting: int  # how many messages, hooks and timers wait for their turn
    handling: str  # the handler, hook or timer that has the turn; empty if none does
    handling_age: float  # seconds since it began to wait for something; 0 if it did not wait
    tasks: tuple[Task, ...]
    away: int = 0  # how many of the members have lost their connection, and may come back

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
    """The rooms of a server, at one moment: `print` it, or walk through `rooms`."""

    server: str  # the server's name
    clients: int  # how many there are, those that are away included
    rooms: tuple[RoomView, ...]  # the global room first, then the others, the oldest first
    away: int = 0  # how many have lost their connection, and may come back

    def __str__(self) -> str:
        away = f" ({self.away} away)" if self.away else ""
        head = f"{self.server}: {self.clients} clients{away}, {len(self.rooms)} rooms"
        return "\n".join([head, *("  " + str(room).replace("\n", "\n  ") for room in self.rooms)])


def _age(seconds: float) -> str:
    """Write a duration for people to read: 12 s, 3 min 5 s, 2 h 10 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
