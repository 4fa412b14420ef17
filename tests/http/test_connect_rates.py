"""Rates of an address at the front door: connects, plain requests, failed logins, and what is closed unanswered."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import ActionError, Identity, Limits, Refuse, Request, Server
from simplysocket.testing import Net, open_server

from ..harness.attack import under_attack, until
from ..harness.attacker import Answer, Peer, send_head
from ..harness.frames import head
from ..harness.plain_http import plain_head
from ..harness.servers import make_attacked


def make(**limits: Any) -> Server:
    """Return a server with default limits that trusts the proxy in memory."""
    return Server("test", trusted_proxies=["unix"], limits=Limits(**limits))


async def come(net: Net, address: str, **more: str) -> Answer:
    """Ask for an upgrade from this address, and leave."""
    lines = [f"X-Forwarded-For: {address}", *(f"{name}: {value}" for name, value in more.items())]
    peer, answer = await send_head(net, head("GET /ws HTTP/1.1", *lines))
    await peer.close()
    await wait_all_tasks_blocked()
    return answer


async def ask(net: Net, address: str, target: str) -> Answer:
    """Send a plain HTTP request from this address."""
    peer, answer = await send_head(net, plain_head(target, f"X-Forwarded-For: {address}"))
    await peer.close()
    return answer


@pytest.mark.parametrize("address", ["1.1.1.1", "2001:db8::{:x}", "::ffff:1.1.1.1"])
async def test_an_address_that_connects_too_often_is_told_when_it_may(address: str, autojump_clock: MockClock) -> None:
    server = make(connects_per_second=0.01, connects_burst=20)
    async with open_server(server) as net:
        statuses = [(await come(net, address.format(number))).status for number in range(21)]
        assert statuses == [101] * 20 + [429]
        answer = await come(net, address.format(99))
        assert b'"rate-limited"' in answer.body
        assert 90 < int(answer.headers["retry-after"]) <= 100
        assert (await come(net, "9.9.9.9")).status == 101
        await trio.sleep(100)
        assert (await come(net, address.format(0))).status == 101
        assert server.statistics()["upgrades_refused"] == {429: 2}


async def test_a_mapped_address_is_that_of_ipv4(autojump_clock: MockClock) -> None:
    async with open_server(make(connects_per_second=0.01, connects_burst=2)) as net:
        addresses = ("1.1.1.1", "::ffff:1.1.1.1", "[::ffff:1.1.1.1]:80", "1.1.1.1:443")
        assert [(await come(net, each)).status for each in addresses] == [101, 101, 429, 429]


async def test_three_hundred_addresses_of_one_network_are_one_client(autojump_clock: MockClock) -> None:
    server = make(ping_seconds=None, silence_seconds=None)
    async with open_server(server) as net:
        statuses = []
        for number in range(300):
            statuses.append(
                (await send_head(net, head("GET /ws HTTP/1.1", f"X-Forwarded-For: ::{number:x}")))[1].status
            )
        assert statuses[:100] == [101] * 100
        assert set(statuses[100:]) == {429}
        assert len(server.clients) == 100


async def test_a_refused_upgrade_is_not_charged(autojump_clock: MockClock) -> None:
    async with open_server(make(connects_per_second=0.01, connects_burst=1)) as net:
        for _ in range(5):
            assert (await come(net, "1.1.1.1", Origin="https://another.example")).status == 403
        assert (await come(net, "1.1.1.1")).status == 101


# --- logins


def make_with_logins(**limits: Any) -> tuple[Server, list[str]]:
    """Return a server, and the users that its `authenticate` was asked for; "ana" and "bob" may come in."""
    server, asked = make(**limits), list[str]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        asked.append(user := request.headers["user"])
        if user == "broken":
            raise ValueError(user)
        if user not in ("ana", "bob"):
            raise Refuse(int(user)) if user.isdigit() else ActionError("forbidden", "not you")
        return Identity(user)

    return server, asked


@pytest.mark.parametrize("guess", ["401", "403", "mallory"])
async def test_after_too_many_failed_logins_an_address_is_not_asked_any_more(
    guess: str, autojump_clock: MockClock
) -> None:
    server, asked = make_with_logins(failed_logins_per_second=0.01, failed_logins_burst=3)
    async with open_server(server) as net:
        statuses = [(await come(net, "1.1.1.1", User=guess)).status for _ in range(5)]
        assert statuses[:3] == [int(guess) if guess.isdigit() else 403] * 3
        assert statuses[3:] == [429] * 2
        assert len(asked) == 3
        answer = await come(net, "1.1.1.1", User="ana")
        assert answer.status == 429
        assert 90 < int(answer.headers["retry-after"]) <= 100
        assert (await come(net, "2.2.2.2", User="ana")).status == 101
        await trio.sleep(100)
        assert (await come(net, "1.1.1.1", User="ana")).status == 101
        assert (await come(net, "1.1.1.1", User="bob")).status == 101  # who may come in costs nothing


@pytest.mark.parametrize("user", ["ana", "broken", "503"])
async def test_what_is_not_the_fault_of_credentials_is_no_failed_login(user: str, autojump_clock: MockClock) -> None:
    server, asked = make_with_logins(failed_logins_per_second=0.01, failed_logins_burst=1)
    async with open_server(server) as net:
        for _ in range(10):
            assert (await come(net, "1.1.1.1", User=user)).status in (101, 500, 503)
        assert asked == [user] * 10


# --- plain HTTP


async def test_plain_requests_have_a_rate_and_health_is_answered_beyond_it(autojump_clock: MockClock) -> None:
    server = make(http_requests_per_second=0.01, http_requests_burst=5)
    async with open_server(server) as net:
        assert [(await ask(net, "1.1.1.1", "/nothing")).status for _ in range(6)] == [404] * 5 + [429]
        assert (await ask(net, "1.1.1.1", "/health")).status == 200
        assert (await ask(net, "1.1.1.1", "/ready")).status == 200
        assert (await come(net, "1.1.1.1")).status == 429
        assert (await ask(net, "2.2.2.2", "/nothing")).status == 404


@pytest.mark.parametrize("address", ["10.0.0.1", "1.1.1.1"])  # a trusted proxy, and a stranger
async def test_a_load_balancer_that_asks_often_is_always_answered(address: str, autojump_clock: MockClock) -> None:
    server, statuses = Server("test", trusted_proxies=["unix", "10.0.0.1"]), list[int]()

    async def check(net: Net) -> None:
        statuses.append((await ask(net, address, "/health")).status)

    async with open_server(server) as net, trio.open_nursery() as nursery:
        for _ in range(2_500):  # fifty a second
            nursery.start_soon(check, net)
            await trio.sleep(0.02)
    assert statuses == [200] * 2_500
    assert server.statistics()["connections_turned_away"] == 0


async def test_far_beyond_the_rate_an_address_is_closed_without_an_answer_and_counted() -> None:
    server = make_attacked(http_requests_per_second=0.001, http_requests_burst=10, connects_per_second=None)
    async with under_attack(server) as attack:
        answers = [(await attack.ask(plain_head("/nothing"))).status for _ in range(30)]
        assert answers == [404] * 10 + [429] * 10 + [0] * 10
        assert server.statistics()["connections_turned_away"] == 10


# --- connections beyond the bounds


async def test_connections_beyond_twice_the_bound_are_closed_and_counted(autojump_clock: MockClock) -> None:
    server = make_attacked(connections=2)
    async with open_server(server) as net:
        peers = [Peer(await net.open_stream()) for _ in range(7)]
        await wait_all_tasks_blocked()
        assert server.statistics()["connections"] == 4
        assert server.statistics()["connections_turned_away"] == 3
        for peer in peers:
            await peer.close()
        await wait_all_tasks_blocked()
        assert server.statistics()["connections"] == 0


@pytest.mark.parametrize(("bound", "others"), [("connections", 1), ("connections_per_address", 0)])
async def test_refused_upgrades_that_linger_take_nobodys_place(bound: str, others: int) -> None:
    server = make_attacked(**{bound: 10})
    async with under_attack(server) as attack:
        inside = [await attack.connect() for _ in range(10 - others)]  # the bystander has an address of its own
        refused = [await attack.dial() for _ in range(10)]
        for peer in refused:
            await peer.send(head())  # it does not read its answer, and does not leave
        await until(lambda: server.metrics.upgrades_refused.total() == 10)
        assert server.statistics()["connections"] == 21 - others
        assert (await attack.ask(head())).status == 0  # beyond twice the bound
        assert server.statistics()["connections_turned_away"] == 1
        await inside[0].close()
        await until(lambda: len(server.clients) == 10 - others)
        await attack.connect()  # while those who were refused linger
        assert len(server.clients) == 11 - others


async def test_a_refused_head_request_is_answered_without_a_body(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        for line, status in (("HEAD /ws HTTP/1.1", 405), ("HEAD /none HTTP/1.1", 404), ("HEAD http://[ HTTP/1.1", 400)):
            _, answer = await send_head(net, head(line))
            assert (answer.status, answer.body) == (status, b"")
            assert int(answer.headers["content-length"]) > 0
