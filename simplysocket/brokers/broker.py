"""The seam between a room and what carries its messages.

Laws:
- A channel belongs to one room runtime, not to a name: a room that closes and its
  successor share none.
- `publish` is a plain def that takes a whole batch or raises. Each batch comes back
  once, in the order of publishing, by a call of `deliver` in the server's thread: at
  once, or later.
- Knows frames, places and ids; it never sees rooms, clients or sockets.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec


class Batch(msgspec.Struct):
    """What a room says at one time: frames in the room's sequence, and who each is for.

    A frame whose place is in neither map is for every member.
    """

    first: int  # the place of the first frame in the room's sequence, counted from 0
    frames: list[bytes]
    exclude: dict[int, tuple[str, ...]] = {}  # {place of a frame: ids of the members that it is not for}
    only: dict[int, str] = {}  # {place of a frame: id of the one member that it is for}


Deliver = Callable[[Batch], None]
"""Takes a batch that has come back, and hands its frames to the members on this machine. It never waits or raises."""


class Channel(Protocol):
    """What a room publishes to. It belongs to one room runtime."""

    @property
    def publish(self) -> Callable[[Batch], None]:
        """The plain function that takes a batch, or raises; called at most once for each flush of the room."""

    def close(self) -> None:
        """Let go of the room: it publishes nothing more, and nothing is delivered to it any more."""


class Broker(Protocol):
    """What carries the messages of rooms to their members.

    Write one to reach members on other machines; `MemoryBroker` is the one for a single server.
    """

    def open(self, room: str, deliver: Deliver) -> Channel:
        """Open a channel for a room that begins; it may raise, and then the room does not begin."""
