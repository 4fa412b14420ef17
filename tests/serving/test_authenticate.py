"""authenticate: when it is called, and how the identity reaches the client."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import Client, Identity, Limits, RegistrationError, Request, Server

from ..harness.admission import check_no_connections, open_checked
from ..harness.attacker import Peer, request_upgrade
from ..harness.frames import head, token_subprotocol


async def test_an_identity_reaches_the_client(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "nobody", name=request.query.get("as", ""), claims={"admin": True})

    @server.action("me")
    async def me(client: Client) -> Any:
        assert client.identity is not None
        return [client.user, client.name, client.identity.claims["admin"]]

    async with open_checked(server) as net:
        token = {"Authorization": "Bearer u1"}
        assert await (await net.connect("asked", headers=token)).request("me") == ["u1", "asked", True]
        peer, answer = await request_upgrade(net, target="/ws?name=asked&as=given")
        assert answer.status == 101
        assert (await peer.request("me"))["message_body"] == ["nobody", "given", True]


async def test_without_authenticate_there_is_no_identity(autojump_clock: MockClock) -> None:
    server = Server("test")
    async with open_checked(server) as net:
        await net.connect("ana", headers={"Authorization": "Bearer secret"})
        (client,) = server.clients.values()
        assert (client.user, client.identity, client.name) == (None, None, "ana")


async def test_the_subprotocol_with_the_token_is_never_echoed(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "nobody")

    async with open_checked(server) as net:
        for offered, chosen in (
            (token_subprotocol("t"), None),
            (f"{token_subprotocol('t')}, simplysocket.json", "simplysocket.json"),
            (f"simplysocket.json, {token_subprotocol('t')}", "simplysocket.json"),
        ):
            _, answer = await request_upgrade(net, f"Sec-WebSocket-Protocol: {offered}")
            assert answer.status == 101
            assert answer.headers.get("sec-websocket-protocol") == chosen
            assert not any(token_subprotocol("t") in value for value in answer.headers.values())
        assert {client.user for client in server.clients.values()} == {"t"}


async def test_a_test_client_connects_with_a_token(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "nobody")

    async with open_checked(server) as net:
        ana = await net.connect(token="ana")
        assert server.clients[ana.id].user == "ana"


async def test_authenticate_is_called_last_and_never_for_plain_http(autojump_clock: MockClock) -> None:
    server, asked = Server("test", limits=Limits(connections=2), origins=["https://a.com"]), list[str]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        asked.append(request.path)
        return Identity("ana")

    async with open_checked(server) as net:
        for answer in (
            (await request_upgrade(net, origin="https://b.com"))[1],
            (await request_upgrade(net, sec_websocket_version="12"))[1],
            (await request_upgrade(net, sec_websocket_key="short"))[1],
            (await request_upgrade(net, target="/other"))[1],
            (await request_upgrade(net, target="/health", upgrade=None))[1],
            (await request_upgrade(net, upgrade=None))[1],
            (await request_upgrade(net, host=None))[1],
        ):
            assert answer.status != 101
        assert asked == []
        assert (await request_upgrade(net, origin="https://a.com"))[1].status == 101
        assert (await request_upgrade(net))[1].status == 101
        assert (await request_upgrade(net))[1].status == 503
        assert len(asked) == 2


async def test_peers_that_leave_during_authenticate_never_become_clients(autojump_clock: MockClock) -> None:
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

    async with open_checked(server) as net:
        for _ in range(20):
            peer = Peer(await net.open_stream())
            await peer.send(head())
            await wait_all_tasks_blocked()
            await peer.close()
        await trio.sleep(3)
        check_no_connections(server)
    assert called == []


async def test_authenticate_is_registered_once_and_takes_a_request() -> None:
    server = Server("test")
    for wrong in (lambda request: None, 5, None, (lambda: None), Identity):
        with pytest.raises(RegistrationError, match=r"async def \(request\)"):
            server.authenticate(wrong)  # type: ignore[type-var]  # the mistake that is tested

    async def without_arguments() -> Identity:
        return Identity("ana")

    async def two(client: Client, request: Request) -> Identity:
        return Identity("ana")

    for function in (without_arguments, two):
        with pytest.raises(RegistrationError, match=r"async def \(request\)"):
            server.authenticate(function)  # type: ignore[type-var]  # the mistake that is tested

    @server.authenticate
    async def one(request: Request) -> Identity:
        return Identity("ana")

    with pytest.raises(RegistrationError, match="twice"):
        server.authenticate(one)
