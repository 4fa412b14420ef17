"""authenticate that refuses, fails, or takes too long: no client is let in."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Identity, Limits, Refuse, Request, Server

from ..harness.admission import HANDSHAKE_SECONDS, open_checked
from ..harness.attacker import Peer, request_upgrade
from ..harness.error_log import errors_of
from ..harness.frames import head
from ..harness.hooks import cancel_itself_and_raise_a_group, sleep_and_fail, sleep_and_raise_a_group

# --- refusals


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

    async with open_checked(server) as net:
        for expected in (text, *odd):
            _, answer = await request_upgrade(net)
            assert answer.status == status
            assert json.loads(answer.body) == {"code": code, "message": expected}
            assert answer.headers["content-type"] == "application/json"
            assert int(answer.headers["content-length"]) == len(answer.body)
            assert "set-cookie" not in answer.headers
        assert not server.clients
    assert server.statistics()["upgrades_refused"] == {status: 4}
    assert server.statistics()["connections_opened"] == 0
    assert errors_of(caplog) == []


@pytest.mark.parametrize(("text", "told"), [(None, "Forbidden"), (404, "404"), (["not", "you"], "['not', 'you']")])
async def test_a_refusal_whose_message_is_no_text_is_answered_too(
    text: Any, told: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        raise ActionError("no", text)

    async with open_checked(server) as net:
        _, answer = await request_upgrade(net)
        assert answer.status == 403
        assert json.loads(answer.body) == {"code": "no", "message": told}
    assert errors_of(caplog) == []


@pytest.mark.parametrize("status", [200, 101, 399, 600, 0, -1, True, None, "401", 401.0])
def test_a_refusal_needs_an_error_status(status: Any) -> None:
    with pytest.raises(ValueError, match="HTTP status of 400 to 599"):
        Refuse(status)


@pytest.mark.parametrize("text", ["\ud800", object()])
async def test_a_refusal_whose_text_cannot_be_encoded_is_still_a_refusal(text: Any, autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        raise Refuse(403, text)

    async with open_checked(server) as net:
        assert (await request_upgrade(net))[1].status in (403, 500)


async def test_an_action_error_in_authenticate_refuses_with_its_code(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        raise ActionError("banned", "not before Monday")

    async with open_checked(server) as net:
        _, answer = await request_upgrade(net)
        assert answer.status == 403
        assert json.loads(answer.body) == {"code": "banned", "message": "not before Monday"}


# --- failures


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


async def give_back(value: object) -> Any:
    return value


@pytest.mark.parametrize(
    ("act", "status", "is_logged"),
    [
        (refuse_in_a_nursery, 403, False),
        (raise_group, 403, True),
        (raise_key_error, 500, True),
        (raise_os_error, 500, True),
        (raise_a_closed_resource, 500, True),
        (raise_no_status, 500, True),
        (cancel_itself_and_raise_a_group, 500, True),
        (partial(give_back, None), 401, True),
        (partial(give_back, True), 401, True),
        (partial(give_back, "ana"), 401, True),
        (partial(give_back, {"user": "ana"}), 401, True),
        (partial(give_back, Identity), 401, True),
    ],
)
async def test_an_authenticate_that_fails_lets_no_client_in(
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

    async with open_checked(server) as net:
        for _ in range(2):
            _, answer = await request_upgrade(net, "Authorization: Bearer secret")
            assert answer.status == status
            assert set(json.loads(answer.body)) == {"code", "message"}
            assert b"bug" not in answer.body
        assert not server.clients
    assert bool(errors_of(caplog)) == is_logged
    assert "secret" not in caplog.text


# --- deadlines


async def sleep_and_swallow() -> Identity:
    with contextlib.suppress(trio.Cancelled):
        await trio.sleep_forever()
    raise Refuse(403, "late")


@pytest.mark.parametrize(
    ("act", "status"),
    [(trio.sleep_forever, 408), (sleep_and_swallow, 403), (sleep_and_fail, 500), (sleep_and_raise_a_group, 408)],
)
async def test_an_authenticate_that_never_returns_is_cancelled(
    act: Callable[[], Awaitable[Any]], status: int, autojump_clock: MockClock
) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        result: Identity = await act()
        return result

    async with open_checked(server) as net:
        started = trio.current_time()
        _, answer = await request_upgrade(net)
        assert answer.status == status
        assert trio.current_time() - started == pytest.approx(HANDSHAKE_SECONDS, abs=1.5)  # 1 s of lingering


async def test_the_handshake_and_authenticate_share_one_deadline(autojump_clock: MockClock) -> None:
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        await trio.sleep(3)
        return Identity("ana")

    async with open_checked(server) as net:
        peer = Peer(await net.open_stream())
        await trio.sleep(3)
        assert (await peer.ask(head())).status == 408
        assert (await request_upgrade(net))[1].status == 101


async def test_an_authenticate_that_takes_too_long_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server("test", limits=Limits(handshake_seconds=3))

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        await trio.sleep_forever()
        raise AssertionError

    async with open_checked(server) as net:
        _, answer = await request_upgrade(net)
        assert answer.status == 408
    assert "authenticate took over 3 seconds" in caplog.text
