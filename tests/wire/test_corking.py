"""What one read causes: its answers leave together, in order, and nothing of it is handled after our Close."""

from typing import Any

import pytest
import trio

from simplysocket import Server
from simplysocket._protocol.frames import Odd, Splitter
from simplysocket._wire.transport import SocketTransport

from ..harness.attack import Attack, under_attack, until
from ..harness.frames import FINAL, TEXT, close, frame, message
from ..harness.servers import make_attacked

REFUSED = b"".join(message("join-room", {}, id=number) for number in range(30))


class CountingTransport(SocketTransport):
    """Counts the calls of `send`."""

    sends = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        send = self.send_now

        def counting(data: bytes) -> int:
            CountingTransport.sends += 1
            return send(data)

        self.send_now = counting


@pytest.fixture
def sends(monkeypatch: pytest.MonkeyPatch) -> type[CountingTransport]:
    monkeypatch.setattr("simplysocket._http.front_door.SocketTransport", CountingTransport)
    CountingTransport.sends = 0
    return CountingTransport


async def test_answers_to_one_read_leave_together_and_in_order(sends: type[CountingTransport]) -> None:
    server = Server("test")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, "127.0.0.1", 0)
            attack = Attack(server)
            peer = await attack.connect()
            before = sends.sends
            await peer.send(REFUSED)
            assert [(await peer.receive())["id"] for _ in range(30)] == list(range(30))
            assert sends.sends <= before + 2  # the bytes may come in two reads
            await attack.leave()
            await server.stop(1)


async def test_what_a_room_says_in_between_and_a_close_keep_their_places() -> None:
    server = make_attacked(protocol_errors=3)
    async with under_attack(server) as attack:
        peer = await attack.join("hall")
        other = await attack.join("hall")
        bad = b"".join(frame(b"{") for _ in range(10))
        await peer.send(message("ping", id=1) + message("say", "hello", target="hall") + bad + message("ping", id=2))
        assert await peer.end() == 3501
        heard = peer.messages()
        assert [each.get("id") for each in heard][:1] == [1]
        assert [each["message_body"]["code"] for each in heard if each["action"] == "error"][:1] == ["bad-message"]
        assert not [each for each in heard if each.get("id") == 2]
        await other.close()


async def test_a_flood_after_our_close_is_not_split(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, feed = [0], Splitter.feed

    def counting(self: Splitter, data: bytes) -> list[bytes | Odd]:
        items = feed(self, data)
        counted[0] += sum(item == b"" for item in items)
        return items

    monkeypatch.setattr(Splitter, "feed", counting)
    async with under_attack(protocol_errors=3, close_seconds=1_000) as attack:
        peer = await attack.connect()
        await peer.send(frame(b"") * 100_000)
        assert await peer.end(answer=False) == 3501
        assert counted[0] < 200
        await peer.close()
        await until(lambda: attack.server.statistics()["connections"] == 1)


async def test_an_honest_client_that_is_closed_while_it_sends_ends_with_its_close() -> None:
    async with under_attack(close_seconds=1_000) as attack:
        peer = await attack.connect()
        session = list(attack.server._assembly.hub.clients.values())[-1]
        session.close(4000, "")
        await peer.send(frame("{}") * 20 + close(4000))
        assert await peer.end(answer=False) == 4000
        assert (FINAL | TEXT) not in [first for first, _ in peer.heard]
        await until(lambda: attack.server.statistics()["connections"] == 1)
