"""The state of a room, and the table of its transitions.

Law: a room has one state, and only the transitions of the table are possible.
"""

import enum
from typing import Final


class RoomState(enum.Enum):
    """The states of a room, from its making to its end."""

    WAITING = "waiting"  # for its name: another room of this name is closing
    CREATING = "creating"  # on_create has its turn, or waits for it
    OPEN = "open"
    CLOSING = "closing"  # accepts no work; on_close may run, and the members are still there
    CLOSED = "closed"  # the room has no members any more, and its name is free


FOLLOWING: Final = {  # {state: the states that may follow it}
    RoomState.WAITING: {RoomState.CREATING, RoomState.CLOSING},
    RoomState.CREATING: {RoomState.OPEN, RoomState.CLOSING},
    # CREATING again: after a crash, in a room whose tasks are started again.
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
