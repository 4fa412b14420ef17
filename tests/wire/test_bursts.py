"""Much at once is not slowness: a burst closes nobody who reads, and a client that does not read is closed in time."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room, Server, action
from simplysocket.testing import Net, open_server

from ..harness.attack import Attack, under_attack
from ..harness.attacker import Peer
from ..harness.frames import message
from ..harness.paced import Paced
from ..harness.rooms import Talk
from ..harness.servers import make, make_attacked

LARGE = "x" * 65_000  # nearly a whole `Limits.message_bytes`
HONEST = 3
MANY = 60  # messages of 1.5 kB that each of 49 members says at once: 4.4 MB for every member, four times an outbox
BUSY_ROOM: dict[str, Any] = {
    "room_bytes_per_second": None,
    "messages_per_second": None,
    "inbox_messages": None,
    "inbox_per_client": None,
}


class Relay(Room):
    """A room in which every message of a member goes to all members."""

    relay = True


class Talking(Room):
    """A room in which a member may say many things at once."""

    @action("say")
    async def say(self, body: Any) -> None:
        await self.broadcast("said", body)


async def arrive(attack: Attack, number: int, room: str) -> tuple[Peer, str]:
    """Connect from an address of its own and join a room; return the peer and its client id."""
    sock = trio.socket.socket()
    await sock.bind((f"127.0.7.{number + 1}", 0))
    await sock.connect(("127.0.0.1", attack.server.port))
    peer = attack.add(trio.SocketStream(sock))
    await peer.shake_hands()
    answer = await peer.request("join-room", {"roomname": room})
    assert answer["action"] == "reply", answer
    return peer, answer["target"]


async def arrive_many(attack: Attack, count: int, room: str) -> list[Peer]:
    return [(await arrive(attack, number, room))[0] for number in range(count)]


async def hear(peer: Peer, count: int, heard: list[Any]) -> None:
    """Receive the next messages of the others, and keep their bodies."""
    while len(heard) < count:
        received = await peer.receive()
        assert received["action"] != "error", received
        if received["action"] in ("say", "said"):
            heard.append(received["message_body"])


async def test_members_that_send_large_messages_at_the_same_instant_cost_nobody_its_connection() -> None:
    server = make_attacked()
    server.room("relay")(Relay)
    async with under_attack(server) as attack:
        peers = await arrive_many(attack, HONEST + 20, "relay")
        heard: list[list[Any]] = [[] for _ in peers]
        async with trio.open_nursery() as nursery:
            for number, sender in enumerate(peers[HONEST:]):
                nursery.start_soon(sender.send, message("say", [number, LARGE], target="relay"))
            for peer, log in zip(peers, heard, strict=True):
                nursery.start_soon(hear, peer, 20, log)
        assert sorted(number for number, _ in heard[0]) == list(range(20))
        assert all(log == heard[0] for log in heard)
        assert not server.metrics.connections_closed


async def test_large_direct_messages_at_the_same_instant_do_not_close_their_receiver() -> None:
    server = make_attacked(direct=True)
    async with under_attack(server) as attack:
        victim, id = await arrive(attack, 99, "hall")
        senders = await arrive_many(attack, 20, "hall")
        heard: list[Any] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear, victim, 20, heard)
            for number, sender in enumerate(senders):
                direct = message("say", [number, LARGE], target=id, IsTargetClient=True)
                nursery.start_soon(sender.send, direct)
        assert sorted(number for number, _ in heard) == list(range(20))
        assert not server.metrics.connections_closed


async def test_members_that_say_many_things_at_once_cost_nobody_its_connection() -> None:
    server = make_attacked(**BUSY_ROOM)
    server.room("talk")(Talking)
    async with under_attack(server) as attack:
        peers = await arrive_many(attack, HONEST + 49, "talk")
        heard: list[list[Any]] = [[] for _ in range(HONEST)]
        async with trio.open_nursery() as nursery:
            for peer, log in zip(peers, heard, strict=False):
                nursery.start_soon(hear, peer, 49 * MANY, log)
            for number, peer in enumerate(peers[HONEST:]):
                nursery.start_soon(skip, peer, 49 * MANY)
                said = [message("say", [number, at, "x" * 1_500], target="talk") for at in range(MANY)]
                nursery.start_soon(peer.send, b"".join(said))
        numbers = [(number, at) for number in range(49) for at in range(MANY)]
        assert sorted((number, at) for number, at, _ in heard[0]) == numbers
        assert all(log == heard[0] for log in heard)
        assert not server.metrics.connections_closed


async def skip(peer: Peer, count: int) -> None:
    """Read as many frames, whatever they are."""
    for _ in range(count):
        assert await peer.next_frame() is not None


@pytest.mark.parametrize("speed", [1_000_000, 100_000])
async def test_a_large_answer_that_is_still_leaving_does_not_close_for_the_small_one_after_it(
    speed: int, autojump_clock: MockClock
) -> None:
    server = make()

    @server.action("export")
    async def export(client: Client) -> str:
        await client.send("exported", "x" * 6_000_000)
        return "done"

    async with open_server(server) as net:
        peer = Peer(Paced(await net.open_stream(), speed))
        await peer.shake_hands()
        await peer.say("export", id=1)
        assert len((await peer.receive())["message_body"]) == 6_000_000
        assert (await peer.receive())["message_body"] == "done"
        assert (await peer.request("ping", id=2))["action"] == "reply"


async def test_a_large_answer_and_the_small_one_after_it_arrive_over_a_socket() -> None:
    server = make_attacked()

    @server.action("export")
    async def export(client: Client) -> str:
        await client.send("exported", "x" * 6_000_000)
        return "done"

    async with under_attack(server) as attack:
        peer = await attack.connect(receive_bytes=16_384)
        await peer.say("export", id=1)
        assert len((await peer.receive())["message_body"]) == 6_000_000
        assert (await peer.receive())["message_body"] == "done"
        assert not server.metrics.connections_closed


async def broadcast_steadily(server: Server, seconds: int, kilobytes: int) -> None:
    """Give the talk so many messages of 1,000 bytes at once each second."""
    for second in range(seconds):
        for number in range(kilobytes):
            await server.rooms["talk"].broadcast("said", {"n": second * kilobytes + number, "fill": "x" * 940})
        await trio.sleep(1)


async def join_paced(net: Net, speed: int) -> Peer:
    """Connect a client that reads so many bytes a second, and join it to the talk."""
    peer = Peer(Paced(await net.open_stream(4_096), speed))
    await peer.shake_hands()
    await peer.request("join-room", {"roomname": "talk"})
    return peer


async def test_a_reader_that_is_faster_than_what_it_is_sent_stays_though_every_burst_is_above_the_bounds(
    autojump_clock: MockClock,
) -> None:
    server = make(("talk", Talk), outbox_bytes=200_000, outbox_frames=100)
    async with open_server(server) as net:
        peer = await join_paced(net, 600_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(broadcast_steadily, server, 60, 500)
            for number in range(60 * 500):
                assert (await peer.receive())["message_body"]["n"] == number


async def test_a_reader_that_is_slower_than_what_it_is_sent_gets_a_beginning_of_it_and_3008(
    autojump_clock: MockClock,
) -> None:
    server = make(("talk", Talk), outbox_bytes=200_000)
    async with open_server(server) as net:
        peer = await join_paced(net, 400_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(broadcast_steadily, server, 60, 500)
            assert await peer.end() == 3008
            nursery.cancel_scope.cancel()
        numbers = [each["message_body"]["n"] for each in peer.messages()]
        assert numbers == list(range(len(numbers)))
        assert numbers
        assert server.statistics()["queued_bytes"] == 0


async def test_a_member_that_never_reads_is_closed_after_slow_seconds_and_not_before(
    autojump_clock: MockClock,
) -> None:
    server = make(("talk", Talk), slow_seconds=5, write_seconds=100, close_seconds=20)
    async with open_server(server) as net:
        deaf = await net.connect("deaf", reads=False)
        ana = await net.connect("ana")
        for client in (deaf, ana):
            await client.send("join-room", {"roomname": "talk"}, id=1)
        await trio.testing.wait_all_tasks_blocked()
        member = server.clients[deaf.id]
        for _ in range(40):
            await server.rooms["talk"].broadcast("said", LARGE)
        await trio.sleep(4.9)
        assert await member.send("still there")
        await trio.sleep(0.2)
        assert not await member.send("too late")
        assert (await deaf.wait_ended()).code == 3008
        assert (await ana.settle())[-1]["message_body"] == LARGE
        assert (await ana.request("ping")).keys() == {"now"}


@pytest.mark.parametrize("is_shared", [True, False])
async def test_silent_readers_are_closed_when_they_hold_more_than_all_outboxes_may(
    is_shared: bool, autojump_clock: MockClock
) -> None:
    server = make(("talk", Talk), outboxes_bytes=2_000_000)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("talk")
        deaf = [await net.connect(f"deaf {number}", reads=False, pipe_bytes=1_000) for number in range(20)]
        for client in deaf:
            await client.send("join-room", {"roomname": "talk"})
        await trio.testing.wait_all_tasks_blocked()
        for number in range(12):
            if is_shared:
                await server.rooms["talk"].broadcast("said", "x" * 50_000)
            for client in [] if is_shared else list(server.clients.values()):
                await client.send("said", "x" * 50_000)
            await trio.testing.wait_all_tasks_blocked()
            assert server.statistics()["queued_bytes"] <= 2_000_000, number
        assert len([each for each in await ana.settle() if each["action"] == "said"]) == 12
        await trio.sleep(4)
        closed = server.statistics()["connections_closed"]
        assert closed == {} if is_shared else closed[3008] > 5
        assert (await ana.request("ping")).keys() == {"now"}
    assert server.statistics()["queued_bytes"] == 0


async def test_direct_messages_cannot_make_their_receiver_too_slow() -> None:
    server = make_attacked(direct=True, bytes_per_second=None, messages_per_second=None)
    async with under_attack(server) as attack:
        victim, id = await arrive(attack, 99, "hall")
        (sender,) = await arrive_many(attack, 1, "hall")
        sent, is_refused = 0, False
        while not is_refused:  # the victim reads nothing meanwhile
            answer = await sender.request("say", LARGE, target=id, IsTargetClient=True)
            is_refused = answer["action"] == "error"
            sent += not is_refused
        assert answer["message_body"]["code"] == "busy"
        heard: list[Any] = []
        await hear(victim, sent, heard)
        answer = await sender.request("say", "hi", target=id, IsTargetClient=True)
        assert answer["action"] == "reply"
        assert not server.metrics.connections_closed
