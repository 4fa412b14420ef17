"""Trusted proxies: whose word on a client's address counts, and under which address a connection is counted."""

import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import Identity, Limits, Request, Server
from simplysocket.proxies import Proxies
from simplysocket.testing import Net, open_server

from ..harness.attack import under_attack, until
from ..harness.attacker import Answer, Peer
from ..harness.frames import head
from ..harness.servers import make_attacked

CHAIN = ["10.0.0.0/8", "192.168.1.1", "2001:db8::/32"]


# --- in words


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        (["10.0.0.1"], "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", "10.0.0.1, 1.2.3.4", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", "127.0.0.1,1.2.3.4", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", " 1.2.3.4\t", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        (["10.0.0.1"], "10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        (["10.0.0.1"], "10.0.0.1", "2001:DB8:0:0::7", "2001:db8::7"),
        (["10.0.0.1"], "10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", "fe80::1%eth0", "fe80::1"),
        (["10.0.0.1"], "::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (CHAIN, "10.9.9.9", "6.6.6.6, 1.2.3.4, 192.168.1.1, 2001:db8::1", "1.2.3.4"),
        (CHAIN, "10.9.9.9", "1.2.3.4, 192.168.1.2, 10.1.1.1", "192.168.1.2"),
        (CHAIN, "10.9.9.9", "10.1.1.1, 10.1.1.2", "10.1.1.1"),
        (["unix"], "", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (["unix", "10.0.0.1"], "", "1.2.3.4, 10.0.0.1", "1.2.3.4"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(
    proxies: list[str], peer: str, forwarded: str, address: str
) -> None:
    known = Proxies.of(proxies)
    assert known.trust(peer)
    assert known.client_of(peer, forwarded) == address


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "unknown",
        "_hidden",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.4/8",
        "for=1.2.3.4",
        "\xb9.2.3.4",
        "[",
        "]",
    ],
)
def test_left_of_what_no_proxy_wrote_nothing_is_believed(entry: str) -> None:
    known = Proxies.of(["10.0.0.0/8"])
    assert known.client_of("10.0.0.1", f"1.2.3.4, {entry}") == "10.0.0.1"
    assert known.client_of("10.0.0.1", f"1.2.3.4, {entry}, 10.0.0.2") == "10.0.0.2"
    assert known.client_of("10.0.0.1", f"{entry}, 1.2.3.4") == "1.2.3.4"


@pytest.mark.parametrize("peer", ["1.2.3.4", "10.0.0.1.evil", "unknown", "2001:db9::1", "127.0.0.1"])
def test_who_is_not_named_is_not_trusted(peer: str) -> None:
    assert not Proxies.of([*CHAIN, "unix"]).trust(peer)
    assert not Proxies.of([]).trust(peer)
    assert not Proxies.of(CHAIN).trust("")


@pytest.mark.parametrize("proxy", ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"])
def test_an_ipv4_mapped_proxy_is_trusted_or_refused(proxy: str) -> None:
    assert Proxies.of([proxy]).trust("::ffff:10.0.0.1")


@pytest.mark.parametrize(
    ("proxies", "said"),
    [
        ("127.0.0.1", "give a list"),
        (["localhost"], "write '127.0.0.1'"),
        (["*"], "write '127.0.0.1'"),
        ([""], "write '127.0.0.1'"),
        (["10.0.0.1/8"], "has host bits set"),
        (["10.0.0.0/33"], "write '127.0.0.1'"),
        (["127.0.0.1:80"], "write '127.0.0.1'"),
        (["127.0.0.1", "Unix"], "'Unix' in trusted_proxies="),
        ([None], "write '127.0.0.1'"),
    ],
)
def test_a_bad_value_is_refused_with_what_to_write(proxies: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"trusted_proxies") as caught:
        Server(trusted_proxies=proxies)
    assert said in str(caught.value)


@pytest.mark.parametrize("proxy", [8080, b"10.0"])
def test_what_is_no_string_is_no_proxy(proxy: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Proxies.of([proxy])


# --- at the door, in memory: there the peer is one on a Unix socket


def make(proxies: Iterable[str] = ("unix",), **limits: Any) -> tuple[Server, list[str]]:
    """Return a server and the addresses that its `authenticate` sees."""
    server, seen = Server("test", trusted_proxies=proxies, limits=Limits(**limits)), list[str]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        seen.append(request.address)
        return Identity("user")

    return server, seen


async def knock(net: Net, *forwarded: str, line: str = "GET /ws HTTP/1.1") -> tuple[Peer, Answer]:
    peer = Peer(await net.open_stream())
    return peer, await peer.ask(head(line, *(f"X-Forwarded-For: {each}" for each in forwarded)))


async def test_the_address_behind_a_proxy_is_the_one_of_request_and_client(autojump_clock: MockClock) -> None:
    server, seen = make()
    async with open_server(server) as net:
        await knock(net, "6.6.6.6, 1.2.3.4")
        await wait_all_tasks_blocked()
        assert seen == ["1.2.3.4"]
        assert [client.address for client in server.clients.values()] == ["1.2.3.4"]


async def test_several_headers_are_one_list(autojump_clock: MockClock) -> None:
    server, seen = make(["unix", "10.0.0.0/8"])
    async with open_server(server) as net:
        await knock(net, "6.6.6.6", "1.2.3.4", "10.0.0.1")
        assert seen == ["1.2.3.4"]


async def test_without_the_header_a_proxy_is_its_own_client(autojump_clock: MockClock) -> None:
    server, seen = make()
    async with open_server(server) as net:
        await knock(net)
        await knock(net, "")
        await knock(net, "nonsense")
        assert seen == ["", "", ""]


@pytest.mark.parametrize("proxies", [[], ["127.0.0.1", "0.0.0.0/0", "::/0"]])
async def test_an_untrusted_peer_is_not_believed(proxies: list[str], autojump_clock: MockClock) -> None:
    server, seen = make(proxies, connections_per_address=1)
    async with open_server(server) as net:
        for _ in range(3):
            assert (await knock(net, "1.2.3.4"))[1].status == 101
        assert seen == ["", "", ""]


async def test_the_bound_holds_for_each_client_behind_a_proxy_and_not_for_the_proxy(autojump_clock: MockClock) -> None:
    server, seen = make(["unix", "10.0.0.1"], connections_per_address=2)
    async with open_server(server) as net:
        ends = [
            await knock(net, address) for address in ("1.1.1.1", "1.1.1.1", "1.1.1.1", "2.2.2.2", "[::1]:4, 2.2.2.2")
        ]
        assert [answer.status for _, answer in ends] == [101, 101, 429, 101, 101]
        assert (await knock(net, "2.2.2.2"))[1].status == 429
        assert (await knock(net, "1.1.1.1, 10.0.0.1", "9.9.9.9"))[1].status == 101
        for _ in range(9):  # the proxies themselves, however many
            assert (await knock(net, "10.0.0.1"))[1].status == 101
            assert (await knock(net))[1].status == 101
        # One who goes makes room for one who comes, and for one only.
        await ends[0][0].close()
        await wait_all_tasks_blocked()
        assert (await knock(net, "1.1.1.1"))[1].status == 101
        assert (await knock(net, "1.1.1.1"))[1].status == 429
    assert server._front_door._addresses == {}
    assert server.statistics()["connections"] == 0
    assert seen.count("1.1.1.1") == 3  # the refused were not asked who they are


async def test_nobody_is_told_to_trust_a_client_behind_a_trusted_proxy(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = make(connections_per_address=1)
    async with open_server(server) as net:
        assert (await knock(net, "6.6.6.6"))[1].status == 101
        assert (await knock(net, "6.6.6.6"))[1].status == 429
    assert not caplog.records


async def test_plain_http_and_bad_heads_behind_a_proxy_leave_no_count_behind(autojump_clock: MockClock) -> None:
    server, _ = make()
    async with open_server(server) as net:
        for line in (
            "GET /health HTTP/1.1",
            "GET /nothing HTTP/1.1",
            "POST /ws HTTP/1.1",
            "GET /ws HTTP/1.0",
            "nonsense",
        ):
            await knock(net, "1.2.3.4", line=line)
        peer = Peer(await net.open_stream())
        await peer.send(head("GET /ws HTTP/1.1", "X-Forwarded-For: 1.2.3.4")[:-2])
        await peer.close()
        await wait_all_tasks_blocked()
        assert server._front_door._addresses == {}
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
            assert (await peer.ask(head("GET /ws HTTP/1.1", "X-Forwarded-For: 6.6.6.6, 9.8.7.6:1"))).status == status
        await until(lambda: len(server.clients) == len(bystanders) + 11)
        addresses = sorted(client.address for id, client in server.clients.items() if id not in bystanders)
        assert addresses == ["127.0.0.1"] * 9 + ["9.8.7.6"] * 2
    assert server._front_door._addresses == {}


async def test_a_unix_proxy_is_believed_and_not_counted(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    server = make_attacked(connections_per_address=1, trusted_proxies=["unix"])
    serve, reach = partial(server.serve, unix=path), partial(trio.open_unix_socket, path)
    async with under_attack(server, serve=serve, reach=reach) as attack:
        for _ in range(5):
            await attack.connect()
        assert (await (await attack.dial()).ask(head("GET /ws HTTP/1.1", "X-Forwarded-For: ::1"))).status == 101
        assert (await (await attack.dial()).ask(head("GET /ws HTTP/1.1", "X-Forwarded-For: ::1"))).status == 429
        assert sorted({client.address for client in server.clients.values()}) == ["", "::1"]
    assert server._front_door._addresses == {}


async def test_an_ipv4_client_of_a_dual_stack_socket_is_trusted_by_its_ipv4_address() -> None:
    listener = trio.socket.socket(trio.socket.AF_INET6)
    listener.setsockopt(trio.socket.IPPROTO_IPV6, trio.socket.IPV6_V6ONLY, 0)
    await listener.bind(("::", 0))
    listener.listen(10)
    server = make_attacked(trusted_proxies=["127.0.0.1"])
    port = listener.getsockname()[1]
    serve = partial(server.serve, listeners=[trio.SocketListener(listener)])
    async with under_attack(server, serve=serve, reach=partial(trio.open_tcp_stream, "127.0.0.1", port)) as attack:
        await attack.connect(head("GET /ws HTTP/1.1", "X-Forwarded-For: 9.8.7.6"))
        await until(lambda: "9.8.7.6" in {client.address for client in server.clients.values()})
    assert server._front_door._addresses == {}


async def test_a_proxy_that_is_not_trusted_is_named_once_when_it_has_too_many(caplog: pytest.LogCaptureFixture) -> None:
    server = make_attacked(connections_per_address=3)
    async with under_attack(server) as attack:
        assert (await (await attack.dial()).ask(head("GET /ws HTTP/1.1", "X-Forwarded-For: 1.1.1.1"))).status == 101
        assert (await (await attack.dial()).ask(head("GET /ws HTTP/1.1", "X-Forwarded-For: 2.2.2.2"))).status == 101
        assert not caplog.records
        for number in range(3):
            answer = await attack.ask(head("GET /ws HTTP/1.1", f"X-Forwarded-For: 3.3.3.{number}"))
            assert answer.status == 429
        assert [client.address for client in server.clients.values()] == ["127.0.0.1"] * 3
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Server(trusted_proxies=['127.0.0.1'])" in record.getMessage()
    assert server._front_door._addresses == {}


async def test_a_thousand_clients_behind_one_proxy_come_and_go() -> None:
    server = make_attacked(connections_per_address=2, handshake_seconds=20, trusted_proxies=["127.0.0.1"])
    async with under_attack(server, seconds=60) as attack:
        statuses: list[int] = []

        async def visit(number: int) -> None:
            peer = await attack.dial()
            answer = await peer.ask(head("GET /ws HTTP/1.1", f"X-Forwarded-For: 10.1.{number // 250}.{number % 250}"))
            statuses.append(answer.status)
            await (peer.reset if number % 2 else peer.close)()

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(visit, number)
        assert statuses == [101] * 1000
    assert server._front_door._addresses == {}
