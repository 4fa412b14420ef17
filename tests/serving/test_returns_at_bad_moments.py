"""Coming back in a moment in which nobody should: while the connection closes, before it was let in, twice at once."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import ActionError, Client, Identity, Limits, Request, Room, Server
from simplysocket.testing import Net, TestClient, open_server

from ..harness.admission import CLOSE_SECONDS, open_checked
from ..harness.frames import CLOSE
from ..harness.phone import Phone, bodies, dial, dial_again, in_hall, make_server


def entry_of(phone: Phone, received: int | str = 1, sent: int | str = 1) -> str:
    return f"simplysocket.json, simplysocket.resume.{phone.token}.{received}.{sent}"


async def come_late(net: Net, phone: Phone, received: int | str = 1, sent: int = 1, **options: Any) -> TestClient:
    """Offer the phone's token, and return the client before its `welcome` was read."""
    return await net.connect(
        greet=False, headers={"Sec-WebSocket-Protocol": entry_of(phone, received, sent)}, **options
    )


async def in_hall_unread(net: Net) -> Phone:
    """Return a client that answers no Close, so that its connection closes for `CLOSE_SECONDS`."""
    phone = await dial(net, "ana", reads=False)
    await phone.client.join("hall")
    return phone


def make_slow_server(seconds: float = 1) -> Server:
    """Return a server whose `on_resume` takes so long."""
    server = make_server()

    @server.on_resume
    async def on_resume(client: Client) -> None:
        await trio.sleep(seconds)

    return server


async def on_the_way_back(net: Net) -> tuple[Phone, TestClient]:
    """Return a client that has lost its connection, and its next one, before `on_resume` has returned."""
    phone = await in_hall(net)
    await phone.drop()
    return phone, await come_late(net, phone)


# --- while its connection closes


@pytest.mark.parametrize("code", [1008, 3000, 3001, 3013, 3500, 3503, 3504, 4000, 4500])
async def test_who_is_thrown_out_cannot_come_back_before_the_connection_has_ended(
    code: int, autojump_clock: MockClock
) -> None:
    server = make_server()
    async with open_checked(server) as net:
        phone = await in_hall_unread(net)
        await server.clients[phone.id].close(code, "banned")
        late = await come_late(net, phone)
        ended = await late.wait_ended()
        assert (ended.code, ended.reason) == (code, "banned")
        await trio.sleep(CLOSE_SECONDS + 0.1)
        assert not server.clients


async def test_who_was_closed_for_silence_comes_back_before_the_connection_has_ended(
    autojump_clock: MockClock,
) -> None:
    server = make_server()
    async with open_checked(server) as net:
        phone = await in_hall_unread(net)
        server.clients[phone.id]._session.close(3012, "nothing was heard")
        back = await dial_again(net, phone, 1, 1)
        assert (back.id, back.resume["outcome"]) == (phone.id, "resumed")
        await trio.sleep(CLOSE_SECONDS + 1)
        assert server.clients[phone.id].is_connected
        assert server.rooms["hall"].happened == []


async def test_who_has_said_goodbye_is_a_new_client_at_once(autojump_clock: MockClock) -> None:
    server = make_server()
    async with open_checked(server) as net:
        phone = await in_hall_unread(net)
        await phone.client._connection.send_frame((1000).to_bytes(2, "big"), opcode=CLOSE)
        back = await dial_again(net, phone, 1, 1)
        assert (back.id != phone.id, back.resume["outcome"]) == (True, "new")


async def test_who_is_closed_while_on_resume_runs_is_told_the_code(autojump_clock: MockClock) -> None:
    server = make_slow_server()
    async with open_checked(server) as net:
        phone, late = await on_the_way_back(net)
        await trio.sleep(0.5)
        await server.clients[phone.id].close(4500, "banned")
        assert (await late.wait_ended()).code == 4500
        assert not server.clients


# --- before it was let in


async def test_the_token_of_a_client_that_on_connect_has_not_let_in_is_worth_nothing(
    autojump_clock: MockClock,
) -> None:
    server, asked = make_server(), []

    @server.on_connect
    async def on_connect(client: Client) -> None:
        asked.append(client.id)
        await trio.sleep(1)
        if client.id != asked[0]:
            raise ActionError("forbidden", "one at a time")

    async with open_checked(server) as net:
        phone = await dial(net)
        late = await come_late(net, phone, 0, 0)
        assert (await late.wait_ended()).code == 1008  # it had to pass `on_connect`, too
        assert asked == [phone.id, asked[1]]
        assert list(server.clients) == [phone.id]
        await phone.client.join("hall")


async def test_a_welcome_that_was_never_read_leaves_no_session(autojump_clock: MockClock) -> None:
    server = make_server()
    async with open_checked(server) as net:
        lost = await net.connect(
            greet=False, headers={"Sec-WebSocket-Protocol": "simplysocket.json, simplysocket.resume"}
        )
        await wait_all_tasks_blocked()
        await lost.stream.aclose()
        await wait_all_tasks_blocked()
        assert not server.clients
        assert not server._assembly.returns._sessions


async def test_who_has_not_read_a_welcome_comes_back_with_the_token_from_before(autojump_clock: MockClock) -> None:
    server = make_server()
    async with open_checked(server) as net:
        phone = await in_hall(net)
        for _ in range(3):
            unread = await come_late(net, phone)
            await unread.stream.aclose()
        back = await dial_again(net, phone, 1, 1)
        assert (back.id, back.resume["outcome"]) == (phone.id, "resumed")


# --- twice at once


@pytest.mark.parametrize("seconds", [0, 1])  # that `on_resume` takes
@pytest.mark.parametrize("is_away", [True, False])
async def test_of_two_that_come_back_at_once_one_goes_on(
    seconds: int, is_away: bool, autojump_clock: MockClock
) -> None:
    server = make_slow_server(seconds)
    async with open_checked(server) as net:
        phone = await in_hall(net)
        if is_away:
            await phone.drop()
        clients: list[TestClient] = []

        async def come() -> None:
            clients.append(await come_late(net, phone))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come)
            nursery.start_soon(come)
        await trio.sleep(2)
        ended = [each for each in clients if each._connection.ended is not None]
        assert [each._connection.ended.code for each in ended if each._connection.ended] == [3502]
        (living,) = [each for each in clients if each not in ended]
        assert (await living.receive())["message_body"]["resume"]["outcome"] == "resumed"
        await living.request("shout", 1, target="hall")
        assert await bodies(living) == [1]
        assert server.rooms["hall"].happened == []
        assert list(server.clients) == [phone.id]


async def test_a_return_during_a_replay_gets_the_rest(autojump_clock: MockClock) -> None:
    server = make_server()
    async with open_checked(server) as net:
        ben = await net.connect("ben")
        await ben.join("hall")
        phone = await in_hall(net)
        await phone.drop()
        for number in range(100):
            await ben.request("shout", f"{number} {'x' * 500}", target="hall")
            await ben.settle()
        stuck = await come_late(net, phone, 1, 1, reads=False, pipe_bytes=2_000)
        halfway = Phone(stuck, (await stuck.receive())["message_body"])
        assert halfway.resume["outcome"] == "resumed"
        heard = [(await stuck.receive())["message_body"] for _ in range(3)]
        await stuck.stream.aclose()
        back = await dial_again(net, halfway, 4, 1)
        heard += await bodies(back.client)
        assert [int(each.split()[0]) for each in heard] == list(range(100))


# --- tokens and answers of others


async def test_the_token_of_another_server_gives_a_new_session(autojump_clock: MockClock) -> None:
    one, other = make_server(), make_server()
    async with open_server(one) as net, open_server(other) as elsewhere:
        phone = await in_hall(net)
        await in_hall(elsewhere)
        await phone.drop()
        back = await dial_again(elsewhere, phone, 1, 1)
        assert (back.id != phone.id, back.resume["outcome"]) == (True, "new")
        assert (await dial_again(net, phone, 1, 1)).id == phone.id


async def test_answers_that_nobody_waits_for_change_nothing(autojump_clock: MockClock) -> None:
    server = make_server()
    answers: list[object] = []
    async with open_checked(server) as net:
        phone = await in_hall(net)
        client = server.clients[phone.id]

        async def ask() -> None:
            try:
                answers.append(await client.request("pick"))
            except ActionError as error:
                answers.append(error.code)

        net.nursery.start_soon(ask)
        first = (await phone.client.receive())["id"]
        await phone.drop()
        back = await dial_again(net, phone, "-", 0)  # a gap: the request is gone
        await wait_all_tasks_blocked()
        assert answers == ["gone"]
        net.nursery.start_soon(ask)
        second = (await back.client.receive())["id"]
        assert second != first
        for id in (first, 10**9, str(second), "x"):  # of a request that is gone, and unknown ones
            await back.client.send("reply", "wrong", id=id)
        await back.client.send("reply", {"any": ["type"]}, id=second)
        await back.client.send("reply", "twice", id=second)
        await back.client.send("error", "no object", id=second)
        assert await back.client.settle() == []
        assert answers == ["gone", {"any": ["type"]}]
        net.nursery.start_soon(ask)
        third = (await back.client.receive())["id"]
        await back.client.send("error", "no object", id=third)
        await back.client.settle()
        assert answers[2:] == ["internal"]
        assert "now" in await back.client.request("ping")


# --- no bound and no rate is bypassed


@pytest.mark.parametrize("how", ["positions", "user"])
async def test_a_token_that_brings_nobody_back_is_no_way_around_the_bounds(how: str, autojump_clock: MockClock) -> None:
    server = make_server(limits=Limits(connections_per_address=3), trusted_proxies=["unix"])

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "")

    address = {"X-Forwarded-For": "1.2.3.4"}
    async with open_checked(server) as net:
        phone = await dial(net, headers=address, token="ana")
        await phone.client.join("hall")
        sent, token = (77, "ana") if how == "positions" else (1, "eve")
        offer = f"simplysocket.resume.{phone.token}.{sent}.{sent}"
        for _ in range(2):
            other = await dial(net, "", offer, headers=address, token=token)
            assert other.resume["outcome"] == "new"
        with pytest.raises(ActionError, match="429"):
            await dial(net, "", offer, headers=address, token=token)
        back = await dial(net, "", f"simplysocket.resume.{phone.token}.1.1", headers=address, token="ana")
        assert back.id == phone.id


async def test_while_games_are_finished_a_token_brings_back_nobody_else(autojump_clock: MockClock) -> None:
    server = make_server()
    async with open_server(server) as net:
        phone, ben = await in_hall(net), await in_hall(net, "ben")
        net.nursery.start_soon(lambda: server.stop(60, finish=True))
        await trio.sleep(1)
        await phone.drop()
        with pytest.raises(ActionError, match="503"):
            await dial_again(net, phone, 77, 77)
        assert (await dial_again(net, phone, 1, 1)).id == phone.id
        await ben.client.close()


async def test_while_a_server_stops_nobody_comes_back(autojump_clock: MockClock) -> None:
    server = make_server()

    @server.room("slow")
    class Slow(Room):
        async def on_close(self) -> None:
            await trio.sleep(1)

    async with open_server(server) as net:
        phone, silent = await in_hall(net), await in_hall(net, "ben")
        await phone.client.join("slow")
        await phone.drop()
        silent.client.go_silent()
        net.nursery.start_soon(server.stop, 60)
        await trio.sleep(0.5)
        for each in (phone, silent):
            with pytest.raises(ActionError, match="503"):
                await dial_again(net, each, 1, 1)
        assert list(server.clients) == [phone.id, silent.id]


async def test_who_comes_back_while_its_on_resume_outlasts_the_beginning_of_a_stop_is_told(
    autojump_clock: MockClock,
) -> None:
    server = make_slow_server()
    async with open_checked(server) as net:
        _, late = await on_the_way_back(net)
        await server.stop(60)
        assert (await late.wait_ended()).code == 3001


@pytest.mark.parametrize("how", ["ended", "closing", "superseded"])
async def test_what_has_ended_for_one_user_is_nothing_to_another(how: str, autojump_clock: MockClock) -> None:
    """As in a browser in which another user has logged in, and that still holds the token."""
    server = make_server()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "")

    async with open_checked(server) as net:
        phone = await dial(net, token="ana", reads=False)
        await phone.client.join("hall")
        if how == "ended":
            await phone.drop()
        if how == "superseded":
            await (await dial_again(net, phone, 1, 1, token="ana")).client.request("ping")
        else:
            await server.clients[phone.id].close(4500, "banned")
        other = await dial_again(net, phone, 1, 1, token="eve")
        assert (other.id != phone.id, other.resume["outcome"]) == (True, "new")
        late = await come_late(net, phone, token="ana")
        assert (await late.wait_ended()).code == (3502 if how == "superseded" else 4500)
