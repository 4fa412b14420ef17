"""One connection of a test client: its handshake, and its frames in both directions.

Laws:
- While it reads it answers pings and the server's Close, as a browser does.
- Frames that are queued go out in this order, and before any other.
- Once it has ended it stays so: a client that comes back has a new one.

Knows nothing of messages: the payload of a text frame goes to `on_text`.
"""

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import attrs
import trio

from .._protocol.frames import CLOSE, FINAL_BIT, PING, PONG, TEXT, client_frame, split_server_frames
from ..errors import ActionError, CloseCode
from .pipes import Pipe

_KEY: Final = "c2ltcGx5c29ja2V0IHRlcw=="  # any 16 bytes, in base64
_MASK: Final = b"\x12\x34\x56\x78"  # any 4 bytes
_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class ConnectionEnded(Exception):
    """The connection has ended. `code` and `reason` are those of the server's Close; 1006 if none came."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


@attrs.frozen
class Upgrade:
    """What a client asks for when it connects."""

    name: str
    path: str
    headers: dict[str, str]

    def head(self, subprotocols: list[str]) -> bytes:
        """Return the request head."""
        lines = [
            f"GET {self.path}?name={quote(self.name)} HTTP/1.1",
            *([] if "host" in map(str.lower, self.headers) else ["Host: testserver"]),
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {_KEY}",
            "Sec-WebSocket-Version: 13",
            *([f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}"] if subprotocols else []),
            *(f"{key}: {value}" for key, value in self.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


class ClientConnection:
    """A connection over `stream`, whose texts go to `on_text`."""

    def __init__(self, stream: trio.abc.Stream, on_text: Callable[[bytes], None]) -> None:
        self.stream = stream
        self.pings: int = 0  # how many the server has sent
        self.ended: ConnectionEnded | None = None
        self.is_dropped: bool = False
        self.changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()  # something was read, or nothing more comes
        self._on_text = on_text
        self._rest = b""  # received bytes that are not a complete frame yet
        self._frames: deque[tuple[int, bytes]] = deque()
        self._queue: deque[bytes] = deque()  # frames to send
        self._turn = trio.Lock()  # to send
        self._is_silent = False
        self._is_reading = False  # in a task of its own
        self._reading = trio.CancelScope()

    @property
    def is_live(self) -> bool:
        """Whether something may still come and go."""
        return self.ended is None and not self._is_silent

    @property
    def _loses(self) -> bool:
        """Whether what is sent is lost without a word; the stream that was dropped raises instead."""
        return self._is_silent and not self.is_dropped

    async def shake_hands(self, request_head: bytes) -> None:
        """Send the request head and read the answer; `ActionError` with the HTTP status if it is a refusal."""
        await self.stream.send_all(request_head)
        head = b""
        while b"\r\n\r\n" not in head:
            received = await self.stream.receive_some()
            if not received:
                raise ConnectionEnded(CloseCode.ABNORMAL, "no answer to the request head")
            head += received
        head, _, self._rest = head.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1].decode()
        if status != "101":
            while received := await self.stream.receive_some():
                self._rest += received
            raise ActionError(status, head.decode("latin-1") + "\n" + self._rest.decode())

    # --- sending

    def queue(self, payload: bytes) -> None:
        """Put a message into the line of those that `flush` sends."""
        self._queue.append(client_frame(payload, key=_MASK))

    async def flush(self) -> None:
        """Send what is queued. What cannot be sent any more is lost."""
        with contextlib.suppress(*_BROKEN):
            await self.send_bytes(b"")

    async def send_frame(self, payload: bytes, *, opcode: int = TEXT) -> None:
        """Send one masked frame."""
        await self.send_bytes(client_frame(payload, opcode=opcode, key=_MASK))

    async def send_bytes(self, data: bytes) -> None:
        """Send what is queued, then bytes as they are; a silent connection loses them."""
        async with self._turn:
            while self._queue and not self._loses:
                await self.stream.send_all(self._queue.popleft())
            if not self._loses:
                await self.stream.send_all(data)

    # --- reading

    def start_reading(self, nursery: trio.Nursery) -> None:
        """Read in a task from now on, so that the server's frames never have to wait."""
        self._is_reading = True
        nursery.start_soon(self._read_always)

    async def _read_always(self) -> None:
        with self._reading:
            while self.ended is None:
                await self._read_one()

    async def wait(self) -> None:
        """Wait until something has been read; raises `ConnectionEnded` if nothing more comes."""
        if self.ended is not None:
            raise self.ended
        if self._is_reading or self._is_silent:
            await self.changed.park()
        else:
            await self._read_one()

    async def receive_frame(self) -> tuple[int, bytes]:
        """Return the next frame as (first byte, payload); `ConnectionEnded` when the stream ends."""
        while not self._frames:
            frames, self._rest = split_server_frames(self._rest)
            self._frames += frames
            if not frames:
                try:
                    received = await self.stream.receive_some()
                except _BROKEN:
                    received = b""
                if not received:
                    raise ConnectionEnded(CloseCode.ABNORMAL, "the stream ended without a Close")
                self._rest += received
        return self._frames.popleft()

    async def _read_one(self) -> None:
        """Read one frame: hand on a text, answer a ping, or record the end."""
        try:
            first, payload = await self.receive_frame()
            if first == FINAL_BIT | TEXT:
                self._on_text(payload)
            elif first == FINAL_BIT | PING:
                self.pings += 1
                # The server may have closed meanwhile; the messages that it sent before are still to be read.
                with contextlib.suppress(trio.BrokenResourceError):
                    await self.send_frame(payload, opcode=PONG)
            elif first == FINAL_BIT | CLOSE:
                raise ConnectionEnded(int.from_bytes(payload[:2], "big"), payload[2:].decode())
        except ConnectionEnded as ended:
            self.ended = ended
            with contextlib.suppress(*_BROKEN):
                await self.send_frame(ended.code.to_bytes(2, "big"), opcode=CLOSE)
        except _BROKEN:
            self.ended = ConnectionEnded(CloseCode.ABNORMAL, "the stream broke")
        self.changed.unpark_all()

    # --- a network that breaks

    def drop(self) -> None:
        """Break the stream: both ends learn of it at once, and what is under way is lost."""
        if not isinstance(self.stream, Pipe):
            raise RuntimeError("only a stream in memory can be dropped: connect with open_server(...)")
        self.stream.abort()
        self.is_dropped = True
        if self.ended is None:
            self.ended = ConnectionEnded(CloseCode.ABNORMAL, "dropped")
        self.go_silent()

    def go_silent(self) -> None:
        """Read and send nothing from now on."""
        self._is_silent = True
        self._on_text = _ignore  # the reader may have bytes already
        self._reading.cancel()
        self.changed.unpark_all()


def _ignore(_: bytes) -> None:
    pass
