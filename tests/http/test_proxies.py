"""Trusted proxies: which addresses are trusted, and which entry of X-Forwarded-For is the client's."""

from typing import Any

import pytest

from simplysocket import Server
from simplysocket._http.proxies import Proxies, speaks_tls

CHAIN = ["10.0.0.0/8", "192.168.1.1", "2001:db8::/32"]


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
def test_the_client_is_the_last_address_that_is_not_a_trusted_proxy(
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
def test_nothing_left_of_an_invalid_entry_is_believed(entry: str) -> None:
    known = Proxies.of(["10.0.0.0/8"])
    assert known.client_of("10.0.0.1", f"1.2.3.4, {entry}") == "10.0.0.1"
    assert known.client_of("10.0.0.1", f"1.2.3.4, {entry}, 10.0.0.2") == "10.0.0.2"
    assert known.client_of("10.0.0.1", f"{entry}, 1.2.3.4") == "1.2.3.4"


@pytest.mark.parametrize(("proxies", "address"), [(31, "1.2.3.4"), (32, "10.0.0.2"), (5_000, "10.0.0.2")])
def test_of_a_long_header_only_the_last_entries_are_read(proxies: int, address: str) -> None:
    forwarded = ["1.2.3.4", *["10.0.0.2"] * proxies]
    assert Proxies.of(["10.0.0.0/8"]).client_of("10.0.0.1", ", ".join(forwarded)) == address


@pytest.mark.parametrize("peer", ["1.2.3.4", "10.0.0.1.evil", "unknown", "2001:db9::1", "127.0.0.1"])
def test_an_address_that_is_not_listed_is_not_trusted(peer: str) -> None:
    assert not Proxies.of([*CHAIN, "unix"]).trust(peer)
    assert not Proxies.of([]).trust(peer)
    assert not Proxies.of(CHAIN).trust("")


@pytest.mark.parametrize("proxy", ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"])
def test_an_ipv4_mapped_proxy_is_trusted(proxy: str) -> None:
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
def test_a_proxy_that_is_not_a_string_is_refused(proxy: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Proxies.of([proxy])


@pytest.mark.parametrize(
    ("header", "over_tls", "otherwise"),
    [
        ("https", True, True),
        ("HTTPS", True, True),
        (" wss ", True, True),
        ("https, http", True, True),  # two proxies, and plain HTTP between them
        ("http", False, False),
        ("ws", False, False),
        ("http,https", False, False),
        ("", False, True),
        ("nonsense", False, True),
        (", https", False, True),
    ],
)
def test_whether_a_client_came_over_tls_is_in_the_first_entry(header: str, over_tls: bool, otherwise: bool) -> None:
    assert speaks_tls(header, otherwise=False) is over_tls
    assert speaks_tls(header, otherwise=True) is otherwise
