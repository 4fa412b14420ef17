"""Which pages may connect (`origins=`), and by which names a server may be asked for (`hosts=`)."""

from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Server
from simplysocket._http.origins import Hosts, Origins
from simplysocket.testing import open_server

from ..harness.attack import under_attack
from ..harness.attacker import Peer, send_head
from ..harness.frames import head
from ..harness.plain_http import plain_head
from ..harness.servers import make_attacked
from ..harness.tls import make_contexts


@pytest.mark.parametrize(
    ("allowed", "origin", "is_admitted"),
    [
        ("https://example.com", "https://example.com", True),
        ("https://example.com/", "HTTPS://EXAMPLE.com", True),
        ("https://example.com:443", "https://example.com", True),
        ("http://example.com", "http://example.com:80", True),
        ("http://example.com:443", "http://example.com", False),
        ("https://example.com", "http://example.com", False),
        ("https://example.com", "https://example.com:8443", False),
        ("https://example.com", "https://www.example.com", False),
        ("https://example.com", "https://example.com.evil.test", False),
        ("https://example.com", "null", False),
        ("https://*.example.com", "https://www.example.com", True),
        ("https://*.example.com", "https://pr-17_x.example.com", True),
        ("https://*.Example.com:8443", "https://www.example.com:8443", True),
        ("https://*.example.com", "https://www.example.com:8443", False),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://a.b.example.com", False),
        ("https://*.example.com", "https://.example.com", False),
        ("https://*.example.com", "https://*.example.com", False),
        ("https://*.example.com", "https://evil.test/.example.com", False),
        ("https://*.example.com", "https://evil/.example.com", False),
        ("https://*.example.com", "https://wwwexample.com", False),
        ("https://*.example.com", "http://www.example.com", False),
        ("http://*.localhost:3000", "http://app.localhost:3000", True),
        ("null", "null", True),
        ("file://", "file://", True),
        ("file:///", "file://", True),
        ("null", "file://", False),
        ("app://localhost/", "app://localhost", True),
        ("chrome-extension://abcdef", "chrome-extension://abcdef", True),
    ],
)
def test_an_origin_is_admitted_if_it_is_listed(allowed: str, origin: str, is_admitted: bool) -> None:
    for is_tls in (False, True):
        assert Origins.of([allowed]).admit(origin, "example.com", is_tls=is_tls) is is_admitted


@pytest.mark.parametrize(
    ("origin", "host", "over_tls", "without"),
    [
        ("https://ex.com", "ex.com", True, True),
        ("https://ex.com", "ex.com:443", True, True),
        ("https://ex.com:8443", "ex.com:8443", True, True),
        ("http://ex.com", "ex.com", False, True),
        ("http://ex.com:443", "ex.com:443", False, True),
        ("http://ex.com:8443", "ex.com:8443", False, True),
        ("ws://ex.com", "ex.com", False, True),
        ("https://ex.com", "ex.com:80", False, False),
        ("null", "ex.com", False, False),
        ("file://", "ex.com", False, False),
    ],
)
def test_without_a_list_a_page_has_the_origin_of_the_server(
    origin: str, host: str, over_tls: bool, without: bool
) -> None:
    origins = Origins.of(None)
    assert origins.admit(origin, host, is_tls=True) is over_tls
    assert origins.admit(origin, host, is_tls=False) is without  # a proxy may be in front, and speak TLS


async def test_a_page_without_tls_is_not_of_the_same_origin_as_a_port_with_tls() -> None:
    for_server, for_client = make_contexts()
    server = make_attacked()

    async def reach() -> trio.abc.Stream:
        plain = await trio.open_tcp_stream("127.0.0.1", server.port)
        return trio.SSLStream(plain, for_client, server_hostname="127.0.0.1", https_compatible=True)

    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=for_server)
    async with under_attack(server, serve=serve, reach=reach) as attack:
        assert (await attack.ask(head(origin="http://127.0.0.1"))).status == 403
        assert (await attack.ask(head(origin="https://127.0.0.1"))).status == 101


@pytest.mark.parametrize(
    ("trusted", "lines", "http", "https"),
    [
        (["unix"], ["X-Forwarded-Proto: https"], 403, 101),
        (["unix"], ["X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1"], 403, 101),
        (["unix"], ["X-Forwarded-Proto: http"], 101, 101),
        (["unix"], ["X-Forwarded-Proto: nonsense"], 101, 101),
        (["unix"], ["X-Forwarded-For: 192.0.2.1"], 101, 101),
        (["192.0.2.1"], ["X-Forwarded-Proto: https"], 101, 101),
        ([], ["X-Forwarded-Proto: https"], 101, 101),
    ],
)
async def test_a_page_without_tls_is_not_of_the_same_origin_as_a_trusted_proxy_with_tls(
    autojump_clock: MockClock, trusted: list[str], lines: list[str], http: int, https: int
) -> None:
    async with open_server(Server("test", trusted_proxies=trusted)) as net:
        for scheme, expected in (("http", http), ("https", https)):
            request = head("GET /ws HTTP/1.1", f"Origin: {scheme}://play.example.com", *lines, host="play.example.com")
            assert (await send_head(net, request))[1].status == expected


async def test_a_proxy_over_tls_tells_of_clients_that_came_without() -> None:
    for_server, for_client = make_contexts()
    server = Server("test", trusted_proxies=["127.0.0.1"])
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.serve, "127.0.0.1", 0, ssl_context=for_server))
        for scheme, expected in (("http", 101), ("https", 403)):
            plain = await trio.open_tcp_stream("127.0.0.1", server.port)
            peer = Peer(trio.SSLStream(plain, for_client, server_hostname="127.0.0.1", https_compatible=True))
            lines = ("Origin: http://127.0.0.1", f"X-Forwarded-Proto: {scheme}")
            answer = await peer.ask(head("GET /ws HTTP/1.1", *lines))
            assert answer.status == expected
            await peer.close()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("allowed", "host", "is_admitted"),
    [
        ("play.example.com", "play.example.com", True),
        ("Play.example.com", "PLAY.example.com:8080", True),
        ("play.example.com", "example.com", False),
        ("play.example.com", "play.example.com.evil.test", False),
        ("*.example.com", "play.example.com", True),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "example.com", False),
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("::1", "[::1]:8080", True),
        ("[0:0::1]", "[::1]", True),
        ("localhost", "localhost:8080", True),
        ("localhost", "", False),
    ],
)
def test_a_host_is_admitted_if_it_is_listed(allowed: str, host: str, is_admitted: bool) -> None:
    assert Hosts.of([allowed]).admit(host) is is_admitted
    assert Hosts.of(None).admit(host)


REBOUND = {"host": "evil.test:8080", "origin": "http://evil.test:8080"}  # its name leads to this server now


async def test_a_page_whose_name_leads_here_is_refused_with_hosts(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("hello")
    server = make_attacked(hosts=["127.0.0.1", "play.example.com"])
    server.static("/", tmp_path)
    async with under_attack(server) as attack:
        for request in (head(**REBOUND), plain_head("/page.html", host="evil.test:8080")):
            answer = await attack.ask(request)
            assert (answer.status, b"misdirected" in answer.body) == (421, True)
        assert server.statistics()["upgrades_refused"] == {421: 2}
        assert (await attack.ask(head(host="play.example.com", origin="http://play.example.com"))).status == 101
        assert (await attack.ask(plain_head("/page.html", host="play.example.com:80"))).status == 200


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_who_asks_whether_the_server_lives_needs_no_name(path: str) -> None:
    async with under_attack(make_attacked(hosts=["127.0.0.1"])) as attack:
        assert (await attack.ask(plain_head(path, host="10.0.0.7:8080"))).status == 200
        assert (await attack.ask(f"GET {path} HTTP/1.0\r\n\r\n".encode())).status == 200
        assert (await attack.ask(b"GET /other HTTP/1.0\r\n\r\n")).status == 421


async def test_a_client_of_the_test_kit_gives_the_host_that_is_asked_for() -> None:
    async with open_server(Server(hosts=["play.example.com"])) as net:
        with pytest.raises(ActionError, match="421"):
            await net.connect("ana")
        await net.connect("ana", headers={"Host": "play.example.com"})
