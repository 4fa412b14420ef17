"""Places: how many more clients a room takes, beside those that places are kept for.

Law: it only looks. In a room with seats the seats count, in any other its capacity.

A class of rooms has seats if it has `free_seats`, a property that says how many a new member may take now, and
`seat_of(client)`. It calls `seats_changed` after each change of that number, and leaves free what `seats_kept` says.
"""

import functools
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..._boundary import PASSING, SHOWN
from ..._rooms.state import RoomState
from ...client import Client
from ...room import Room

if TYPE_CHECKING:
    from ..._rooms.runtime import RoomRuntime
    from .patterns import RoomPattern
    from .reservations import Reservations

logger = logging.getLogger("simplysocket.room")

T = TypeVar("T")

_FREE: Final = "free_seats"  # a property of a room with seats: how many are free
_SEAT: Final = "seat_of"  # a method of it: the seat of a client, or None


@functools.cache  # a class is asked at each change of its rooms, and there are few
def _has_seats(room_class: type[Room[Any]]) -> bool:
    return hasattr(room_class, _FREE)


def has_seats(room: Room[Any]) -> bool:
    """Tell whether the seats of a room count, and not its capacity."""
    return _has_seats(type(room))  # type: ignore[arg-type]  # a class whose objects may be unhashable is hashable


def is_seated(runtime: "RoomRuntime", session: Any) -> bool:
    """Tell whether a client has its place: a seat, or its membership in a room without seats."""
    if session not in runtime.members:
        return False
    seat_of = getattr(runtime.room, _SEAT, None)
    return seat_of is None or _ask(runtime, lambda: seat_of(session.client), None) is not None


def _ask(runtime: "RoomRuntime", question: Callable[[], T], otherwise: T) -> T:
    """Ask a room, whose code may fail: this is called where members come and go, which must go on."""
    try:
        with SHOWN:
            return question()
    except* PASSING:
        raise
    except* BaseException:
        logger.exception("room %.200r cannot say who has a seat", runtime.name)
    return otherwise


def places_of(runtime: "RoomRuntime") -> float:
    """Return how many members a room without seats takes in all."""
    capacity = runtime.members.capacity
    return capacity if isinstance(capacity, int) else math.inf


def is_being_made(room: Room[Any]) -> bool:
    """Tell whether the `on_create` of a room has not ended."""
    return room._runtime.state is RoomState.CREATING


def seats_changed(room: Room[Any]) -> None:
    """Tell the lobby, if there is one, that other seats of a room may be free now."""
    runtime = room._runtime
    runtime.home.listing.changed(runtime)


def seats_kept(room: Room[Any], client: Client[Any]) -> int:
    """Return how many of the free seats are kept for others than this client; 0 if one is kept for itself."""
    runtime = room._runtime
    directory = runtime.home.listing.directory
    return 0 if directory is None else directory.reserved(runtime, client._session)


def is_unready(runtime: "RoomRuntime", pattern: "RoomPattern") -> bool:
    """Tell whether nobody knows how many members a room will take: its `on_create` may say so."""
    return runtime.state is RoomState.CREATING and pattern.usual_places is None and not has_seats(runtime.room)


def free_places(runtime: "RoomRuntime", pattern: "RoomPattern", reservations: "Reservations") -> float:
    """Return how many clients may be given a place in a room now."""
    kept = reservations.count(runtime)
    if has_seats(runtime.room):
        free = _ask(runtime, lambda: getattr(runtime.room, _FREE), 0)
        return (free if isinstance(free, int) else 0) - kept
    places = places_of(runtime)
    if runtime.state is RoomState.CREATING and pattern.usual_places is not None:
        places = min(places, pattern.usual_places)  # its `on_create` may yet say so
    return places - len(runtime.members) - kept
