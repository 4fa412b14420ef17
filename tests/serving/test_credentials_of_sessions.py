"""Credentials of sessions that outlive their connection: `renew`, expiry, coming back and `connections_per_user`."""

import time
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import ActionError, Client, Identity, Request
from simplysocket.testing import ConnectionEnded, Net, TestClient

from ..harness.admission import open_checked
from ..harness.logins import Logins, enter_hall, lose, make_with_hall
from ..harness.phone import dial, dial_again


def client_of(net: Net, client: TestClient) -> Client:
    return net.server.clients[client.id]


def claims_of(net: Net, client: TestClient) -> Any:
    identity = client_of(net, client).identity
    assert identity is not None
    return identity.claims.get("token")


async def ends_after(client: TestClient) -> float:
    """Return after how many seconds the client is closed since its credentials have expired."""
    began = trio.current_time()
    assert (await client.wait_ended()).code == 3005
    return trio.current_time() - began


def check_nothing_left(logins: Logins) -> None:
    assert not logins.server._assembly.expiry._ends
    assert not logins.server._assembly.hub.renewal._requests
    assert not logins.server._assembly.hub.renewal._running


# --- the door authenticates anew


@pytest.mark.parametrize(
    ("first", "second", "seconds"), [("ana 100", "ana 500", 500), ("ana 500", "ana 100", 100), ("ana", "ana 50", 50)]
)
async def test_who_comes_back_has_the_credentials_that_it_comes_with(
    first: str, second: str, seconds: float, autojump_clock: MockClock
) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, first)
        await lose(ana)
        assert (await ana.come_back(token=second))["outcome"] == "resumed"
        assert claims_of(net, ana) == second
        assert await ends_after(ana) == pytest.approx(seconds, abs=5)
    check_nothing_left(logins)


async def test_who_comes_back_with_credentials_that_never_expire_stays(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 10")
        await lose(ana)
        await ana.come_back(token="ana")
        await trio.sleep(1_000)
        assert client_of(net, ana).is_connected
        check_nothing_left(logins)


@pytest.mark.parametrize(("token", "code"), [("old", 3005), ("ana -1", 3005), ("wrong", 3500), ("banned", 3500)])
async def test_who_is_refused_at_the_door_leaves_its_session_as_it_was(
    token: str, code: int, autojump_clock: MockClock
) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        await lose(ana)
        before = client_of(net, ana).identity
        with pytest.raises(ConnectionEnded) as refused:
            await ana.come_back(token=token)
        assert refused.value.code == code
        client = client_of(net, ana)
        assert (client.identity, client.is_connected, client.is_gone) == (before, False, False)
        await client.send("news", "x")
        assert (await ana.come_back(token="ana 100"))["outcome"] == "resumed"
        assert (await ana.receive())["message_body"] == "x"
        assert net.server.rooms["hall"].log == []


async def test_who_is_refused_at_the_door_does_not_end_its_living_connection(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        with pytest.raises(ConnectionEnded):
            await ana.come_back(token="old")  # it has given up its connection; the server does not know that
        assert client_of(net, ana).is_connected
        assert (await ana.come_back(token="ana 200"))["outcome"] == "resumed"
        assert await ends_after(ana) == pytest.approx(200, abs=5)
    check_nothing_left(logins)


# --- expiry


async def test_nothing_expires_while_the_client_is_away_and_the_grace_counts(autojump_clock: MockClock) -> None:
    logins = make_with_hall(limits={"resume_seconds": 60})
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 10")
        await lose(ana)
        await trio.sleep(50)
        assert not client_of(net, ana).is_gone
        with pytest.raises(ConnectionEnded) as refused:
            await ana.come_back(token="ana -40")  # its credentials, by now
        assert refused.value.code == 3005
        room = net.server.rooms["hall"]
        await trio.sleep(11)
        assert ana.id not in net.server.clients  # the attempt has not prolonged the grace
        assert room.log == ["left ana disconnected"]
        assert (await ana.come_back(token="ana 10"))["outcome"] == "new"


async def test_who_is_closed_for_its_credentials_comes_back_before_the_connection_has_ended(
    autojump_clock: MockClock,
) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 10")
        ana.go_silent()  # it answers no Close
        await trio.sleep(10.5)
        assert not client_of(net, ana).is_connected
        assert (await ana.come_back(token="ana 1000"))["outcome"] == "resumed"
        await trio.sleep(30)
        assert client_of(net, ana).is_connected
        assert net.server.rooms["hall"].log == []


async def test_a_client_whose_credentials_have_expired_leaves_with_that_reason(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 10")
        room = net.server.rooms["hall"]
        await ana.wait_ended()
        await trio.sleep(net.server.limits.resume_seconds + 1)
        assert room.log == ["left ana expired"]


async def test_an_old_connection_that_was_taken_over_expires_nobody(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 10")
        await ana.come_back(token="ana 1000")
        await trio.sleep(100)
        assert client_of(net, ana).is_connected
        assert len(net.server._assembly.expiry._ends) == 1


# --- renewed by the client


async def test_a_client_renews_after_it_has_come_back(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        await lose(ana)
        await ana.come_back(token="ana 50")
        assert await ana.request("renew", {"token": "ana 300"}) == {"expires_in": pytest.approx(300, abs=5)}
        assert await ends_after(ana) == pytest.approx(300, abs=5)
    check_nothing_left(logins)


async def test_a_renewal_asks_with_the_request_of_the_newest_connection(autojump_clock: MockClock) -> None:
    logins = make_with_hall(trusted_proxies=["unix"])
    async with open_checked(logins.server) as net:
        ana = await net.connect("ana", token="ana 100", resume=True, headers={"X-Forwarded-For": "2001:db8::1"})
        await ana.join("hall")
        await lose(ana)
        assert ana._session is not None
        ana._session._upgrade.headers["X-Forwarded-For"] = "2001:db8::2"
        await ana.come_back(token="ana 200")
        await ana.request("renew", {"token": "ana 300"})
    assert [request.address for request in logins.asked] == ["2001:db8::1", "2001:db8::2", "2001:db8::2"]


async def test_a_renewal_that_comes_while_its_client_is_away_is_gone(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        before = client_of(net, ana).identity
        await ana.send("renew", {"token": "slow ana 300"}, id="r")
        await ana.settle()
        await lose(ana)
        await trio.sleep(2)
        assert client_of(net, ana).identity is before
        check_nothing_left(logins)
        await ana.come_back()
        answer = await ana.receive()
        assert (answer["id"], answer["message_body"]["code"]) == ("r", "gone")
        assert await ana.request("renew", {"token": "ana 300"}) == {"expires_in": pytest.approx(300, abs=5)}


async def test_a_renewal_goes_on_over_the_next_connection(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        await ana.send("renew", {"token": "slow ana 300"}, id="r")
        await ana.settle()
        await lose(ana)
        await ana.come_back()
        answer = await ana.receive()
        assert (answer["id"], answer["message_body"]) == ("r", {"expires_in": pytest.approx(300, abs=5)})
        assert await ends_after(ana) == pytest.approx(300, abs=5)
    check_nothing_left(logins)


async def test_a_gap_ends_a_renewal(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        await ana.send("renew", {"token": "slow ana 300"}, id="r")
        await ana.settle()
        await ana.come_back(forgets=True)
        await trio.sleep(2)
        assert claims_of(net, ana) == "ana 100"
        assert [each["message_body"]["code"] for each in await ana.settle()] == ["gone"]
        assert await ana.request("renew", {"token": "ana 300"})


async def test_a_renewal_that_did_not_arrive_is_sent_again(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        ana.go_silent()
        await ana.send("renew", {"token": "ana 300"}, id="r")
        await ana.come_back()
        assert (await ana.receive())["id"] == "r"
        assert logins.tokens == ["ana 100", "ana 100", "ana 300"]


async def test_an_answer_that_was_lost_does_not_change_what_a_client_comes_back_with(autojump_clock: MockClock) -> None:
    logins = make_with_hall()
    async with open_checked(logins.server) as net:
        phone = await dial(net, "ana", token="ana 100")
        await phone.client.send("renew", {"token": "ana 300"}, id="r")
        await wait_all_tasks_blocked()
        await phone.drop()
        assert logins.tokens == ["ana 100", "ana 300"]
        back = await dial_again(net, phone, 0, 1, token="ana 100")  # it knows nothing of the answer
        assert back.welcome["expires_in"] == pytest.approx(100, abs=5)
        (answer,) = await back.client.settle()
        assert (answer["id"], answer["message_body"]) == ("r", {"expires_in": pytest.approx(300, abs=5)})
        assert await ends_after(back.client) == pytest.approx(100, abs=5)


# --- renewed by the server's code


async def test_the_server_renews_a_client_that_is_away_and_the_door_counts_when_it_is_back(
    autojump_clock: MockClock,
) -> None:
    logins = make_with_hall(limits={"resume_seconds": 60})
    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        await lose(ana)
        identity = Identity("ana", claims={"token": "by the server"}, expires_at=time.time() + 20)
        await client_of(net, ana).renew(identity)
        assert client_of(net, ana).identity is identity
        assert not net.server._assembly.expiry._ends
        await trio.sleep(30)
        assert not client_of(net, ana).is_gone
        with pytest.raises(ConnectionEnded) as refused:
            await ana.come_back(token="old")
        assert refused.value.code == 3005
        await ana.come_back(token="ana 100")
        assert claims_of(net, ana) == "ana 100"
        assert await ends_after(ana) == pytest.approx(100, abs=5)


@pytest.mark.parametrize("is_away", [True, False])
async def test_the_server_renews_in_on_resume(is_away: bool, autojump_clock: MockClock) -> None:
    logins = make_with_hall()

    @logins.server.on_resume
    async def on_resume(client: Client) -> None:
        await client.renew(Identity("ana", claims={"token": "by the server"}, expires_at=time.time() + 500))

    async with open_checked(logins.server) as net:
        phone = await dial(net, "ana", token="ana 100")
        await phone.client.join("hall")
        if is_away:
            await phone.drop()
        back = await dial_again(net, phone, 1, 1, token="ana 100")
        assert back.welcome["expires_in"] == pytest.approx(500, abs=5)
        assert claims_of(net, back.client) == "by the server"
        assert await ends_after(back.client) == pytest.approx(500, abs=5)
    check_nothing_left(logins)


async def test_an_on_resume_that_refuses_leaves_the_identity_as_it_was(autojump_clock: MockClock) -> None:
    logins = make_with_hall()

    @logins.server.on_resume
    async def on_resume(client: Client, request: Request) -> None:
        if request.token == "ana 500":
            raise ActionError("forbidden", "not with that")

    async with open_checked(logins.server) as net:
        ana = await enter_hall(net, "ana 100")
        await lose(ana)
        with pytest.raises(ConnectionEnded) as refused:
            await ana.come_back(token="ana 500")
        assert refused.value.code == 1008
        assert claims_of(net, ana) == "ana 100"
        assert (await ana.come_back(token="ana 50"))["outcome"] == "resumed"
        assert claims_of(net, ana) == "ana 50"


# --- connections_per_user


async def test_another_device_ends_the_session_that_is_away_and_no_other(autojump_clock: MockClock) -> None:
    logins = make_with_hall(connections_per_user=2)
    async with open_checked(logins.server) as net:
        phone, laptop = await enter_hall(net, "ana", "phone"), await enter_hall(net, "ana", "laptop")
        bob = await enter_hall(net, "bob", "bob")
        await lose(phone)
        await lose(bob)
        room = net.server.rooms["hall"]
        await enter_hall(net, "ana", "tablet")
        await wait_all_tasks_blocked()
        assert room.log == ["left phone too-many"]
        with pytest.raises(ConnectionEnded) as refused:
            await phone.come_back()
        assert refused.value.code == 3504
        assert (await bob.come_back())["outcome"] == "resumed"
        assert "now" in await laptop.request("ping")


async def test_another_device_ends_a_session_that_is_connected_and_its_token_says_so(
    autojump_clock: MockClock,
) -> None:
    logins = make_with_hall(connections_per_user=1)
    async with open_checked(logins.server) as net:
        phone, laptop = await enter_hall(net, "ana", "phone"), await enter_hall(net, "ana", "laptop")
        with pytest.raises(ConnectionEnded) as refused:
            await phone.come_back()
        assert refused.value.code == 3504
        assert "now" in await laptop.request("ping")


async def test_who_comes_back_is_no_further_connection_of_its_user(autojump_clock: MockClock) -> None:
    logins = make_with_hall(connections_per_user=2)
    async with open_checked(logins.server) as net:
        phone, laptop = await enter_hall(net, "ana", "phone"), await enter_hall(net, "ana", "laptop")
        for is_away in (True, False) * 3:
            if is_away:
                await lose(phone)
            assert (await phone.come_back())["outcome"] == "resumed"
            assert "now" in await laptop.request("ping")
        assert len(net.server.clients) == 2
        assert net.server.rooms["hall"].log == []


async def test_another_device_ends_a_session_whose_credentials_have_expired(autojump_clock: MockClock) -> None:
    logins = make_with_hall(connections_per_user=1)
    async with open_checked(logins.server) as net:
        phone = await enter_hall(net, "ana 10", "phone")
        await phone.wait_ended()
        await wait_all_tasks_blocked()
        laptop = await enter_hall(net, "ana 100", "laptop")
        with pytest.raises(ConnectionEnded) as refused:
            await phone.come_back(token="old")
        assert refused.value.code == 3005  # who is not known learns nothing of the session
        with pytest.raises(ConnectionEnded) as refused:
            await phone.come_back(token="ana 100")
        assert refused.value.code == 3504
        assert "now" in await laptop.request("ping")


async def test_a_renewal_of_a_client_that_another_device_has_ended_changes_nothing(autojump_clock: MockClock) -> None:
    logins = make_with_hall(connections_per_user=1)
    async with open_checked(logins.server) as net:
        phone = await enter_hall(net, "ana 100", "phone")
        client, before = client_of(net, phone), client_of(net, phone).identity
        await phone.send("renew", {"token": "slow ana 300"}, id="r")
        await phone.settle()
        await lose(phone)
        await enter_hall(net, "ana", "laptop")
        await trio.sleep(2)
        assert client.identity is before
        check_nothing_left(logins)
