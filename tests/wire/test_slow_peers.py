"""Peers that are too slow, too fast or too silent."""

import tracemalloc

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket._wire.outboxes import Outboxes
from simplysocket.testing import open_server

from ..harness.attack import under_attack, until
from ..harness.attacker import Peer
from ..harness.frames import (
    FINAL,
    NO_CLOSE,
    PING,
    PONG,
    frame,
    message,
)
from ..harness.servers import make


async def test_a_ping_that_found_output_waiting_is_sent_later(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("ana", reads=False, pipe_bytes=50)
        await server.clients[ana.id].send("long", {"x": "x" * 300})
        await trio.sleep(9)
        ana.start_reading(net.nursery)
        for _ in range(5):
            await trio.sleep(100)
        assert ana.pings > 5
        assert ana.id in server.clients


@pytest.mark.parametrize("answered", [False, True])
async def test_a_peer_that_sends_and_hears_nothing_is_pinged(autojump_clock: MockClock, answered: bool) -> None:
    server = make()  # a Ping is due after 25 seconds

    @server.action("note")
    async def note() -> None: ...

    async with open_server(server) as net:
        ana = await net.connect("ana")
        for _ in range(600):
            await (ana.request("note") if answered else ana.send("note"))
            await trio.sleep(1)
        assert ana.pings == 0 if answered else 15 <= ana.pings <= 600 / 25
        assert ana.id in server.clients


async def say(speaker: Peer, numbers: range, size: int = 20_000) -> None:
    """Send numbered messages to the hall, each after the one before it was received."""
    for number in numbers:
        await speaker.say("say", {"n": number, "fill": chr(97 + number % 26) * size}, target="hall")
        assert (await speaker.receive())["message_body"]["n"] == number


async def test_to_clients_that_read_nothing_is_queued_and_no_write_pump_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[bytes] = []
    monkeypatch.setattr(Outboxes, "keep", lambda self, frame: kept.append(frame))
    async with under_attack() as attack:
        speaker, listener = await attack.join("hall"), await attack.join("hall")
        for number in range(50):
            await say(speaker, range(number, number + 1), size=10)
            assert (await listener.receive())["message_body"]["n"] == number
        sessions = attack.server._assembly.hub.clients.values()
        connections = [session.connection for session in sessions if session.connection is not None]
        assert [connection._writer.is_pumping for connection in connections] == [False] * len(connections)
        assert kept == []


async def test_peers_that_never_read_are_closed_as_slow_and_cost_no_memory_and_nobody_waits() -> None:
    async with under_attack(outbox_bytes=100_000, messages_per_second=None, bytes_per_second=None) as attack:
        speaker = await attack.join("hall")
        deaf = [await attack.join("hall", receive_bytes=16_384) for _ in range(10)]
        tracemalloc.start()
        await say(speaker, range(100))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3_000_000  # of 20 MB
        await attack.until_closed(*[3008] * len(deaf))


async def test_a_slow_peer_gets_whole_frames_in_order_and_then_3008() -> None:
    async with under_attack(
        outbox_bytes=100_000,
        messages_per_second=None,
        bytes_per_second=None,
        close_seconds=10,
        write_seconds=10,
        slow_seconds=0.2,
    ) as attack:
        speaker, slow = await attack.join("hall"), await attack.join("hall", receive_bytes=16_384)
        await say(speaker, range(100))
        sessions = attack.server._assembly.hub.clients.values()
        await until(lambda: not all(session.is_connected for session in sessions))
        assert await slow.end() == 3008
        said = [each["message_body"] for each in slow.messages()]
        assert [each["n"] for each in said] == list(range(len(said)))
        assert all(set(each["fill"]) == {chr(97 + each["n"] % 26)} for each in said)


async def test_a_write_without_progress_is_cut() -> None:
    async with under_attack(
        outbox_bytes=10_000_000, messages_per_second=None, bytes_per_second=None, write_seconds=0.2, close_seconds=60
    ) as attack:
        speaker, deaf = await attack.join("hall"), await attack.join("hall", receive_bytes=16_384)
        await say(speaker, range(50))
        await attack.until_closed(3008)
        assert await deaf.end() == NO_CLOSE


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_26_000_pings_or_pongs_are_over_the_rate(opcode: int) -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(frame(b"a", opcode) * 26_000)
        assert await peer.end() == 3013
        assert len(peer.heard) < 60  # those of the burst


async def test_pings_within_the_rate_are_all_answered() -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(b"".join(frame(bytes((number,)) * number, PING) for number in range(50)))
        assert [await peer.next_frame() for _ in range(50)] == [(FINAL | PONG, bytes((n,)) * n) for n in range(50)]


async def test_messages_far_over_the_rate_end_in_3013_and_each_before_is_answered() -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(b"".join(message("nothing", id=number) for number in range(3_000)))
        assert await peer.end() == 3013
        answers = {each["id"]: each["message_body"]["code"] for each in peer.messages()}
        assert set(answers.values()) <= {"rate-limited", "busy", "unknown-action"}
        assert len(answers) >= 1_000


async def test_a_silent_peer_is_pinged_and_then_closed_with_3012() -> None:
    async with under_attack(ping_seconds=0.08, silence_seconds=0.24) as attack:
        silent = await attack.connect()
        assert await silent.end() == 3012
        assert silent.heard == [(FINAL | PING, b"")]
        await attack.until_closed(3012)


async def test_while_a_handler_waits_pings_are_answered_and_an_end_is_seen() -> None:
    async with under_attack() as attack:
        peer, other = await attack.join("hall"), await attack.join("hall")
        await other.say("wait", 0.2, target="hall")
        await peer.send(message("wait", 0, target="hall", id=5) + frame(b"now", PING))
        assert await peer.next_frame() == (FINAL | PONG, b"now")
        await other.reset()
        await until(lambda: len(attack.server.clients) == 2)
        assert (await peer.receive())["id"] == 5
