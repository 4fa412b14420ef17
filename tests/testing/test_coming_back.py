"""The test kit's client comes back: each message exactly once, or it is told of the gap."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Identity, Limits, Refuse, Request, Room, Server, action
from simplysocket.testing import ConnectionEnded, Net, TestClient, open_server


class Hall(Room):
    """A room that repeats what is said, to everyone."""

    async def on_create(self) -> None:
        self.heard: list[Any] = []

    @action("say")
    async def say(self, client: Client, body: Any) -> None:
        self.heard.append(body)
        await self.broadcast("said", body, sender=client)

    @action("wait", turn=False)
    async def wait(self, client: Client, body: float) -> str:
        await trio.sleep(body)
        return "waited"


def make_server(**limits: Any) -> Server:
    server = Server("test", limits=Limits(**limits))
    server.room("hall")(Hall)
    return server


def hall_of(net: Net) -> Hall:
    hall = net.server.rooms["hall"]
    assert isinstance(hall, Hall)
    return hall


async def join(net: Net, name: str = "Ana", **options: Any) -> TestClient:
    client = await net.connect(name, resume=True, **options)
    await client.join("hall")
    return client


async def said(client: TestClient) -> list[Any]:
    return [each["message_body"] for each in await client.settle() if each["action"] == "said"]


async def test_who_asks_for_a_session_is_told_how_long_it_is_kept(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await net.connect("Ana", resume=True)
        assert ana.resume is not None
        assert (ana.resume["outcome"], ana.resume["grace"], ana.resume["received"]) == ("new", 30.0, 0)
        assert ana.id in net.server.clients
        assert await ana.settle() == []  # no ping and no welcome


@pytest.mark.parametrize("how", ["drop", "go_silent", "neither"])
async def test_who_comes_back_is_the_same_and_has_missed_nothing(autojump_clock: MockClock, how: str) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net)
        id, client = ana.id, net.server.clients[ana.id]
        if how != "neither":
            getattr(ana, how)()
        await trio.testing.wait_all_tasks_blocked()
        await hall_of(net).broadcast("said", "while away")
        back = await ana.come_back()
        assert back["outcome"] == "resumed"
        await hall_of(net).broadcast("said", "when back")
        assert await said(ana) == ["while away", "when back"]
        assert ana.id == id
        assert net.server.clients == {id: client}
        assert list(hall_of(net).members) == [id]


async def test_what_was_sent_into_the_void_is_sent_again(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net)
        await ana.send("say", "lost on the way", target="hall")
        ana.drop()
        await ana.send("say", "said without a connection", target="hall")
        await ana.come_back()
        await ana.send("say", "said when back", target="hall")
        assert await said(ana) == ["lost on the way", "said without a connection", "said when back"]
        assert hall_of(net).heard == ["lost on the way", "said without a connection", "said when back"]


async def test_what_is_sent_in_silence_is_sent_again(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net)
        ana.go_silent()
        await ana.send("say", 1, target="hall")
        assert await said(ana) == []
        await ana.come_back()
        assert await said(ana) == [1]


async def test_messages_from_before_are_kept_and_come_once(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net)
        for number in range(3):
            await ana.request("say", number, target="hall")
            await trio.testing.wait_all_tasks_blocked()
            ana.drop()
            await ana.come_back()
        assert await said(ana) == [0, 1, 2]


@pytest.mark.parametrize("how", ["drop", "go_silent"])
async def test_a_request_outlives_its_connection(autojump_clock: MockClock, how: str) -> None:
    async with open_server(make_server()) as net, trio.open_nursery() as nursery:
        ana = await join(net)
        answers = []

        async def ask() -> None:
            answers.append(await ana.request("wait", 5.0, target="hall"))

        nursery.start_soon(ask)
        await trio.sleep(1)
        getattr(ana, how)()
        await trio.sleep(10)
        await ana.come_back()
        await trio.testing.wait_all_tasks_blocked()
        assert answers == ["waited"]


async def test_a_gap_is_told_and_ends_the_requests(autojump_clock: MockClock) -> None:
    async with open_server(make_server(resume_frames=10)) as net, trio.open_nursery() as nursery:
        ana = await join(net)

        async def ask() -> None:
            with pytest.raises(ActionError) as refused:
                await ana.request("wait", 100.0, target="hall")
            assert refused.value.code == "gone"

        nursery.start_soon(ask)
        await ana.settle()
        ana.go_silent()
        for number in range(20):
            await hall_of(net).broadcast("said", number)
            await trio.lowlevel.checkpoint()
        back = await ana.come_back()
        assert (back["outcome"], back["reason"], back["rooms"]) == ("gap", "overflow", ["hall"])
        await ana.request("say", "after", target="hall")
        assert await said(ana) == ["after"]


async def test_who_comes_too_late_is_another_one(autojump_clock: MockClock) -> None:
    async with open_server(make_server(resume_seconds=10)) as net:
        ana = await join(net)
        id = ana.id
        ana.drop()
        await trio.sleep(11)
        assert (await ana.come_back())["outcome"] == "new"
        assert ana.id != id
        assert list(net.server.clients) == [ana.id]
        await ana.join("hall")
        assert await said(ana) == []


async def test_a_page_that_is_loaded_anew_knows_only_its_token(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net, trio.open_nursery() as nursery:
        ana = await join(net)

        async def ask() -> None:
            with pytest.raises(ActionError) as refused:
                await ana.request("wait", 100.0, target="hall")
            assert refused.value.code == "gone"

        nursery.start_soon(ask)
        await hall_of(net).broadcast("said", "forgotten")
        await trio.testing.wait_all_tasks_blocked()
        id = ana.id
        back = await ana.come_back(forgets=True)
        assert (back["outcome"], back["reason"], ana.id) == ("gap", "reload", id)
        assert await said(ana) == []
        assert (await ana.request("say", 1, target="hall")) is None
        assert await said(ana) == [1]


async def test_a_session_that_the_server_has_ended_is_told_so(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net)
        client = net.server.clients[ana.id]
        ana.drop()
        await trio.testing.wait_all_tasks_blocked()
        await client.close(reason="enough")
        with pytest.raises(ConnectionEnded, match="3000 enough"):
            await ana.come_back()


async def test_other_credentials_are_another_client(autojump_clock: MockClock) -> None:
    server = make_server()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        if request.token is None:
            raise Refuse(401, "who?")
        return Identity(request.token)

    async with open_server(server) as net:
        ana = await join(net, token="ana")
        id = ana.id
        assert (await ana.come_back(token="ben"))["outcome"] == "new"
        assert ana.id != id
        assert net.server.clients[ana.id].user == "ben"


async def test_who_did_not_ask_cannot_come_back(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await net.connect("Ana")
        assert ana.resume is None
        with pytest.raises(RuntimeError, match="resume=True"):
            await ana.come_back()
        with pytest.raises(ValueError, match="greet=True"):
            await net.connect("Ben", resume=True, greet=False)


async def test_a_client_that_reads_only_when_asked_comes_back(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net, reads=False)
        await hall_of(net).broadcast("said", 1)
        ana.drop()
        await trio.testing.wait_all_tasks_blocked()
        assert (await ana.come_back())["outcome"] == "resumed"
        assert (await ana.receive())["message_body"] == 1


@pytest.mark.parametrize("how", ["drop", "go_silent"])
async def test_who_waits_goes_on_over_the_next_connection(autojump_clock: MockClock, how: str) -> None:
    async with open_server(make_server()) as net, trio.open_nursery() as nursery:
        ana = await join(net)
        heard = []

        async def listen() -> None:
            heard.append(await ana.expect("said"))

        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        getattr(ana, how)()
        await ana.come_back()
        await hall_of(net).broadcast("said", 1)
        await trio.testing.wait_all_tasks_blocked()
        assert [each["message_body"] for each in heard] == [1]


async def test_what_comes_is_acknowledged(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net)
        session = net.server.clients[ana.id]._session
        assert session.line is not None
        await hall_of(net).broadcast("said", 1)
        await trio.sleep(2)
        assert session.line.ring.frames == 0
        await trio.sleep(1000)
        assert ana.id in net.server.clients


async def test_the_end_of_a_dropped_connection_is_no_wait(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net)
        ana.drop()
        assert (await ana.wait_ended()).code == 1006
        assert trio.current_time() == 0


async def test_a_close_of_the_server_ends_the_waiting(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net:
        ana = await join(net)
        await net.server.clients[ana.id].close(reason="enough")
        with pytest.raises(ConnectionEnded, match="3000 enough"):
            await ana.expect("said")


async def test_an_attempt_that_is_given_up_ends(autojump_clock: MockClock) -> None:
    async with open_server(make_server()) as net, trio.open_nursery() as nursery:
        ana = await join(net, pipe_bytes=20)  # so that `welcome` takes its time

        async def attempt() -> None:
            with pytest.raises(ConnectionEnded, match="1006"):
                await ana.come_back()

        nursery.start_soon(attempt)
        while ana.resume is not None:  # until its request was answered
            await trio.lowlevel.checkpoint()
        assert (await ana.come_back())["outcome"] == "resumed"
        assert trio.current_time() == 0
        assert await said(ana) == []
