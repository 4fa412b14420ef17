"""The library: trio-websocket, which makes the handshake and judges control frames, and the stream it is given.

Laws:
- Only this module knows trio-websocket, and trio-websocket never sees the socket.
- trio-websocket reads the request head, then one control frame at a time: pings, pongs, Close.
- It writes whole frames only, and each is given to the connection in one step.
- Its reader has no task of its own. It goes on in the task that has a frame for it, until it asks for the next one.
"""

import contextlib
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, Protocol, cast

import trio
import trio.abc
from trio_websocket import WebSocketConnection, wrap_server_stream

from .._protocol.delivery_classes import UncountedFrame
from ..errors import CloseCode

_CLOSE_BYTE = 0x88  # the first byte of a Close frame
_NEXT: Final = object()  # what the library's reader yields to ask for the next frame


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

    __slots__ = ("_head", "_is_closed", "_owner", "_reader", "_websocket")

    def __init__(self, owner: Owner, head: bytes) -> None:
        """Make the stream; `head` is the request head, which the library reads first."""
        self._owner = owner
        self._head = head
        self._is_closed = False
        self._reader: Coroutine[Any, Any, None] | None = None  # the library's; None before it starts and after its end
        self._websocket: WebSocketConnection | None = None  # None before the handshake is done

    # --- for the connection

    async def shake_hands(self, subprotocol: str | None, message_bytes: int | None) -> None:
        """Answer the request head with the 101 response."""
        # The library asks of a nursery only `start_soon`, once, for its reader.
        request = await wrap_server_stream(cast(trio.Nursery, self), self, max_message_size=message_bytes or 2**63)
        self._websocket = await request.accept(subprotocol=subprotocol)

    async def put(self, frame: bytes) -> None:
        """Hand over one control frame, and wait until the library has judged it and asks for the next."""
        reader, self._reader = self._reader, None
        if reader is not None and await _go_on(reader, frame):
            self._reader = reader

    def end(self) -> None:
        """Let go of the library, whose reader ends. It gets no more frames."""
        websocket, self._websocket = self._websocket, None  # it refers to this stream
        reader, self._reader = self._reader, None
        if reader is not None:
            with contextlib.suppress(GeneratorExit, StopIteration):
                reader.throw(GeneratorExit())
                reader.throw(GeneratorExit())  # it has closed its channel, and then yields to trio once
        if websocket is not None:
            _free_parser(websocket)

    # --- for trio-websocket

    def start_soon(self, reader: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the library's reader up to the head's end: it has the head at once, so it yields nothing before."""
        self._reader = reader()
        if self._reader.send(None) is not _NEXT:
            raise RuntimeError("trio-websocket did not take the request head at once")

    @types.coroutine
    def receive_some(self, max_bytes: int | None = None) -> Generator[object, bytes, bytes]:
        if self._head:
            head, self._head = self._head, b""
            return head
        return b"" if self._is_closed else (yield _NEXT)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        # One step, so that no cancellation can cut a frame in two. The library's lock before it is a checkpoint.
        frame = UncountedFrame(data)
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


def _free_parser(websocket: WebSocketConnection) -> None:
    """Part wsproto's parser and its generator: they refer to each other, and would wait for the garbage collector."""
    with contextlib.suppress(AttributeError):  # the names are private: another version may have others
        connection = websocket._wsproto.connection
        if connection is not None:
            del connection._proto._parse_more


@types.coroutine
def _go_on(reader: Coroutine[Any, Any, None], frame: bytes) -> Generator[Any, Any, bool]:
    """Give the library's reader a frame, and await it until it asks for the next one; return False if it ends."""
    step: Callable[[Any], Any] = reader.send
    value: Any = frame
    while True:
        try:
            trap = step(value)
        except StopIteration:
            return False
        finally:
            value = None  # an exception that is raised again refers to this frame
        if trap is _NEXT:
            return True
        try:
            value = yield trap
            step = reader.send
        except BaseException as exc:
            value = exc
            step = reader.throw
