"""`renew` as an action: bad bodies, who has nothing to renew, its rates, and an application that replaces it."""

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Server
from simplysocket.testing import Net, TestClient, open_server

from ..harness.attacker import request_upgrade
from ..harness.frames import frame, token_subprotocol
from ..harness.logins import make_with_logins

HEAD_BYTES = 16_384  # the default of Limits(head_bytes=)


async def come(net: Net, address: str, token: str) -> TestClient:
    """Connect from this address."""
    return await net.connect(token=token, headers={"X-Forwarded-For": address})


async def outcome(client: TestClient, token: object) -> str:
    """Ask to renew; return the code of the error, or "renewed"."""
    try:
        await client.request("renew", {"token": token})
    except ActionError as error:
        return error.code
    return "renewed"


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({}, "bad-body", "$.token"),
        (None, "bad-body", "$.token"),
        ([], "bad-body", "$"),
        ("ana 100", "bad-body", "$"),
        ({"token": None}, "bad-body", "$.token"),
        ({"token": 5}, "bad-body", "$.token"),
        ({"token": ["ana 100"]}, "bad-body", "$.token"),
        ({"token": ""}, "bad-body", "$.token"),
        ({"token": "x" * (HEAD_BYTES + 1)}, "too-large", "$.token"),
        ({"token": "x" * 65_000}, "too-large", "$.token"),
        ({"token": "\x00" * 10_000}, "forbidden", None),
        ({"token": "\u4e2d" * HEAD_BYTES}, "forbidden", None),
        ({"token": "x" * HEAD_BYTES, "more": [{}] * 100}, "forbidden", None),
    ],
)
async def test_a_bad_token_is_refused_and_its_client_lives_on(
    body: Any, code: str, path: str | None, autojump_clock: MockClock
) -> None:
    logins = make_with_logins()
    async with open_server(logins.server) as net:
        ana = await net.connect(token="ana 100")
        with pytest.raises(ActionError) as caught:
            await ana.request("renew", body)
        assert (caught.value.code, caught.value.path) == (code, path)
        assert len(logins.asked) == 1 + (code == "forbidden")
        assert "now" in await ana.request("ping")


async def test_text_that_is_no_unicode_is_no_token(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_server(logins.server) as net:
        peer, _ = await request_upgrade(net, f"Sec-WebSocket-Protocol: {token_subprotocol('ana 100')}")
        await peer.send(frame(b'{"action":"renew","id":1,"message_body":{"token":"\\ud800"}}'))
        assert (await peer.receive())["message_body"]["code"] in ("bad-body", "bad-message")
        await peer.send(frame(b'{"action":"renew","id":2,"message_body":{"token":"ana 200"}}'))
        assert (await peer.receive())["action"] == "reply"


async def test_a_new_token_may_be_as_long_as_one_in_a_head(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_server(logins.server) as net:
        ana = await net.connect(token="ana 100")
        assert await outcome(ana, "ana 100" + " " * (HEAD_BYTES - 7)) == "renewed"


@pytest.mark.parametrize("has_logins", [True, False])
async def test_who_has_no_credentials_that_expire_has_nothing_to_renew(
    has_logins: bool, autojump_clock: MockClock
) -> None:
    logins = make_with_logins()
    server = logins.server if has_logins else Server("test")
    async with open_server(server) as net:
        ana = await net.connect(token="ana")
        for body in ({"token": "ana 100"}, {}, {"token": "x" * 60_000}):
            with pytest.raises(ActionError, match="nothing to renew") as caught:
                await ana.request("renew", body)
            assert caught.value.code == "forbidden"
    assert logins.tokens == ["ana"] * has_logins


async def test_refused_renewals_are_failed_logins_of_their_address(autojump_clock: MockClock) -> None:
    logins = make_with_logins({"failed_logins_per_second": 0.01, "failed_logins_burst": 3}, trusted_proxies=["unix"])
    async with open_server(logins.server) as net:
        ana, bob = await come(net, "1.1.1.1", "ana 1000"), await come(net, "2.2.2.2", "bob 1000")
        tokens = ["wrong", "bob 1000", "own-code", "banned", "ana 1000"]
        codes = [await outcome(ana, token) for token in tokens]
        assert codes == ["forbidden", "forbidden", "no-ticket", "rate-limited", "rate-limited"]
        assert logins.tokens[2:] == tokens[:3]
        with pytest.raises(ActionError) as caught:
            await ana.request("renew", {"token": "ana 1000"})
        assert 90 < (caught.value.retry_after or 0) <= 100
        with pytest.raises(ActionError, match="429"):
            await come(net, "1.1.1.1", "ana")
        assert await outcome(bob, "bob 1000") == "renewed"
        await trio.sleep(100)
        assert await outcome(ana, "ana 1000") == "renewed"
        assert await outcome(ana, "ana 1000") == "renewed"  # what is accepted is no failed login


@pytest.mark.parametrize(("token", "code"), [("bug", "internal"), ("status 503", "busy")])
async def test_what_is_not_the_fault_of_the_token_is_no_failed_login(
    token: str, code: str, autojump_clock: MockClock
) -> None:
    logins = make_with_logins({"failed_logins_per_second": 0.01, "failed_logins_burst": 1}, trusted_proxies=["unix"])
    async with open_server(logins.server) as net:
        ana = await come(net, "1.1.1.1", "ana 1000")
        assert [await outcome(ana, token) for _ in range(5)] == [code] * 5


async def test_a_client_that_renews_without_end_has_the_rate_of_one_that_connects(autojump_clock: MockClock) -> None:
    logins = make_with_logins({"connects_per_second": 0.01, "connects_burst": 5}, trusted_proxies=["unix"])
    async with open_server(logins.server) as net:
        ana = await come(net, "1.1.1.1", "ana 1000")
        assert [await outcome(ana, "ana 1000") for _ in range(6)] == ["renewed"] * 4 + ["rate-limited"] * 2
        assert len(logins.asked) == 5
        assert await outcome(await come(net, "2.2.2.2", "ana 1000"), "ana 1000") == "renewed"


async def test_the_application_may_replace_renew(autojump_clock: MockClock) -> None:
    logins = make_with_logins()

    @logins.server.action("renew")
    async def renew(client: Client, body: int) -> str:
        return f"{client.user} has renewed {body} books"

    async with open_server(logins.server) as net:
        ana = await net.connect(token="ana 100")
        assert await ana.request("renew", 3) == "ana has renewed 3 books"


async def test_ping_and_welcome_tell_the_time_and_when_credentials_expire(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.12345)
    logins = make_with_logins()
    offer = "Sec-WebSocket-Protocol: simplysocket.json"
    async with open_server(logins.server) as net:
        for token, more in (("ana", {}), ("ana 99.5", {"expires_in": 99.5}), ("ana inf", {})):
            peer, _ = await request_upgrade(net, offer, f"Authorization: Bearer {token}")
            welcome = await peer.receive()
            assert welcome["action"] == "welcome"
            assert set(welcome["message_body"]) == {"client", "ping", "now", *more}
            assert welcome["message_body"] | more == welcome["message_body"]
            assert welcome["message_body"]["now"] == 1_800_000_000.123
            assert (await peer.request("ping"))["message_body"] == {"now": 1_800_000_000.123}
            await peer.say("ping")
            pong = await peer.receive()
            assert (pong["action"], json.dumps(pong["message_body"])) == ("ping", '{"now": 1800000000.123}')
