"""on_connect: what the client and the server can do while it runs."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import GLOBAL_ROOM, ActionError, Client

from ..harness.admission import open_checked
from ..harness.attacker import request_upgrade
from ..harness.frames import close, message
from ..harness.hooks import make_guarded


async def test_on_connect_has_returned_before_the_first_message_is_handled(autojump_clock: MockClock) -> None:
    release = trio.Event()
    handled: list[Any] = []

    async def hold(client: Client) -> None:
        await release.wait()
        client.state["ready"] = True

    server = make_guarded(hold).server

    @server.action("say")
    async def say(client: Client, body: int) -> None:
        handled.append((client.state["ready"], body))

    async with open_checked(server) as net:
        peer, _ = await request_upgrade(net, target="/ws?name=odd")
        await peer.send(b"".join(message("say", number, id=number) for number in range(15)))
        await trio.sleep(1)
        assert handled == []
        assert not server.clients
        release.set()
        for number in range(15):
            assert (await peer.receive())["id"] == number
        assert handled == [(True, number) for number in range(15)]


async def test_during_on_connect_a_client_receives_no_broadcast_and_is_in_no_list(autojump_clock: MockClock) -> None:
    release = trio.Event()

    async def hold(_: Client) -> None:
        await release.wait()

    guarded = make_guarded(hold)
    server = guarded.server
    async with open_checked(server) as net:
        ana = await net.connect("ana")
        peer, _ = await request_upgrade(net, target="/ws?name=odd")
        await server.broadcast("tick", 1)
        await wait_all_tasks_blocked()
        assert [client.name for client in server.clients.values()] == ["ana"]
        assert server.statistics()["clients"] == 1
        assert list(server.rooms[GLOBAL_ROOM].members.values()) == list(server.clients.values())
        assert guarded.room_log == ["+ana"]
        assert [each["message_body"] for each in await ana.settle()] == [1]
        release.set()
        await wait_all_tasks_blocked()
        await server.broadcast("tick", 2)
        assert (await peer.receive())["message_body"] == 2
        assert guarded.room_log == ["+ana", "+odd"]


async def test_on_connect_can_send_to_the_client_and_join_it_to_rooms(autojump_clock: MockClock) -> None:
    async def greet(client: Client) -> None:
        assert await client.send("first", 1)
        answer = await client.join("hall", {"seat": 1})
        assert [member["name"] for member in answer["members"]] == ["ana", "odd"]
        assert set(client.rooms) == {"hall"}
        await client.rooms["hall"].broadcast("second", 2)
        assert await client.send("third", 3)
        await client.join("den")
        assert await client.leave("den")

    guarded = make_guarded(greet)
    async with open_checked(guarded.server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        peer, _ = await request_upgrade(net, "Sec-WebSocket-Protocol: simplysocket.json", target="/ws?name=odd")
        received = [await peer.receive() for _ in range(4)]
        assert [each["action"] for each in received] == ["welcome", "first", "second", "third"]
        assert (await peer.request("who", {"roomname": "hall"}))["action"] == "reply"
        await peer.close()
        await wait_all_tasks_blocked()
        assert len(guarded.server.rooms["hall"].members) == 1
        assert "den" not in guarded.server.rooms


async def test_rooms_per_client_holds_in_on_connect(autojump_clock: MockClock) -> None:
    codes: list[str] = []

    async def join_two(client: Client) -> None:
        await client.join("one")
        try:
            await client.join("two")
        except ActionError as exc:
            codes.append(exc.code)

    async with open_checked(make_guarded(join_two, rooms_per_client=1).server) as net:
        await request_upgrade(net, target="/ws?name=odd")
        await wait_all_tasks_blocked()
    assert codes == ["too-many"]


async def test_a_request_to_the_client_in_on_connect_fails_at_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask(client: Client) -> None:
        await client.request("who-are-you")

    async with open_checked(make_guarded(ask).server) as net:
        began = trio.current_time()
        peer, _ = await request_upgrade(net, target="/ws?name=odd")
        assert await peer.end() == 3004
        assert trio.current_time() == began
    assert "on_connect cannot ask the client" in caplog.text


@pytest.mark.parametrize("how", ["close", "break", "say"])
async def test_on_disconnect_is_called_for_a_peer_that_leaves_during_on_connect(
    how: str, autojump_clock: MockClock
) -> None:
    async def slow(client: Client) -> None:
        await trio.sleep(1)
        await client.send("hello")
        await client.join("hall")

    guarded = make_guarded(slow)
    async with open_checked(guarded.server) as net:
        peer, _ = await request_upgrade(net, target="/ws?name=odd")
        if how == "close":
            await peer.send(close())
            assert await peer.end() == 1000
        elif how == "say":
            await peer.say("join-room", {"roomname": "den"})
        await peer.close()
        await trio.sleep(10)
        assert guarded.log == ["+odd", "-odd disconnected"]
        assert list(guarded.server.rooms) == [GLOBAL_ROOM]
