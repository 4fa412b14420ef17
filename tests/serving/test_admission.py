"""Admission: the request, who it is found to be, and the hooks at both ends of a client's stay."""

import base64
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import (
    GLOBAL_ROOM,
    ActionError,
    Client,
    Identity,
    Limits,
    Refuse,
    RegistrationError,
    Request,
    Room,
    Server,
)
from simplysocket.testing import ConnectionEnded, Net, open_server

from ..harness.attack import TEST_SECONDS, under_attack, until
from ..harness.attacker import Answer, Peer
from ..harness.frames import close, head, message
from ..harness.servers import in_cancel_scope, make_attacked

HANDSHAKE_SECONDS = 5.0  # of Limits
CLOSE_SECONDS = 2.0


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@contextlib.asynccontextmanager
async def house(server: Server) -> AsyncIterator[Net]:
    """Serve in memory; behind it nothing may be left."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with open_server(server) as net:
        yield net
    check_empty(server)
    assert trio.lowlevel.current_statistics().tasks_living == tasks


def check_empty(server: Server) -> None:
    counted = server.statistics()
    assert (counted["connections"], counted["clients"]) == (0, 0)
    assert server._front_door._addresses == {}
    assert sum(counted["connections_closed"].values()) == counted["connections_opened"]
    assert 0 not in counted["connections_closed"]


async def knock(net: Net, *lines: str, target: str = "/ws", **changes: str | None) -> tuple[Peer, Answer]:
    """Send a request head of one's own, and read the answer."""
    peer = Peer(await net.open_stream())
    return peer, await peer.ask(head(f"GET {target} HTTP/1.1", *lines, **changes))


# --- the request


def request(subprotocols: tuple[str, ...] = (), **headers: str) -> Request:
    return Request("GET", "/ws", {}, headers, "127.0.0.1", subprotocols)


def entry(token: str) -> str:
    return "simplysocket.token." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


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
def test_cookies(cookie: str, cookies: dict[str, str]) -> None:
    assert request(cookie=cookie).cookies == cookies
    assert request().cookies == {}


@pytest.mark.parametrize("value", ['"', '"x', 'x"'])
def test_a_single_quote_belongs_to_a_cookie(value: str) -> None:
    assert request(cookie=f"a={value}").cookies == {"a": value}


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
def test_a_token_in_authorization(authorization: str, token: str | None) -> None:
    assert request(authorization=authorization).token == token
    expected = token or "other"
    assert request((entry("other"),), authorization=authorization).token == expected


@pytest.mark.parametrize(
    "token", ["a", "ab", "abc", "abcd", "\u4e2d\u6587 \U0001f40d", "a.b.c", "\xff\xfe?>", "x" * 9999]
)
def test_a_token_in_a_subprotocol(token: str) -> None:
    assert request((entry(token),)).token == token
    assert request(("simplysocket.json", entry(token), entry("second"))).token == token
    padded = "simplysocket.token." + base64.urlsafe_b64encode(token.encode()).decode()
    assert request((padded,)).token == token


@pytest.mark.parametrize("text", ["a", "abcde", "a b", "a!", "YQ=====", "=", "\u4e2d", "gIA", "YQ\n", "Y=Q"])
def test_a_token_that_is_no_base64url_is_none(text: str) -> None:
    assert request((f"simplysocket.token.{text}",)).token is None


def test_an_empty_token_is_none() -> None:
    assert request(("simplysocket.token.",)).token is None


def test_other_subprotocols_hold_no_token() -> None:
    assert request(("simplysocket.json", "simplysocket.tokenYWJj", "Simplysocket.Token.YWJj")).token is None


def test_a_request_shows_no_credentials() -> None:
    shown = repr(request((entry("secret"),), authorization="Bearer secret", cookie="a=secret"))
    assert "secret" not in shown
    assert entry("secret") not in shown
    assert "/ws" in shown
    assert "secret" not in repr(Identity("ana", claims={"card": "secret"}))


async def test_what_a_request_holds(autojump_clock: MockClock) -> None:
    server, seen = Server("test"), list[Request]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        seen.append(request)
        return Identity("ana")

    async with house(server) as net:
        await knock(
            net,
            "X-Twice: 1",
            "x-tWICE: 2",
            "Cookie: a=1; a=2",
            "X-Odd: \xe4 b",
            "Sec-WebSocket-Protocol: simplysocket.json, ,other,",
            f"sec-websocket-protocol: {entry('secret')}",
            target="/ws?a=1&a=2&b&c=%C3%A4%20+x&=y#end",
        )
    (found,) = seen
    assert (found.method, found.path, found.address) == ("GET", "/ws", "")
    assert found.query == {"a": "1", "b": "", "c": "\xe4  x", "": "y"}
    assert found.headers["x-twice"] == "1, 2"
    assert found.headers["x-odd"] == "\xe4 b"
    assert found.cookies == {"a": "1"}
    assert found.subprotocols == ("simplysocket.json", "other", entry("secret"))
    assert found.token == "secret"


async def test_cookies_in_two_headers(autojump_clock: MockClock) -> None:
    server, seen = Server("test"), list[Request]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        seen.append(request)
        return Identity("ana")

    async with house(server) as net:
        await knock(net, "Cookie: a=1", "Cookie: b=2")
    assert seen[0].cookies == {"a": "1", "b": "2"}


# --- authenticate: yes


async def test_an_identity_reaches_the_client(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "nobody", name=request.query.get("as", ""), claims={"admin": True})

    @server.action("me")
    async def me(client: Client) -> Any:
        assert client.identity is not None
        return [client.user, client.name, client.identity.claims["admin"]]

    async with house(server) as net:
        token = {"Authorization": "Bearer u1"}
        assert await (await net.connect("asked", headers=token)).request("me") == ["u1", "asked", True]
        peer, answer = await knock(net, target="/ws?name=asked&as=given")
        assert answer.status == 101
        assert (await peer.request("me"))["message_body"] == ["nobody", "given", True]


async def test_without_authenticate_there_is_no_identity(autojump_clock: MockClock) -> None:
    server = Server("test")
    async with house(server) as net:
        await net.connect("ana", headers={"Authorization": "Bearer secret"})
        (client,) = server.clients.values()
        assert (client.user, client.identity, client.name) == (None, None, "ana")


async def test_the_subprotocol_with_the_token_is_never_echoed(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "nobody")

    async with house(server) as net:
        for offered, chosen in (
            (entry("t"), None),
            (f"{entry('t')}, simplysocket.json", "simplysocket.json"),
            (f"simplysocket.json, {entry('t')}", "simplysocket.json"),
        ):
            _, answer = await knock(net, f"Sec-WebSocket-Protocol: {offered}")
            assert answer.status == 101
            assert answer.headers.get("sec-websocket-protocol") == chosen
            assert not any(entry("t") in value for value in answer.headers.values())
        assert {client.user for client in server.clients.values()} == {"t"}


# --- authenticate: no


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (400, "bad-request", "Bad Request"),
        (401, "unauthorized", "Unauthorized"),
        (402, "refused", "Payment Required"),
        (403, "forbidden", "Forbidden"),
        (404, "not-found", "Not Found"),
        (418, "refused", "refused"),
        (429, "too-many", "Too Many Requests"),
        (499, "refused", "refused"),
        (503, "unavailable", "Service Unavailable"),
        (599, "refused", "refused"),
    ],
)
async def test_a_refusal_is_answered_in_http(
    status: int, code: str, text: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    odd = ["gr\xfc\xdf \U0001f40d", "a\r\nSet-Cookie: b=1\r\n\r\n<html>", "x" * 100_000]
    server, messages = Server("test"), iter(["", *odd])

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        raise Refuse(status, next(messages))

    async with house(server) as net:
        for expected in (text, *odd):
            _, answer = await knock(net)
            assert answer.status == status
            assert json.loads(answer.body) == {"code": code, "message": expected}
            assert answer.headers["content-type"] == "application/json"
            assert int(answer.headers["content-length"]) == len(answer.body)
            assert "set-cookie" not in answer.headers
        assert not server.clients
    assert server.statistics()["upgrades_refused"] == {status: 4}
    assert server.statistics()["connections_opened"] == 0
    assert errors(caplog) == []


@pytest.mark.parametrize("status", [200, 101, 399, 600, 0, -1, True, None, "401", 401.0])
def test_a_refusal_with_no_such_status_is_refused(status: Any) -> None:
    with pytest.raises(ValueError, match="HTTP status of 400 to 599"):
        Refuse(status)


async def raise_group() -> None:
    """Raise a refusal and a bug out of two tasks."""

    async def refuse() -> None:
        raise Refuse(403, "no")

    async def fail() -> None:
        raise KeyError("bug")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse)
        nursery.start_soon(fail)


async def refuse_in_a_nursery() -> None:
    async with trio.open_nursery():
        raise Refuse(403, "no")


async def raise_key_error() -> None:
    raise KeyError("bug")


async def raise_os_error() -> None:
    raise ConnectionResetError("the database is gone")


async def raise_a_closed_resource() -> None:
    raise trio.ClosedResourceError


async def raise_no_status() -> None:
    raise Refuse("who are you?")  # type: ignore[arg-type]  # the mistake that is tested


async def give(what: object) -> Any:
    return what


async def close_over_a_cancel() -> None:
    """Cancel itself, and raise a group out of the finally."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep_forever()
        finally:
            raise ExceptionGroup("while cleaning up", [KeyError("bug")])


@pytest.mark.parametrize(
    ("act", "status", "is_logged"),
    [
        (refuse_in_a_nursery, 403, False),
        (raise_group, 403, True),
        (raise_key_error, 500, True),
        (raise_os_error, 500, True),
        (raise_a_closed_resource, 500, True),
        (raise_no_status, 500, True),
        (close_over_a_cancel, 500, True),
        (partial(give, None), 401, True),
        (partial(give, True), 401, True),
        (partial(give, "ana"), 401, True),
        (partial(give, {"user": "ana"}), 401, True),
        (partial(give, Identity), 401, True),
    ],
)
async def test_a_bug_in_authenticate_lets_nobody_in(
    act: Callable[[], Awaitable[Any]],
    status: int,
    is_logged: bool,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        result: Identity = await act()
        return result

    async with house(server) as net:
        for _ in range(2):
            _, answer = await knock(net, "Authorization: Bearer secret")
            assert answer.status == status
            assert set(json.loads(answer.body)) == {"code", "message"}
            assert b"bug" not in answer.body
        assert not server.clients
    assert bool(errors(caplog)) == is_logged
    assert "secret" not in caplog.text


@pytest.mark.parametrize("text", ["\ud800", object()])
async def test_a_refusal_in_words_that_are_no_json_is_still_a_refusal(text: Any, autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        raise Refuse(403, text)

    async with house(server) as net:
        assert (await knock(net))[1].status in (403, 500)


async def sleep_and_swallow() -> Identity:
    with contextlib.suppress(trio.Cancelled):
        await trio.sleep_forever()
    raise Refuse(403, "late")


async def sleep_and_fail() -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise KeyError("bug")


async def sleep_and_raise_a_group() -> None:
    """Be cancelled, and raise a group of that and of a bug."""
    try:
        await trio.sleep_forever()
    except trio.Cancelled as exc:
        raise BaseExceptionGroup("both", [exc, KeyError("bug")])  # noqa: B904 - the nonsense that is tested


@pytest.mark.parametrize(
    ("act", "status"),
    [(trio.sleep_forever, 408), (sleep_and_swallow, 403), (sleep_and_fail, 500), (sleep_and_raise_a_group, 408)],
)
async def test_an_authenticate_that_never_returns_is_cut(
    act: Callable[[], Awaitable[Any]], status: int, autojump_clock: MockClock
) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        result: Identity = await act()
        return result

    async with house(server) as net:
        started = trio.current_time()
        _, answer = await knock(net)
        assert answer.status == status
        assert trio.current_time() - started == pytest.approx(HANDSHAKE_SECONDS, abs=1.5)  # 1 s of lingering


async def test_the_handshake_and_authenticate_share_one_deadline(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        await trio.sleep(3)
        return Identity("ana")

    async with house(server) as net:
        peer = Peer(await net.open_stream())
        await trio.sleep(3)
        assert (await peer.ask(head())).status == 408
        assert (await knock(net))[1].status == 101


async def test_authenticate_is_asked_last_and_never_for_plain_http(autojump_clock: MockClock) -> None:
    server, asked = Server("test", limits=Limits(connections=2), origins=["https://a.com"]), list[str]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        asked.append(request.path)
        return Identity("ana")

    async with house(server) as net:
        for answer in (
            (await knock(net, origin="https://b.com"))[1],
            (await knock(net, sec_websocket_version="12"))[1],
            (await knock(net, sec_websocket_key="short"))[1],
            (await knock(net, target="/other"))[1],
            (await knock(net, target="/health", upgrade=None))[1],
            (await knock(net, upgrade=None))[1],
            (await knock(net, host=None))[1],
        ):
            assert answer.status != 101
        assert asked == []
        assert (await knock(net, origin="https://a.com"))[1].status == 101
        assert (await knock(net))[1].status == 101
        assert (await knock(net))[1].status == 503
        assert len(asked) == 2


async def test_peers_that_leave_during_authenticate_cost_nothing(autojump_clock: MockClock) -> None:
    server, called = Server("test"), list[str]()

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        await trio.sleep(1)
        return Identity("ana")

    @server.on_connect
    async def connected(client: Client) -> None:
        called.append(client.id)

    @server.on_disconnect
    async def disconnected(client: Client) -> None:
        called.remove(client.id)

    async with house(server) as net:
        for _ in range(20):
            peer = Peer(await net.open_stream())
            await peer.send(head())
            await wait_all_tasks_blocked()
            await peer.close()
        await trio.sleep(3)
        check_empty(server)
    assert called == []


async def test_authenticate_is_registered_once_and_as_it_must_be() -> None:
    server = Server("test")
    for wrong in (lambda request: None, 5, None, (lambda: None), Identity):
        with pytest.raises(RegistrationError, match=r"async def \(request\)"):
            server.authenticate(wrong)  # type: ignore[type-var]  # the mistake that is tested

    async def none() -> Identity:
        return Identity("ana")

    async def two(client: Client, request: Request) -> Identity:
        return Identity("ana")

    for function in (none, two):
        with pytest.raises(RegistrationError, match=r"async def \(request\)"):
            server.authenticate(function)  # type: ignore[type-var]  # the mistake that is tested

    @server.authenticate
    async def one(request: Request) -> Identity:
        return Identity("ana")

    with pytest.raises(RegistrationError, match="twice"):
        server.authenticate(one)


@pytest.mark.parametrize("user", ["", None, 5, b"ana"])
def test_an_identity_needs_a_user(user: Any) -> None:
    with pytest.raises(TypeError, match=r"str\(row.id\)"):
        Identity(user)


@pytest.mark.parametrize(
    "wrong", [{"name": 5}, {"expires_at": "2030-01-01"}, {"expires_at": float("nan")}, {"claims": None}]
)
def test_an_identity_is_checked_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Identity("ana", **wrong)


# --- a server that stops meanwhile


Wait = Callable[[], Awaitable[None]]


def make_slow(where: str, wait: Wait) -> tuple[Server, list[str]]:
    """Return a server with a hook that waits, and the log of what was called and how it ended."""
    server, log = Server("test"), list[str]()

    async def at(place: str) -> None:
        log.append(place)
        if place == where:
            try:
                await wait()
            except BaseException as exc:
                log.append(f"{place}: {type(exc).__name__}")
                raise
            log.append(f"{place} done")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        await at("authenticate")
        return Identity("ana")

    @server.on_connect
    async def connected() -> None:
        await at("on_connect")

    @server.on_disconnect
    async def disconnected(_: Client, reason: str) -> None:
        log.append(reason)
        await at("on_disconnect")

    return server, log


async def test_a_graceful_stop_waits_for_authenticate_and_lets_go_who_comes_in(autojump_clock: MockClock) -> None:
    server, log = make_slow("authenticate", partial(trio.sleep, 1))
    async with house(server) as net:
        peer = Peer(await net.open_stream())
        await peer.send(head())
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 10)
            assert (await peer.read_answer()).status in (101, 503)
            await peer.end()
    assert log in (
        ["authenticate", "authenticate done"],
        ["authenticate", "authenticate done", "on_connect", "shutdown", "on_disconnect"],
    )


async def test_a_graceful_stop_during_on_connect_ends_with_3001(autojump_clock: MockClock) -> None:
    server, log = make_slow("on_connect", partial(trio.sleep, 1))
    async with house(server) as net:
        peer, _ = await knock(net)
        await wait_all_tasks_blocked()
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 10)
            assert await peer.end() == 3001
        assert trio.current_time() - started < 4
    assert log == ["authenticate", "on_connect", "on_connect done", "shutdown", "on_disconnect"]


async def test_a_join_in_on_connect_that_meets_a_stop_is_no_refusal_for_ever(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.on_connect
    async def connected(client: Client) -> None:
        await trio.sleep(1)
        await client.join("hall")

    async with house(server) as net:
        peer, _ = await knock(net)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 10)
            assert await peer.end() == 3001


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
async def test_a_stop_is_not_held_by_a_hook_that_never_returns(where: str, autojump_clock: MockClock) -> None:
    server, log = make_slow(where, trio.sleep_forever)
    async with house(server) as net:
        peer = Peer(await net.open_stream())
        await peer.send(head())
        await wait_all_tasks_blocked()
        started = trio.current_time()
        await server.stop(1)
        assert trio.current_time() - started <= 1 + CLOSE_SECONDS
        check_empty(server)
    assert log.count(f"{where}: Cancelled") == 1
    assert log.count("on_disconnect") == log.count("on_connect")


@contextlib.asynccontextmanager
async def cancellable(server: Server) -> AsyncIterator[tuple[Net, trio.CancelScope]]:
    """Serve in memory in a scope that the test may cancel; behind it nothing may be left."""
    async with in_cancel_scope(server) as served:
        yield served
    check_empty(server)


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect", "nowhere"])
async def test_a_server_cancelled_hard_calls_on_disconnect_and_ends(where: str, autojump_clock: MockClock) -> None:
    server, log = make_slow(where, trio.sleep_forever)
    async with cancellable(server) as (net, scope):
        peer = Peer(await net.open_stream())
        await peer.send(head())
        await wait_all_tasks_blocked()
        started = trio.current_time()
        scope.cancel()
    assert trio.current_time() - started <= CLOSE_SECONDS + 0.5
    assert log.count("on_connect") == log.count("on_disconnect") == (where != "authenticate")


async def test_a_server_cancelled_hard_gives_shutdown_as_the_reason(autojump_clock: MockClock) -> None:
    server, log = make_slow("nowhere", trio.sleep_forever)
    async with cancellable(server) as (net, scope):
        peer, _ = await knock(net)
        await wait_all_tasks_blocked()
        scope.cancel()
        assert await peer.end() == 3001
    assert "shutdown" in log


@pytest.mark.parametrize("seed", range(40))
async def test_a_server_cancelled_at_any_step_leaves_nothing_behind(seed: int, autojump_clock: MockClock) -> None:
    """Cancel or stop it `seed` passes of the scheduler behind the head."""
    server, log = make_slow("", trio.sleep_forever)

    @server.on_connect
    async def joins(client: Client) -> None:
        await client.send("hello")
        await client.join("hall")
        await trio.lowlevel.checkpoint()

    async with cancellable(server) as (net, scope):
        peers = [Peer(await net.open_stream()) for _ in range(3)]
        for peer in peers:
            await peer.send(head())
        for _ in range(seed // 2):
            await trio.lowlevel.checkpoint()
        if seed % 2:
            scope.cancel()
        else:
            await server.stop(1)
    assert log.count("on_connect") == log.count("on_disconnect")


@pytest.mark.parametrize("steps", range(25))
async def test_a_peer_that_breaks_at_any_step_leaves_nothing_behind(steps: int, autojump_clock: MockClock) -> None:
    server, log = make_slow("", trio.sleep_forever)

    @server.on_connect
    async def joins(client: Client) -> None:
        await client.join("hall")
        await client.send("hello")

    async with house(server) as net:
        peer = Peer(await net.open_stream())
        await peer.send(head())
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        await peer.close()
        await trio.sleep(10)
        check_empty(server)
        assert list(server.rooms) == [GLOBAL_ROOM]
    assert log.count("on_connect") == log.count("on_disconnect")


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
async def test_stop_from_a_hook_only_begins(where: str, autojump_clock: MockClock) -> None:
    ours: list[Server] = []

    async def stop() -> None:
        await ours[0].stop(20)

    server, log = make_slow(where, stop)
    ours.append(server)
    async with house(server) as net:
        peer, _ = await knock(net)
        await peer.close()
        await trio.sleep(10)
    assert f"{where} done" in log


# --- expires_at


def expiring(seconds: float | None) -> tuple[Server, list[str]]:
    server, reasons = Server("test"), list[str]()

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        return Identity("ana", expires_at=None if seconds is None else time.time() + seconds)

    @server.on_disconnect
    async def gone(_: Client, reason: str) -> None:
        reasons.append(reason)

    return server, reasons


async def test_a_connection_ends_with_its_credentials(autojump_clock: MockClock) -> None:
    server, reasons = expiring(100)
    async with house(server) as net:
        ana, started = await net.connect("ana"), trio.current_time()
        ended = await ana.wait_ended()
        assert ended.code == 3005
        assert trio.current_time() - started == pytest.approx(100, abs=1)
        await wait_all_tasks_blocked()
        assert reasons == ["expired"]


@pytest.mark.parametrize("seconds", [0, -5])
async def test_credentials_that_have_expired_already_are_refused(seconds: float, autojump_clock: MockClock) -> None:
    server, _ = expiring(seconds)
    async with house(server) as net:
        _, answer = await knock(net)
        assert answer.status == 401


async def test_an_action_error_in_authenticate_refuses_with_its_code(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        raise ActionError("banned", "not before Monday")

    async with house(server) as net:
        _, answer = await knock(net)
        assert answer.status == 403
        assert json.loads(answer.body) == {"code": "banned", "message": "not before Monday"}


@pytest.mark.parametrize("seconds", [None, 1e15, float("inf")])
async def test_credentials_that_do_not_expire_end_nothing(seconds: float | None, autojump_clock: MockClock) -> None:
    server, reasons = expiring(seconds)
    async with house(server) as net:
        ana = await net.connect("ana")
        await trio.sleep(1000)
        assert await ana.request("ping") == {}
        await ana.close()
        await wait_all_tasks_blocked()
        assert reasons == ["disconnected"]


async def test_what_was_said_before_comes_before_the_end(autojump_clock: MockClock) -> None:
    server, reasons = expiring(10)
    async with house(server) as net:
        slow = await net.connect("slow", reads=False, greet=False, pipe_bytes=500)
        (client,) = server.clients.values()
        await trio.sleep(9.5)
        for number in range(50):
            await client.send("tick", number)
        await trio.sleep(1)
        for number in range(50):
            assert (await slow.receive())["message_body"] == number
        with pytest.raises(ConnectionEnded) as caught:
            await slow.receive()
        assert caught.value.code == 3005
        await wait_all_tasks_blocked()
        assert reasons == ["expired"]


async def test_the_timer_ends_with_the_connection(autojump_clock: MockClock) -> None:
    server, _ = expiring(1e6)
    async with house(server) as net:
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for how in ("close", "break", "kick"):
            peer, _ = await knock(net)
            await wait_all_tasks_blocked()
            if how == "close":
                await peer.send(close())
                await peer.end()
            elif how == "kick":
                for client in server.clients.values():
                    await client.close(3503)
                assert await peer.end() == 3503
            await peer.close()
            await wait_all_tasks_blocked()
            assert trio.lowlevel.current_statistics().tasks_living == tasks, how


async def test_credentials_that_expire_during_on_connect_cut_it_short(autojump_clock: MockClock) -> None:
    server, reasons = expiring(1)
    outcome: list[str] = []

    @server.on_connect
    async def connected(_: Client) -> None:
        try:
            await trio.sleep_forever()
        finally:
            outcome.append("ended")

    async with house(server) as net:
        peer, _ = await knock(net)
        assert await peer.end() == 3005
        await trio.sleep(10)
        check_empty(server)
    assert outcome == ["ended"]
    assert reasons == ["expired"]


# --- on_connect


class Hub(Room):
    """The global room, which notes who comes and goes."""

    log: list[str]

    async def on_create(self) -> None:
        self.log = []

    async def on_join(self, client: Client) -> None:
        self.log.append(f"+{client.name}")

    async def on_leave(self, client: Client, reason: str) -> None:
        self.log.append(f"-{client.name} {reason}")


@attrs.define
class Guarded:
    """A server whose on_connect does for the client "odd" what the test says, and the log of both hooks."""

    server: Server
    log: list[str] = attrs.field(factory=list)

    @property
    def lobby(self) -> list[str]:
        room: Any = self.server.rooms[GLOBAL_ROOM]
        log: list[str] = room.log
        return log


Act = Callable[[Client], Awaitable[object]]


def guarded(act: Act, **limits: Any) -> Guarded:
    house = Guarded(Server("test", limits=Limits(**limits)))
    house.server.room(GLOBAL_ROOM)(Hub)

    @house.server.on_connect
    async def connected(client: Client, request: Request) -> None:
        house.log.append(f"+{client.name}")
        if request.query["name"] == "odd":
            await act(client)

    @house.server.on_disconnect
    async def disconnected(client: Client, reason: str) -> None:
        house.log.append(f"-{client.name} {reason}")

    return house


async def nothing(_: Client) -> None:
    pass


async def test_on_connect_has_returned_before_the_first_message_is_handled(autojump_clock: MockClock) -> None:
    release = trio.Event()
    handled: list[Any] = []

    async def hold(client: Client) -> None:
        await release.wait()
        client.state["ready"] = True

    server = guarded(hold).server

    @server.action("say")
    async def say(client: Client, body: int) -> None:
        handled.append((client.state["ready"], body))

    async with house(server) as net:
        peer, _ = await knock(net, target="/ws?name=odd")
        await peer.send(b"".join(message("say", number, id=number) for number in range(15)))
        await trio.sleep(1)
        assert handled == []
        assert not server.clients
        release.set()
        for number in range(15):
            assert (await peer.receive())["id"] == number
        assert handled == [(True, number) for number in range(15)]


async def test_who_is_not_in_yet_hears_no_broadcast_and_is_in_no_list(autojump_clock: MockClock) -> None:
    release = trio.Event()

    async def hold(_: Client) -> None:
        await release.wait()

    house_ = guarded(hold)
    server = house_.server
    async with house(server) as net:
        ana = await net.connect("ana")
        peer, _ = await knock(net, target="/ws?name=odd")
        await server.broadcast("tick", 1)
        await wait_all_tasks_blocked()
        assert [client.name for client in server.clients.values()] == ["ana"]
        assert server.statistics()["clients"] == 1
        assert list(server.rooms[GLOBAL_ROOM].members.values()) == list(server.clients.values())
        assert house_.lobby == ["+ana"]
        assert [each["message_body"] for each in await ana.settle()] == [1]
        release.set()
        await wait_all_tasks_blocked()
        await server.broadcast("tick", 2)
        assert (await peer.receive())["message_body"] == 2
        assert house_.lobby == ["+ana", "+odd"]


async def test_a_client_can_be_spoken_to_and_put_into_rooms_in_on_connect(autojump_clock: MockClock) -> None:
    async def greet(client: Client) -> None:
        assert await client.send("first", 1)
        answer = await client.join("hall", {"seat": 1})
        assert [member["name"] for member in answer["members"]] == ["ana", "odd"]
        assert set(client.rooms) == {"hall"}
        await client.rooms["hall"].broadcast("second", 2)
        assert await client.send("third", 3)
        await client.join("den")
        assert await client.leave("den")

    house_ = guarded(greet)
    async with house(house_.server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        peer, _ = await knock(net, "Sec-WebSocket-Protocol: simplysocket.json", target="/ws?name=odd")
        received = [await peer.receive() for _ in range(4)]
        assert [each["action"] for each in received] == ["welcome", "first", "second", "third"]
        assert (await peer.request("who", {"roomname": "hall"}))["action"] == "reply"
        await peer.close()
        await wait_all_tasks_blocked()
        assert len(house_.server.rooms["hall"].members) == 1
        assert "den" not in house_.server.rooms


async def test_the_bound_on_rooms_holds_in_on_connect(autojump_clock: MockClock) -> None:
    codes: list[str] = []

    async def join_two(client: Client) -> None:
        await client.join("one")
        try:
            await client.join("two")
        except ActionError as exc:
            codes.append(exc.code)

    async with house(guarded(join_two, rooms_per_client=1).server) as net:
        await knock(net, target="/ws?name=odd")
        await wait_all_tasks_blocked()
    assert codes == ["too-many"]


async def test_a_request_in_on_connect_is_refused_at_once_since_nothing_is_read(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask(client: Client) -> None:
        await client.request("who-are-you")

    async with house(guarded(ask).server) as net:
        began = trio.current_time()
        peer, _ = await knock(net, target="/ws?name=odd")
        assert await peer.end() == 3004
        assert trio.current_time() == began
    assert "on_connect cannot ask the client" in caplog.text


# --- on_connect says no, or fails


async def say_no(_: Client) -> None:
    raise ActionError("forbidden", "not you")


async def say_no_in_a_nursery(_: Client) -> None:
    async with trio.open_nursery():
        raise ActionError("forbidden", "not you")


async def fail(_: Client) -> None:
    raise KeyError("bug")


async def fail_as_the_net_does(_: Client) -> None:
    raise trio.BrokenResourceError("a database is gone")


async def refuse_in_http(_: Client) -> None:
    raise Refuse(403, "too late for that")


async def swallow_cancelled(_: Client) -> None:
    with contextlib.suppress(trio.Cancelled):
        await trio.sleep_forever()


async def fail_when_cancelled(_: Client) -> None:
    await sleep_and_fail()


async def raise_a_group_when_cancelled(_: Client) -> None:
    await sleep_and_raise_a_group()


async def cancel_itself_and_fail(_: Client) -> None:
    await close_over_a_cancel()


async def never(_: Client) -> None:
    await trio.sleep_forever()


async def kick(client: Client) -> None:
    await client.close(3503, "banned")


async def kick_and_fail(client: Client) -> None:
    await client.close(3503, "banned")
    raise KeyError("bug")


async def kick_and_linger(client: Client) -> None:
    await client.close(3503, "banned")
    await trio.sleep_forever()


async def overflow(client: Client) -> None:
    while await client.send("x" * 1000):
        pass
    await trio.sleep_forever()


ENDINGS = [
    (say_no, 1008, "policy"),
    (say_no_in_a_nursery, 1008, "policy"),
    (fail, 3004, "internal"),
    (fail_as_the_net_does, 3004, "internal"),
    (refuse_in_http, 1008, "policy"),
    (cancel_itself_and_fail, 3004, "internal"),
    (never, 3004, "internal"),
    (fail_when_cancelled, 3004, "internal"),
    (raise_a_group_when_cancelled, 3004, "internal"),
    (kick, 3503, "kicked"),
    (kick_and_fail, 3503, "kicked"),
    (kick_and_linger, 3503, "kicked"),
    (overflow, 3008, "slow"),
]


@pytest.mark.parametrize(("act", "code", "reason"), ENDINGS)
async def test_whoever_on_connect_lets_not_in_is_told_and_on_disconnect_is_called(
    act: Act, code: int, reason: str, autojump_clock: MockClock
) -> None:
    house_ = guarded(act, outbox_frames=20)
    async with house(house_.server) as net:
        ana = await net.connect("ana")
        peer, answer = await knock(net, target="/ws?name=odd")
        assert answer.status == 101
        assert await peer.end() == code
        await trio.sleep(10)
        assert house_.log == ["+ana", "+odd", f"-odd {reason}"]
        assert await ana.request("ping") == {}
    assert house_.log == ["+ana", "+odd", f"-odd {reason}", "-ana shutdown"]
    assert house_.server.statistics()["connections_closed"][code] == 1


@pytest.mark.parametrize("act", [say_no, fail, never, kick, fail_when_cancelled])
async def test_whoever_on_connect_lets_not_in_is_never_in(act: Act, autojump_clock: MockClock) -> None:
    house_ = guarded(act)
    async with house(house_.server) as net:
        peer, _ = await knock(net, target="/ws?name=odd")  # which does not answer the Close for now
        await trio.sleep(HANDSHAKE_SECONDS + 0.5 if act in (never, fail_when_cancelled) else 0.5)
        assert not house_.server.clients
        await peer.end()
        await trio.sleep(5)
        assert house_.lobby == []


async def test_whoever_swallows_its_end_is_let_in_late(autojump_clock: MockClock) -> None:
    house_ = guarded(swallow_cancelled)
    async with house(house_.server) as net:
        peer, _ = await knock(net, target="/ws?name=odd")
        assert (await peer.request("ping"))["action"] == "reply"
        await peer.close()
        await wait_all_tasks_blocked()
        assert house_.log == ["+odd", "-odd disconnected"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not you", "not you"),
        ("", "refused"),
        ("x" * 500, "x" * 123),
        ("\u4e2d" * 100, "\u4e2d" * 41),
        ("\U0001f40d" * 100, "\U0001f40d" * 30),
        ("a" + "\xe4" * 100, "a" + "\xe4" * 61),
        ("\ud800", "?"),
        ("a\r\n\0b", "a\r\n\0b"),
    ],
)
async def test_the_words_of_a_refusal_fit_into_a_close(text: str, reason: str, autojump_clock: MockClock) -> None:
    async def refuse(_: Client) -> None:
        raise ActionError("forbidden", text)

    async with house(guarded(refuse).server) as net:
        ended = await (await net.connect("odd")).wait_ended()
        assert (ended.code, ended.reason) == (1008, reason)


async def test_bugs_and_delays_in_on_connect_are_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    acts = iter([fail, never, say_no])

    async def act(client: Client) -> None:
        await next(acts)(client)

    house_ = guarded(act)
    async with house(house_.server) as net:
        for expected in ("on_connect failed for", "took over 5 seconds", None):
            caplog.clear()
            started = trio.current_time()
            await (await knock(net, target="/ws?name=odd"))[0].end()
            assert [expected in text for text in errors(caplog) if expected] == [True] * (expected is not None)
            assert trio.current_time() - started < HANDSHAKE_SECONDS + 2
    assert house_.server.statistics()["handlers_failed"] == 1


@pytest.mark.parametrize("how", ["close", "break", "say"])
async def test_a_peer_that_leaves_during_on_connect_is_seen_off(how: str, autojump_clock: MockClock) -> None:
    async def slow(client: Client) -> None:
        await trio.sleep(1)
        await client.send("hello")
        await client.join("hall")

    house_ = guarded(slow)
    async with house(house_.server) as net:
        peer, _ = await knock(net, target="/ws?name=odd")
        if how == "close":
            await peer.send(close())
            assert await peer.end() == 1000
        elif how == "say":
            await peer.say("join-room", {"roomname": "den"})
        await peer.close()
        await trio.sleep(10)
        assert house_.log == ["+odd", "-odd disconnected"]
        assert list(house_.server.rooms) == [GLOBAL_ROOM]


async def test_a_peer_that_leaves_in_on_connect_leaves_the_rooms_it_was_put_into(autojump_clock: MockClock) -> None:
    left: list[str] = []

    async def join_and_refuse(client: Client) -> None:
        await client.join("hall")
        raise ActionError("forbidden")

    house_ = guarded(join_and_refuse)

    @house_.server.room("hall")
    class Hall(Room):
        async def on_leave(self, client: Client, reason: str) -> None:
            left.append(f"{client.name} {reason}")

    async with house(house_.server) as net:
        assert await (await knock(net, target="/ws?name=odd"))[0].end() == 1008
        await wait_all_tasks_blocked()
        assert left == ["odd policy"]
        assert "hall" not in house_.server.rooms


async def test_a_room_that_does_not_finish_a_join_leaves_no_ghost_behind(autojump_clock: MockClock) -> None:
    async def join(client: Client) -> None:
        await client.join("hall")

    house_ = guarded(join)

    @house_.server.room("hall")
    class Hall(Room):
        async def on_join(self) -> None:
            await trio.sleep(20)

    async with house(house_.server) as net:
        assert await (await knock(net, target="/ws?name=odd"))[0].end() == 3004
        await trio.sleep(60)
        assert "hall" not in house_.server.rooms


async def leave_a_nursery_open() -> None:
    await trio.open_nursery().__aenter__()


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
async def test_a_nursery_that_a_hook_leaves_open_costs_one_connection(where: str, autojump_clock: MockClock) -> None:
    is_odd = True

    async def act() -> None:
        nonlocal is_odd
        if is_odd:
            is_odd = False
            await leave_a_nursery_open()

    server, _ = make_slow(where, act)
    async with house(server) as net:
        peer, _ = await knock(net)
        await peer.close()
        await trio.sleep(10)
        assert await (await net.connect("ana")).request("ping") == {}


async def leave_a_scope_open() -> None:
    trio.CancelScope().__enter__()


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
async def test_a_scope_that_a_hook_leaves_open_costs_one_connection(where: str, autojump_clock: MockClock) -> None:
    server, _ = make_slow(where, leave_a_scope_open)
    async with house(server) as net:
        peer, _ = await knock(net)
        await peer.close()
        await trio.sleep(10)
        check_empty(server)
        assert (await knock(net, target="/health", upgrade=None))[1].status == 200


# --- several hooks, and hooks that take less


async def test_hooks_run_in_the_order_written_and_take_what_they_name(autojump_clock: MockClock) -> None:
    server, log = Server("test"), list[Any]()

    @server.on_connect
    async def none() -> None:
        log.append("none")

    @server.on_connect
    async def one(client: Client) -> None:
        log.append(client.name)

    @server.on_connect
    async def two(client: Client, request: Request) -> None:
        log.append(request.path)

    @server.on_connect
    async def with_default(client: Client, request: Request | None = None, more: int = 3) -> None:
        log.append((request is not None, more))

    @server.on_connect
    async def any_number(*args: object) -> None:
        log.append(len(args))

    class Owner:
        async def method(self, client: Client) -> None:
            log.append(f"method {client.name}")

    server.on_connect(Owner().method)
    server.on_connect(partial(one))

    @server.on_disconnect
    async def gone() -> None:
        log.append("gone")

    @server.on_disconnect
    async def gone_one(client: Client) -> None:
        log.append(f"gone {client.name}")

    @server.on_disconnect
    async def gone_two(client: Client, reason: str) -> None:
        log.append(f"gone {reason}")

    async with house(server) as net:
        ana = await net.connect("ana")
        await ana.close()
    assert log == ["none", "ana", "/ws", (True, 3), 2, "method ana", "ana", "gone", "gone ana", "gone disconnected"]


async def test_hooks_that_cannot_be_called_are_refused() -> None:
    server = Server("test")

    async def three(a: object, b: object, c: object) -> None: ...

    async def keyword(client: Client, *, request: Request) -> None: ...

    def plain(client: Client, request: Request) -> None: ...

    for register in (server.on_connect, server.on_disconnect):
        for wrong in (three, keyword, plain, None, 5, Client):
            with pytest.raises(RegistrationError, match="async def"):
                register(wrong)  # type: ignore[type-var]  # the mistake that is tested


async def test_a_hook_that_asks_for_the_second_alone_is_given_it_or_refused(autojump_clock: MockClock) -> None:
    server, seen = Server("test"), list[object]()

    async def connected(request: Request) -> None:
        seen.append(request)

    try:
        server.on_connect(connected)
    except RegistrationError:
        return
    async with house(server) as net:
        await net.connect("ana")
        await wait_all_tasks_blocked()
    assert isinstance(seen[0], Request)


async def test_a_refusal_in_the_first_hook_is_the_end_and_every_on_disconnect_is_called(
    autojump_clock: MockClock,
) -> None:
    server, log = Server("test"), list[str]()

    @server.on_connect
    async def refuse() -> None:
        log.append("refuse")
        raise ActionError("forbidden", "no")

    @server.on_connect
    async def never_called() -> None:
        log.append("never")

    @server.on_disconnect
    async def fails() -> None:
        log.append("fails")
        raise KeyError("bug")

    @server.on_disconnect
    async def fails_in_a_group() -> None:
        log.append("fails again")
        raise ExceptionGroup("bugs", [KeyError("bug"), ActionError("forbidden")])

    @server.on_disconnect
    async def last() -> None:
        log.append("last")

    async with house(server) as net:
        assert await (await knock(net))[0].end() == 1008
    assert log == ["refuse", "fails", "fails again", "last"]
    assert server.statistics()["handlers_failed"] == 2


async def test_an_on_disconnect_that_hangs_does_not_keep_the_next_from_being_called(autojump_clock: MockClock) -> None:
    server, log = Server("test"), list[str]()

    @server.on_disconnect
    async def hangs() -> None:
        await trio.sleep_forever()

    @server.on_disconnect
    async def last() -> None:
        log.append("last")

    async with house(server) as net:
        await (await net.connect("ana")).close()
        await trio.sleep(10)
    assert log == ["last"]


# --- on_disconnect


async def end_by_close(server: Server, peer: Peer, client: Client) -> None:
    await peer.send(close(4321, b"bye"))
    await peer.end()


async def end_by_break(server: Server, peer: Peer, client: Client) -> None:
    await peer.close()


async def end_by_kick(server: Server, peer: Peer, client: Client) -> None:
    await client.close(3503, "out")
    await peer.end()


async def end_by_word(server: Server, peer: Peer, client: Client) -> None:
    await client.close(reason="game over")
    await peer.end()


async def end_by_own_code(server: Server, peer: Peer, client: Client) -> None:
    await client.close(4000, "my own")
    await peer.end()


async def end_by_kick_unanswered(server: Server, peer: Peer, client: Client) -> None:
    await client.close(3503, "out")
    await trio.sleep(CLOSE_SECONDS + 1)


async def end_by_slowness(server: Server, peer: Peer, client: Client) -> None:
    while await client.send("x", "x" * 10_000):
        pass
    await trio.sleep(20)


async def end_by_no_progress(server: Server, peer: Peer, client: Client) -> None:
    await client.send("x", "x" * 200_000)
    await trio.sleep(20)


async def end_by_silence(server: Server, peer: Peer, client: Client) -> None:
    await trio.sleep(100)


async def end_by_shutdown(server: Server, peer: Peer, client: Client) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.stop, 10)
        await peer.end()


async def end_by_a_bad_frame(server: Server, peer: Peer, client: Client) -> None:
    await peer.send(b"\xf1\x80\0\0\0\0")
    await peer.end()


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (end_by_close, "disconnected"),
        (end_by_break, "disconnected"),
        (end_by_kick, "kicked"),
        (end_by_word, "game over"),
        (end_by_own_code, "my own"),
        (end_by_kick_unanswered, "kicked"),
        (end_by_slowness, "slow"),
        pytest.param(end_by_no_progress, "slow"),
        (end_by_silence, "silent"),
        (end_by_shutdown, "shutdown"),
        (end_by_a_bad_frame, "protocol-error"),
    ],
)
async def test_on_disconnect_is_called_once_with_the_reason(
    act: Callable[[Server, Peer, Client], Awaitable[None]], reason: str, autojump_clock: MockClock
) -> None:
    house_ = guarded(nothing)
    async with house(house_.server) as net:
        peer, _ = await knock(net, target="/ws?name=odd")
        await wait_all_tasks_blocked()
        (client,) = house_.server.clients.values()
        await act(house_.server, peer, client)
        await trio.sleep(3)
        assert client.is_gone
    assert house_.log == ["+odd", f"-odd {reason}"]


async def test_on_disconnect_sees_the_client_gone_and_the_others_there(autojump_clock: MockClock) -> None:
    server, seen = Server("test"), list[Any]()

    @server.on_disconnect
    async def gone(client: Client, reason: str) -> None:
        seen.append((client.is_gone, client.id in server.clients, await client.send("late")))
        with pytest.raises(ActionError) as caught:
            await client.request("who", timeout=1)
        seen.append(caught.value.code)
        with pytest.raises(ActionError) as caught:
            await client.join("hall")
        seen.append(caught.value.code)
        await server.broadcast("left", client.name)

    async with house(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.close()
        left = await bob.receive()
        assert left["message_body"] == "ana"
        assert seen == [(True, False, False), "gone", "gone"]
        assert list(server.rooms) == [GLOBAL_ROOM]


@pytest.mark.parametrize("act", [trio.sleep_forever, sleep_and_fail, sleep_and_raise_a_group, swallow_cancelled])
async def test_an_on_disconnect_that_never_returns_is_cut(act: Callable[..., Any], autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.on_disconnect
    async def gone(client: Client) -> None:
        await (act(client) if act is swallow_cancelled else act())

    async with house(server) as net:
        ana = await net.connect("ana")
        await ana.close()
        started = trio.current_time()
        while server.statistics()["connections"]:  # noqa: ASYNC110 - the server rings no event for tests
            await trio.sleep(0.1)
        assert trio.current_time() - started <= CLOSE_SECONDS + 0.2


@pytest.mark.parametrize("seed", range(60))
async def test_whatever_happens_when_each_is_seen_off_once(seed: int, autojump_clock: MockClock) -> None:
    """Hooks that wait or fail, peers that go, and a server that ends, each at some time of virtual seconds."""
    random = Random(seed)
    server, here, gone = Server("test", limits=Limits(outbox_frames=10)), set[str](), set[str]()

    async def misbehave() -> None:
        act = random.choice([None, None, None, fail, raise_a_group_when_cancelled, swallow_cancelled, say_no, never])
        if random.random() < 0.6:
            await trio.sleep(random.random())
        if act is not None:
            await act(None)  # type: ignore[arg-type]  # they look at no client

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        await misbehave()
        return Identity("ana", expires_at=time.time() + random.choice([0.5, 1, 3, 1e9]))

    @server.on_connect
    async def connected(client: Client) -> None:
        assert client.id not in here
        here.add(client.id)
        if random.random() < 0.5:
            await client.join(f"hall{random.randrange(3)}")
        if random.random() < 0.2:
            await client.close(3503)
        await misbehave()

    @server.on_disconnect
    async def disconnected(client: Client) -> None:
        gone.add(client.id)
        here.remove(client.id)  # KeyError if it is called twice: then `gone` has fewer than were opened
        await misbehave()

    async def visit(net: Net) -> None:
        await trio.sleep(3 * random.random())
        with contextlib.suppress(OSError):
            peer = Peer(await net.open_stream())
            with trio.move_on_after(6 * random.random()):
                await peer.send(head())
                if (await peer.read_answer()).status == 101:
                    if random.random() < 0.5:
                        await peer.say("join-room", {"roomname": f"hall{random.randrange(3)}"})
                    await peer.end(answer=random.random() < 0.7)
            await peer.close()

    async with cancellable(server) as (net, scope), trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(visit, net)
        await trio.sleep(6 * random.random())
        if random.random() < 0.3:
            scope.cancel()
        else:
            await server.stop(4 * random.random())
    assert not here
    assert len(gone) == server.statistics()["connections_opened"]


# --- state


async def test_each_client_has_a_state_of_its_own(autojump_clock: MockClock) -> None:
    @attrs.define
    class Player:
        score: int = 0

    for make, expected in ((Player, Player()), (dict, {}), (lambda: None, None), (partial(Player, 5), Player(5))):
        server = Server("test", state=make)
        async with house(server) as net:
            await net.connect("ana")
            await net.connect("bob")
            ana, bob = (client.state for client in server.clients.values())
            assert ana == bob == expected
            assert ana is None or ana is not bob
    server = Server("test")
    async with house(server) as net:
        await net.connect("ana")
        assert [client.state for client in server.clients.values()] == [{}]


@pytest.mark.parametrize("wrong", [None, {}, 5, "dict"])
def test_a_state_that_makes_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(RegistrationError, match="such as a class or `dict`"):
        Server(state=wrong)


def test_a_state_that_is_a_coroutine_function_is_refused() -> None:
    async def make() -> dict[str, Any]:
        return {}

    with pytest.raises(RegistrationError):
        Server(state=make)


def failing_state(error: Exception) -> Callable[[], object]:
    """Return a factory that fails at every second call."""
    count = 0

    def make() -> object:
        nonlocal count
        count += 1
        if count % 2 == 0:
            raise error
        return {}

    return make


async def test_a_state_that_cannot_be_made_costs_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    server = make_attacked(state=failing_state(KeyError("bug")))
    called: list[str] = []

    @server.on_connect
    async def connected() -> None:
        called.append("+")

    @server.on_disconnect
    async def disconnected() -> None:
        called.append("-")

    async with under_attack(server) as attack:
        peer = await attack.connect()
        assert await peer.end() == 3004
        assert (await (await attack.connect()).request("echo", 1))["message_body"] == 1
        assert len(errors(caplog)) == 1
    assert called == ["+", "+", "-", "-"]
    check_empty(server)


async def test_a_state_that_fails_as_the_net_does_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = make_attacked(state=failing_state(FileNotFoundError("questions.txt")))
    async with under_attack(server) as attack:
        peer = await attack.connect()
        assert await peer.end() == 3004
        assert len(errors(caplog)) == 1


async def test_a_state_that_cannot_be_made_is_said_on_any_wire(autojump_clock: MockClock) -> None:
    server = Server("test", state=failing_state(KeyError("bug")))
    async with house(server) as net:
        await net.connect("ana")
        peer, answer = await knock(net)
        assert answer.status == 101
        assert await peer.end() == 3004


# --- on sockets


def make_guarded(**limits: Any) -> tuple[Server, list[str], list[int]]:
    """Return a server to besiege whose hooks do what the query asks, and the calls of both hooks, client by client."""
    server = make_attacked(**{"connections_per_address": None, **limits})
    connected, gone, here = list[str](), list[int](), set[str]()

    async def misbehave(what: str | None) -> None:
        if what == "wait":
            await trio.sleep(0.02)
        elif what == "never":
            await trio.sleep_forever()
        elif what == "fail":
            raise KeyError("bug")
        elif what == "group":
            await sleep_and_raise_a_group()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        what = request.query.get("authenticate")
        await misbehave(what)
        if what == "refuse":
            raise Refuse(403, "no")
        expires = {"soon": time.time() + 0.1}.get(request.query.get("expires", ""))
        return Identity("user", expires_at=expires)

    @server.on_connect
    async def on_connect(client: Client, request: Request) -> None:
        here.add(client.id)
        connected.append(client.id)
        client.state["at_end"] = request.query.get("on_disconnect")
        await misbehave(request.query.get("on_connect"))
        if request.query.get("on_connect") == "refuse":
            raise ActionError("forbidden", "no")
        if request.query.get("on_connect") == "join":
            await client.join("hall")

    @server.on_disconnect
    async def on_disconnect(client: Client, reason: str) -> None:
        here.remove(client.id)  # KeyError, and so an error in the log, when it is called twice
        gone.append(1)
        await misbehave(client.state["at_end"])

    return server, connected, gone


def at(query: str) -> bytes:
    return head(f"GET /ws?{query} HTTP/1.1")


async def test_messages_sent_before_the_answer_wait_for_on_connect() -> None:
    server, handled = make_attacked(handshake_seconds=TEST_SECONDS), list[bool]()
    asked, release = trio.Event(), trio.Event()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        if request.query:
            asked.set()
            await release.wait()
        return Identity("user")

    @server.on_connect
    async def connected(client: Client, request: Request) -> None:
        await trio.sleep(0.05 if request.query else 0)
        client.state["ready"] = True

    @server.action("say")
    async def say(client: Client, body: int) -> int:
        handled.append(client.state["ready"])
        return body

    async with under_attack(server) as attack:
        peer = await attack.dial()
        await peer.send(at("slow=1"))
        await asked.wait()
        await peer.send(b"".join(message("say", number, id=number) for number in range(100)))
        release.set()
        assert (await peer.read_answer()).status == 101
        answers = [await peer.receive() for _ in range(100)]
        assert {each["id"] for each in answers} == set(range(100))
        assert [each["message_body"] for each in answers if each["action"] == "reply"] == [
            each["id"] for each in answers if each["action"] == "reply"
        ]
        assert all(handled)
    check_empty(server)


@pytest.mark.parametrize("how", ["close", "reset", "eof"])
@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
@pytest.mark.parametrize("what", ["wait", "never", "fail", "group"])
async def test_a_peer_that_goes_while_a_hook_is_at_it(where: str, what: str, how: str) -> None:
    server, connected, gone = make_guarded()
    async with under_attack(server) as attack:
        before = len(connected)
        peers = []
        for _ in range(5):
            peers.append(peer := await attack.dial())
            await peer.send(at(f"{where}={what}"))
            if where == "on_disconnect":
                await peer.read_answer()
        await until(lambda: len(connected) == before + 5 or where == "authenticate")
        for peer in peers:
            await {"close": peer.close, "reset": peer.reset, "eof": peer.send_eof}[how]()
        await until(lambda: server.statistics()["connections"] == 1)
        assert len(connected) == len(gone) + 1  # the bystander is still here
    check_empty(server)
    assert len(connected) == len(gone)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("authenticate=refuse", 403, 0),
        ("authenticate=fail", 500, 0),
        ("authenticate=never", 408, 0),
        ("authenticate=group", 408, 0),
        ("on_connect=refuse", 101, 1008),
        ("on_connect=fail", 101, 3004),
        ("on_connect=never", 101, 3004),
        ("on_connect=group", 101, 3004),
        ("expires=soon", 101, 3005),
        ("expires=soon&on_connect=never", 101, 3005),
    ],
)
async def test_how_each_end_looks_on_the_wire(query: str, status: int, code: int) -> None:
    server, connected, gone = make_guarded()
    async with under_attack(server) as attack:
        for _ in range(3):
            peer = await attack.dial()
            assert (await peer.ask(at(query))).status == status
            if status == 101:
                assert await peer.end() == code
    check_empty(server)
    assert len(connected) == len(gone)


async def test_a_thousand_clients_at_once_each_in_its_own_trouble(caplog: pytest.LogCaptureFixture) -> None:
    server, connected, gone = make_guarded()
    queries = [
        "",
        "authenticate=wait",
        "authenticate=refuse",
        "authenticate=fail",
        "authenticate=never",
        "authenticate=group",
        "on_connect=wait",
        "on_connect=refuse",
        "on_connect=fail",
        "on_connect=never",
        "on_connect=group",
        "on_connect=join",
        "on_disconnect=wait",
        "on_disconnect=fail",
        "on_disconnect=never",
        "on_disconnect=group",
        "expires=soon",
        "expires=soon&on_connect=never",
    ]
    async with under_attack(server, seconds=60) as attack:

        async def visit(number: int) -> None:
            peer = await attack.dial()
            await peer.send(at(queries[number % len(queries)]))
            turn = number % 5
            if turn == 0:
                await peer.reset()
            elif turn == 1:
                await peer.close()
            else:
                answer = await peer.read_answer()
                if answer.status == 101 and turn == 2:
                    await peer.say("echo", 1)
                    await peer.send(close())
                if answer.status == 101 and turn > 2:
                    await peer.say("join-room", {"roomname": f"hall{number % 7}"})
                if turn != 4:
                    with trio.move_on_after(2):
                        await peer.end()
                await peer.close()

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(visit, number)
        with trio.fail_after(20):
            await until(lambda: server.statistics()["connections"] == 1)
        assert len(connected) == len(gone) + 1
    check_empty(server)
    assert len(connected) == len(gone)
    assert not [text for text in errors(caplog) if "serving a connection failed" in text]
    assert not [text for text in errors(caplog) if "a connection failed" in text]


async def crowd(server: Server, query: str) -> list[Peer]:
    """Let a hundred peers come, all at once."""
    peers = [Peer(await trio.open_tcp_stream("127.0.0.1", server.port)) for _ in range(100)]
    for peer in peers:
        await peer.send(at(query))
    with trio.fail_after(TEST_SECONDS):
        await until(lambda: server.statistics()["connections"] == 100)
    return peers


@pytest.mark.parametrize("query", ["authenticate=never", "on_connect=never", "on_disconnect=never", ""])
async def test_a_stop_under_a_crowd_that_is_held_up(query: str) -> None:
    server, connected, gone = make_guarded(handshake_seconds=20)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.serve, "127.0.0.1", 0))
        peers = await crowd(server, query)
        with trio.fail_after(TEST_SECONDS):
            await server.stop(0.2)
        for peer in peers:
            await peer.close()
    check_empty(server)
    assert len(connected) == len(gone)


@pytest.mark.parametrize("query", ["authenticate=never", "on_connect=never", "on_disconnect=never", "on_connect=join"])
async def test_a_hard_end_under_a_crowd_that_is_held_up(query: str) -> None:
    server, connected, gone = make_guarded(handshake_seconds=20)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.serve, "127.0.0.1", 0))
        peers = await crowd(server, query)
        for peer in peers[::3]:
            await peer.reset()
        nursery.cancel_scope.cancel()
    for peer in peers:
        await peer.close()
    check_empty(server)
    assert len(connected) == len(gone)


async def test_a_test_client_comes_with_a_token(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "nobody")

    async with house(server) as net:
        ana = await net.connect(token="ana")
        assert server.clients[ana.id].user == "ana"


async def test_an_authenticate_that_takes_too_long_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server("test", limits=Limits(handshake_seconds=3))

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        await trio.sleep_forever()
        raise AssertionError

    async with house(server) as net:
        _, answer = await knock(net)
        assert answer.status == 408
    assert "authenticate took over 3 seconds" in caplog.text
