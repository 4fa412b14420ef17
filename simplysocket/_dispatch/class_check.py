"""The check of a room class: refuses hooks, options and names that cannot work.

Law: it only looks at the class. The parameters of its handlers are read in signature.py.
"""

import difflib
import inspect
from typing import Any, Final

from .._functions import source_of
from .._rooms.crashes import ON_CRASH
from .._rooms.seconds import is_seconds
from ..actions import ACTION_MARK, hook_arguments, mark_of
from ..errors import RegistrationError
from ..room import Room
from .body_types import is_listing_class

_HOOKS: Final = {  # {hook: how many arguments it is called with, without self}
    "on_create": 0,
    "on_auth": 2,
    "on_join": 2,
    "on_snapshot": 1,
    "on_drop": 1,
    "on_resume": 1,
    "on_leave": 2,
    "on_error": 2,
    "on_close": 1,
    "run": 0,
}
_TIMES: Final = ("empty_ttl", "unjoined_ttl", "hold_seconds")
_OPTIONS: Final = ("capacity", "relay", "announce", "open", *_TIMES, "rejoin", "on_crash", "listing")


def check_class(room_class: type[Room[Any]]) -> None:
    """Refuse a room class with hooks, options or names that cannot work; `RegistrationError` says why."""
    own = {name for each in room_class.__mro__[: room_class.__mro__.index(Room)] for name in vars(each)}
    for name in sorted(own):
        value = getattr(room_class, name)
        if name in _HOOKS:
            _check_hook(room_class, name, value, _HOOKS[name])
        elif (arguments := hook_arguments(room_class, name)) is not None:
            _check_hook(room_class, name, value, arguments)
        elif name == "on_message":
            if hasattr(value, ACTION_MARK):
                raise RegistrationError(f"{room_class.__qualname__}.on_message is a hook: write it without @action")
        elif (
            name.startswith("on_")
            and name not in _OPTIONS
            and inspect.iscoroutinefunction(value)
            and mark_of(room_class, name) is None
        ):
            others = [each for each in sorted(own) if hook_arguments(room_class, each) is not None]
            hooks = [*_HOOKS, "on_message", *others]
            raise RegistrationError(f"{place_in(room_class, name)} is no hook: there are {', '.join(hooks)}")
        elif name not in _OPTIONS and not callable(value) and difflib.get_close_matches(name, _LONG_OPTIONS, 1, _ALIKE):
            meant = difflib.get_close_matches(name, _LONG_OPTIONS, 1, _ALIKE)[0]
            raise RegistrationError(
                f"{room_class.__qualname__}.{name} is no option: write {meant!r}, or give your attribute another name"
            )
        elif (
            name not in _OPTIONS
            and not name.startswith("__")
            and (hasattr(Room, name) or name in Room._simplysocket_own)
        ):
            raise RegistrationError(
                f"{place_in(room_class, name)} hides Room.{name}: name it otherwise; an action's name is"
                " what stands in @action(...), not the method's"
            )
    for option in ("announce", "open", "rejoin", "relay"):
        switch = getattr(room_class, option)
        if not isinstance(switch, bool) and not (option == "relay" and switch is None):
            raise RegistrationError(f"{room_class.__qualname__}.{option} is {switch!r}: give True or False")
    on_crash: object = room_class.on_crash
    if on_crash not in ON_CRASH:
        place = f"{room_class.__qualname__}.on_crash"
        raise RegistrationError(f"{place} is {on_crash!r:.200}: give 'close', 'keep' or 'restart'")
    capacity, seconds = room_class.capacity, room_class.empty_ttl
    if capacity is not None and not (isinstance(capacity, int) and capacity > 0):
        raise RegistrationError(f"{room_class.__qualname__}.capacity is {capacity!r}: give a number above 0, or None")
    if seconds is not None and not is_seconds(seconds, may_be_endless=True):
        raise RegistrationError(f"{room_class.__qualname__}.empty_ttl is {seconds!r}: give seconds, or None for ever")
    seconds = room_class.unjoined_ttl
    if seconds is not None and not (is_seconds(seconds, may_be_endless=True) and seconds > 0):
        place = f"{room_class.__qualname__}.unjoined_ttl"
        raise RegistrationError(f"{place} is {seconds!r}: give seconds above 0, or None for ever")
    seconds = room_class.hold_seconds
    if seconds is not None and not is_seconds(seconds):
        place = f"{room_class.__qualname__}.hold_seconds"
        raise RegistrationError(f"{place} is {seconds!r}: give seconds, or None for Limits.resume_seconds")
    listing = room_class.listing
    if listing is not None and not is_listing_class(listing):
        raise RegistrationError(
            f"{room_class.__qualname__}.listing is {listing!r:.200}: give the attrs class, dataclass or msgspec Struct"
            " of the values that its rooms publish, or None"
        )


# A name almost like one of these is a misspelling.
_LONG_OPTIONS: Final = ("capacity", "announce", "empty_ttl", "unjoined_ttl", "hold_seconds")
_ALIKE: Final = 0.85  # ratio of difflib: capasity, anounce and emptyttl are above it, capacities and empty_time below


# Any: any value in the user's class
def _check_hook(room_class: type[Room[Any]], name: str, hook: Any, arguments: int) -> None:
    """Refuse a hook that cannot be called with so many arguments beside self."""
    place = place_in(room_class, name)
    if not inspect.iscoroutinefunction(hook) or hasattr(hook, ACTION_MARK):
        raise RegistrationError(f"{place} is no hook: write `async def {name}`, without @action")
    parameters = list(inspect.signature(hook).parameters.values())
    if not parameters or parameters[0].annotation is not parameters[0].empty:
        raise RegistrationError(f"{place} is a method without self: write self as its first parameter")
    parameters.pop(0)
    needed = [each for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    if len(needed) > arguments:
        raise RegistrationError(f"{place} takes {len(needed)} arguments beside self, and is offered {arguments}")


def place_in(room_class: type[Room[Any]], name: str) -> str:
    """Return the qualified name of an attribute of a room class, and where it is defined."""
    where = source_of(getattr(room_class, name))
    return f"{room_class.__qualname__}.{name}" + (f" ({where})" if where else "")
