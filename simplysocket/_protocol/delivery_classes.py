"""Delivery classes: what happens to a frame that a client cannot take at once.

Laws:
- A plain frame, of type bytes, waits until it is sent.
- Every other delivery class is a subclass of bytes, so that all frames are joined and sent alike.
"""

from collections.abc import Hashable


class VolatileFrame(bytes):
    """A frame that a client misses if it cannot take it at once, such as a position or a cursor."""


class UncountedFrame(bytes):
    """A frame that has no number among those of a client that may come back, such as `welcome` or a Ping."""


class CoalescedFrame(bytes):
    """A frame that replaces a waiting frame with the same `key`, such as a score or a state."""

    key: Hashable

    @classmethod
    def of(cls, frame: bytes, key: Hashable) -> "CoalescedFrame":
        """Return `frame` as a coalesced frame with this key."""
        made = cls(frame)
        made.key = key
        return made
