"""Hooks of connections: registration, order and arguments, and scopes that they leave open."""

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import ActionError, Client, RegistrationError, Request, Server

from ..harness.admission import check_no_connections, open_checked
from ..harness.attacker import request_upgrade
from ..harness.hooks import make_waiting


async def test_hooks_run_in_the_order_written_with_the_arguments_they_name(autojump_clock: MockClock) -> None:
    server, log = Server("test"), list[Any]()

    @server.on_connect
    async def without_arguments() -> None:
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

    async with open_checked(server) as net:
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


async def test_a_hook_that_takes_the_request_alone_gets_it_or_is_refused(autojump_clock: MockClock) -> None:
    server, seen = Server("test"), list[object]()

    async def connected(request: Request) -> None:
        seen.append(request)

    try:
        server.on_connect(connected)
    except RegistrationError:
        return
    async with open_checked(server) as net:
        await net.connect("ana")
        await wait_all_tasks_blocked()
    assert isinstance(seen[0], Request)


async def test_after_a_refusal_no_further_on_connect_and_every_on_disconnect_is_called(
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

    async with open_checked(server) as net:
        assert await (await request_upgrade(net))[0].end() == 1008
    assert log == ["refuse", "fails", "fails again", "last"]
    assert server.statistics()["handlers_failed"] == 2


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

    server, _ = make_waiting(where, act)
    async with open_checked(server) as net:
        peer, _ = await request_upgrade(net)
        await peer.close()
        await trio.sleep(10)
        assert (await (await net.connect("ana")).request("ping")).keys() == {"now"}


async def leave_a_scope_open() -> None:
    trio.CancelScope().__enter__()


@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
async def test_a_scope_that_a_hook_leaves_open_costs_one_connection(where: str, autojump_clock: MockClock) -> None:
    server, _ = make_waiting(where, leave_a_scope_open)
    async with open_checked(server) as net:
        peer, _ = await request_upgrade(net)
        await peer.close()
        await trio.sleep(10)
        check_no_connections(server)
        assert (await request_upgrade(net, target="/health", upgrade=None))[1].status == 200
