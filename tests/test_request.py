"""Request and Identity: what they hold, and what they hide."""

import base64
from typing import Any

import attrs
import pytest
from trio.testing import MockClock

from simplysocket import Identity, Request, Server

from .harness.admission import open_checked
from .harness.attacker import request_upgrade
from .harness.frames import token_subprotocol


def make_request(subprotocols: tuple[str, ...] = (), **headers: str) -> Request:
    return Request("GET", "/ws", {}, headers, "127.0.0.1", subprotocols)


@pytest.mark.parametrize(
    ("cookie", "cookies"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=; b", {"a": ""}),
        ("=1; =; ;;a=1;", {"a": "1"}),
        (' a = 1 ;\tb = "2 3" ', {"a": "1", "b": "2 3"}),
        ('a="x"; b=""', {"a": "x", "b": ""}),
        ("a=b=c==; d=%20", {"a": "b=c==", "d": "%20"}),
        ("a=\xe4; \u4e2d=\u6587", {"a": "\xe4", "\u4e2d": "\u6587"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ("$Version=1; a=1; $Path=/", {"$Version": "1", "a": "1", "$Path": "/"}),
    ],
)
def test_cookies_are_read_from_the_header(cookie: str, cookies: dict[str, str]) -> None:
    assert make_request(cookie=cookie).cookies == cookies
    assert make_request().cookies == {}


@pytest.mark.parametrize("value", ['"', '"x', 'x"'])
def test_a_lone_quote_is_part_of_the_value_of_a_cookie(value: str) -> None:
    assert make_request(cookie=f"a={value}").cookies == {"a": value}


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   abc  ", "abc"),
        ("Bearer a.b-c_d~e+/==", "a.b-c_d~e+/=="),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearerabc", None),
        ("Basic abc", None),
        ("abc", None),
        ("", None),
    ],
)
def test_a_token_is_read_from_authorization(authorization: str, token: str | None) -> None:
    assert make_request(authorization=authorization).token == token
    expected = token or "other"
    assert make_request((token_subprotocol("other"),), authorization=authorization).token == expected


def test_a_token_that_is_given_wins() -> None:
    request = make_request((token_subprotocol("other"),), authorization="Bearer another")
    assert attrs.evolve(request, token="new").token == "new"
    assert "new" not in repr(attrs.evolve(request, token="new"))


@pytest.mark.parametrize(
    "token", ["a", "ab", "abc", "abcd", "\u4e2d\u6587 \U0001f40d", "a.b.c", "\xff\xfe?>", "x" * 9999]
)
def test_a_token_is_read_from_a_subprotocol(token: str) -> None:
    assert make_request((token_subprotocol(token),)).token == token
    assert make_request(("simplysocket.json", token_subprotocol(token), token_subprotocol("second"))).token == token
    padded = "simplysocket.token." + base64.urlsafe_b64encode(token.encode()).decode()
    assert make_request((padded,)).token == token


@pytest.mark.parametrize("text", ["a", "abcde", "a b", "a!", "YQ=====", "=", "\u4e2d", "gIA", "YQ\n", "Y=Q"])
def test_a_token_that_is_not_base64url_is_ignored(text: str) -> None:
    assert make_request((f"simplysocket.token.{text}",)).token is None


def test_an_empty_token_is_ignored() -> None:
    assert make_request(("simplysocket.token.",)).token is None


def test_other_subprotocols_hold_no_token() -> None:
    assert make_request(("simplysocket.json", "simplysocket.tokenYWJj", "Simplysocket.Token.YWJj")).token is None


def test_a_repr_shows_no_credentials() -> None:
    shown = repr(make_request((token_subprotocol("secret"),), authorization="Bearer secret", cookie="a=secret"))
    assert "secret" not in shown
    assert token_subprotocol("secret") not in shown
    assert "/ws" in shown
    assert "secret" not in repr(Identity("ana", claims={"card": "secret"}))


async def test_a_request_holds_the_parts_of_its_head(autojump_clock: MockClock) -> None:
    server, seen = Server("test"), list[Request]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        seen.append(request)
        return Identity("ana")

    async with open_checked(server) as net:
        await request_upgrade(
            net,
            "X-Twice: 1",
            "x-tWICE: 2",
            "Cookie: a=1; a=2",
            "X-Odd: \xe4 b",
            "Sec-WebSocket-Protocol: simplysocket.json, ,other,",
            f"sec-websocket-protocol: {token_subprotocol('secret')}",
            target="/ws?a=1&a=2&b&c=%C3%A4%20+x&=y#end",
        )
    (found,) = seen
    assert (found.method, found.path, found.address) == ("GET", "/ws", "")
    assert found.query == {"a": "1", "b": "", "c": "\xe4  x", "": "y"}
    assert found.headers["x-twice"] == "1, 2"
    assert found.headers["x-odd"] == "\xe4 b"
    assert found.cookies == {"a": "1"}
    assert found.subprotocols == ("simplysocket.json", "other", token_subprotocol("secret"))
    assert found.token == "secret"


async def test_cookies_of_two_headers_are_joined(autojump_clock: MockClock) -> None:
    server, seen = Server("test"), list[Request]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        seen.append(request)
        return Identity("ana")

    async with open_checked(server) as net:
        await request_upgrade(net, "Cookie: a=1", "Cookie: b=2")
    assert seen[0].cookies == {"a": "1", "b": "2"}


@pytest.mark.parametrize("user", ["", None, 5, b"ana"])
def test_an_identity_needs_a_user(user: Any) -> None:
    with pytest.raises(TypeError, match=r"str\(row.id\)"):
        Identity(user)


@pytest.mark.parametrize(
    "wrong", [{"name": 5}, {"expires_at": "2030-01-01"}, {"expires_at": float("nan")}, {"claims": None}]
)
def test_an_identity_is_checked_when_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Identity("ana", **wrong)
