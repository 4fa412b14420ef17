"""Options: what a game's class, or a room of it, may be set to.

Law: a wrong option is refused where it is written, with what to write instead.
"""

import math
import sys
from collections.abc import Callable
from typing import Any, Final

from ..actions import hook_arguments
from ..errors import RegistrationError

SEATS_MOST: Final = 100
"""Seats of one game at most: each change is told with all of them. As many as the members that a join is told of."""
STARTS: Final = ("full", "ready", "owner", "code")

_GUARDED: Final = {  # {hook of Room: what to write in a game instead}
    "on_join": "`on_sit(seat)` for who sits down, and `on_watch(client)` for who watches",
    "on_leave": "`on_stand(seat, player, reason)` for who gives up a seat, and `on_unwatch(client)` for who watched",
    "on_drop": "`on_away(seat)`",
    "on_resume": "`on_back(seat)`",
}
_SWITCHES: Final = ("has_turns", "pauses_while_away", "late_seats", "rotates", "tells")


def fault_of(name: str, value: Any) -> str:  # Any: whatever was written there
    """Return what is wrong with an option and what to write, or "". Other names have no fault."""
    if name in _SWITCHES:
        return "" if isinstance(value, bool) else "give True or False"
    check = _CHECKS.get(name)
    return check(value) if check is not None else ""


def check_options(game: type) -> None:
    """Refuse options of a game's class that cannot work, alone or together; `RegistrationError` says why."""
    for name in (*_SWITCHES, *_CHECKS):
        value = getattr(game, name)
        fault = fault_of(name, value)
        if fault:
            raise RegistrationError(f"{game.__qualname__}.{name} is {value!r:.200}: {fault}")
    fault = fault_of_numbers(*(getattr(game, name) for name in ("seats", "needed", "roles")))
    if fault:
        raise RegistrationError(f"{game.__qualname__} {fault}")


def fault_of_numbers(seats: int, needed: int | None, roles: tuple[str, ...]) -> str:
    """Return what is wrong with these options together, or "". Each of them is right by itself."""
    if roles and len(roles) != seats:
        return f"has {seats} seats and {len(roles)} roles: give one role for each seat, or () for none"
    if needed is not None and needed > seats:
        return f"needs {needed} players and has {seats} seats: at most all seats can be needed"
    return ""


def check_numbers(seats: int, needed: int | None, roles: tuple[str, ...]) -> None:
    """Refuse a number of seats, and their roles, that a room cannot have; ValueError says why."""
    fault = fault_of("seats", seats) or fault_of("roles", roles) or fault_of_numbers(seats, needed, roles)
    if fault:
        raise ValueError(f"set_seats({seats!r:.200}, {roles!r:.200}): {fault}")


def check_names(game: type, own: type) -> None:
    """Refuse names in a game's class that belong to `own`, the class of all games."""
    for owner in game.__mro__[: game.__mro__.index(own)]:
        for name in vars(owner):
            instead = _GUARDED.get(name)
            if instead:
                raise RegistrationError(f"{game.__qualname__}.{name}: a game needs this hook itself; write {instead}")
            if name == "capacity" and owner is game:
                raise RegistrationError(
                    f"{game.__qualname__}.capacity: a game takes as many as there are seats and spectators; set these"
                )
            if _is_hidden(name, own):
                raise RegistrationError(
                    f"{game.__qualname__}.{name} hides a name that every game has: name it otherwise; an action's name"
                    " is what stands in @action(...), not the method's"
                )


def check_set(room: Any, name: str, value: Any, own: type) -> None:  # Any: a room of the class `own`, and any value
    """Refuse to set a name of a room that `own` keeps, with AttributeError, or an option to what cannot work."""
    instead = fault = ""
    if name in ("seats", "roles"):
        instead = "call `await self.set_seats(number, roles)`"
    elif name == "capacity" or _is_kept(name, own):
        instead = "every game has it; give your attribute another name"
    else:
        fault = fault_of(name, value)
    if name == "needed" and not fault:
        fault = fault_of_numbers(room.seats, value, ())
    if instead:
        raise AttributeError(f"{type(room).__name__}.{name} cannot be set: {instead}")
    if fault:
        raise ValueError(f"{type(room).__name__}.{name} is {value!r:.200}: {fault}")


def _is_kept(name: str, own: type) -> bool:
    return name in vars(own) and name not in _SWITCHES and name not in _FREE and not name.startswith("__")


def _is_hidden(name: str, own: type) -> bool:
    if name.startswith("__") or name not in vars(own) or name in (*_SWITCHES, *_CHECKS, *_FREE):
        return False
    return hook_arguments(own, name) is None


_FREE: Final = ("needed", "spectators", "turn_seconds", "starts", "hold_seconds", "capacity", "empty_ttl", "order")


def _count(value: object, least: int, most: float) -> bool:
    return type(value) is int and least <= value <= most


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def _check_roles(value: object) -> str:
    if not isinstance(value, (tuple, list)) or not all(isinstance(each, str) and each for each in value):
        return 'give texts, such as ("X", "O"), or () for none'
    return "" if len(set(value)) == len(value) else "give each role once"


_CHECKS: Final[dict[str, Callable[[Any], str]]] = {
    "seats": lambda value: "" if _count(value, 1, SEATS_MOST) else f"give a number from 1 to {SEATS_MOST}",
    "needed": lambda value: (
        "" if value is None or _count(value, 1, SEATS_MOST) else "give a number above 0, or None for all seats"
    ),
    "roles": _check_roles,
    "spectators": lambda value: "" if _count(value, 0, math.inf) else "give a number; 0 for none",
    "turn_seconds": lambda value: (
        "" if value is None or (_is_time(value) and value > 0) else "give seconds above 0, or None for no clock"
    ),
    "hold_seconds": lambda value: (
        "" if value is None or _is_time(value) else "give seconds, or None for Limits.resume_seconds"
    ),
    "starts": lambda value: "" if value in STARTS else f"give one of {', '.join(map(repr, STARTS))}",
}
