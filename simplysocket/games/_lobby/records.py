"""Records: what a lobby knows of each room.

Law: words only. overview.py makes and changes them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..._protocol import codec
from .listing import Published

if TYPE_CHECKING:
    from ..._rooms.runtime import RoomRuntime
    from .patterns import RoomPattern


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


_MOST_SHOWN: Final = 2**53  # the largest integer that every reader of JSON knows exactly


class Record:
    """One room, from its making until it begins to close."""

    __slots__ = ("asked_for", "is_listed", "name", "number", "pattern", "published", "runtime", "values")

    def __init__(self, runtime: "RoomRuntime", number: int, pattern: "RoomPattern | None") -> None:
        self.runtime = runtime
        self.name = runtime.name
        self.number = number  # rooms that were made earlier have lower ones
        self.pattern = pattern  # that its name matches, if clients may look for rooms of it
        self.published: Published | None = None  # its listing; `publish` sets it
        self.values: Mapping[str, Any] = _NOTHING  # of the listing, for filters
        self.is_listed = False  # others may see it
        self.asked_for: bytes | None = None  # the filter of its maker, until its `on_create` has ended

    def publish(self, published: Published | None) -> None:
        """Take over a listing."""
        self.published = published
        self.values = _NOTHING if published is None else published.values

    def entry(self) -> codec.Raw:
        """Return what lists show of the room."""
        members = self.runtime.members
        capacity = members.capacity
        listing = msgspec.UNSET if self.published is None else self.published.encoded
        # What the application has set as a capacity may be anything, also a number that JSON cannot hold.
        shown = capacity if isinstance(capacity, int) and 0 <= capacity <= _MOST_SHOWN else None
        entry = _Entry(self.name, len(members), shown, listing)
        return codec.encode_body(entry, may_hold_floats=False)


class _Entry(codec.Struct, gc=False):
    """A room in a list."""

    roomname: str
    members: int
    capacity: int | None
    listing: codec.Raw | msgspec.UnsetType = msgspec.UNSET
