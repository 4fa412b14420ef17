"""The test kit's client: what it waits for, and how its connection breaks."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room, Server, action
from simplysocket.testing import ConnectionEnded, Net, TestClient, open_server


class Hall(Room):
    """A room that tells who comes, and repeats what is said."""

    announce = True

    @action("say")
    async def say(self, client: Client, body: Any) -> None:
        await self.broadcast("said", body, sender=client)


def make_server() -> Server:
    server = Server("test")
    server.room("hall")(Hall)
    return server


async def join_two(net: Net) -> tuple[TestClient, TestClient]:
    ana, ben = await net.connect("Ana"), await net.connect("Ben")
    await ana.join("hall")
    await ben.join("hall")
    return ana, ben


async def test_a_wait_for_what_never_comes_ends(autojump_clock: MockClock) -> None:
    async with open_server(Server("test")) as net:
        ana = await net.connect("Ana")
        with pytest.raises(trio.TooSlowError, match=r"Ana waited 6 hours.*settle"):
            await ana.receive()
        with pytest.raises(trio.TooSlowError):
            await ana.wait_ended()


# --- expect


async def test_expect_skips_what_else_comes(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben = await join_two(net)
        await ben.send("say", "first", target="hall")
        await ben.send("say", "second", target="hall")
        heard = await ana.expect("said")
        assert (heard["message_body"], heard["sender"]) == ("first", ben.id)
        assert [each["message_body"] for each in await ana.settle()] == ["second"]


async def test_expect_takes_what_has_come_before(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben = await join_two(net)
        await ben.request("say", 1, target="hall")
        await trio.testing.wait_all_tasks_blocked()
        assert (await ana.expect("said", timeout=0.001))["message_body"] == 1


async def test_expect_lists_what_came_instead(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben = await join_two(net)
        await ben.send("say", target="hall")
        await ben.send("say", target="hall")
        await ana.send("sing", target="hall")
        before = trio.current_time()
        with pytest.raises(trio.TooSlowError) as failure:
            await ana.expect("sung", timeout=30)
        assert trio.current_time() - before == 30
        text = "Ana waited 30 s for 'sung'; what came instead: client-joined-room, said (2), error unknown-action"
        assert str(failure.value) == text


async def test_expect_says_that_nothing_came(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await net.connect("Ana")
        with pytest.raises(trio.TooSlowError, match=r"^Ana waited 60 s for 'said'; nothing else came$"):
            await ana.expect("said")


async def test_what_is_expected_of_a_closed_connection_is_told(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await net.connect("Ana")
        await net.server.clients[ana.id].close(reason="enough")
        with pytest.raises(ConnectionEnded, match="3000 enough"):
            await ana.expect("said")


async def test_expect_leaves_the_answer_to_a_request_that_waits(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net, trio.open_nursery() as nursery:
        ana, ben = await join_two(net)
        nursery.start_soon(ana.request, "who", None)
        await ben.request("say", 1, target="hall")
        assert (await ana.expect("said"))["message_body"] == 1


# --- a network that breaks


async def test_who_is_dropped_is_lost_at_once(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, _ = await join_two(net)
        client = net.server.clients[ana.id]
        before = trio.current_time()
        ana.drop()
        await trio.testing.wait_all_tasks_blocked()
        assert client not in net.server.rooms["hall"].members.values()
        assert trio.current_time() == before


async def test_what_is_under_way_is_lost_with_a_drop(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben = await join_two(net)
        await ana.send("say", "lost", target="hall")
        ana.drop()
        await trio.testing.wait_all_tasks_blocked()
        assert [each["action"] for each in await ben.settle()] == ["client-left-room"]


async def test_messages_from_before_a_drop_can_be_received(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben = await join_two(net)
        await ben.request("say", 1, target="hall")
        await trio.testing.wait_all_tasks_blocked()
        ana.drop()
        assert (await ana.expect("said"))["message_body"] == 1
        with pytest.raises(ConnectionEnded, match="1006"):
            await ana.receive()
        with pytest.raises(trio.BrokenResourceError):
            await ana.send("say")


async def test_who_waits_learns_of_the_drop(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net, trio.open_nursery() as nursery:
        ana = await net.connect("Ana")

        async def wait() -> None:
            with pytest.raises(ConnectionEnded, match="1006"):
                await ana.receive()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        ana.drop()


@pytest.mark.parametrize("reads", [True, False])
async def test_who_is_silent_is_found_by_the_heartbeat(autojump_clock: MockClock, reads: bool) -> None:
    async with open_server(make_server()) as net:
        _, ben = await join_two(net)
        eve = await net.connect("Eve", reads=reads)
        await eve.join("hall")
        eve.go_silent()
        assert (await ben.expect("client-joined-room"))["message_body"]["client"] == eve.id
        left = await ben.expect("client-left-room", timeout=600)
        assert left["message_body"]["client"] == eve.id
        assert net.server.metrics.connections_closed[3012] == 1


async def test_who_is_silent_neither_hears_nor_is_heard(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana, ben = await join_two(net)
        await ana.settle()
        ana.go_silent()
        await ana.send("say", "lost", target="hall")
        await ben.request("say", "unheard", target="hall")
        assert await ana.settle() == []
        assert [each["message_body"] for each in await ben.settle()] == ["unheard"]
