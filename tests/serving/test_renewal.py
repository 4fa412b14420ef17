"""`renew`: a client that stays connected while its credentials are renewed, by itself or by the server's code."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import ActionError, Client, Identity, Request, Server
from simplysocket._pass_budget import PassBudget
from simplysocket._serving.expiry import Expiry
from simplysocket.testing import Net, TestClient

from ..harness.admission import CLOSE_SECONDS, HANDSHAKE_SECONDS, open_checked
from ..harness.error_log import errors_of
from ..harness.frames import token_subprotocol
from ..harness.logins import make_with_logins
from ..harness.servers import make


async def renew(client: TestClient, token: object, **keys: object) -> Any:
    return await client.request("renew", {"token": token}, **keys)


def only_client(server: Server) -> Client:
    (client,) = server.clients.values()
    return client


async def ends_after(client: TestClient) -> float:
    """Return how long the client stays until its credentials have expired."""
    started = trio.current_time()
    assert (await client.wait_ended()).code == 3005
    return trio.current_time() - started


# --- by the client


@pytest.mark.parametrize("seconds", [10, 100, 1_000])
async def test_renewed_credentials_end_at_their_own_time(seconds: float, autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana = await net.connect(token="ana 100")
        await trio.sleep(50)
        answer = await renew(ana, f"ana {seconds}")
        assert answer == {"expires_in": pytest.approx(seconds, abs=5)}
        assert only_client(logins.server).identity == logins.server.clients[ana.id].identity
        identity = only_client(logins.server).identity
        assert identity is not None
        assert identity.claims == {"token": f"ana {seconds}"}
        assert await ends_after(ana) == pytest.approx(seconds, abs=5)


async def test_credentials_are_renewed_again_and_again(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana = await net.connect(token="ana 100")
        for _ in range(20):
            await trio.sleep(90)
            await renew(ana, "ana 100")
        assert await ends_after(ana) == pytest.approx(100, abs=5)
    assert logins.tokens == ["ana 100"] * 21


async def test_credentials_that_do_not_expire_any_more_are_not_renewed(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana = await net.connect(token="ana 100")
        assert await renew(ana, "ana") == {}
        await trio.sleep(1_000)
        with pytest.raises(ActionError, match="nothing to renew") as caught:
            await renew(ana, "ana 100")
        assert caught.value.code == "forbidden"
        assert logins.tokens == ["ana 100", "ana"]


async def test_without_an_id_the_answer_is_a_message_of_the_same_action(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana = await net.connect(token="ana 100")
        for token, action in (("ana 200", "renew"), ("wrong", "error")):
            await ana.send("renew", {"token": token})
            (message,) = await ana.settle()
            assert message["action"] == action
            assert "id" not in message


@pytest.mark.parametrize("carrier", ["header", "subprotocol", "cookie"])
async def test_authenticate_sees_the_first_request_with_the_new_token(carrier: str, autojump_clock: MockClock) -> None:
    logins = make_with_logins(trusted_proxies=["unix"])
    token = "ana 100"
    headers = {
        "header": {"Authorization": f"Bearer {token}"},
        "subprotocol": {"Sec-WebSocket-Protocol": f"{token_subprotocol(token)}, b"},
        "cookie": {"Authorization": f"Bearer {token}", "Cookie": 'a="1"; b=\xe4; a=2'},
    }[carrier]
    async with open_checked(logins.server) as net:
        ana = await net.connect("Än na", headers={**headers, "X-Forwarded-For": "2001:db8::1", "X-Odd": "\xff\xe4"})
        await renew(ana, "ana 200")
    first, second = logins.asked
    assert (first.token, second.token) == (token, "ana 200")
    for name in ("method", "path", "query", "headers", "address", "subprotocols", "cookies"):
        assert getattr(first, name) == getattr(second, name)
    assert first.address == "2001:db8::1"
    assert "ana 200" not in repr(second)


@pytest.mark.parametrize(
    ("token", "code", "message"),
    [
        ("wrong", "forbidden", "who made this?"),
        ("nameless", "forbidden", "the token was refused"),
        ("old", "expired", "too old"),
        ("ana -1", "expired", "the credentials have expired"),
        ("banned", "forbidden", "not until Monday"),
        ("own-code", "no-ticket", "buy one"),
        ("bob 100", "forbidden", "another user's"),
        ("bob", "forbidden", "another user's"),
        ("status 429", "rate-limited", "later"),
        ("status 503", "busy", "later"),
        ("status 404", "forbidden", "later"),
        ("bug", "internal", "the authentication failed"),
        ("group", "internal", "the authentication failed"),
        ("nothing", "forbidden", "the token was refused"),
        ("never", "timeout", "not done within 5 seconds"),
        ("stubborn", "internal", "the authentication failed"),
    ],
)
async def test_what_is_refused_changes_nothing(
    token: str, code: str, message: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana, started = await net.connect(token="ana 100"), trio.current_time()
        before = only_client(logins.server).identity
        for _ in range(2):  # the first leaves nothing under way
            with pytest.raises(ActionError, match=message) as caught:
                await renew(ana, token)
            assert caught.value.code == code
            assert "secret" not in caught.value.message
        assert only_client(logins.server).identity is before
        await ana.wait_ended()
        assert trio.current_time() - started == pytest.approx(100, abs=5)
    assert bool(errors_of(caplog)) == (token in ("bug", "group", "nothing", "never", "stubborn"))
    assert logins.server.statistics()["messages_refused"] == {code: 2}


async def test_others_are_served_while_authenticate_takes_its_time(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana, bob = await net.connect(token="ana 100"), await net.connect(token="bob 100")
        await ana.send("renew", {"token": "never"}, id=1)
        await ana.settle()
        for client in (ana, bob):
            with trio.fail_after(0.1):
                await client.request("ping")
                await client.join("hall")
        with trio.fail_after(1.1):
            await renew(bob, "slow bob 100")
        answer = await ana.receive()
        assert (answer["id"], answer["message_body"]["code"]) == (1, "timeout")


async def test_of_two_renewals_at_once_the_second_is_refused(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana = await net.connect(token="ana 100")
        for number in range(3):
            await ana.send("renew", {"token": f"slow ana {300 + number}"}, id=number)
        answers = {each["id"]: each["message_body"] for each in [await ana.receive() for _ in range(3)]}
        assert [answers[number].get("code") for number in range(3)] == [None, "busy", "busy"]
        assert answers[0]["expires_in"] == pytest.approx(300, abs=5)
        assert logins.tokens == ["ana 100", "slow ana 300"]
        assert await renew(ana, "ana 100") == {"expires_in": pytest.approx(100, abs=5)}


async def give_up_by_cancel(net: Net, ana: TestClient) -> None:
    await ana.send("cancel", id=1)
    assert (await ana.receive())["message_body"]["code"] == "cancelled"


async def give_up_by_timeout(net: Net, ana: TestClient) -> None:
    await trio.sleep(3)
    assert (await ana.receive())["message_body"]["code"] == "timeout"


async def give_up_by_close(net: Net, ana: TestClient) -> None:
    await ana.close()


async def give_up_by_break(net: Net, ana: TestClient) -> None:
    await ana.stream.aclose()


async def give_up_by_kick(net: Net, ana: TestClient) -> None:
    await only_client(net.server).close(3503)
    assert (await ana.wait_ended()).code == 3503


async def give_up_by_stop(net: Net, ana: TestClient) -> None:
    await net.server.stop(1)
    assert (await ana.wait_ended()).code == 3001


@pytest.mark.parametrize(
    "give_up",
    [give_up_by_cancel, give_up_by_timeout, give_up_by_close, give_up_by_break, give_up_by_kick, give_up_by_stop],
)
async def test_a_renewal_ends_with_its_caller(give_up: Any, autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana = await net.connect(token="ana 100")
        client = only_client(logins.server)
        before = client.identity
        started = trio.current_time()
        await ana.send("renew", {"token": "never"}, id=1, timeout=3)
        await ana.settle()
        await give_up(net, ana)
        await wait_all_tasks_blocked()
        assert trio.current_time() - started <= 3 + CLOSE_SECONDS < HANDSHAKE_SECONDS + 1
        assert not logins.server._assembly.hub.renewal._running
        assert client.identity is before


async def test_a_renewal_that_comes_back_during_a_close_changes_nothing(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana = await net.connect(token="ana 1", reads=False)  # it does not answer the Close for a while
        client = only_client(logins.server)
        await trio.sleep(0.5)
        await ana.send("renew", {"token": "slow ana 100"}, id=1)
        await trio.sleep(1.5)  # the old credentials have expired meanwhile, and the new ones are there
        assert client.identity is not None
        assert client.identity.claims == {"token": "ana 1"}
        assert (await ana.wait_ended()).code == 3005
    assert logins.tokens == ["ana 1", "slow ana 100"]


async def test_a_request_is_kept_only_while_it_may_be_needed_and_never_large(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    kept, ends = logins.server._assembly.hub.renewal._requests, logins.server._assembly.expiry._ends
    async with open_checked(logins.server) as net:
        await net.connect(token="ana")
        assert not kept
        odd = await net.connect(token="ana 100", headers={"Sec-WebSocket-Protocol": ",".join("ab" * 3_200)})
        assert len(logins.asked[-1].subprotocols) > 6_000
        (packed,) = kept.values()
        assert len(packed) <= 2 * logins.server.limits.head_bytes
        await odd.close()
        usual = await net.connect(token="ana 100")
        (packed,) = kept.values()
        assert len(packed) < 400
        await renew(usual, "ana")
        assert not kept
        await usual.stream.aclose()
        await (await net.connect(token="ana 10")).wait_ended()
        await wait_all_tasks_blocked()
        assert not kept
        assert not ends


async def test_the_logins_of_a_crowd_that_renews_do_not_all_run_in_one_pass(autojump_clock: MockClock) -> None:
    class Passes(trio.abc.Instrument):
        def after_io_wait(self, timeout: float) -> None:
            nonlocal running
            running = 0

    server = make(ping_seconds=None, silence_seconds=None)
    running = most = 0  # calls of `authenticate` in this pass, and in any

    @server.authenticate
    async def slow(_: Request) -> Identity:
        nonlocal running, most
        running += 1
        most = max(most, running)
        autojump_clock.jump(0.05)
        return Identity("ana", expires_at=time.time() + 1_000)

    async with open_checked(server) as net:
        clients = [await net.connect() for _ in range(60)]
        most = 0
        trio.lowlevel.add_instrument(passes := Passes())
        for client in clients:
            await client.send("renew", {"token": "new"}, id=1)
        for client in clients:
            assert (await client.receive())["action"] == "reply"
        trio.lowlevel.remove_instrument(passes)
    assert 0 < most <= 2


# --- by the server's own code


async def test_the_server_renews_and_its_client_stays(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        ana = await net.connect(token="ana 100")
        client = only_client(logins.server)
        identity = Identity("ana", claims={"role": "admin"}, expires_at=time.time() + 500)
        await client.renew(identity)
        assert client.identity is identity
        assert client.user == "ana"
        assert await ana.settle() == []  # it is not told
        await trio.sleep(450)
        assert await renew(ana, "ana 100") == {"expires_in": pytest.approx(100, abs=5)}
        await client.renew(Identity("ana"))
        await trio.sleep(1_000)
        await client.renew(Identity("ana", expires_at=time.time() - 1))
        assert await ends_after(ana) < 5
        await wait_all_tasks_blocked()
        await client.renew(identity)  # it is gone
        assert client.identity is identity
    assert not logins.server._assembly.expiry._ends


async def test_the_server_renews_in_on_connect(autojump_clock: MockClock) -> None:
    logins = make_with_logins()

    @logins.server.on_connect
    async def connected(client: Client) -> None:
        await client.renew(Identity("ana", expires_at=time.time() + 500))

    async with open_checked(logins.server) as net:
        assert await ends_after(await net.connect(token="ana 100")) == pytest.approx(500, abs=5)
        assert await ends_after(await net.connect(token="ana")) == pytest.approx(500, abs=5)


async def test_the_server_cannot_give_a_client_another_user(autojump_clock: MockClock) -> None:
    logins = make_with_logins()
    async with open_checked(logins.server) as net:
        await net.connect(token="ana 100")
        client = only_client(logins.server)
        before = client.identity
        with pytest.raises(ValueError, match=r"'ana'.*let it connect again"):
            await client.renew(Identity("bob"))
        with pytest.raises(TypeError, match="give an Identity"):
            await client.renew("ana")  # type: ignore[arg-type]  # the mistake that is tested
        assert client.identity is before
    async with open_checked(server := Server("test")) as net:
        await net.connect()
        with pytest.raises(ValueError, match="authenticate"):
            await only_client(server).renew(Identity("ana"))


# --- the expiry


async def test_who_renews_while_the_expired_wait_for_their_turn_stays(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, now = list[str](), time.time()
    monkeypatch.setattr("simplysocket._serving.expiry.time", SimpleNamespace(time=lambda: now))

    class Watched:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self, code: int, reason: str) -> None:
            closed.append(self.name)
            if self.name == "first":
                expiry.add(second, now + 100)
                expiry.remove(third)

    first, second, third = Watched("first"), Watched("second"), Watched("third")
    expiry = Expiry(PassBudget())
    async with trio.open_nursery() as nursery:
        for each in (first, second, third):
            expiry.add(each, now + 1)
        nursery.start_soon(expiry.run)
        await trio.sleep(10)
        assert closed == ["first"]
        await trio.sleep(100)
        assert closed == ["first", "second"]
        nursery.cancel_scope.cancel()
