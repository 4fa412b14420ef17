"""The memory broker: the broker of a single server, which hands every batch straight back.

Law: nothing is between a room and its members. A channel's `publish` is the room's own `deliver`.
"""

from collections.abc import Callable

from .broker import Batch, Channel, Deliver


class MemoryBroker:
    """The broker of a single server: it hands every batch straight back, and raises nothing."""

    def open(self, room: str, deliver: Deliver) -> Channel:
        """Open a channel that delivers each batch inside of `publish`."""
        return _MemoryChannel(deliver)


class _MemoryChannel:
    """The channel of one room."""

    __slots__ = ("publish",)

    def __init__(self, deliver: Deliver) -> None:
        self.publish: Callable[[Batch], None] = deliver  # the same function, so that no call is between

    def close(self) -> None:
        pass
