"""The seam between a room and the broker that carries its messages.

Laws:
- A channel belongs to one room, not to a name. The next room of the same name opens a
  channel of its own.
- `publish` is a plain def that takes a whole batch or raises. The broker hands each batch
  back once, in the order of publishing, by calling `deliver` in the server's thread: inside
  of `publish`, or later.
- A broker knows frames, places and ids. It never sees rooms, clients or sockets.
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from .._protocol.delivery_classes import CoalescedFrame, VolatileFrame


class Batch(msgspec.Struct):
    """The frames that a room publishes at one time, and the members that each is for.

    The frames of a room have places in its sequence: 0, 1, 2, and so on. A frame whose
    place is in neither map is for every member.
    """

    first: int  # the place of the first frame
    frames: list[bytes]  # whole WebSocket frames, in the order of their places
    exclude: dict[int, tuple[str, ...]] = {}  # {place of a frame: ids of the members that it is not for}
    only: dict[int, str] = {}  # {place of a frame: id of the one member that it is for}

    def to_bytes(self) -> bytes:
        """Return the batch as bytes, for a broker that sends it elsewhere; `from_bytes` reads it.

        Use this rather than an encoder of your own: a volatile or a coalesced frame is of a subclass
        of bytes, and stays one.
        """
        volatile: list[int] = []
        coalesce: dict[int, Any] = {}  # {place of a frame: key}; Any: read back as _Written says
        for place, frame in enumerate(self.frames, self.first):
            if isinstance(frame, VolatileFrame):
                volatile.append(place)
            elif isinstance(frame, CoalescedFrame):
                coalesce[place] = frame.key
        return _write(_Written(self.first, list(map(bytes, self.frames)), self.exclude, self.only, volatile, coalesce))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Batch":
        """Return the batch that `to_bytes` has written; `msgspec.DecodeError` for other bytes."""
        written = _read(data)
        frames = written.frames
        for place in written.volatile:
            frames[place - written.first] = VolatileFrame(frames[place - written.first])
        for place, key in written.coalesce.items():
            frames[place - written.first] = CoalescedFrame.of(frames[place - written.first], key)
        return cls(written.first, frames, written.exclude, written.only)


class _Written(msgspec.Struct, array_like=True):
    """A batch as bytes, with the delivery classes beside the frames."""

    first: int
    frames: list[bytes]
    exclude: dict[int, tuple[str, ...]]
    only: dict[int, str]
    volatile: list[int]
    coalesce: dict[int, tuple[str, str]]  # (room, the key that the sender gave)


_write = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(_Written).decode


Deliver = Callable[[Batch], None]
"""Delivers a batch that the broker hands back to the room's members on this machine. It never waits or raises."""


class Channel(Protocol):
    """One room's way into the broker, from the opening of the room to its end."""

    @property
    def publish(self) -> Callable[[Batch], None]:
        """The function that takes a batch: plain, and it never waits.

        It is called at most once for each flush of the room. If it raises, the members on
        this machine still get the batch, and the room closes with the reason `crashed`; the
        global room stays open.
        """

    def close(self) -> None:
        """Release the room, which has closed: publish nothing more for it, and call `deliver` no more."""


class Broker(Protocol):
    """Carries the messages of rooms to their members. `MemoryBroker` is the one for a single server.

    Write a broker of your own to reach members on other machines: a class with `open`, given
    as `Server(broker=...)`. The laws are at the top of brokers/broker.py.
    """

    def open(self, room: str, deliver: Deliver) -> Channel:
        """Open a channel for a new room of the name `room`; batches come back by `deliver`.

        If it raises, the room is not created, and its joins are refused with `internal`. If
        it raises for the global room, the server does not start.
        """
