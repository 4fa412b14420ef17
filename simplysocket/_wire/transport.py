"""The transport: the bytes below a connection, over a socket or any other stream.

Laws:
- `send_now` never waits: it takes the first bytes of what it is given, all or some, or raises.
- Only one owner reads and writes: first the front door, then the connection.
- A polite end tells the peer that nothing more comes (over TLS a close_notify, then FIN) before the socket is closed.

Knows nothing of WebSockets.
"""

import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from .._pass_budget import Line, PassBudget
from .._wakeup import Wakeup
from .consumer import CHUNK, Consumer, read_alone
from .epoll import EpollReader
from .tls_records import TLSRecords

_LINGERING_SECONDS = 1.0  # for a peer that has got its last answer to end, too
_FAREWELL_SECONDS = 0.1  # for a last write to a stream, which cannot be done without waiting


class Transport(Protocol):
    """What a connection needs of its transport."""

    chunk: int
    """How many bytes `send_some` sends at most; some of them must be sent within the write deadline."""

    @property
    def send_now(self) -> Callable[[bytes], int]:
        """Send what can be sent at once; return how many bytes. BlockingIOError: none; OSError: broken."""

    async def receive(self) -> bytes:
        """Wait for bytes and return them; b"" is the end. OSError or trio.BrokenResourceError: broken."""

    def receive_into(self, consumer: Consumer) -> Awaitable[None]:
        """Give bytes to a consumer as they arrive, until it needs its owner; raises as `receive` does."""

    def pause(self) -> None:
        """Read no more, since the consumer is paused."""

    def resume(self) -> None:
        """Read again, since the consumer is not paused any more."""

    async def send_some(self, data: bytes | memoryview) -> int:
        """Wait until some bytes can be sent; return how many were."""

    sends_now: bool
    """Whether `send_now` ever takes bytes; if not, all go through `send_some`."""

    async def aclose(self, farewell: bytes = b"", *, linger: float | None = None) -> None:
        """Close; send `farewell` before, if that is possible at once.

        With `linger`, tell the peer that nothing more comes, and drop for at most so many seconds what it
        still sends: a socket that is closed with unread bytes sends a reset, which may overtake what was
        sent. Without it the end comes at once, whatever the peer does.
        """


class SocketTransport:
    """A TCP or Unix socket without trio's wrapper: a socket of trio cannot send without waiting."""

    __slots__ = ("_epoll_reader", "_is_new", "_resumed", "_socket", "chunk", "send_now", "sends_now")

    def __init__(self, sock: socket.socket, unsent_bytes: int, epoll_reader: EpollReader) -> None:
        """Take a socket over. `unsent_bytes`: how much unsent data the kernel may hold."""
        self._epoll_reader = epoll_reader
        self._is_new = True  # nothing was read yet
        self._resumed: Wakeup | None = None  # None if the epoll reader reads the socket
        self._socket = sock
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
        if self._is_new:
            self._is_new = False
            # A client's head often comes as fast as it is accepted: to wait for it costs a pass and a registration.
            try:
                return self._socket.recv(CHUNK)
            except BlockingIOError:
                pass
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(CHUNK)
            except BlockingIOError:
                continue

    def receive_into(self, consumer: Consumer) -> Awaitable[None]:
        if self._epoll_reader.is_running:
            return self._epoll_reader.wait(self._socket.fileno(), self._socket.recv, consumer)
        self._resumed = Wakeup()
        return read_alone(self.receive, consumer, self._resumed)

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

    async def aclose(self, farewell: bytes = b"", *, linger: float | None = None) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            with contextlib.suppress(OSError):  # the peer may be gone already, or has sent nothing more
                if farewell:
                    self._socket.send(farewell)
                if linger is not None:
                    self._socket.shutdown(socket.SHUT_WR)
                    if linger:
                        await _drop_input(self.receive, linger)
                    else:
                        self._socket.recv(CHUNK)
        finally:
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


def plain_socket(stream: trio.SocketStream) -> socket.socket:
    """Take the socket out of a stream of trio, which is then closed."""
    inner = stream.socket
    return socket.socket(inner.family, inner.type, inner.proto, fileno=inner.detach())


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

    def receive_into(self, consumer: Consumer) -> Awaitable[None]:
        return read_alone(self.receive, consumer, self._resumed)

    def pause(self) -> None:
        pass  # `read_alone` asks the consumer

    def resume(self) -> None:
        self._resumed.wake()

    async def send_some(self, data: bytes | memoryview) -> int:
        chunk = data[: self.chunk]
        await self._stream.send_all(chunk)
        return len(chunk)

    async def aclose(self, farewell: bytes = b"", *, linger: float | None = None) -> None:
        stream = self._stream
        with trio.CancelScope(shield=True):
            if farewell:
                # A stream cannot send without waiting; a moment is enough if the peer reads.
                with trio.move_on_after(_FAREWELL_SECONDS), contextlib.suppress(OSError, trio.BrokenResourceError):
                    await stream.send_all(farewell)
        try:
            if linger is not None:
                with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._end_politely(linger)
        finally:
            await trio.aclose_forcefully(stream if self._records is None else self._records.stream)

    async def _end_politely(self, linger: float) -> None:
        """Tell the peer that nothing more comes, and drop what it still sends."""
        stream = self._stream
        if self._records is not None:
            if linger:
                await _drop_input(self.receive, _FAREWELL_SECONDS)  # unread bytes would make a close_notify fail
            self._records.stays_open = True
            with trio.move_on_after(_FAREWELL_SECONDS), contextlib.suppress(trio.BrokenResourceError):
                await stream.aclose()  # sends the close_notify, unless the peer has sent more meanwhile
            stream = self._records.stream
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
            if linger:
                await _drop_input(stream.receive_some, linger)


async def _drop_input(receive: Callable[[], Awaitable[bytes | bytearray]], seconds: float) -> None:
    """Read and drop, for at most `seconds`, until the peer says that nothing more comes."""
    with trio.move_on_after(seconds):
        while await receive():
            pass


def _would_block(_: bytes) -> int:
    raise BlockingIOError


async def send_last(transport: Transport, *parts: bytes, seconds: float, budget: PassBudget) -> None:
    """Send a last answer so that it arrives, and close. Gives up when nothing could be sent for `seconds`.

    Large files to many are sent within the budget of the pass.
    """
    for part in parts:
        rest = memoryview(part)  # a slice of bytes would copy a large file again and again
        while rest:
            await budget.share(Line.READING)
            with trio.move_on_after(seconds) as scope:
                rest = rest[await transport.send_some(rest) :]
            if scope.cancelled_caught:
                return
    await transport.aclose(linger=_LINGERING_SECONDS)
