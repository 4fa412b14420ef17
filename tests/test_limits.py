"""Limits: their values, and that each one holds; those tested elsewhere are not repeated here."""

import math
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Limits, Room
from simplysocket._protocol.frames import PING, client_frame
from simplysocket.testing import open_server

from .harness.attacker import request_upgrade
from .harness.crowd import connect_many
from .harness.limits import LIMITS
from .harness.servers import make


async def test_name_length_bounds_the_names_of_rooms_and_clients(autojump_clock: MockClock) -> None:
    server = make(name_length=8)
    async with open_server(server) as net:
        ana = await net.connect("anastasia the third")
        assert server.clients[ana.id].name == "anastasi"
        await ana.join("12345678")
        for name in ("123456789", "a\nb", ""):
            with pytest.raises(ActionError, match="bad-body"):
                await ana.join(name)


async def test_members_per_room_holds_where_the_class_sets_no_capacity(autojump_clock: MockClock) -> None:
    class Small(Room):
        capacity = 1

    server = make(members_per_room=2)
    server.room("small")(Small)
    async with open_server(server) as net:
        clients = await connect_many(net, 3)
        for room, most in (("small", 1), ("any", 2)):
            for client in clients[:most]:
                await client.join(room)
            with pytest.raises(ActionError, match=f"room-full: room '{room}' holds {most} of {most}"):
                await clients[2].join(room)


async def test_turn_seconds_bounds_a_handlers_wait_for_another_room(autojump_clock: MockClock) -> None:
    server = make(turn_seconds=3)

    @server.action("nap")
    async def nap() -> None:
        await trio.sleep(10)

    @server.action("take")
    async def take(client: Client) -> float:
        before = trio.current_time()
        with pytest.raises(ActionError, match="busy"):
            await client.join("one")
        return trio.current_time() - before

    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await ana.send("nap", target="one")
        assert await bob.request("take") == pytest.approx(3, abs=0.1)


async def test_fragments_burst_bounds_fragments_but_any_legal_message_passes(autojump_clock: MockClock) -> None:
    first, last = client_frame(b"", final=False), client_frame(b"{}", opcode=0)
    between = client_frame(b"", opcode=0, final=False)
    async with open_server(make(fragments=8, fragments_burst=16, fragments_per_second=1)) as net:
        peer, _ = await request_upgrade(net)
        await peer.send((first + between * 6 + last) * 2)  # all but the last of each are charged: 14
        for _ in range(2):
            assert (await peer.receive())["message_body"]["code"] == "bad-message"
        await peer.send(first + between)
        await peer.say("ping", id=1)
        assert await peer.end() == 1002  # a new message inside a fragmented one
        peer, _ = await request_upgrade(net)
        await peer.send((first + between * 6 + last) * 3)
        assert await peer.end() == 3013
    with pytest.raises(ValueError, match="fragments_burst is 4096, and must not be below fragments, which is 5000"):
        Limits(fragments=5_000)
    Limits(fragments=5_000, fragments_per_second=None)


async def test_controls_burst_bounds_pings(autojump_clock: MockClock) -> None:
    async with open_server(make(controls_burst=5, controls_per_second=1)) as net:
        ana = await net.connect("ana")
        for _ in range(3):
            await ana.send_bytes(client_frame(b"", opcode=PING) * 5)
            await trio.sleep(5)
        await ana.send_bytes(client_frame(b"", opcode=PING) * 6)
        assert (await ana.wait_ended()).code == 3013


@pytest.mark.parametrize("limits", [{"outbox_frames": 10}, {"outbox_bytes": 5_000}])
async def test_the_outbox_is_bounded_in_frames_and_in_bytes(autojump_clock: MockClock, limits: dict[str, int]) -> None:
    server = make(slow_seconds=5, write_seconds=100, close_seconds=20, **limits)
    async with open_server(server) as net:
        slow = await net.connect("slow", reads=False, pipe_bytes=200)
        ana = await net.connect("ana")
        client = server.clients[slow.id]
        for _ in range(11 if "outbox_frames" in limits else 8):  # as many as the bounds allow
            assert await client.send("news", {"x": "x" * 500})
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(10)
        assert await client.send("news", {"x": "x" * 500})  # one more: slow from now on
        await trio.sleep(4.9)
        assert await client.send("news", {"x": "x" * 500})
        await trio.sleep(0.2)
        assert not await client.send("news", {"x": "x" * 500})
        await ana.request("ping")
        slow.start_reading(net.nursery)
        assert (await slow.wait_ended()).code == 3008


async def test_head_bytes_and_head_lines_bound_the_request_head(autojump_clock: MockClock) -> None:
    async with open_server(make(head_bytes=600, head_lines=9)) as net:
        await (await net.connect("ana")).request("ping")
        for headers in ({"X-Long": "x" * 600}, {f"X-{n}": "x" for n in range(5)}):
            with pytest.raises(ActionError) as refused:
                await net.connect("bob", headers=headers)
            assert refused.value.code == "431"


async def test_bytes_per_second_bounds_what_one_client_sends(autojump_clock: MockClock) -> None:
    async with open_server(make(bytes_per_second=1_000, bytes_burst=3_000)) as net:
        ana = await net.connect("ana")
        for _ in range(4):
            await ana.request("ping", {"x": "x" * 600})
        with pytest.raises(ActionError) as refused:
            await ana.request("ping", {"x": "x" * 600})
        assert refused.value.code == "rate-limited"
        assert refused.value.retry_after is not None
        await trio.sleep(refused.value.retry_after)
        await ana.request("ping", {"x": "x" * 600})


async def test_a_message_larger_than_the_burst_of_bytes_takes_all_of_it(autojump_clock: MockClock) -> None:
    async with open_server(make(message_bytes=None, bytes_per_second=1_000, bytes_burst=2_000)) as net:
        ana = await net.connect("ana")
        await ana.request("ping", {"x": "x" * 10_000})
        with pytest.raises(ActionError, match="rate-limited") as refused:
            await ana.request("ping", {"x": "x" * 10_000})
        assert refused.value.retry_after == pytest.approx(2)
        await trio.sleep(2)
        await ana.request("ping", {"x": "x" * 10_000})


async def test_no_limit_is_no_limit(autojump_clock: MockClock) -> None:
    names = [name for name in Limits.__annotations__ if "None" in str(Limits.__annotations__[name])]
    server = make(**dict.fromkeys(names))
    async with open_server(server) as net:
        ana = await net.connect("ana" * 100)
        for n in range(150):
            await ana.join(f"r{n}" + "x" * 300)
        for n in range(1_000):
            await ana.send("who", {"roomname": "r0" + "x" * 300}, id=n)
        await ana.send("nothing", {"x": "x" * 200_000})
        assert len(await ana.settle()) == 1_001
        await trio.sleep(10_000)
        assert ana.pings == 0


async def test_time_in_which_the_loop_was_blocked_is_nobodys_silence(mock_clock: MockClock) -> None:
    async with open_server(make(ping_seconds=20, silence_seconds=60)) as net:
        ana = await net.connect("ana", reads=False)
        for _ in range(3):
            mock_clock.jump(1_000)  # as if nothing had run for so long: this counts as one round of 5 seconds
            await trio.testing.wait_all_tasks_blocked()
        assert ana.id in net.server.clients
        for _ in range(12):
            mock_clock.jump(5)
            await trio.testing.wait_all_tasks_blocked()
        assert (await ana.wait_ended()).code == 3012


DEFAULTS = {
    "message_bytes": 65_536,
    "fragments": 1_024,
    "head_bytes": 16_384,
    "head_lines": 64,
    "handshake_seconds": 5,
    "handshakes": 64,
    "handshakes_per_address": 4,
    "outbox_frames": 1_024,
    "outbox_bytes": 1_048_576,
    "slow_seconds": 5,
    "outboxes_bytes": 268_435_456,
    "unsent_bytes": 131_072,
    "write_seconds": 10,
    "ping_seconds": 25,
    "silence_seconds": 60,
    "close_seconds": 2,
    "resume_seconds": 30,
    "resume_frames": 1_024,
    "resume_bytes": 262_144,
    "resumes_per_second": 1,
    "resumes_burst": 10,
    "drain_seconds": 30,
    "inbox_messages": 128,
    "inbox_per_client": 16,
    "inbox_bytes": 262_144,
    "inbox_seconds": 5,
    "intake_messages": 256,
    "intake_bytes": 262_144,
    "rooms_per_client": 100,
    "rooms": 10_000,
    "rooms_per_creator": 100,
    "join_bytes": 4_096,
    "members_per_room": None,
    "name_length": 200,
    "bytes_per_second": 524_288,
    "bytes_burst": 1_048_576,
    "messages_per_second": 100,
    "messages_burst": 200,
    "joins_per_second": 5,
    "joins_burst": 20,
    "controls_per_second": 10,
    "controls_burst": 50,
    "accounts": 100_000,
    "account_bursts": 20,
    "account_joins_per_second": 20,
    "account_joins_burst": 500,
    "http_requests_per_second": 100,
    "http_requests_burst": 2_000,
    "connects_per_second": 10,
    "connects_burst": 200,
    "failed_logins_per_second": 1,
    "failed_logins_burst": 100,
    "wrong_codes_per_second": 0.2,
    "wrong_codes_burst": 50,
    "fragments_per_second": 1_000,
    "fragments_burst": 4_096,
    "connections": 10_000,
    "connections_per_address": 100,
    "protocol_errors": 10,
    "static_bytes": 67_108_864,
}
# Limits that cannot be lifted: the server itself would wait for ever, or have no number to pass on.
NEEDED = {
    "account_joins_burst",
    "accounts",
    "bytes_burst",
    "close_seconds",
    "connects_burst",
    "controls_burst",
    "fragments_burst",
    "drain_seconds",
    "failed_logins_burst",
    "wrong_codes_burst",
    "handshake_seconds",
    "handshakes",
    "handshakes_per_address",
    "resume_seconds",
    "resumes_burst",
    "head_bytes",
    "head_lines",
    "http_requests_burst",
    "joins_burst",
    "messages_burst",
    "slow_seconds",
    "turn_seconds",
    "unsent_bytes",
    "write_seconds",
}


def limit(name: str, value: Any) -> Limits:
    return Limits(**{name: value})


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_a_limit_has_the_documented_default(name: str, value: float | None) -> None:
    assert getattr(Limits(), name) == value


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_bad_limit_is_refused_by_its_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"Limits\.{name} is {value!r}"):
        limit(name, value)


@pytest.mark.parametrize("name", ["message_bytes", "write_seconds"])
def test_a_limit_that_is_no_number_is_refused_by_its_name(name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"Limits\.{name} is '5'"):
        limit(name, "5")


@pytest.mark.parametrize("name", [name for name in LIMITS if name not in NEEDED])
def test_none_lifts_a_limit(name: str) -> None:
    assert getattr(limit(name, None), name) is None


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_limit_that_the_server_needs_cannot_be_lifted(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Limits\.{name} is None.*cannot be lifted"):
        limit(name, None)


def test_limits_are_given_by_name_and_never_change() -> None:
    with pytest.raises(TypeError):
        Limits(1)  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Limits().fragments = 2  # type: ignore[misc]
