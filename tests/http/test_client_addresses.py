"""The address of a client behind a proxy: what the application sees, and what the limit counts."""

import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import Identity, Limits, Request, Server
from simplysocket.testing import Net, open_server

from ..harness.attack import BYSTANDER_ADDRESS, under_attack, until
from ..harness.attacker import Answer, Peer, send_head
from ..harness.frames import head
from ..harness.plain_http import plain_head
from ..harness.servers import make_attacked


def forwarded_head(*forwarded: str, line: str = "GET /ws HTTP/1.1") -> bytes:
    """Return a request head with one X-Forwarded-For for each of `forwarded`."""
    return head(line, *(f"X-Forwarded-For: {each}" for each in forwarded))


# --- in memory, where the proxy counts as one on a Unix socket


def make_trusting(proxies: Iterable[str] = ("unix",), **limits: Any) -> tuple[Server, list[str]]:
    """Return a server and the addresses that its `authenticate` sees."""
    server, seen = Server("test", trusted_proxies=proxies, limits=Limits(**limits)), list[str]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        seen.append(request.address)
        return Identity("user")

    return server, seen


async def forward(net: Net, *forwarded: str, line: str = "GET /ws HTTP/1.1") -> tuple[Peer, Answer]:
    """Send a request head in memory, as a proxy does, and read the answer."""
    return await send_head(net, forwarded_head(*forwarded, line=line))


async def test_the_address_behind_a_proxy_is_the_one_of_request_and_client(autojump_clock: MockClock) -> None:
    server, seen = make_trusting()
    async with open_server(server) as net:
        await forward(net, "6.6.6.6, 1.2.3.4")
        await wait_all_tasks_blocked()
        assert seen == ["1.2.3.4"]
        assert [client.address for client in server.clients.values()] == ["1.2.3.4"]


async def test_several_headers_are_one_list(autojump_clock: MockClock) -> None:
    server, seen = make_trusting(["unix", "10.0.0.0/8"])
    async with open_server(server) as net:
        await forward(net, "6.6.6.6", "1.2.3.4", "10.0.0.1")
        assert seen == ["1.2.3.4"]


async def test_without_the_header_a_proxy_is_its_own_client(autojump_clock: MockClock) -> None:
    server, seen = make_trusting()
    async with open_server(server) as net:
        await forward(net)
        await forward(net, "")
        await forward(net, "nonsense")
        assert seen == ["", "", ""]


@pytest.mark.parametrize("proxies", [[], ["127.0.0.1", "0.0.0.0/0", "::/0"]])
async def test_an_untrusted_peer_is_not_believed(proxies: list[str], autojump_clock: MockClock) -> None:
    server, seen = make_trusting(proxies, connections_per_address=1)
    async with open_server(server) as net:
        for _ in range(3):
            assert (await forward(net, "1.2.3.4"))[1].status == 101
        assert seen == ["", "", ""]


async def test_the_limit_holds_for_each_client_behind_a_proxy_and_not_for_the_proxy(autojump_clock: MockClock) -> None:
    server, seen = make_trusting(["unix", "10.0.0.1"], connections_per_address=2)
    async with open_server(server) as net:
        ends = [
            await forward(net, address) for address in ("1.1.1.1", "1.1.1.1", "1.1.1.1", "2.2.2.2", "[::1]:4, 2.2.2.2")
        ]
        assert [answer.status for _, answer in ends] == [101, 101, 429, 101, 101]
        assert (await forward(net, "2.2.2.2"))[1].status == 429
        assert (await forward(net, "1.1.1.1, 10.0.0.1", "9.9.9.9"))[1].status == 101
        for _ in range(9):  # connections of the proxies themselves are not limited
            assert (await forward(net, "10.0.0.1"))[1].status == 101
            assert (await forward(net))[1].status == 101
        # A client that leaves makes room for one more, and for one only.
        await ends[0][0].close()
        await wait_all_tasks_blocked()
        assert (await forward(net, "1.1.1.1"))[1].status == 101
        assert (await forward(net, "1.1.1.1"))[1].status == 429
    assert server._assembly.front_door.arrivals.by_account == {}
    assert server.statistics()["connections"] == 0
    assert seen.count("1.1.1.1") == 3  # authenticate is not called for the refused


async def test_no_warning_asks_to_trust_a_client_behind_a_trusted_proxy(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = make_trusting(connections_per_address=1)
    async with open_server(server) as net:
        assert (await forward(net, "6.6.6.6"))[1].status == 101
        assert (await forward(net, "6.6.6.6"))[1].status == 429
    assert not caplog.records


async def test_plain_http_and_bad_heads_behind_a_proxy_leave_no_count(autojump_clock: MockClock) -> None:
    server, _ = make_trusting()
    async with open_server(server) as net:
        for line in (
            "GET /health HTTP/1.1",
            "GET /nothing HTTP/1.1",
            "POST /ws HTTP/1.1",
            "GET /ws HTTP/1.0",
            "nonsense",
        ):
            await forward(net, "1.2.3.4", line=line)
        peer = Peer(await net.open_stream())
        await peer.send(forwarded_head("1.2.3.4")[:-2])
        await peer.close()
        await wait_all_tasks_blocked()
        assert server._assembly.front_door.arrivals.by_account == {}
    assert server.statistics()["connections"] == 0


# --- on sockets


async def test_a_real_proxy_on_loopback_is_believed_and_not_counted() -> None:
    server = make_attacked(connections_per_address=2, trusted_proxies=["127.0.0.0/8"])
    async with under_attack(server) as attack:
        bystanders = set(server.clients)
        for _ in range(9):
            await attack.connect()
        for status in (101, 101, 429):
            peer = await attack.dial()
            assert (await peer.ask(forwarded_head("6.6.6.6, 9.8.7.6:1"))).status == status
        await until(lambda: len(server.clients) == len(bystanders) + 11)
        addresses = sorted(client.address for id, client in server.clients.items() if id not in bystanders)
        assert addresses == ["127.0.0.1"] * 9 + ["9.8.7.6"] * 2
    assert server._assembly.front_door.arrivals.by_account == {}


async def test_a_unix_proxy_is_believed_and_not_counted(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    server = make_attacked(connections_per_address=1, trusted_proxies=["unix"])
    serve, reach = partial(server.serve, unix=path), partial(trio.open_unix_socket, path)
    async with under_attack(server, serve=serve, reach=reach) as attack:
        for _ in range(5):
            await attack.connect()
        assert (await (await attack.dial()).ask(forwarded_head("::1"))).status == 101
        assert (await (await attack.dial()).ask(forwarded_head("::1"))).status == 429
        assert sorted({client.address for client in server.clients.values()}) == ["", "::1"]
    assert server._assembly.front_door.arrivals.by_account == {}


async def test_an_ipv4_client_of_a_dual_stack_socket_is_trusted_by_its_ipv4_address() -> None:
    listener = trio.socket.socket(trio.socket.AF_INET6)
    listener.setsockopt(trio.socket.IPPROTO_IPV6, trio.socket.IPV6_V6ONLY, 0)
    await listener.bind(("::", 0))
    listener.listen(10)
    server = make_attacked(trusted_proxies=["127.0.0.1"])
    port = listener.getsockname()[1]
    serve = partial(server.serve, listeners=[trio.SocketListener(listener)])
    async with under_attack(server, serve=serve, reach=partial(trio.open_tcp_stream, "127.0.0.1", port)) as attack:
        await attack.connect(forwarded_head("9.8.7.6"))
        await until(lambda: "9.8.7.6" in {client.address for client in server.clients.values()})
    assert server._assembly.front_door.arrivals.by_account == {}


async def test_an_untrusted_proxy_that_reaches_the_limit_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    server = make_attacked(connections_per_address=2)
    async with under_attack(server) as attack:
        assert (await (await attack.dial()).ask(forwarded_head("1.1.1.1"))).status == 101
        assert (await (await attack.dial()).ask(forwarded_head("2.2.2.2"))).status == 101
        assert not caplog.records
        for number in range(3):
            answer = await attack.ask(forwarded_head(f"3.3.3.{number}"))
            assert answer.status == 429
        assert [client.address for client in server.clients.values()] == [BYSTANDER_ADDRESS, "127.0.0.1", "127.0.0.1"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Server(trusted_proxies=['127.0.0.1'])" in record.getMessage()
    assert server._assembly.front_door.arrivals.by_account == {}


async def test_a_thousand_clients_behind_one_proxy_come_and_go() -> None:
    server = make_attacked(connections_per_address=2, handshake_seconds=20, trusted_proxies=["127.0.0.1"])
    async with under_attack(server, seconds=60) as attack:
        statuses: list[int] = []

        async def visit(number: int) -> None:
            peer = await attack.dial()
            answer = await peer.ask(forwarded_head(f"10.1.{number // 250}.{number % 250}"))
            statuses.append(answer.status)
            await (peer.reset if number % 2 else peer.close)()

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(visit, number)
        assert statuses == [101] * 1000
    assert server._assembly.front_door.arrivals.by_account == {}


async def test_a_trusted_proxy_that_names_no_clients_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    server = make_attacked(connections_per_address=2, trusted_proxies=["127.0.0.1"])
    async with under_attack(server) as attack:
        assert (await attack.ask(plain_head("/ready"))).status == 200  # a load balancer may ask from there, too
        await attack.connect(forwarded_head("1.1.1.1"))
        assert not caplog.records
        for _ in range(5):
            await attack.connect()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "the trusted proxy '127.0.0.1' sends no X-Forwarded-For" in record.getMessage()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "last"),
    [
        (["127.0.0.1"], "", "127.0.0.1"),
        (["127.0.0.1"], "unknown", "127.0.0.1"),
        (["127.0.0.1"], "1.1.1.1, nonsense", "127.0.0.1"),
        (["127.0.0.1", "10.0.0.0/8"], "10.1.1.1", "10.1.1.1"),
    ],
)
async def test_a_header_that_names_only_proxies_is_logged_once(
    proxies: list[str], forwarded: str, last: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_attacked(connections_per_address=2, trusted_proxies=proxies)
    async with under_attack(server) as attack:
        for _ in range(5):
            await attack.connect(forwarded_head(forwarded))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"names no client: the last address in it is {last!r}" in record.getMessage()


@pytest.mark.parametrize("proxies", [[], ["unix"]], ids=["not trusted", "trusted"])
async def test_a_unix_socket_without_addresses_is_logged_once(
    proxies: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "socket")
    server = make_attacked(connections_per_address=1, trusted_proxies=proxies)
    serve, reach = partial(server.serve, unix=path), partial(trio.open_unix_socket, path)
    async with under_attack(server, serve=serve, reach=reach) as attack:
        for _ in range(3):
            await attack.connect()
    (record,) = caplog.records
    why = (
        "the trusted proxy 'unix' sends no X-Forwarded-For" if proxies else "connects to the Unix socket has no address"
    )
    assert why in record.getMessage()
