"""`Server.on_resume` and `on_disconnect`: of one session the second never begins while the first still runs."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import Client, Identity, Limits, Request, Server
from simplysocket.testing import Net

from ..harness.admission import open_checked, open_checked_in_scope
from ..harness.phone import Phone, dial, dial_again, make_server


def make_logging(seconds: float = 1, **options: Any) -> tuple[Server, list[str]]:
    """Return a server whose `on_resume` takes so long, and the log of its hooks."""
    server, log = make_server(**options), list[str]()

    @server.on_resume
    async def on_resume(client: Client, request: Request) -> None:
        log.append("resume")
        try:
            await trio.sleep(0 if "fast" in request.query else seconds)
        finally:
            log.append("resumed")

    @server.on_disconnect
    async def on_disconnect(client: Client, reason: str) -> None:
        log.append(f"disconnect {reason}")

    return server, log


async def away(net: Net, **options: Any) -> Phone:
    phone = await dial(net, "ana", **options)
    await phone.client.join("hall")
    await phone.drop()
    return phone


async def come(net: Net, phone: Phone, path: str = "/ws", **options: Any) -> None:
    """Offer the phone's token, and wait for nothing."""
    entry = f"simplysocket.json, simplysocket.resume.{phone.token}.1.1"
    await net.connect(path=path, greet=False, headers={"Sec-WebSocket-Protocol": entry}, **options)


async def test_who_comes_back_and_is_closed_at_once_is_seen_off_after_on_resume(autojump_clock: MockClock) -> None:
    server, log = make_logging()
    async with open_checked(server) as net:
        back = await dial_again(net, await away(net), 1, 1)
        await server.clients[back.id].close(4500)
        await back.client.wait_ended()
        await wait_all_tasks_blocked()
        assert log == ["resume", "resumed", "disconnect closed"]


async def close(net: Net, phone: Phone) -> None:
    await net.server.clients[phone.id].close(4500)


async def be_late(net: Net, phone: Phone) -> None:
    """Let the grace end."""
    await trio.sleep(10)


async def come_from_another_device(net: Net, phone: Phone) -> None:
    await net.connect(token="ana")


@pytest.mark.parametrize(
    ("end", "reason"), [(close, "closed"), (be_late, "disconnected"), (come_from_another_device, "too-many")]
)
async def test_a_session_that_ends_while_on_resume_runs_is_seen_off_after_it(
    end: Callable[[Net, Phone], Awaitable[None]], reason: str, autojump_clock: MockClock
) -> None:
    server, log = make_logging(4.9, limits=Limits(resume_seconds=8), connections_per_user=1)

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity("ana")

    async with open_checked(server) as net:
        phone = await away(net)
        await trio.sleep(7)
        await come(net, phone)
        await wait_all_tasks_blocked()
        assert log == ["resume"]
        await end(net, phone)
        await trio.sleep(5)
        assert log[:3] == ["resume", "resumed", f"disconnect {reason}"]


async def test_of_two_returns_the_slower_one_holds_up_on_disconnect(autojump_clock: MockClock) -> None:
    server, log = make_logging(2)
    async with open_checked(server) as net:
        phone = await away(net)
        await come(net, phone)
        await come(net, phone, "/ws?fast=1&x")
        await wait_all_tasks_blocked()
        assert log == ["resume", "resume", "resumed"]
        await server.clients[phone.id].close(4500)
        await trio.sleep(3)
        assert log == ["resume", "resume", "resumed", "resumed", "disconnect closed"]
        assert not server._assembly.admission._greetings


async def test_a_server_that_is_cancelled_sees_off_after_on_resume(autojump_clock: MockClock) -> None:
    server, log = make_logging()
    async with open_checked_in_scope(server) as (net, scope):
        await come(net, await away(net))
        await wait_all_tasks_blocked()
        scope.cancel()
    assert log == ["resume", "resumed", "disconnect disconnected"]


async def test_an_on_resume_that_hangs_is_cancelled_and_the_session_waits_on(autojump_clock: MockClock) -> None:
    server, log = make_logging(1_000)
    async with open_checked(server) as net:
        phone = await away(net)
        await come(net, phone)
        await trio.sleep(6)
        assert log == ["resume", "resumed"]
        assert (await dial_again(net, phone, 1, 1, path="/ws?fast=1&x")).id == phone.id


@pytest.mark.parametrize("is_away", [True, False])
async def test_an_on_resume_that_closes_its_client_ends_the_session(is_away: bool, autojump_clock: MockClock) -> None:
    server, log = make_logging()

    @server.on_resume
    async def close_it(client: Client) -> None:
        await client.close(4500, "not you")
        log.append("closed")

    async with open_checked(server) as net:
        phone = await dial(net, "ana")
        await phone.client.join("hall")
        if is_away:
            await phone.drop()
        entry = f"simplysocket.json, simplysocket.resume.{phone.token}.1.1"
        late = await net.connect(greet=False, headers={"Sec-WebSocket-Protocol": entry})
        ended = await late.wait_ended()
        assert (ended.code, ended.reason) == (4500, "not you")
        await trio.sleep(1)
        assert log == ["resume", "resumed", "closed", "disconnect not you"]
        assert not server.clients
