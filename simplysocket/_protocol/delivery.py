"""Delivery classes: what may become of a frame that a client cannot take at once.

A plain frame, which is of type bytes, must be delivered. A subclass of bytes has
another delivery class, so that frames of all classes are joined and sent alike.
"""

from collections.abc import Hashable


class VolatileFrame(bytes):
    """A frame that is dropped for a client that cannot take it at once: positions, cursors."""


class CoalescedFrame(bytes):
    """A frame that replaces a waiting one of the same `key`: scores, states."""

    key: Hashable

    @classmethod
    def of(cls, frame: bytes, key: Hashable) -> "CoalescedFrame":
        """Return `frame` in the delivery class "only the newest of `key`"."""
        made = cls(frame)
        made.key = key
        return made
