"""The test client: a client of the protocol at the other end of a pipe.

Law: it reads all the time and answers pings, as a browser does, unless `reads` is False.
"""

import contextlib
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec
import trio
import trio.testing

from .._protocol.frames import CLOSE, FINAL_BIT, PING, PONG, TEXT, client_frame, split_server_frames
from ..errors import ActionError, CloseCode

_KEY: Final = "c2ltcGx5c29ja2V0IHRlcw=="  # any 16 bytes, in base64
_PATIENCE: Final = 6 * 3600.0  # seconds of trio's clock, after which a wait fails; virtual time passes in a moment
_MASK: Final = b"\x12\x34\x56\x78"  # any 4 bytes


class ConnectionEnded(Exception):
    """The connection has ended. `code` and `reason` are those of the server's Close; 1006 if none came."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class TestClient:
    """A client for tests, made by `Net.connect`. It reads all the time and answers pings, as a browser does.

    Messages are kept until the test takes them with `receive`, `request` or `settle`. With
    `Net.connect(reads=False)` it reads only while one of its methods waits.
    """

    __test__ = False  # pytest would collect it as a test because of its name

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.id: str = ""  # from `welcome`; empty with `greet=False`
        self.name: str = ""
        self.pings: int = 0  # how many the server has sent
        self._ids = itertools.count(1)
        self._rest = b""  # received bytes that are not a complete frame yet
        self._frames: deque[tuple[int, bytes]] = deque()
        self._messages: deque[dict[str, Any]] = deque()  # Any: JSON
        self._ended: ConnectionEnded | None = None
        self._came = trio.lowlevel.ParkingLot()
        self._is_reading = False

    async def shake_hands(self, name: str, *, path: str, greet: bool, headers: dict[str, str]) -> None:
        """Send the request head and read the answer; `ActionError` with the HTTP status if it is a refusal."""
        lines = [
            f"GET {path}?name={quote(name)} HTTP/1.1",
            *([] if "host" in map(str.lower, headers) else ["Host: testserver"]),
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {_KEY}",
            "Sec-WebSocket-Version: 13",
            *(["Sec-WebSocket-Protocol: simplysocket.json"] if greet else []),
            *(f"{key}: {value}" for key, value in headers.items()),
        ]
        await self.stream.send_all("\r\n".join([*lines, "", ""]).encode())
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
        self.name = name
        if greet:
            welcome = await self.receive()
            self.id = welcome["message_body"]["client"]

    # --- messages

    async def send(
        self,
        action: str,
        body: object = None,
        *,
        target: str | None = None,
        id: str | int | None = None,
        **keys: object,
    ) -> None:
        """Send one message. `keys` are further keys of the envelope, such as `timeout=5`.

        With `id` it is a request, and its answer comes as a message. `body`, `target` and `id` are
        left out if they are None.
        """
        message: dict[str, object] = {"action": action, **keys}
        if body is not None:
            message["message_body"] = body
        if target is not None:
            message["target"] = target
        if id is not None:
            message["id"] = id
        await self.send_bytes(client_frame(msgspec.json.encode(message), key=_MASK))

    async def receive(self) -> dict[str, Any]:
        """Wait for the next message and return it as a dict; the oldest comes first.

        Its keys are those of the envelope: `action`, `message_body`, `IsTargetClient`, `target`,
        `sender`, and in some messages `id`, `timeout` and `room`. Raises `ConnectionEnded` if
        the server has closed the connection and no message is left, and `trio.TooSlowError` if
        none comes within six hours of trio's clock.
        """
        await self._wait_for(lambda: bool(self._messages))
        return self._messages.popleft()

    async def request(self, action: str, body: object = None, *, target: str | None = None, **keys: object) -> Any:
        """Send a request, wait for its answer, and return the body of the reply.

        Other messages that come meanwhile are kept for `receive`. `target` is a room's name;
        None is the global room. Raises `ActionError` with the code and the text if the answer
        is an error, otherwise the same as `receive`.
        """
        id = next(self._ids)
        await self.send(action, body, target=target, id=id, **keys)

        def answers() -> list[dict[str, Any]]:
            return [each for each in self._messages if each.get("id") == id and each["action"] in ("reply", "error")]

        await self._wait_for(lambda: bool(answers()))
        message = answers()[0]
        self._messages.remove(message)
        answer = message["message_body"]
        if message["action"] == "error":
            raise ActionError(
                answer["code"], answer["message"], retry_after=answer.get("retry_after"), path=answer.get("path")
            )
        return answer

    async def join(self, name: str, **options: object) -> dict[str, Any]:
        """Join a room and return the answer: `{roomname, created, members, total}`; `ActionError` if it is refused."""
        answer: dict[str, Any] = await self.request("join-room", {"roomname": name, **options})
        return answer

    async def settle(self) -> list[dict[str, Any]]:
        """Let all tasks run until all of them wait; return the messages that have come by then.

        Use it to show that no message comes.
        """
        await trio.testing.wait_all_tasks_blocked()
        received, self._messages = list(self._messages), deque()
        return received

    async def close(self, code: int = CloseCode.NORMAL) -> None:
        """Close the connection as a client does: send a Close, and wait for the server's.

        Messages that came before can still be received. With `stream.aclose()` the client
        disappears without a Close.
        """
        await self.send_bytes(client_frame(code.to_bytes(2, "big"), opcode=CLOSE, key=_MASK))
        await self.wait_ended()
        await self.stream.aclose()

    async def wait_ended(self) -> ConnectionEnded:
        """Wait until the connection has ended, and return its code and reason.

        Messages that came before can still be received.
        """
        with contextlib.suppress(ConnectionEnded):
            await self._wait_for(lambda: False)
        return self._ended or ConnectionEnded(CloseCode.ABNORMAL, "")

    async def _wait_for(self, has_come: Callable[[], bool]) -> None:
        with trio.move_on_after(_PATIENCE):
            await self._wait_until(has_come)
            return
        raise trio.TooSlowError(
            f"{self.name or 'the client'} waited {_PATIENCE / 3600:g} hours for what never came;"
            " settle() takes what there is, trio.fail_after(...) waits for less"
        )

    async def _wait_until(self, has_come: Callable[[], bool]) -> None:
        while not has_come():
            if self._ended is not None:
                raise self._ended
            if self._is_reading:
                await self._came.park()
            else:
                await self._read_one()

    # --- bytes

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, such as a broken frame."""
        await self.stream.send_all(data)

    async def receive_frame(self) -> tuple[int, bytes]:
        """Return the next frame as (first byte, payload); only with `reads=False`.

        `ConnectionEnded` when the stream ends.
        """
        while not self._frames:
            frames, self._rest = split_server_frames(self._rest)
            self._frames += frames
            if not frames:
                try:
                    received = await self.stream.receive_some()
                except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                    received = b""
                if not received:
                    raise ConnectionEnded(CloseCode.ABNORMAL, "the stream ended without a Close")
                self._rest += received
        return self._frames.popleft()

    def start_reading(self, nursery: trio.Nursery) -> None:
        """Read in a task from now on, so that the server's frames never have to wait."""
        self._is_reading = True
        nursery.start_soon(self._read_always)

    async def _read_always(self) -> None:
        while self._ended is None:
            await self._read_one()

    async def _read_one(self) -> None:
        """Read one frame: keep a message, answer a ping, or record the end."""
        try:
            first, payload = await self.receive_frame()
            if first == FINAL_BIT | TEXT:
                self._messages.append(msgspec.json.decode(payload))
            elif first == FINAL_BIT | PING:
                self.pings += 1
                # The server may have closed meanwhile; the messages that it sent before are still to be read.
                with contextlib.suppress(trio.BrokenResourceError):
                    await self.send_bytes(client_frame(payload, opcode=PONG, key=_MASK))
            elif first == FINAL_BIT | CLOSE:
                raise ConnectionEnded(int.from_bytes(payload[:2], "big"), payload[2:].decode())
        except ConnectionEnded as ended:
            self._ended = ended
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.send_bytes(client_frame(ended.code.to_bytes(2, "big"), opcode=CLOSE, key=_MASK))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._ended = ConnectionEnded(CloseCode.ABNORMAL, "the stream broke")
        self._came.unpark_all()
