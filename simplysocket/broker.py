"""The broker: where a room's broadcasts go, and from where they come back to the hub.

Laws: `publish` is a plain def that takes a frame or raises; what one room
publishes comes back in the order of publishing. Knows rooms by name only, so
that a broker between machines fits in the same place.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

Deliver = Callable[[str, bytes, Sequence[str]], None]
"""What takes publications: (room's name, frame, ids of the clients left out)."""


class Broker(Protocol):
    """What the hub needs of a broker."""

    def subscribe(self, deliver: Deliver) -> None:
        """Hand every publication to `deliver`; called once, before the first."""

    def publish(self, room: str, frame: bytes, exclude: Sequence[str] = ()) -> None:
        """Take a frame for everyone in a room but the clients of `exclude`, or raise; never waits."""


class MemoryBroker:
    """The broker of a server that is alone: every publication comes back at once."""

    def __init__(self) -> None:
        self._deliver: Deliver | None = None

    def subscribe(self, deliver: Deliver) -> None:
        self._deliver = deliver

    def publish(self, room: str, frame: bytes, exclude: Sequence[str] = ()) -> None:
        if self._deliver is not None:
            self._deliver(room, frame, exclude)
