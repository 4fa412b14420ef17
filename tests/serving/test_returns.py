"""Clients that lose their connection and come back: what they have missed, what they keep, and when it ends."""

from typing import Any

import pytest
import trio

from simplysocket import ActionError, Client, Limits, Room
from simplysocket.testing import open_server
from tests.harness.phone import bodies, dial, dial_again, in_hall, make_server


async def test_a_client_is_told_how_to_come_back_only_if_it_asks(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await dial(net)
        assert phone.resume.keys() == {"outcome", "token", "grace", "received"}
        assert (phone.resume["outcome"], phone.resume["grace"], phone.resume["received"]) == ("new", 30, 0)
        plain = await net.connect()
        assert plain.id
        await plain.request("list-rooms")
        assert net.server.clients[plain.id]._session.line is None


async def test_who_comes_back_has_missed_nothing_and_kept_its_place(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        ben = await net.connect("ben")
        await ben.join("hall")
        phone = await in_hall(net)
        await ben.request("shout", 1, target="hall")
        assert await bodies(phone.client) == [1]  # with the reply to its join, it was sent two messages
        await phone.drop()
        client = net.server.clients[phone.id]
        assert not client.is_connected
        assert not client.is_gone
        assert net.server.statistics()["away"] == 1
        assert "(1 away)" in str(net.server.tree())
        for number in (2, 3):
            await ben.request("shout", number, target="hall")
        await client.send("direct", "x")
        back = await dial_again(net, phone, 2, 1)
        assert back.id == phone.id
        assert back.resume["outcome"] == "resumed"
        assert back.resume["received"] == 1
        assert back.token != phone.token
        came = [(each["action"], each["message_body"]) for each in await back.client.settle()]
        assert came == [("shouted", 2), ("shouted", 3), ("direct", "x")]
        assert client.is_connected
        await back.client.request("shout", 4, target="hall")
        assert await bodies(back.client) == [4]
        room = net.server.rooms["hall"]
        assert client.id in room.members
        assert room.happened == []
        assert net.server.statistics()["away"] == 0


async def test_what_was_on_the_wire_and_did_not_arrive_is_sent_again(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        for number in range(3):
            await phone.client.send("shout", number, target="hall")
        await phone.client.settle()  # the phone was sent four messages; it says that it has received two
        await phone.drop()
        back = await dial_again(net, phone, 2, 4)
        assert back.resume["received"] == 4
        assert await bodies(back.client) == [1, 2]


async def test_after_the_grace_the_client_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    gone: list[tuple[str, str]] = []
    server = make_server(limits=Limits(resume_seconds=10))

    @server.on_disconnect
    async def on_disconnect(client: Client, reason: str) -> None:
        gone.append((client.name, str(reason)))

    async with open_server(server) as net:
        ben = await net.connect("ben")
        await ben.join("hall")
        phone = await in_hall(net)
        await phone.drop()
        await trio.sleep(9.9)
        assert gone == []
        await trio.sleep(0.2)
        assert gone == [("ana", "disconnected")]
        assert net.server.rooms["hall"].happened == [("left", "ana", "disconnected")]
        assert phone.id not in net.server.clients
        back = await dial_again(net, phone, 1, 1)
        assert (back.id != phone.id, back.resume["outcome"]) == (True, "new")


async def test_a_newer_connection_takes_over(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        back = await dial_again(net, phone, 1, 1)
        ended = await phone.client.wait_ended()
        assert ended.code == 3502
        assert back.resume["outcome"] == "resumed"
        await back.client.request("shout", 1, target="hall")
        assert await bodies(back.client) == [1]
        # The first token is superseded, since the client was heard on the connection of a newer one.
        late = await net.connect(
            greet=False,
            headers={"Sec-WebSocket-Protocol": f"simplysocket.json, simplysocket.resume.{phone.token}.1.1"},
        )
        assert (await late.wait_ended()).code == 3502
        await back.client.request("shout", 2, target="hall")


@pytest.mark.parametrize("token", ["", "x", "{cut}", "{other}", "{long}"])
async def test_a_token_that_is_none_gives_a_new_session(token: str, autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        await phone.drop()
        other = phone.token[:-1] + ("A" if phone.token[-1] != "A" else "B")
        token = token.format(cut=phone.token[:-1], other=other, long=phone.token + "A")
        back = await dial(net, "", f"simplysocket.resume.{token}.1.1")
        assert (back.id != phone.id, back.resume["outcome"]) == (True, "new")
        assert (await dial_again(net, phone, 1, 1)).id == phone.id


@pytest.mark.parametrize(
    ("received", "sent"), [(2, 1), (10**15, 1), (1, 0), ("x", 1), (-1, 1), (1.5, 1), (1, "-"), ("", "")]
)
async def test_positions_that_cannot_be_give_a_new_session(
    received: Any, sent: Any, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        await phone.drop()
        back = await dial_again(net, phone, received, sent)
        assert (back.id != phone.id, back.resume["outcome"]) == (True, "new")


async def test_a_page_that_has_lost_its_state_is_told_of_the_gap(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        await phone.drop()
        back = await dial_again(net, phone, "-", 0)
        assert back.id == phone.id
        assert (back.resume["outcome"], back.resume["reason"]) == ("gap", "reload")
        assert back.resume["rooms"] == ["hall"]
        assert back.resume["received"] == 1
        await back.client.request("shout", 1, target="hall")
        await back.client.settle()
        await back.drop()
        again = await dial_again(net, back, 1, 2)  # from the gap on it was sent two messages, and received one
        assert again.resume["outcome"] == "resumed"
        assert [each["action"] for each in await again.client.settle()] == ["reply"]


async def test_more_than_is_kept_is_a_gap_that_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server(limits=Limits(resume_frames=4))) as net:
        ben = await net.connect("ben")
        await ben.join("hall")
        phone = await in_hall(net)
        await phone.drop()
        for number in range(10):
            await ben.request("shout", number, target="hall")
        back = await dial_again(net, phone, 1, 1)
        assert back.id == phone.id
        assert (back.resume["outcome"], back.resume["reason"]) == ("gap", "overflow")
        assert await back.client.settle() == []
        await ben.request("shout", 10, target="hall")
        assert await bodies(back.client) == [10]


async def test_requests_live_on_in_both_directions(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        client = net.server.clients[phone.id]
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await client.request("pick", timeout=60))

        net.nursery.start_soon(ask)
        await phone.client.send("slow", target="hall", id=99)
        asked = await phone.client.receive()
        await phone.drop()
        await trio.sleep(10)
        back = await dial_again(net, phone, 2, 2)
        reply = await back.client.receive()
        assert (reply["id"], reply["message_body"]) == (99, "done")
        await back.client.send("reply", "left", id=asked["id"])
        await back.client.settle()
        assert answers == ["left"]


async def test_a_gap_ends_the_requests(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        client = net.server.clients[phone.id]
        failed: list[str] = []

        async def ask() -> None:
            with pytest.raises(ActionError) as caught:
                await client.request("pick", timeout=60)
            failed.append(caught.value.code)

        net.nursery.start_soon(ask)
        await phone.client.receive()
        await phone.drop()
        await dial_again(net, phone, "-", 0)
        await trio.testing.wait_all_tasks_blocked()
        assert failed == ["gone"]


@pytest.mark.parametrize("hook", ["on_auth", "on_join"])
@pytest.mark.parametrize("seconds", [0, 2])  # that the client is away
async def test_a_return_in_the_middle_of_a_join_is_answered_once(
    hook: str, seconds: float, autojump_clock: trio.testing.MockClock
) -> None:
    server, happened = make_server(), []

    @server.room("slow")
    class Slow(Room):
        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            await trio.sleep(hook == "on_auth")

        async def on_join(self, client: Client) -> None:
            happened.append("join")
            await trio.sleep(hook == "on_join")

        async def on_leave(self, client: Client) -> None:
            happened.append("leave")

    async with open_server(server) as net:
        phone = await in_hall(net)
        await phone.client.send("join-room", {"roomname": "slow"}, id="join")
        await phone.client.settle()
        await phone.drop()
        await trio.sleep(seconds)
        back = await dial_again(net, phone, 1, 2)
        assert (back.resume["outcome"], back.resume["received"]) == ("resumed", 2)
        await trio.sleep(2)
        answers = await back.client.settle()
        assert [(each["action"], each["id"]) for each in answers] == [("reply", "join")]
        assert list(server.rooms["slow"].members) == [phone.id]
        assert happened == ["join"]


async def test_coming_back_fills_no_rate_up(autojump_clock: trio.testing.MockClock) -> None:
    limits = Limits(messages_per_second=0.01, messages_burst=5, account_bursts=None)
    async with open_server(make_server(limits=limits)) as net:
        phone = await in_hall(net)  # one message
        for number in range(4):
            await phone.client.request("shout", number, target="hall")
        for sent in (5, 6):
            with pytest.raises(ActionError, match="too many messages"):
                await phone.client.request("shout", 5, target="hall")
            await phone.drop()
            phone = await dial_again(net, phone, "-", sent)
        assert net.server.statistics()["messages_refused"] == {"rate-limited": 2}


async def test_who_has_stolen_a_token_is_found_out_by_a_takeover(autojump_clock: trio.testing.MockClock) -> None:
    """Without `authenticate` the token is all there is: its holder goes on, and the other one is told."""
    async with open_server(make_server()) as net:
        phone = await in_hall(net)
        thief = await dial_again(net, phone, "-", 0)
        assert (await phone.client.wait_ended()).code == 3502
        back = await dial_again(net, phone, 1, 1)  # the owner tries once more, as the thief was not heard yet
        assert (back.id, (await thief.client.wait_ended()).code) == (phone.id, 3502)
        await back.client.request("shout", 1, target="hall")
        entry = f"simplysocket.json, simplysocket.resume.{thief.token}.-.0"
        late = await net.connect(greet=False, headers={"Sec-WebSocket-Protocol": entry})
        assert (await late.wait_ended()).code == 3502
        assert net.server.clients[phone.id].is_connected
