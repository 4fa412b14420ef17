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

    @property
    def publish(self) -> Deliver:
        """The plain function that takes a frame for everyone in a room but the clients left out, or raises."""


class MemoryBroker:
    """The broker of a server that is alone: every publication comes back at once."""

    def __init__(self) -> None:
        self._deliver: Deliver = _lose

    def subscribe(self, deliver: Deliver) -> None:
        self._deliver = deliver

    @property
    def publish(self) -> Deliver:
        """What is published is delivered: the same function, so that nothing stands between."""
        return self._deliver


def _lose(room: str, frame: bytes, exclude: Sequence[str]) -> None:
    raise RuntimeError("nobody has subscribed to this broker: it belongs to no server yet")
