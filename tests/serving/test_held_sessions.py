"""Sessions that are held and ended: who may come back, who is refused, and that nothing stays."""

import time
from typing import Any

import pytest
import trio

from simplysocket import ActionError, Client, Identity, Limits, Refuse, Request, Room
from simplysocket.testing import open_server
from tests.harness.phone import Phone, dial, dial_again, in_hall, make_server


async def test_a_session_that_was_ended_while_away_leaves_its_code(autojump_clock: trio.testing.MockClock) -> None:
    server = make_server(limits=Limits(resume_seconds=10))
    async with open_server(server) as net:
        phone = await in_hall(net)
        await phone.drop()
        await net.server.clients[phone.id].close(4500, "banned")
        assert phone.id not in net.server.clients
        entry = f"simplysocket.json, simplysocket.resume.{phone.token}.1.1"
        late = await net.connect(greet=False, headers={"Sec-WebSocket-Protocol": entry})
        ended = await late.wait_ended()
        assert (ended.code, ended.reason) == (4500, "banned")
        await trio.sleep(11)
        assert (await dial_again(net, phone, 1, 1)).resume["outcome"] == "new"


@pytest.mark.parametrize(
    ("code", "is_held"), [(None, True), (1001, True), (1000, False), (1005, False), (3000, False), (4000, False)]
)
async def test_how_the_client_left_decides_whether_it_may_come_back(
    code: int | None, is_held: bool, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        if code is None:
            await phone.drop()
        else:
            await phone.client.close(1000 if code == 1005 else code)
            await trio.testing.wait_all_tasks_blocked()
        assert (phone.id in net.server.clients) is is_held
        back = await dial_again(net, phone, 1, 1)
        assert (back.resume["outcome"] == "resumed") is is_held


async def test_a_client_that_was_never_heard_has_no_session(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await dial(net)
        await phone.drop()
        assert phone.id not in net.server.clients


async def test_another_user_gets_a_session_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    server = make_server()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        if not request.token:
            raise Refuse(401)
        return Identity(request.token)

    async with open_server(server) as net:
        phone = await dial(net, token="ana")
        await phone.client.join("hall")
        await phone.drop()
        other = await dial_again(net, phone, 1, 1, token="eve")
        assert (other.id != phone.id, other.resume["outcome"]) == (True, "new")
        assert (await dial_again(net, phone, 1, 1, token="ana")).id == phone.id


async def test_on_resume_is_called_instead_of_on_connect_and_may_refuse(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server, called = make_server(), []

    @server.on_connect
    async def on_connect(client: Client) -> None:
        called.append("connect")

    @server.on_resume
    async def on_resume(client: Client, request: Request) -> None:
        called.append("resume")
        if "bad" in request.query:
            raise ActionError("no", "not today")

    async with open_server(server) as net:
        phone = await in_hall(net)
        await phone.drop()
        entry = f"simplysocket.json, simplysocket.resume.{phone.token}.1.1"
        refused = await net.connect(path="/ws?bad=1&x", greet=False, headers={"Sec-WebSocket-Protocol": entry})
        ended = await refused.wait_ended()
        assert (ended.code, ended.reason) == (1008, "not today")
        assert (await dial_again(net, phone, 1, 1)).resume["outcome"] == "resumed"
        assert called == ["connect", "resume", "resume"]


async def test_pings_say_what_was_received_and_do_not_count(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        await phone.client.send("ping", {"received": 1})
        pong = await phone.client.receive()
        assert pong["action"] == "ping"
        assert pong["message_body"]["received"] == 1
        ring = net.server.clients[phone.id]._session.line.ring
        assert (ring.acknowledged, ring.frames) == (1, 0)
        for wrong in (2, -1, 10**16, "1", 1.5, True):
            await phone.client.send("ping", {"received": wrong})
            answer = await phone.client.receive()
            assert (answer["action"], answer["message_body"]["code"]) == ("error", "bad-body")
        await phone.drop()
        back = await dial_again(net, phone, 1, 1)
        assert back.resume["outcome"] == "resumed"
        assert await back.client.settle() == []


async def test_what_is_sent_again_is_read_at_the_rate_and_not_refused(autojump_clock: trio.testing.MockClock) -> None:
    limits = Limits(messages_per_second=10, messages_burst=5, joins_burst=20, account_bursts=None)
    async with open_server(make_server(limits=limits)) as net:
        phone = await in_hall(net)
        await phone.drop()
        back = await dial_again(net, phone, 1, 51)
        began = trio.current_time()
        for number in range(50):
            await back.client.send("shout", number, target="hall")
        came: list[Any] = []
        while len(came) < 50:
            message = await back.client.receive()
            assert message["action"] == "shouted"
            came.append(message["message_body"])
        assert came == list(range(50))
        assert trio.current_time() - began >= 4  # virtual seconds: 45 messages at 10 a second


async def test_frames_that_are_never_acknowledged_end_the_connection(autojump_clock: trio.testing.MockClock) -> None:
    limits = Limits(ping_seconds=5, silence_seconds=10)
    async with open_server(make_server(limits=limits)) as net:
        phone = await in_hall(net)
        began = trio.current_time()
        ended = await phone.client.wait_ended()  # it answers the pings of the protocol below, as a proxy would
        assert ended.code == 3012
        assert 20 <= trio.current_time() - began <= 26
        await trio.testing.wait_all_tasks_blocked()
        assert net.server.clients[phone.id]._session.is_away


async def test_a_client_that_comes_back_too_often_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server(limits=Limits(resumes_burst=2, resumes_per_second=0.1))) as net:
        phone = await in_hall(net)
        for _ in range(2):
            await phone.drop()
            back = await dial_again(net, phone, 1, 1)
            phone = Phone(back.client, {"client": back.id, "resume": back.resume})
        with pytest.raises(ActionError, match="429"):
            await dial_again(net, phone, 1, 1)
        await trio.sleep(10)
        assert (await dial_again(net, phone, 1, 1)).id == phone.id


async def test_a_stop_ends_who_is_away(autojump_clock: trio.testing.MockClock) -> None:
    server, gone = make_server(), []

    @server.on_disconnect
    async def on_disconnect(client: Client, reason: str) -> None:
        gone.append(str(reason))

    async with open_server(server) as net:
        phone = await in_hall(net)
        await phone.drop()
        await server.stop()
        assert gone == ["shutdown"]
    async with open_server(server) as net:
        assert (await dial_again(net, phone, 1, 1)).resume["outcome"] == "new"


async def test_a_cancelled_server_sees_off_who_is_away(autojump_clock: trio.testing.MockClock) -> None:
    server, gone = make_server(), []

    @server.on_disconnect
    async def on_disconnect(client: Client, reason: str) -> None:
        gone.append(str(reason))

    with trio.CancelScope() as scope:
        async with open_server(server) as net:
            phone = await in_hall(net)
            await phone.drop()
            scope.cancel()
            await trio.sleep_forever()
    assert gone == ["disconnected"]


async def test_clients_that_never_come_back_leave_nothing(autojump_clock: trio.testing.MockClock) -> None:
    server = make_server(limits=Limits(resume_seconds=5, connections=None, account_joins_per_second=None))
    async with open_server(server) as net:
        for hundreds in range(1, 11):
            phones = [await in_hall(net)] + [await dial(net) for _ in range(99)]
            for phone in phones:
                await phone.client.send("ping")  # a client that was never heard has no session
            for phone in phones:
                await phone.client.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            assert server.statistics()["away"] == 100 * hundreds
        await trio.sleep(6)
        returns = server._assembly.returns
        assert not returns._sessions
        assert not returns._away
        assert not returns._deadlines
        assert server.statistics()["away"] == 0
        assert not server.clients
        assert server.statistics()["queued_bytes"] == 0
        assert not server._assembly.outboxes._holders


async def test_a_connection_that_is_refused_ends_with_no_session(autojump_clock: trio.testing.MockClock) -> None:
    server = make_server()

    @server.on_connect
    async def on_connect(client: Client) -> None:
        raise ActionError("no", "closed today")

    async with open_server(server) as net:
        phone = await dial(net)
        assert (await phone.client.wait_ended()).code == 1008
        await trio.testing.wait_all_tasks_blocked()
        assert not server._assembly.returns._sessions


async def test_expired_credentials_hold_the_session_for_fresh_ones(autojump_clock: trio.testing.MockClock) -> None:
    server = make_server()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity("ana", expires_at=time.time() + float(request.token or 0))

    async with open_server(server) as net:
        phone = await dial(net, token="1")
        await phone.client.join("hall")
        ended = await phone.client.wait_ended()
        assert ended.code == 3005
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(10)
        assert net.server.clients[phone.id]._session.is_away  # nothing expires while it is away
        back = await dial_again(net, phone, 1, 1, token="1000")
        assert (back.id, back.resume["outcome"]) == (phone.id, "resumed")
        await trio.sleep(60)
        assert net.server.clients[phone.id].is_connected


async def test_a_user_from_another_device_finds_no_ghost(autojump_clock: trio.testing.MockClock) -> None:
    server, happened = make_server(connections_per_user=1), []

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.token or "nobody")

    @server.on_connect
    async def on_connect(client: Client) -> None:
        happened.append("connect")

    @server.on_disconnect
    async def on_disconnect(client: Client, reason: str) -> None:
        happened.append(str(reason))

    async with open_server(server) as net:
        phone = await dial(net, token="ana")
        await phone.client.join("hall")
        await phone.drop()
        laptop = await net.connect(token="ana")
        assert (await laptop.join("hall"))["total"] == 1
        assert happened == ["connect", "connect", "too-many"]
        entry = f"simplysocket.json, simplysocket.resume.{phone.token}.1.1"
        late = await net.connect(greet=False, headers={"Sec-WebSocket-Protocol": entry}, token="ana")
        assert (await late.wait_ended()).code == 3504
        assert await laptop.settle() == []


async def test_a_room_that_holds_longer_keeps_the_session_until_it_lets_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = make_server(limits=Limits(resume_seconds=10))

    class Game(Room):
        hold_seconds = 120

    server.room("game")(Game)
    async with open_server(server) as net:
        phone, other = await in_hall(net), await in_hall(net, "ben")
        for each in (phone, other):
            await each.client.join("game")
            await each.drop()
        await trio.sleep(60)
        ana, ben = net.server.clients[phone.id], net.server.clients[other.id]
        assert {*ana.rooms, *ben.rooms} == {"mesh-global", "game"}
        assert await net.server.rooms["game"].release(ben)
        await trio.sleep(6)
        assert ben.is_gone
        assert not ana.is_gone
        await trio.sleep(53)
        assert not ana.is_gone
        await trio.sleep(2)
        assert ana.is_gone
        assert not net.server.clients
