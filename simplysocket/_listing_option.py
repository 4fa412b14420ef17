"""The option `listing` of a room class: on the class, the class of what its rooms publish; on a room, the value.

Law: a value is checked when it is set. Who looks at the rooms is told of it at once; if it refuses, nothing changes.
"""

import inspect
from typing import Any, Final

_NAME: Final = "listing"


class ListingOption:
    """The attribute `listing` of one room class and of its rooms."""

    __slots__ = ("of",)

    def __init__(self, of: object) -> None:
        self.of = of  # the class of the values; checked when the room class is registered; None: there are none

    # Any, here and below: a room, whose class imports this module; and its listing, which has any type.
    def __get__(self, room: Any, owner: object = None) -> Any:
        return self.of if room is None else room.__dict__.get(_NAME)

    def __set__(self, room: Any, value: object) -> None:
        if not isinstance(self.of, type):
            raise TypeError(
                f"{type(room).__name__}.listing cannot be set: write `listing = YourClass` in the class first, with an"
                " attrs class, a dataclass or a msgspec Struct"
            )
        if value is not None and not isinstance(value, self.of):
            raise TypeError(f"{type(room).__name__}.listing = {value!r:.200}: give a {self.of.__name__}, or None")
        runtime = room._runtime
        runtime.home.check_thread()
        before = room.__dict__.get(_NAME)
        room.__dict__[_NAME] = value
        if runtime.home.directory is not None:
            try:
                runtime.home.directory.published(runtime)
            except BaseException:
                room.__dict__[_NAME] = before
                raise


def read_option(room_class: type) -> None:
    """Make the class that stands in a room class as `listing` the option."""
    value = inspect.getattr_static(room_class, _NAME)
    if not isinstance(value, ListingOption):
        setattr(room_class, _NAME, ListingOption(value))
