"""What the attack tests share: a live server, a peer on a raw socket, and a bystander who must not notice anything.

Laws:
- The peer knows the wire only: of the package it uses nothing but `client_frame`.
- Every wait is bounded; whatever was opened for an attack is closed before the server is looked at.
- After an attack tasks, descriptors, connections, clients and rooms are as many as before it.
"""

import contextlib
import json
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import trio
import trio.testing

from simplysocket import Client, Limits, Room, Server, action
from simplysocket._protocol.frames import client_frame

KEY = "c2ltcGx5c29ja2V0IHRlcw=="
MASK = b"\x12\x34\x56\x78"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL = 0x80
NO_CODE = 1005  # what a side notes when a Close had no code
NO_CLOSE = 1006  # what a side notes when the stream ended without a Close
TICK_SECONDS = 0.015
TEST_SECONDS = 20.0  # no test may take longer, whatever goes wrong
FAST = {"close_seconds": 0.2, "handshake_seconds": 0.3, "write_seconds": 0.5}


def head(line: str = "GET /ws HTTP/1.1", *more: str, **changes: str | None) -> bytes:
    """Return a WebSocket request head; `changes` replace its headers, None leaves one out, `more` are further lines."""
    headers: dict[str, str | None] = {
        "host": "127.0.0.1",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [line, *(f"{name}: {value}" for name, value in headers.items() if value is not None), *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(payload: bytes | str = b"", opcode: int = TEXT, *, final: bool = True) -> bytes:
    """Return a masked frame."""
    data = payload.encode() if isinstance(payload, str) else payload
    return client_frame(data, opcode=opcode, key=MASK, final=final)


def message(action: str, body: object = None, **keys: object) -> bytes:
    """Return one message as a frame."""
    return frame(json.dumps({"action": action, "message_body": body, **keys}))


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Return a client's Close."""
    return frame(b"" if code is None else code.to_bytes(2, "big") + reason, CLOSE)


@attrs.frozen
class Answer:
    """An HTTP answer; `body` is complete, since the server closes behind it, but for a 101."""

    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """A client on a raw stream. It reads when it is told to, and only then."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.heard: list[tuple[int, bytes]] = []  # frames that `end` passed by, as (first byte, payload)
        self.is_cut = False  # the stream ended inside a frame
        self._data = b""
        self._frames: deque[tuple[int, bytes]] = deque()

    # --- speaking

    async def send(self, data: bytes) -> None:
        """Send bytes as they are; that the server has closed meanwhile, or this side has, is no error."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(data)

    async def send_eof(self) -> None:
        """Say that nothing more comes, and go on reading."""
        assert isinstance(self.stream, trio.SocketStream)
        with contextlib.suppress(trio.BrokenResourceError, OSError):
            await self.stream.send_eof()

    async def say(self, action: str, body: object = None, **keys: object) -> None:
        """Send one message."""
        await self.send(message(action, body, **keys))

    async def request(self, action: str, body: object = None, *, id: int = 1, **keys: object) -> dict[str, Any]:
        """Send a request and return its `reply` or `error`; what else comes is passed by."""
        await self.say(action, body, id=id, **keys)
        while True:
            received = await self.receive()
            if received.get("id") == id:
                return received

    async def ask(self, request_head: bytes) -> Answer:
        """Send a request head and read the answer, all of it unless it is a 101; status 0 when none came."""
        await self.send(request_head)
        return await self.read_answer()

    async def read_answer(self) -> Answer:
        """Read what is answered to a request head."""
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
        answer = await self.ask(request_head or head())
        assert answer.status == 101, answer

    async def close(self) -> None:
        await trio.aclose_forcefully(self.stream)

    async def reset(self) -> None:
        """End with a TCP reset."""
        assert isinstance(self.stream, trio.SocketStream)
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close()

    # --- hearing

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
        """Return the next message; pings are answered, pongs are kept in `heard`."""
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
        """Read to the end and return the code of the server's Close, behind which nothing may come."""
        code = NO_CLOSE
        while (found := await self.next_frame()) is not None:
            assert code == NO_CLOSE, f"{found} came behind the Close"
            if found[0] == FINAL | CLOSE:
                code = int.from_bytes(found[1][:2], "big") or NO_CODE
                if answer:
                    await self.send(close(code))
            else:
                self.heard.append(found)
        assert code == NO_CLOSE or not self.is_cut, "bytes came behind the Close"
        return code

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages among what `end` passed by."""
        return [json.loads(payload) for first, payload in self.heard if first == FINAL | TEXT]


class Watch(Room):
    """The bystander's room: it counts aloud, and echoes."""

    async def on_create(self) -> None:
        self.count = 0
        self.every(TICK_SECONDS, self.tick)

    async def tick(self) -> None:
        self.count += 1
        await self.broadcast("tick", self.count)

    @action("echo")
    async def echo(self, body: int) -> int:
        return body


class Hall(Room):
    """A room to attack in: `say` goes to everyone, `wait` holds the turn."""

    @action("say")
    async def say(self, client: Client, body: Any) -> None:
        await self.broadcast("said", body, sender=client)

    @action("wait")
    async def wait(self, body: float) -> None:
        await trio.sleep(body)


def make_server(*, limits: dict[str, Any] | None = None, **options: Any) -> Server:
    """Return a server with short deadlines, the bystander's room, a hall, and the action `echo`."""
    server = Server("fort", limits=Limits(**{**FAST, **(limits or {})}), **options)
    server.room("watch")(Watch)
    server.room("hall*")(Hall)

    @server.action("echo")
    async def echo(body: Any) -> Any:
        return body

    return server


class Bystander:
    """One who sits in a room, hears it count, sends each number back as a request, and misses nothing."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.heard = 0
        self.echoed = 0
        self.is_leaving = False
        self._progress = trio.lowlevel.ParkingLot()

    async def watch(self) -> None:
        """Listen until the server closes; AssertionError for anything missed, doubled or out of order."""
        peer = self.peer
        while True:
            received = await peer.receive()
            body = received["message_body"]
            if self.is_leaving:
                assert await peer.end() == 3001
                return
            if received["action"] == "tick":
                assert not self.heard or body == self.heard + 1, f"heard {body} behind {self.heard}"
                self.heard = body
                await peer.say("echo", body, id=body, target="watch")
            else:
                assert received["action"] == "reply", received
                assert not self.echoed or body == received["id"] == self.echoed + 1, f"{body} behind {self.echoed}"
                self.echoed = body
            self._progress.unpark_all()

    async def hear(self, more: int = 2) -> None:
        """Wait until `more` further numbers have come and gone."""
        last = self.heard + more
        while self.echoed < last:
            await self._progress.park()


@attrs.frozen
class Base:
    """How many there are of what."""

    tasks: int
    descriptors: int
    connections: int
    clients: int
    rooms: int

    @classmethod
    def of(cls, server: Server) -> "Base":
        counted = server.statistics()
        return cls(
            trio.lowlevel.current_statistics().tasks_living,
            len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd")),
            counted["connections"],
            counted["clients"],
            counted["rooms"],
        )


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; the test's deadline is the bound."""
    while not is_so():  # noqa: ASYNC110 - the server rings no event for tests
        await trio.sleep(0.002)


class Field:
    """A live server, by default on 127.0.0.1, and the peers that attack it."""

    def __init__(self, server: Server, reach: Callable[[], Awaitable[trio.abc.Stream]] | None = None) -> None:
        """`reach` opens a stream to the server where it is not by TCP."""
        self.server = server
        self._reach = reach
        self.bystander: Bystander | None = None
        self._peers: list[Peer] = []

    async def dial(self, *, receive_bytes: int | None = None) -> Peer:
        """Connect and say nothing. `receive_bytes`: how much the peer's kernel may take in for it."""
        if self._reach is not None:
            return self.add(await self._reach())
        sock = trio.socket.socket()
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        await sock.connect(("127.0.0.1", self.server.port))
        return self.add(trio.SocketStream(sock))

    def add(self, stream: trio.abc.Stream) -> Peer:
        """Return a peer on this stream, which is closed with the others."""
        peer = Peer(stream)
        self._peers.append(peer)
        return peer

    async def connect(self, request_head: bytes | None = None, **options: Any) -> Peer:
        """Connect and shake hands."""
        peer = await self.dial(**options)
        await peer.shake_hands(request_head)
        return peer

    async def join(self, room: str, **options: Any) -> Peer:
        """Connect and join a room."""
        peer = await self.connect(**options)
        answer = await peer.request("join-room", {"roomname": room}, id=0)
        assert answer["action"] == "reply", answer
        return peer

    async def ask(self, request_head: bytes) -> Answer:
        """Send one request over a connection of its own."""
        peer = await self.dial()
        answer = await peer.ask(request_head)
        await peer.close()
        return answer

    async def until_base(self, base: Base) -> None:
        """Wait until there are as many of everything as `base` says."""
        with trio.move_on_after(5):
            while Base.of(self.server) != base:
                await trio.testing.wait_all_tasks_blocked(0.001)
                await trio.sleep(0.002)
        assert Base.of(self.server) == base

    async def until_closed(self, *codes: int) -> None:
        """Wait until as many connections have been closed, with these codes and no others."""
        closed = self.server.metrics.connections_closed
        await until(lambda: closed.total() >= len(codes))
        assert sorted(closed.elements()) == sorted(codes)

    async def leave(self) -> None:
        """Close what the attack has opened."""
        for peer in self._peers:
            await peer.close()
        self._peers.clear()


@contextlib.asynccontextmanager
async def siege(
    server: Server | None = None,
    *,
    serve: Callable[..., Awaitable[None]] | None = None,
    reach: Callable[[], Awaitable[trio.abc.Stream]] | None = None,
    seconds: float = TEST_SECONDS,
    **limits: Any,
) -> AsyncIterator[Field]:
    """Serve for the block, with a bystander; behind it see that he missed nothing and that nothing was left behind."""
    server = server or make_server(limits=limits)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(trio.fail_after(seconds))
        field, stay = Field(server, reach), Field(server, reach)  # the bystander's peer is no part of the attack
        stack.push_async_callback(stay.leave)
        stack.push_async_callback(field.leave)
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(serve or partial(server.serve, "127.0.0.1", 0))
        field.bystander = bystander = Bystander(await stay.join("watch"))
        nursery.start_soon(bystander.watch)
        await bystander.hear()
        base = Base.of(server)
        yield field
        await field.leave()
        await bystander.hear()
        await field.until_base(base)
        bystander.is_leaving = True
        await server.stop(1)
