"""The state of a room: one value, and one table of what may follow what."""

import enum
from typing import Final


class RoomState(enum.Enum):
    """Where a room is between its making and its end."""

    WAITING = "waiting"  # for its name: another room of this name is closing
    CREATING = "creating"  # on_create has its turn, or waits for it
    OPEN = "open"
    CLOSING = "closing"  # accepts no work; on_close may run, and the members are still there
    CLOSED = "closed"  # the members are gone and the name is free


FOLLOWING: Final = {
    RoomState.WAITING: {RoomState.CREATING, RoomState.CLOSING},
    RoomState.CREATING: {RoomState.OPEN, RoomState.CLOSING},
    # To CREATING again: a room whose tasks are started anew after a crash.
    RoomState.OPEN: {RoomState.CREATING, RoomState.CLOSING},
    RoomState.CLOSING: {RoomState.CLOSED},
    RoomState.CLOSED: set[RoomState](),
}

ACCEPTING: Final = frozenset({RoomState.WAITING, RoomState.CREATING, RoomState.OPEN})
"""The states in which a room accepts joins, messages and tasks."""


def check_transition(name: str, now: RoomState, following: RoomState) -> None:
    """Refuse a transition that the table does not have."""
    if following not in FOLLOWING[now]:
        raise RuntimeError(f"room {name!r} is {now.value}: {following.value} cannot follow")
