"""Rates over connections: what a user or an address gains by connecting again, and what a crowd is given."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import ActionError, Identity, Limits, Request, Server
from simplysocket._protocol.frames import client_frame
from simplysocket.testing import Net, TestClient, open_server

# By connecting again and again, one connection at a time, one address gets this many a second of what is allowed:
# its connection's own rate, and of the accounts the larger of their rate and the first tokens of ten new sessions.
MESSAGES_PER_SECOND = 100 + max(100, 10 * 20)
MESSAGES_BURST = 20 * 200 + 200 * 20  # the account, and the first tokens of `connects_burst` new sessions
JOINS_PER_SECOND = 20
JOINS_BURST = 500
# Where each connection has a user of its own, the first tokens that the address gives bound the joins.
JOINS_OF_MANY_USERS = (20 * 20 + 200 * 2, 10 * 2 + 5)  # at once, and a second


def make(**limits: Any) -> Server:
    """Return a server with default limits, which believes its proxy."""
    return Server("test", trusted_proxies=["unix"], limits=Limits(**limits))


def make_with_users(**limits: Any) -> Server:
    server = make(**limits)

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.headers["user"])

    return server


async def connect(net: Net, address: str, user: str = "") -> TestClient:
    return await net.connect(headers={"X-Forwarded-For": address, **({"User": user} if user else {})})


@contextlib.asynccontextmanager
async def visiting(net: Net, address: str, user: str = "") -> AsyncIterator[TestClient]:
    client = await connect(net, address, user)
    yield client
    await client.stream.aclose()
    await wait_all_tasks_blocked()


def handled(server: Server) -> int:
    """Return how many messages were taken."""
    return server.metrics.messages_received - server.metrics.messages_refused["rate-limited"]


async def come_again(net: Net, seconds: float, address: str, user: str, burst: bytes) -> float:
    """Connect again and again, and send a burst each time. Return how many seconds it took."""
    number, began = 0, trio.current_time()
    while trio.current_time() < began + seconds:
        try:
            client = await connect(net, address.format(number), user.format(number))
        except ActionError:  # too often
            await trio.sleep(0.05)
            continue
        number += 1
        await client.send_bytes(burst)
        await client.settle()
        await client.stream.aclose()
        await wait_all_tasks_blocked()
    return trio.current_time() - began


def frames(count: int, body: str = '{"action":"ping"}') -> bytes:
    return b"".join(client_frame(body.replace("#", str(number)).encode()) for number in range(count))


WHO = pytest.mark.parametrize(
    ("address", "user"),
    [
        ("1.1.1.1", ""),
        ("2001:db8::{:x}", ""),  # one client has all of these
        ("1.1.1.1", "ana"),
        ("1.1.1.1", "guest-{}"),  # of a server that gives everyone a user of its own
    ],
)


@WHO
async def test_messages_do_not_come_faster_by_connecting_again(
    address: str, user: str, autojump_clock: MockClock
) -> None:
    server = make_with_users() if user else make()
    async with open_server(server) as net:
        seconds = await come_again(net, 5, address, user, frames(220))
        assert handled(server) <= MESSAGES_BURST + MESSAGES_PER_SECOND * seconds
        before = handled(server)
        seconds = await come_again(net, 2, address, user, frames(220))
        assert handled(server) - before <= MESSAGES_PER_SECOND * seconds


@WHO
async def test_joins_do_not_come_faster_by_connecting_again(address: str, user: str, autojump_clock: MockClock) -> None:
    server = make_with_users() if user else make()
    joins = frames(25, '{"action":"join-room","message_body":{"roomname":"r#"}}')
    async with open_server(server) as net:
        burst, per_second = JOINS_OF_MANY_USERS if "guest" in user else (JOINS_BURST, JOINS_PER_SECOND)
        seconds = await come_again(net, 6, address, user, joins)
        opened = server.metrics.rooms_opened
        assert opened <= burst + per_second * seconds + 1e-6  # a sum of floats; a token is whole
        seconds = await come_again(net, 3, address, user, joins)
        assert server.metrics.rooms_opened - opened <= per_second * seconds + 1


async def test_a_user_with_many_addresses_gains_by_each_only_the_first_tokens(autojump_clock: MockClock) -> None:
    server, began = make_with_users(), trio.current_time()
    async with open_server(server) as net:
        for number in range(200):
            async with visiting(net, f"10.1.{number}.1", "ana") as client:
                await client.send_bytes(frames(220))
                await client.settle()
            await trio.sleep(0.1)
        seconds = trio.current_time() - began
        assert handled(server) <= 20 * 200 + max(100 * seconds, 200 * 20) + 100 * seconds


async def test_one_users_joins_count_together_over_its_connections(autojump_clock: MockClock) -> None:
    server = make_with_users(joins_per_second=None, account_joins_per_second=2, account_joins_burst=8)
    async with open_server(server) as net:
        tabs = [await connect(net, f"1.1.1.{number}", "ana") for number in range(4)]
        for number in range(8):
            await tabs[number % 4].join(f"r{number}")
        with pytest.raises(ActionError) as refused:
            await tabs[0].join("one-more")
        assert refused.value.code == "rate-limited"
        assert refused.value.retry_after == pytest.approx(0.5)
        await trio.sleep(0.5)
        await tabs[1].join("one-more")
        await (await connect(net, "1.1.1.1", "bob")).join("another")  # a neighbour of ana's


@pytest.mark.parametrize("what", ["ping", "nonsense"])
async def test_refusals_of_one_address_count_together_over_its_connections(
    what: str, autojump_clock: MockClock
) -> None:
    server = make(account_bursts=1)
    burst = frames(2_000) if what == "ping" else frames(40, "{")
    answers = []
    async with open_server(server) as net:
        for _ in range(3):
            client = await connect(net, "1.1.1.1")
            await client.send_bytes(burst)
            answers.append(len([each for each in await client.settle() if each["action"] == "error"]))
            assert (await client.wait_ended()).code == (3013 if what == "ping" else 3501)
        counted = server.metrics.messages_refused
    refused = counted["rate-limited" if what == "ping" else "bad-message"]
    assert refused <= (1_000 + 2 * 100 + 3 * 1 + 100 if what == "ping" else 10 + 2 + 3)


async def test_each_of_many_clients_of_one_address_has_a_rate_of_its_own(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        clients = [await connect(net, "1.1.1.1") for _ in range(100)]
        await trio.sleep(2)
        for _ in range(5):
            for client in clients:
                await client.send_bytes(frames(100))
                await client.settle()
            await trio.sleep(1)
        assert server.metrics.messages_refused.total() == 0
        assert server.metrics.messages_received == 5 * 100 * 100


async def test_an_office_comes_back_at_once_after_a_restart(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        for _ in range(2):  # also twice, as after two restarts of the proxy
            clients = [await connect(net, "1.1.1.1") for _ in range(100)]
            for client in clients:
                await client.join("lobby")
                await client.join("team")
                for _ in range(15):
                    await client.request("ping")
            for client in clients:
                await client.close()
            await wait_all_tasks_blocked()
        assert server.metrics.messages_refused.total() == 0
        assert server.metrics.upgrades_refused.total() == 0


async def test_who_asks_little_keeps_its_burst_however_often_it_comes_back(autojump_clock: MockClock) -> None:
    server = make(account_bursts=1)
    async with open_server(server) as net:
        for _ in range(100):
            async with visiting(net, "1.1.1.1") as client:
                await client.request("ping")
            await trio.sleep(0.2)
        async with visiting(net, "1.1.1.1") as client:
            await client.send_bytes(frames(200))
            await client.settle()
        assert server.metrics.messages_refused.total() == 0


@pytest.mark.parametrize("address", ["", "10.0.0.1"])
async def test_a_proxy_has_no_account(address: str, autojump_clock: MockClock) -> None:
    server = Server("test", trusted_proxies=["unix", "10.0.0.1"], limits=Limits(account_bursts=1))
    async with open_server(server) as net:
        for _ in range(30):
            client = await net.connect(headers={"X-Forwarded-For": address} if address else {})
            await client.send_bytes(frames(200))
            assert len(await client.settle()) == 200
        assert server.statistics()["accounts"] == 0


async def test_accounts_are_counted_and_vanish(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        for number in range(50):
            async with visiting(net, f"10.0.0.{number}") as client:
                await client.request("ping")
        assert server.statistics()["accounts"] == 50
        await trio.sleep(60)
        for _ in range(30):
            async with visiting(net, "10.0.0.1"):
                pass
        assert server.statistics()["accounts"] == 1
