"""Streams in memory: bounded pipes, and a listener without a port.

Law: a writer waits when a pipe is full, as it does on a real network when the reader does not
read. (trio's own memory streams are unbounded.)
"""

from collections import deque
from typing import Final

import trio
from trio.abc import HalfCloseableStream, Listener

PIPE_BYTES: Final = 65_536  # what one direction of a pipe holds before the writer waits


class _Direction:
    """One direction of a pipe."""

    def __init__(self) -> None:
        self.data: bytearray = bytearray()
        self.is_ended = False  # the writer has ended: nothing more comes
        self.is_broken = False  # the reader has closed
        self.is_lost = False  # the network has broken: neither end reads or writes any more
        self.changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()

    def change(self) -> None:
        self.changed.unpark_all()


class Pipe(HalfCloseableStream):
    """One end of a bounded pipe in memory."""

    def __init__(self, outgoing: _Direction, incoming: _Direction, most: int) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._most = most
        self._is_closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        rest = bytes(data)
        await trio.lowlevel.checkpoint()
        while rest:
            self._check_open(self._outgoing)
            if self._outgoing.is_broken:
                raise trio.BrokenResourceError("the other end is closed")
            if self._outgoing.is_ended:
                raise trio.ClosedResourceError("send_eof was called before")
            room = self._most - len(self._outgoing.data)
            if room <= 0:
                await self._outgoing.changed.park()
                continue
            self._outgoing.data += rest[:room]
            rest = rest[room:]
            self._outgoing.change()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while True:
            self._check_open(self._incoming)
            data = self._incoming.data
            if data:
                received = bytes(data[:max_bytes])
                del data[: len(received)]
                self._incoming.change()
                return received
            if self._incoming.is_ended:
                return b""
            await self._incoming.changed.park()

    async def send_eof(self) -> None:
        self._outgoing.is_ended = True
        self._outgoing.change()
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._outgoing.is_ended = self._incoming.is_broken = True
            self._outgoing.change()
            self._incoming.change()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Break both directions, as a reset does: what is under way is lost, and both ends get BrokenResourceError."""
        for direction in (self._outgoing, self._incoming):
            direction.is_lost = True
            direction.data.clear()
            direction.change()

    def _check_open(self, direction: _Direction) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("this end is closed")
        if direction.is_lost:
            raise trio.BrokenResourceError("the network has broken")


def open_pipe(most: int = PIPE_BYTES) -> tuple[Pipe, Pipe]:
    """Return both ends of a pipe, each direction of which holds `most` bytes."""
    there, back = _Direction(), _Direction()
    return Pipe(there, back, most), Pipe(back, there, most)


class MemoryListener(Listener[Pipe]):
    """A trio listener without a port. `connect` returns a client's end, `accept` the server's."""

    def __init__(self) -> None:
        self._waiting: deque[Pipe] = deque()
        self._came = trio.lowlevel.ParkingLot()
        self._is_closed = False

    async def connect(self, most: int = PIPE_BYTES) -> Pipe:
        """Connect, and return the client's end of a pipe; each direction holds `most` bytes.

        OSError after the listener has closed.
        """
        await trio.lowlevel.checkpoint()
        if self._is_closed:
            raise OSError("connection refused: the server has stopped")
        ours, theirs = open_pipe(most)
        self._waiting.append(theirs)
        self._came.unpark()
        return ours

    async def accept(self) -> Pipe:
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._is_closed:
                raise trio.ClosedResourceError
            await self._came.park()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        self._is_closed = True
        self._came.unpark_all()
        await trio.lowlevel.checkpoint()
