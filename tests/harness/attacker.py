"""An attacker: a client on a raw stream, which knows the wire only.

Law: of the package, only `client_frame` (by way of `frames`) is used to talk to the server.
"""

import contextlib
import json
import socket
import struct
from collections import deque
from typing import Any

import attrs
import trio

from simplysocket.testing import Net

from .frames import CLOSE, FINAL, NO_CLOSE, NO_CODE, PING, PONG, TEXT, close, frame, head, message


@attrs.frozen
class Answer:
    """An HTTP answer; `body` is complete except after a 101, since the server then closes the connection."""

    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """A client on a raw stream. It reads only when it is told to."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.heard: list[tuple[int, bytes]] = []  # frames that `receive` and `end` skipped, as (first byte, payload)
        self.is_cut = False  # the stream ended inside a frame
        self._data = b""
        self._frames: deque[tuple[int, bytes]] = deque()

    # --- sending

    async def send(self, data: bytes) -> None:
        """Send bytes as they are; it is no error when either side has closed."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(data)

    async def send_eof(self) -> None:
        """Close the sending side; reading goes on."""
        assert isinstance(self.stream, trio.SocketStream)
        with contextlib.suppress(trio.BrokenResourceError, OSError):
            await self.stream.send_eof()

    async def say(self, action: str, body: object = None, **keys: object) -> None:
        """Send one message."""
        await self.send(message(action, body, **keys))

    async def request(self, action: str, body: object = None, *, id: int = 1, **keys: object) -> dict[str, Any]:
        """Send a request and return its `reply` or `error`; other messages are dropped."""
        await self.say(action, body, id=id, **keys)
        while True:
            received = await self.receive()
            if received.get("id") == id:
                return received

    async def ask(self, request_head: bytes) -> Answer:
        """Send a request head and return the answer; see `read_answer`."""
        await self.send(request_head)
        return await self.read_answer()

    async def read_answer(self) -> Answer:
        """Read the answer to a request head, with its body unless it is a 101; status 0 when no answer came."""
        while b"\r\n\r\n" not in self._data:
            if not await self._read():
                return Answer(0, {}, self._data)
        first, *lines = self._data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        self._data = self._data.partition(b"\r\n\r\n")[2]
        while status != 101 and await self._read():
            pass
        return Answer(
            status, {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}, self._data
        )

    async def shake_hands(self, request_head: bytes | None = None) -> None:
        """Upgrade to a WebSocket."""
        answer = await self.ask(request_head or head())
        assert answer.status == 101, answer

    async def close(self) -> None:
        """Close the stream, without a Close."""
        await trio.aclose_forcefully(self.stream)

    async def reset(self) -> None:
        """Close the stream with a TCP reset."""
        assert isinstance(self.stream, trio.SocketStream)
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close()

    # --- receiving

    async def _read(self) -> bool:
        try:
            received = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            received = b""
        self._data += received
        return bool(received)

    async def next_frame(self) -> tuple[int, bytes] | None:
        """Return the next frame as (first byte, payload); None at the end of the stream."""
        while not self._frames:
            self._split()
            if not self._frames and not await self._read():
                self.is_cut = bool(self._data)
                return None
        return self._frames.popleft()

    def _split(self) -> None:
        data, at = self._data, 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            assert size < 128, "a server's frame is never masked"
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big")
            if start + size > len(data) or start > len(data):
                break
            self._frames.append((data[at], data[start : start + size]))
            at = start + size
        self._data = data[at:]

    async def receive(self) -> dict[str, Any]:
        """Return the next message; pings are answered, other frames are kept in `heard`."""
        while True:
            found = await self.next_frame()
            assert found is not None, "the stream ended"
            first, payload = found
            assert first != FINAL | CLOSE, f"closed with {int.from_bytes(payload[:2], 'big')} {payload[2:]!r}"
            if first == FINAL | PING:
                await self.send(frame(payload, PONG))
            elif first == FINAL | TEXT:
                received: dict[str, Any] = json.loads(payload)
                return received
            else:
                self.heard.append(found)

    async def end(self, *, answer: bool = True) -> int:
        """Read to the end and return the code of the server's Close; nothing may come after it."""
        code = NO_CLOSE
        while (found := await self.next_frame()) is not None:
            assert code == NO_CLOSE, f"{found} came after the Close"
            if found[0] == FINAL | CLOSE:
                code = int.from_bytes(found[1][:2], "big") or NO_CODE
                if answer:
                    await self.send(close(code))
            else:
                self.heard.append(found)
        assert code == NO_CLOSE or not self.is_cut, "bytes came after the Close"
        return code

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages among the frames in `heard`."""
        return [json.loads(payload) for first, payload in self.heard if first == FINAL | TEXT]


async def send_head(net: Net, request_head: bytes) -> tuple[Peer, Answer]:
    """Connect in memory, send a request head, and read the answer. Close the stream unless it is a WebSocket now."""
    peer = Peer(await net.open_stream())
    answer = await peer.ask(request_head)
    if answer.status != 101:
        await peer.close()
    return peer, answer


async def request_upgrade(net: Net, *lines: str, target: str = "/ws", **changes: str | None) -> tuple[Peer, Answer]:
    """Connect in memory, ask for an upgrade, and read the answer; the arguments are those of `head`."""
    return await send_head(net, head(f"GET {target} HTTP/1.1", *lines, **changes))
