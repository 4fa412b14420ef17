"""The transport: the bytes below a connection, over a socket or any other stream.

Laws:
- `send_now` never waits: it takes the first bytes of what it is given, all or some, or raises.
- Only one owner reads and writes: first the front door, then the connection.

Knows nothing of WebSockets.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

import trio

from .._pass_budget import Line, PassBudget
from .._wakeup import Wakeup
from .epoll import EpollReader
from .intake import CHUNK, Intake, read_alone
from .tls_records import TLSRecords

_LINGERING_BYTES = 65_536  # that a refused peer may still send; if it sends more, a reset may overtake the answer
_LINGERING_SECONDS = 1.0
_FAREWELL_SECONDS = 0.1


class Transport(Protocol):
    """What a connection needs of its transport."""

    chunk: int
    """How many bytes `send_some` sends at most; some of them must be sent within the write deadline."""

    @property
    def send_now(self) -> Callable[[bytes], int]:
        """Send what can be sent at once; return how many bytes. BlockingIOError: none; OSError: broken."""

    async def receive(self) -> bytes:
        """Wait for bytes and return them; b"" is the end. OSError or trio.BrokenResourceError: broken."""

    async def receive_into(self, intake: Intake) -> None:
        """Give bytes to an intake as they arrive, until it needs its owner; raises as `receive` does."""

    def pause(self) -> None:
        """Read no more, since the intake is paused."""

    def resume(self) -> None:
        """Read again, since the intake is not paused any more."""

    async def send_some(self, data: bytes | memoryview) -> int:
        """Wait until some bytes can be sent; return how many were."""

    def send_eof(self) -> None:
        """Tell the peer that nothing more comes, if the transport can do so without waiting."""

    sends_now: bool
    """Whether `send_now` ever takes bytes; if not, all go through `send_some`."""

    async def aclose(self, farewell: bytes = b"") -> None:
        """Close at once, whatever the peer does; send `farewell` before, if that is possible at once."""


class SocketTransport:
    """A TCP or Unix socket without trio's wrapper: a socket of trio cannot send without waiting."""

    __slots__ = ("_epoll_reader", "_resumed", "_socket", "chunk", "send_now", "sends_now")

    def __init__(self, stream: trio.SocketStream, unsent_bytes: int, epoll_reader: EpollReader) -> None:
        """Take the socket out of `stream`. `unsent_bytes`: how much unsent data the kernel may hold."""
        self._epoll_reader = epoll_reader
        self._resumed: Wakeup | None = None  # None if the epoll reader reads the socket
        family, kind, proto = stream.socket.family, stream.socket.type, stream.socket.proto
        self._socket = socket.socket(family, kind, proto, fileno=stream.socket.detach())
        self._socket.setblocking(False)
        try:
            _bound_unsent(self._socket, unsent_bytes)
        except OSError:  # the peer is gone already
            self._socket.close()
            raise
        self.send_now: Callable[[bytes], int] = self._socket.send
        self.chunk = 65_536
        self.sends_now = True

    async def receive(self) -> bytes:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(CHUNK)
            except BlockingIOError:
                continue

    async def receive_into(self, intake: Intake) -> None:
        if self._epoll_reader.is_running:
            await self._epoll_reader.wait(self._socket.fileno(), self._socket.recv, intake)
        else:
            self._resumed = Wakeup()
            await read_alone(self.receive, intake, self._resumed)

    def pause(self) -> None:
        self._epoll_reader.pause(self._socket.fileno())

    def resume(self) -> None:
        if self._resumed is None:
            self._epoll_reader.resume(self._socket.fileno())
        else:
            self._resumed.wake()

    async def send_some(self, data: bytes | memoryview) -> int:
        while True:
            await trio.lowlevel.wait_writable(self._socket)
            try:
                # A part of it: the kernel takes several MB at once for a peer that reads, which takes 7 ms.
                return self._socket.send(memoryview(data)[: self.chunk])
            except BlockingIOError:
                continue

    def send_eof(self) -> None:
        with contextlib.suppress(OSError):  # the peer may be gone already
            self._socket.shutdown(socket.SHUT_WR)

    async def aclose(self, farewell: bytes = b"") -> None:
        if self._socket.fileno() >= 0:
            if farewell:
                with contextlib.suppress(OSError):
                    self._socket.send(farewell)
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


def _bound_unsent(sock: socket.socket, unsent_bytes: int) -> None:
    """Bound the unsent data that the kernel holds, and let it send without delay."""
    if sock.family == getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, unsent_bytes)
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Without it the kernel takes 4 MiB for a client that never reads, before the outbox gets a byte.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes)


class StreamTransport:
    """Any trio stream: TLS, or memory in tests. All output goes through the outbox and the write pump."""

    __slots__ = ("_records", "_resumed", "_stream", "chunk", "send_now", "sends_now")

    def __init__(self, stream: trio.abc.Stream, budget: PassBudget) -> None:
        self._stream = stream
        self._records: TLSRecords | None = None
        if isinstance(stream, trio.SSLStream):
            self._records = stream.transport_stream = TLSRecords(stream.transport_stream, budget)
        self._resumed = Wakeup()
        self.send_now: Callable[[bytes], int] = _would_block
        self.chunk = 4_096  # small, so that a slow peer shows progress: 400 bytes a second are enough
        self.sends_now = False

    async def receive(self) -> bytes:
        if self._records is not None:
            self._records.expect_data()
        return bytes(await self._stream.receive_some(CHUNK))

    async def receive_into(self, intake: Intake) -> None:
        await read_alone(self.receive, intake, self._resumed)

    def pause(self) -> None:
        pass  # `read_alone` asks the intake

    def resume(self) -> None:
        self._resumed.wake()

    async def send_some(self, data: bytes | memoryview) -> int:
        chunk = data[: self.chunk]
        await self._stream.send_all(chunk)
        return len(chunk)

    def send_eof(self) -> None:
        pass  # it would have to wait; closing tells the peer, too

    async def aclose(self, farewell: bytes = b"") -> None:
        with trio.CancelScope(shield=True):
            if farewell:
                # A stream cannot send without waiting; a moment is enough if the peer reads.
                with trio.move_on_after(_FAREWELL_SECONDS), contextlib.suppress(OSError, trio.BrokenResourceError):
                    await self._stream.send_all(farewell)
            await trio.aclose_forcefully(self._stream)


def _would_block(_: bytes) -> int:
    raise BlockingIOError


async def send_last(transport: Transport, *parts: bytes, seconds: float, budget: PassBudget) -> None:
    """Send a last answer so that it arrives: send it, half-close, and drop for a moment what the peer still sends.

    A socket that is closed with unread bytes sends a reset, which may overtake the
    answer. Gives up when nothing could be sent for `seconds`. Large files to many are sent within the budget of
    the pass.
    """
    for part in parts:
        rest = memoryview(part)  # a slice of bytes would copy a large file again and again
        while rest:
            await budget.share(Line.READING)
            with trio.move_on_after(seconds) as scope:
                rest = rest[await transport.send_some(rest) :]
            if scope.cancelled_caught:
                return
    transport.send_eof()
    drained = 0
    with trio.move_on_after(_LINGERING_SECONDS):
        while drained < _LINGERING_BYTES:
            received = await transport.receive()
            if not received:
                return
            drained += len(received)
