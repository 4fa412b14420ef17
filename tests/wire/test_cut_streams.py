"""Connections that are cut anywhere, on real sockets and over TLS: what was not read is sent again, once, in order."""

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.lowlevel

from ..harness.attack import under_attack, until
from ..harness.attacker import Peer
from ..harness.frames import CLOSE, close, head
from ..harness.servers import make_attacked
from ..harness.tls import Contexts, make_contexts

DROPS = 12
LIMITS = {
    "resume_frames": None,
    "resume_bytes": None,
    "unsent_bytes": 4_096,
    "outboxes_bytes": None,
    "resumes_per_second": None,
    "bytes_per_second": None,
    "room_bytes_per_second": None,
    "handshake_seconds": 5.0,  # the default; a busy machine may need longer than attacked servers give
}


class Reader:
    """A client that counts what it has read of the numbered messages, and comes back where it was cut."""

    def __init__(self, dial: Callable[[], Awaitable[Peer]]) -> None:
        self._dial = dial
        self._counted = 0
        self._sent = 0
        self._token = ""
        self.numbers: list[int] = []
        self.outcomes: list[str] = []
        self.peer: Peer | None = None

    async def connect(self) -> None:
        """Connect for the first time, or come back."""
        position = f".{self._token}.{self._counted}.{self._sent}" if self._token else ""
        self.peer = peer = await self._dial()
        entries = f"simplysocket.json, simplysocket.resume{position}"
        await peer.shake_hands(head(sec_websocket_protocol=entries))
        welcome = await peer.receive()
        assert welcome["action"] == "welcome"
        resume = welcome["message_body"]["resume"]
        self._token = resume["token"]
        self.outcomes.append(resume["outcome"])
        assert resume["received"] == self._sent

    async def say(self, action: str, body: Any = None) -> None:
        assert self.peer is not None
        self._sent += 1
        await self.peer.say(action, body)

    async def read(self, count: int) -> None:
        """Read so many messages."""
        assert self.peer is not None
        for _ in range(count):
            message = await self.peer.receive()
            self._counted += 1
            if message["action"] == "number":
                self.numbers.append(message["message_body"]["n"])


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    return make_contexts()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("over_tls", [False, True], ids=["TCP", "TLS"])
async def test_a_stream_that_is_cut_anywhere_goes_on_where_it_was_read(
    seed: int, over_tls: bool, contexts: Contexts
) -> None:
    chance = random.Random(seed)
    server = make_attacked(**LIMITS)
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0] if over_tls else None)

    async def reach() -> trio.abc.Stream:
        sock = trio.socket.socket()
        sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4_096)
        await sock.connect(("127.0.0.1", server.port))
        stream = trio.SocketStream(sock)
        return (
            trio.SSLStream(stream, contexts[1], server_hostname="127.0.0.1", https_compatible=True)
            if over_tls
            else stream
        )

    async with under_attack(server, serve=serve, reach=reach) as attack:
        reader = Reader(attack.dial)
        await reader.connect()
        await reader.say("join-room", {"roomname": "hall"})
        await reader.read(1)
        said = 0
        for _ in range(DROPS):
            for _ in range(chance.randrange(1, 30)):
                body = {"n": said, "filling": "x" * chance.choice([0, 10, 3_000, 30_000])}
                volatile = chance.random() < 0.1
                if volatile:
                    await server.rooms["hall"].broadcast("position", body, volatile=True)
                else:
                    await server.rooms["hall"].broadcast("number", body)
                    said += 1
                if chance.random() < 0.3:
                    await trio.lowlevel.checkpoint()
            assert reader.peer is not None
            await reader.read(chance.randrange(0, said - len(reader.numbers) + 1))
            if chance.random() < 0.7:
                await reader.peer.close()
                if chance.random() < 0.7:
                    client = next(iter(server.rooms["hall"].members.values()))
                    await until(lambda client=client: not client.is_connected)  # type: ignore[misc]
            await reader.connect()  # else a takeover
        while len(reader.numbers) < said:
            await reader.read(1)
        assert reader.numbers == list(range(said))
        assert set(reader.outcomes) == {"new", "resumed"}
        assert reader.peer is not None
        await reader.peer.send(close())
        while (found := await reader.peer.next_frame()) is not None:
            assert found[0] == 0x80 | CLOSE
