"""The wire: the bytes below a connection, be it a socket or any other stream.

Laws: a whole write is taken or refused in one step by `send_now`; only the
connection (before it, the front door) reads and writes. Knows nothing of WebSockets.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

import trio

from .epoll import EpollReader

_LINGERING_BYTES = 65_536  # what a refused peer may still be sending; beyond it the answer may be lost to a reset
_LINGERING_SECONDS = 1.0
_FAREWELL_SECONDS = 0.1


Take = Callable[[bytes, float], bool]
"""Takes bytes, or b"" for the end, and when they were read; never waits. False: it takes no more for now."""


class Transport(Protocol):
    """What a connection needs of the transport."""

    chunk: int
    """How many bytes `send_some` is best given at once; some of them must go within the write deadline."""

    @property
    def send_now(self) -> Callable[[bytes], int]:
        """Take what can go at once, and say how many bytes; BlockingIOError when none, OSError when broken."""

    async def receive(self) -> bytes:
        """Wait for bytes; b"" is the end. OSError or trio.BrokenResourceError when broken."""

    async def receive_into(self, take: Take) -> None:
        """Hand over all that arrives, as it arrives, until `take` returns False; raises as `receive` does."""

    async def send_some(self, data: bytes | memoryview) -> int:
        """Wait until some bytes can go, and say how many went."""

    def send_eof(self) -> None:
        """Say that nothing more comes, as far as the transport can say so at once."""

    sends_now: bool
    """Whether `send_now` ever takes anything; else all goes through `send_some`."""

    async def aclose(self, farewell: bytes = b"") -> None:
        """Close now, whatever the peer does; `farewell` goes out before if it can go at once."""


class SocketTransport:
    """A TCP or Unix socket, non-blocking and without trio's wrapper: trio's sockets cannot send without waiting."""

    __slots__ = ("_epoll_reader", "_socket", "chunk", "send_now", "sends_now")

    def __init__(self, stream: trio.SocketStream, unsent_bytes: int, epoll_reader: EpollReader) -> None:
        """Take the socket out of `stream`. `unsent_bytes`: how much the kernel may hold that is not yet sent."""
        self._epoll_reader = epoll_reader
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
                return self._socket.recv(65_536)
            except BlockingIOError:
                continue

    async def receive_into(self, take: Take) -> None:
        receive = self._socket.recv

        def readable(now: float) -> bool:
            try:
                data = receive(65_536)
            except BlockingIOError:
                return True
            return take(data, now)

        await self._epoll_reader.wait(self._socket.fileno(), readable)

    async def send_some(self, data: bytes | memoryview) -> int:
        while True:
            await trio.lowlevel.wait_writable(self._socket)
            try:
                return self._socket.send(data)
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
    """Let the kernel hold little that is not yet sent, and send it without delay."""
    if sock.family == getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, unsent_bytes)
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Without it the kernel takes 4 MiB for a client that never reads before the outbox sees anything.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes)


class StreamTransport:
    """Any trio stream: TLS, or memory in tests. What is sent always goes through the outbox and the write pump."""

    __slots__ = ("_stream", "chunk", "send_now", "sends_now")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.send_now: Callable[[bytes], int] = _would_block
        self.chunk = 4_096  # so that progress is seen in small steps: 400 bytes a second are enough
        self.sends_now = False

    async def receive(self) -> bytes:
        return bytes(await self._stream.receive_some(65_536))

    async def receive_into(self, take: Take) -> None:
        while take(await self.receive(), trio.current_time()):
            pass

    async def send_some(self, data: bytes | memoryview) -> int:
        chunk = data[: self.chunk]
        await self._stream.send_all(chunk)
        return len(chunk)

    def send_eof(self) -> None:
        pass  # only a wait could say it; closing says it too

    async def aclose(self, farewell: bytes = b"") -> None:
        with trio.CancelScope(shield=True):
            if farewell:
                # No stream says what it takes at once; a moment is enough for whoever reads.
                with trio.move_on_after(_FAREWELL_SECONDS), contextlib.suppress(OSError, trio.BrokenResourceError):
                    await self._stream.send_all(farewell)
            await trio.aclose_forcefully(self._stream)


def _would_block(_: bytes) -> int:
    raise BlockingIOError


async def send_last(transport: Transport, *parts: bytes, seconds: float) -> None:
    """Send a last answer so that it arrives: half-close, and drain briefly what the peer is still sending.

    A socket that is closed with unread bytes sends a reset, which may overtake the
    answer. Gives up after `seconds` in which nothing could be sent.
    """
    for part in parts:
        rest = memoryview(part)  # a large file would be copied again and again
        while rest:
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
