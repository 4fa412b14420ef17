"""Clients that offer the subprotocol are told by a Close that `authenticate` has refused them; others in HTTP."""

import contextlib

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import Client, Identity, Refuse, Request
from simplysocket.testing import ConnectionEnded, Net, open_server

from ..harness.admission import CLOSE_SECONDS, check_no_connections, open_checked
from ..harness.attack import under_attack, until
from ..harness.attacker import Peer, request_upgrade
from ..harness.frames import close, head, message, token_subprotocol
from ..harness.logins import Logins, make_with_logins
from ..harness.servers import make_attacked

OFFER = "Sec-WebSocket-Protocol: simplysocket.json"
TWICE = f"{OFFER}, simplysocket.json, other"


async def come(net: Net, token: str, offer: str = OFFER) -> tuple[Peer, int]:
    """Connect with a token; return the peer and the HTTP status."""
    peer, answer = await request_upgrade(net, offer, f"Authorization: Bearer {token}")
    if answer.status == 101:
        assert answer.headers["sec-websocket-protocol"] == "simplysocket.json"
    return peer, answer.status


def make_watched() -> tuple[Logins, list[str]]:
    """Return a server, and the hooks that it has called for clients."""
    logins, called = make_with_logins(), list[str]()

    @logins.server.on_connect
    async def connected(client: Client) -> None:
        called.append("on_connect")

    @logins.server.on_disconnect
    async def disconnected(client: Client) -> None:
        called.append("on_disconnect")

    return logins, called


@pytest.mark.parametrize(
    ("token", "status", "code", "reason"),
    [
        ("wrong", 401, 3500, "who made this?"),
        ("nameless", 401, 3500, "Unauthorized"),
        ("nothing", 401, 3500, "Unauthorized"),
        ("banned", 403, 3500, "not until Monday"),
        ("own-code", 403, 3500, "buy one"),
        ("old", 401, 3005, "too old"),
        ("ana -1", 401, 3005, "the credentials have expired"),
    ],
)
@pytest.mark.parametrize("offer", [OFFER, TWICE])
async def test_refused_credentials_are_told_by_a_close(
    token: str, status: int, code: int, reason: str, offer: str, autojump_clock: MockClock
) -> None:
    logins, called = make_watched()
    async with open_checked(logins.server) as net:
        peer, found = await come(net, token, offer)
        assert found == 101
        told = await peer.next_frame()
        assert told is not None
        assert (int.from_bytes(told[1][:2], "big"), told[1][2:].decode()) == (code, reason)
        assert not logins.server.clients
        assert logins.server.statistics()["connections"] == 1
        await peer.send(close(code))
        assert await peer.next_frame() is None
        await wait_all_tasks_blocked()
        counted = logins.server.statistics()
        assert counted["connections"] == 0
        assert counted["connections_closed"] == {code: 1}
        assert counted["upgrades_refused"] == {status: 1}

        _, found = await come(net, token, "X-None: 1")
        assert found == status
    assert called == []


@pytest.mark.parametrize(
    ("token", "status"), [("status 404", 404), ("status 429", 429), ("status 503", 503), ("bug", 500), ("never", 408)]
)
async def test_other_refusals_of_authenticate_stay_in_http(token: str, status: int, autojump_clock: MockClock) -> None:
    logins, called = make_watched()
    async with open_checked(logins.server) as net:
        assert (await come(net, token))[1] == status
    assert called == []


async def test_what_protects_the_server_stays_in_http(autojump_clock: MockClock) -> None:
    limits = {"failed_logins_per_second": 0.01, "failed_logins_burst": 2, "connections": 3}
    logins = make_with_logins(limits, trusted_proxies=["unix"], origins=["https://a.com"])
    async with open_checked(logins.server) as net:

        async def status(*lines: str) -> int:
            return (await request_upgrade(net, OFFER, "X-Forwarded-For: 1.1.1.1", *lines))[1].status

        assert await status("Origin: https://b.com") == 403
        assert await status(f"X-Long: {'x' * 20_000}") == 431
        assert [await status() for _ in range(3)] == [101, 101, 429]
        assert await status("X-Forwarded-For: 2.2.2.2") == 101
        assert await status("X-Forwarded-For: 3.3.3.3") == 503  # those that have not ended yet count
    assert len(logins.asked) == 3


async def test_a_browser_client_of_the_kit_is_told_the_code(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_server(logins.server) as net:
        for token, code in (("wrong", 3500), ("old", 3005)):
            with pytest.raises(ConnectionEnded) as caught:
                await net.connect(headers={"Sec-WebSocket-Protocol": token_subprotocol(token)})
            assert caught.value.code == code


@pytest.mark.parametrize("does", ["nothing", "talks", "hangs up"])
async def test_a_refused_client_stays_for_close_seconds_at_most(does: str, autojump_clock: MockClock) -> None:
    logins, called = make_watched()
    async with open_checked(logins.server) as net:
        started = trio.current_time()
        peer, _ = await come(net, "wrong")
        if does == "talks":
            await peer.send(b"".join(message("join-room", {"roomname": "hall"}, id=n) for n in range(50)))
        elif does == "hangs up":
            await peer.close()
        while logins.server.statistics()["connections"]:  # noqa: ASYNC110 - the server has no event for this
            await trio.sleep(0.1)
        assert trio.current_time() - started <= CLOSE_SECONDS + 0.2
        if does == "talks":
            with contextlib.suppress(trio.ClosedResourceError):
                assert await peer.end() == 3500
            assert peer.messages() == []
        assert logins.server.statistics()["messages_received"] == 0
        assert "hall" not in logins.server.rooms
    assert called == []


async def test_a_refused_client_that_takes_no_byte_is_cut(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        peer = Peer(await net.open_stream(1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, head("GET /ws HTTP/1.1", OFFER, "Authorization: Bearer wrong"))
            await trio.sleep(2 * CLOSE_SECONDS)
            assert logins.server.statistics()["connections"] == 0
            nursery.cancel_scope.cancel()


async def test_a_server_that_stops_waits_for_no_refused_client(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        peer, _ = await come(net, "wrong")
        started = trio.current_time()
        await logins.server.stop()
        assert trio.current_time() - started <= CLOSE_SECONDS + 0.2
        assert await peer.end() == 3500


@pytest.mark.parametrize("text", ["x" * 10_000, "\U0001f40d" * 100, "a\r\n\x00b", "\ud800"])
async def test_any_reason_fits_into_the_close(text: str, autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    logins.reason = text
    async with open_checked(logins.server) as net:
        peer, _ = await come(net, "reason")
        told = await peer.next_frame()
        assert told is not None
        assert 0 < len(told[1][2:]) <= 123
        assert text.encode(errors="replace").decode().startswith(told[1][2:].decode())


@pytest.mark.parametrize("act", ["end", "close", "reset", "wait"])
async def test_refused_clients_on_sockets_leave_nothing_open(act: str) -> None:
    server = make_attacked(close_seconds=0.2)

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        if request.subprotocols:
            raise Refuse(401, "no")
        return Identity("user")

    async with under_attack(server) as attack:
        peers = [await attack.dial() for _ in range(20)]
        for peer in peers:
            assert (await peer.ask(head("GET /ws HTTP/1.1", OFFER))).status == 101
        if act == "end":
            for peer in peers:
                assert await peer.end() == 3500
        elif act == "wait":
            await until(lambda: server.statistics()["connections"] == 1)
        else:
            for peer in peers:
                await {"close": peer.close, "reset": peer.reset}[act]()
    check_no_connections(server)
    assert server.statistics()["upgrades_refused"] == {401: 20}
