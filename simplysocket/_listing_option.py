"""The option `listing` of a room class: on the class, the class of what its rooms publish; on a room, the value.

Law: a value is checked when it is set. Who looks at the rooms is told of it at once; if it refuses, nothing changes.
"""

import inspect
from typing import Any, ClassVar, Final

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
        directory = runtime.home.listing.directory
        if directory is not None:
            try:
                directory.published(runtime)
            except BaseException:
                room.__dict__[_NAME] = before
                raise


class Listed:
    """What `Room` is made of, so that its option `listing` is a class in the class, and a value in a room.

    It stands behind what keeps its names, since a room sets its listing.
    """

    # Any: on the class it is the class of the values, in a room a value of it.
    listing: Any = ListingOption(None)
    """The attrs class, dataclass or msgspec Struct of what a `games.Lobby` shows of the rooms; None: nothing of them.

    `self.listing = YourClass(...)` publishes a value: what it says at this moment, so set it again after a change.
    None takes it back. Before the first it is None. TypeError for another class, and with a lobby ValueError or
    `EncodeError` for what cannot be listed. A type checker wants `listing: Any = YourClass`."""
    _simplysocket_shown: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, **options: Any) -> None:  # Any: those of bases that users write
        super().__init_subclass__(**options)
        value = inspect.getattr_static(cls, _NAME)
        if not isinstance(value, ListingOption):
            setattr(cls, _NAME, ListingOption(value))
        if Listed in cls.__bases__:  # Room, from which the others have it
            cls._simplysocket_shown = ("capacity",)

    def _simplysocket_set(self: Any) -> None:
        """Let who looks at the rooms look at this one again, since its capacity was set."""
        self._runtime.home.listing.changed(self._runtime)
