"""The library: trio-websocket, which makes the handshake and judges control frames, and the stream it is given.

Laws:
- Only this module knows trio-websocket, and trio-websocket never sees the socket.
- trio-websocket reads the request head, then one control frame at a time: pings, pongs, Close.
- It writes whole frames only, and each is given to the connection in one step.
"""

from typing import Protocol

import trio
import trio.abc
from trio_websocket import WebSocketConnection, wrap_server_stream

from .._wakeup import Wakeup
from ..errors import CloseCode

_CLOSE_BYTE = 0x88  # the first byte of a Close frame


class Owner(Protocol):
    """The connection, as the library sees it. Its methods never wait."""

    def deliver(self, data: bytes, frames: tuple[bytes], /) -> None:
        """Send the 101 response or a pong."""

    def answer_close(self, code: int, reason: str, frame: bytes) -> None:
        """Send the library's answer to the peer's Close, unless a Close was sent before."""

    def close(self, code: int) -> None:
        """Send a Close with this code, unless one was sent before."""


class LibraryStream(trio.abc.Stream):
    """The stream that trio-websocket takes for its peer; for us, the way to give it frames."""

    __slots__ = ("_frames", "_head", "_is_asked", "_is_closed", "_owner", "_wakeup", "_websocket")

    def __init__(self, owner: Owner, head: bytes) -> None:
        """Make the stream; `head` is the request head, which the library reads first."""
        self._owner = owner
        self._head = head
        self._frames: list[bytes] = []  # that the library has not read yet
        self._wakeup = Wakeup()  # of the library's task that reads
        self._is_closed = False
        self._is_asked = False  # the library waits for the next frame
        self._websocket: WebSocketConnection | None = None  # None before the handshake is done

    # --- for the connection

    async def shake_hands(self, nursery: trio.Nursery, subprotocol: str | None, message_bytes: int | None) -> None:
        """Answer the request head with the 101 response; the library's reading task stays in `nursery`."""
        request = await wrap_server_stream(nursery, self, max_message_size=message_bytes or 2**63)
        self._websocket = await request.accept(subprotocol=subprotocol)

    async def put(self, frame: bytes) -> None:
        """Hand over one control frame, and wait until the library has judged it and asks for the next."""
        self._frames.append(frame)
        self._wakeup.wake()
        while not self._is_closed and (self._frames or not self._is_asked):
            await trio.lowlevel.checkpoint()

    # --- for trio-websocket

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head  # without a checkpoint, which would cost each connection a pass of the scheduler
        self._is_asked = True
        while not self._frames and not self._is_closed:
            await self._wakeup.wait()
        if self._is_closed:
            await trio.lowlevel.checkpoint()
            return b""
        self._is_asked = False
        frame = b"".join(self._frames)
        self._frames.clear()
        return frame

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        # One step, so that no cancellation can cut a frame in two. The library's lock before it is a checkpoint.
        frame = bytes(data)
        if frame[0] == _CLOSE_BYTE:
            code = int.from_bytes(frame[2:4], "big") or CloseCode.NORMAL
            self._owner.answer_close(code, frame[4:].decode(), frame)
        else:
            self._owner.deliver(frame, (frame,))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        # When it refuses a frame, trio-websocket ends without a Close: the connection sends one.
        self._is_closed = True
        closed = self._websocket.closed if self._websocket is not None else None
        code = closed.code if closed is not None else CloseCode.PROTOCOL_ERROR
        self._owner.close(code if code in (CloseCode.INVALID_DATA, CloseCode.TOO_BIG) else CloseCode.PROTOCOL_ERROR)
        await trio.lowlevel.checkpoint()
