"""Client.state: made for each client by Server(state=)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest
from trio.testing import MockClock

from simplysocket import RegistrationError, Server

from ..harness.admission import check_no_connections, open_checked
from ..harness.attack import under_attack
from ..harness.attacker import request_upgrade
from ..harness.error_log import errors_of
from ..harness.servers import make_attacked


async def test_each_client_has_a_state_of_its_own(autojump_clock: MockClock) -> None:
    @attrs.define
    class Player:
        score: int = 0

    for make, expected in ((Player, Player()), (dict, {}), (lambda: None, None), (partial(Player, 5), Player(5))):
        server = Server("test", state=make)
        async with open_checked(server) as net:
            await net.connect("ana")
            await net.connect("bob")
            ana, bob = (client.state for client in server.clients.values())
            assert ana == bob == expected
            assert ana is None or ana is not bob
    server = Server("test")
    async with open_checked(server) as net:
        await net.connect("ana")
        assert [client.state for client in server.clients.values()] == [{}]


@pytest.mark.parametrize("wrong", [None, {}, 5, "dict"])
def test_a_state_that_cannot_be_called_is_refused(wrong: Any) -> None:
    with pytest.raises(RegistrationError, match="such as a class or `dict`"):
        Server(state=wrong)


def test_a_state_that_is_a_coroutine_function_is_refused() -> None:
    async def make() -> dict[str, Any]:
        return {}

    with pytest.raises(RegistrationError):
        Server(state=make)


def failing_state(error: Exception) -> Callable[[], object]:
    """Return a factory that fails on every second call."""
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
        assert len(errors_of(caplog)) == 1
    assert called == ["+", "+", "-", "-"]
    check_no_connections(server)


async def test_a_state_that_raises_an_os_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = make_attacked(state=failing_state(FileNotFoundError("questions.txt")))
    async with under_attack(server) as attack:
        peer = await attack.connect()
        assert await peer.end() == 3004
        assert len(errors_of(caplog)) == 1


async def test_a_state_that_cannot_be_made_closes_with_3004_in_memory_too(autojump_clock: MockClock) -> None:
    server = Server("test", state=failing_state(KeyError("bug")))
    async with open_checked(server) as net:
        await net.connect("ana")
        peer, answer = await request_upgrade(net)
        assert answer.status == 101
        assert await peer.end() == 3004
