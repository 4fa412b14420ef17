"""After the server's own kick or close nothing more of the client is handled; what a leaver has sent is."""

import contextlib
from typing import Any, ClassVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, Client, Room, Server, action
from simplysocket.testing import Net, TestClient, open_server

from ..harness.messages import answers_of, bodies_of
from ..harness.servers import make
from ..harness.work import is_at_rest


class Talk(Room):
    """A room that notes what it handles, and in which one may speak for long."""

    noted: ClassVar[list[object]]

    @action("note")
    async def note(self, body: object) -> None:
        self.noted.append(body)

    @action("nap")
    async def nap(self, body: float) -> None:
        await trio.sleep(body)

    @action("speak", turn=False)
    async def speak(self) -> None:
        try:
            while True:
                await self.broadcast("speech")
                await trio.sleep(1)
        finally:
            self.noted.append("spoken")

    @action("wait", cancel=True)
    async def wait(self) -> None:
        await trio.sleep(100)

    @action("throw me out", turn=False)
    async def throw_me_out(self, client: Client, body: str) -> None:
        await throw_out(body, self, client)
        await trio.sleep(1)
        self.noted.append("the handler goes on")


async def throw_out(how: str, room: Room, client: Client) -> None:
    """Kick or close the client, and wait until that is done."""
    if how == "kick":
        assert await room.kick(client)
    else:
        await client.close(3503, "out")


def make_talk(**limits: Any) -> tuple[Server, list[object]]:
    class Here(Talk):
        noted: ClassVar[list[object]] = []

    return make(("*", Here), (GLOBAL_ROOM, Here), direct=True, **limits), Here.noted


async def join_all(net: Net, *rooms: str) -> tuple[TestClient, TestClient]:
    ana, ben = await net.connect("ana"), await net.connect("ben")
    for room in rooms:
        await ana.join(room)
        await ben.join(room)
    return ana, ben


IN_BOTH_WAYS = pytest.mark.parametrize("how", ["kick", "close"])


@IN_BOTH_WAYS
@pytest.mark.parametrize("waits", [True, False])
async def test_what_waits_from_it_is_refused(autojump_clock: MockClock, how: str, waits: bool) -> None:
    server, noted = make_talk(inbox_per_client=4)
    async with open_server(server) as net:
        ana, ben = await join_all(net, "one", "two")
        for room in ("one", "two") if how == "close" else ("one",):
            await ben.send("nap", 10, target=room)
        await ben.settle()
        for n in range(10):  # more than its share, so that some are held
            await ana.send("note", n, target="one", id=n)
        if how == "close":
            await ana.send("note", 10, target="two")
            await ana.send("whisper", target=ben.id, IsTargetClient=True)
        await ana.send("join-room", {"roomname": "one"}, id=20)
        await ana.settle()
        if waits:
            await throw_out(how, server.rooms["one"], server.clients[ana.id])
        else:
            net.nursery.start_soon(throw_out, how, server.rooms["one"], server.clients[ana.id])
        if how == "kick":
            await ana.send("note", "later", target="one", id=21)
        await trio.sleep(30)
        assert noted == []
        assert bodies_of(await ben.settle(), "whisper") == []
        assert ana.id not in server.rooms["one"].members
        if how == "kick":
            messages = await ana.settle()
            assert [answers_of(messages, n) for n in (*range(10), 20, 21)] == [["not-a-member"]] * 12
            assert (await ana.join("one"))["total"] == 2  # it may come again
        assert server.statistics()["held_messages"] == 0


@IN_BOTH_WAYS
async def test_its_handlers_end(autojump_clock: MockClock, how: str) -> None:
    server, noted = make_talk(close_seconds=50)
    async with open_server(server) as net:
        ana, ben = await join_all(net, "one", "two")
        await ana.send("speak", target="one", id=1)
        await ana.send("speak", target="two", id=2)
        await ana.send("wait", target="two", id=3)
        await trio.sleep(5.5)
        client = server.clients[ana.id]
        await throw_out(how, server.rooms["one"], client)
        await ben.settle()
        await trio.sleep(5)
        heard = [each["target"] for each in await ben.settle() if each["action"] == "speech"]
        if how == "kick":
            assert set(heard) == {"two"}
            messages = await ana.settle()
            assert [answers_of(messages, n) for n in (1, 2, 3)] == [["not-a-member"], [], []]
            assert noted == ["spoken"]
        else:
            assert heard == []
            assert noted == ["spoken"] * 2
            assert is_at_rest(server)


@IN_BOTH_WAYS
async def test_the_handler_that_throws_out_its_own_client_goes_on(autojump_clock: MockClock, how: str) -> None:
    server, noted = make_talk(close_seconds=50)
    async with open_server(server) as net:
        ana = await net.connect("ana", reads=False)  # it does not answer the Close
        await ana.join("one")
        await (await net.connect("ben")).join("one")
        await ana.send("speak", target="one")
        await ana.send("throw me out", how, target="one")
        await trio.sleep(5)
        assert noted == ["spoken", "the handler goes on"]


async def test_what_waits_in_the_global_room_is_refused_at_a_close(autojump_clock: MockClock) -> None:
    server, noted = make_talk()
    async with open_server(server) as net:
        ana, _ = await join_all(net)
        await ana.send("nap", 1)
        for n in range(10):
            await ana.send("note", n)
        await ana.send("speak")
        await ana.settle()
        await server.clients[ana.id].close()
        await trio.sleep(5)
        assert noted == []


async def test_a_join_that_waits_is_refused_at_a_close_and_its_room_closes(autojump_clock: MockClock) -> None:
    server, _ = make_talk(close_seconds=50)

    @server.room("slow")
    class Slow(Room):
        async def on_create(self) -> None:
            await trio.sleep(10)

    @server.room("asking")
    class Asking(Room):
        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            await trio.sleep(10)

    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        await ben.send("nap", 10, target="one")
        for room in ("one", "slow", "asking"):
            await ana.send("join-room", {"roomname": room})
        await trio.sleep(1)
        await server.clients[ana.id].close()
        await trio.sleep(20)
        assert not server.clients.get(ana.id) or set(server.clients[ana.id].rooms) == {GLOBAL_ROOM}
        assert set(server.rooms) == {GLOBAL_ROOM, "one"}
        assert list(server.rooms["one"].members) == [ben.id]


@pytest.mark.parametrize("how", ["leave-room", "disconnect", "close"])
async def test_what_a_leaver_sent_before_it_left_is_handled(autojump_clock: MockClock, how: str) -> None:
    server, noted = make_talk(inbox_per_client=4)
    async with open_server(server) as net:
        ana, ben = await join_all(net, "one")
        await ben.send("nap", 1, target="one")
        await ben.settle()
        for n in range(10):
            await ana.send("note", n, target="one")
        if how == "leave-room":
            await ana.send("leave-room", {"roomname": "one"})
            await ana.send("note", "too late", target="one")
        elif how == "disconnect":
            await ana.stream.aclose()
        else:
            await ana.close()
        await trio.sleep(10)
        assert noted == list(range(10))


async def test_a_client_far_over_the_rate_is_closed_and_what_waits_from_it_refused(autojump_clock: MockClock) -> None:
    server, noted = make_talk(messages_per_second=1, messages_burst=5, close_seconds=30)
    async with open_server(server) as net:
        ana, ben = await join_all(net, "one")
        await trio.sleep(10)
        await ben.send("nap", 10, target="one")
        await ben.settle()
        await ana.send("note", 1, target="one")
        with contextlib.suppress(trio.BrokenResourceError):
            for _ in range(60):
                await ana.send("note", 2, target="one")
        assert (await ana.wait_ended()).code == 3013
        await trio.sleep(20)
        assert noted == []


async def test_a_kick_of_no_member_changes_nothing(autojump_clock: MockClock) -> None:
    server, _ = make_talk()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        await ben.send("nap", 10, target="one")
        await ben.settle()
        await ana.send("join-room", {"roomname": "one"}, id=1)
        await ana.settle()
        kicked: list[bool] = []

        async def kick() -> None:
            kicked.append(await server.rooms["one"].kick(server.clients[ana.id]))

        net.nursery.start_soon(kick)
        await trio.sleep(20)
        assert (kicked, ana.id in server.rooms["one"].members) in (([False], True), ([True], False))
