"""`Server(connections_per_user=)`: a user that comes anew is let in, and its oldest client ends before."""

import contextlib
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import ActionError, Client, Identity, RegistrationError, Request, Room, Server
from simplysocket.testing import ConnectionEnded, Net, open_server

from ..harness.admission import CLOSE_SECONDS, open_checked, open_checked_in_scope
from ..harness.attacker import Peer
from ..harness.frames import head
from ..harness.servers import make


def make_counting(most: int | None = 1, **options: Any) -> tuple[Server, list[str]]:
    """Return a server whose clients are called as their tokens, "user-device", and the log of its hooks."""
    server, log = make(connections_per_user=most, **options), list[str]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        token = request.token or request.query.get("name", "")
        return Identity(token.partition("-")[0], name=token)

    class Seat(Room):
        capacity = 1

        async def on_join(self, client: Client) -> None:
            log.append(f"joined {client.name}")

        async def on_leave(self, client: Client, reason: str) -> None:
            log.append(f"left {client.name} {reason}")

    server.room("seat-*")(Seat)

    @server.on_connect
    async def connected(client: Client, request: Request) -> None:
        log.append(f"+{client.name}")
        if request.query.get("name") == "sit":
            await client.join(f"seat-{client.user}")
        elif request.query.get("name") == "wait":
            await client.join(f"seat-{client.user}")
            await trio.sleep(1)
            log.append(f"waited {client.name}")

    @server.on_disconnect
    async def disconnected(client: Client, reason: str) -> None:
        log.append(f"-{client.name} {reason}")

    return server, log


async def test_the_oldest_client_of_a_user_ends_before_the_new_one_is_greeted(autojump_clock: MockClock) -> None:
    server, log = make_counting()
    async with open_checked(server) as net:
        phone = await net.connect("sit", token="ana-phone")
        bob = await net.connect("sit", token="bob-phone")
        await wait_all_tasks_blocked()
        log.clear()
        laptop = await net.connect("sit", token="ana-laptop")
        ended = await phone.wait_ended()
        assert (ended.code, ended.reason) == (3504, "this user has connected again")
        await wait_all_tasks_blocked()
        assert [client.name for client in server.clients.values()] == ["bob-phone", "ana-laptop"]
        seat = ["left ana-phone too-many", "joined ana-laptop"]  # its on_leave was queued before on_connect
        assert [each for each in log if each in seat] == seat
        assert sorted(log) == sorted(["+ana-laptop", *seat, "-ana-phone too-many"])
        for client in (bob, laptop):
            assert "now" in await client.request("ping")


async def test_a_client_that_ends_is_neither_heard_nor_told_anything_more(autojump_clock: MockClock) -> None:
    server, _ = make_counting(2)
    said: list[str] = []

    @server.action("say")
    async def say(client: Client) -> None:
        said.append(client.name)

    async with open_checked(server) as net:
        first = await net.connect(token="ana-1", reads=False)  # it does not answer the Close
        await net.connect(token="ana-2")
        (client,) = [each for each in server.clients.values() if each.name == "ana-1"]
        await net.connect(token="ana-3")
        await first.send("say")
        await server.broadcast("hello")
        assert client.is_gone
        assert not await client.send("hello")
        ended = await first.wait_ended()
        assert (ended.code, ended.reason) == (3504, "this user has too many connections")
        with pytest.raises(ConnectionEnded):
            await first.receive()
        assert said == []
        await trio.sleep(CLOSE_SECONDS)
        assert server.statistics()["connections"] == 2


async def test_two_devices_that_come_in_the_same_moment_leave_one_client(autojump_clock: MockClock) -> None:
    server, log = make_counting()
    async with open_checked(server) as net:
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(connect, net, "sit", f"ana-{number}")
        await wait_all_tasks_blocked()
        (client,) = server.clients.values()
        assert list(server.rooms["seat-ana"].members) == [client.id]
        assert len([each for each in log if each.startswith("+")]) == 5
        assert len([each for each in log if each.startswith("-")]) == 4


async def connect(net: Net, name: str, token: str) -> None:
    with contextlib.suppress(ConnectionEnded):
        await net.connect(name, token=token)


async def test_a_client_that_ends_during_on_connect_leaves_at_once_and_on_disconnect_comes_after_both(
    autojump_clock: MockClock,
) -> None:
    server, log = make_counting()
    async with open_checked(server) as net:
        await connect(net, "wait", "ana-1")
        await wait_all_tasks_blocked(0.1)
        assert log == ["+ana-1", "joined ana-1"]
        await connect(net, "sit", "ana-2")
        await wait_all_tasks_blocked()
        assert [each for each in log[2:] if each != "+ana-2"] == ["left ana-1 too-many", "joined ana-2"]
        assert [client.name for client in server.clients.values()] == ["ana-2"]
        await trio.sleep(CLOSE_SECONDS)
        assert log[5:] == ["waited ana-1", "-ana-1 too-many"]


async def test_who_is_refused_by_on_connect_has_ended_the_oldest_one_too(autojump_clock: MockClock) -> None:
    server, log = make_counting()

    @server.on_connect
    async def refuse(client: Client) -> None:
        if client.name == "ana-2":
            raise ActionError("forbidden", "not from there")

    async with open_checked(server) as net:
        first, second = await net.connect(token="ana-1"), await net.connect(token="ana-2")
        assert (await first.wait_ended()).code == 3504
        assert (await second.wait_ended()).code == 1008
        await net.connect(token="ana-3")
        await wait_all_tasks_blocked()
        assert [client.name for client in server.clients.values()] == ["ana-3"]
    assert sorted(each for each in log if "ana-3" not in each) == [
        "+ana-1",
        "+ana-2",
        "-ana-1 too-many",
        "-ana-2 policy",
    ]


async def test_those_that_have_gone_do_not_count(autojump_clock: MockClock) -> None:
    server, _ = make_counting(2)
    async with open_checked(server) as net:
        first = await net.connect(token="ana-1")
        for number in range(5):
            other = await net.connect(token=f"ana-{number}")
            await (other.close() if number % 2 else other.stream.aclose())
            await wait_all_tasks_blocked()
        assert "now" in await first.request("ping")
        assert len(server._assembly.users._sessions) == 1
    assert server._assembly.users._sessions == {}


async def test_a_user_may_have_a_thousand_connections_and_the_next_one_ends_the_first(
    autojump_clock: MockClock,
) -> None:
    server, _ = make_counting(1_000, silence_seconds=None, ping_seconds=None)
    async with open_checked(server) as net:
        clients = [await net.connect(token=f"ana-{number}", reads=False) for number in range(1_000)]
        assert len(server.clients) == 1_000
        await net.connect(token="bob-0")
        for number in range(3):
            await net.connect(token=f"ana-new-{number}")
            assert (await clients[number].wait_ended()).code == 3504
        assert len(server.clients) == 1_001
        assert "now" in await clients[3].request("ping")


@pytest.mark.parametrize("most", [None, 3])
async def test_users_are_noted_only_where_their_number_matters(most: int | None, autojump_clock: MockClock) -> None:
    server, _ = make_counting(most)
    async with open_checked(server) as net:
        clients = [await net.connect(token="ana") for _ in range(3)]
        for client in clients:
            assert "now" in await client.request("ping")
        assert len(server._assembly.users._sessions) == (0 if most is None else 1)


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_happens_no_user_has_too_many_and_each_client_one_on_disconnect(
    seed: int, autojump_clock: MockClock
) -> None:
    """Devices of three users come and go, hooks wait, and the server ends, each at a random virtual time."""
    random = Random(seed)
    server = Server("test", connections_per_user=2)
    here: dict[str, list[str]] = {"0": [], "1": [], "2": []}  # {user: its clients in which on_connect has ended}
    came, gone = list[str](), list[str]()

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        await trio.sleep(random.random())
        return Identity(str(random.randrange(3)))

    @server.on_connect
    async def connected(client: Client) -> None:
        came.append(client.id)
        try:
            if random.random() < 0.3:
                await client.join("hall")
            await trio.sleep(random.random() * random.choice([0, 1, 6]))
        finally:
            here[str(client.user)].append(client.id)

    @server.on_disconnect
    async def disconnected(client: Client) -> None:
        here[str(client.user)].remove(client.id)  # ValueError if on_connect has not ended, or at a second call
        gone.append(client.id)

    async def visit(net: Net) -> None:
        await trio.sleep(5 * random.random())
        with contextlib.suppress(OSError):
            peer = Peer(await net.open_stream())
            with trio.move_on_after(6 * random.random()):
                await peer.send(head())
                if (await peer.read_answer()).status == 101:
                    await peer.end(answer=random.random() < 0.7)
            await peer.close()

    async def look() -> None:
        while True:
            await trio.sleep(0.1)
            users = [client.user for client in server.clients.values()]
            assert all(users.count(user) <= 2 for user in here)

    async with open_checked_in_scope(server) as (net, scope), trio.open_nursery() as nursery:
        async with trio.open_nursery() as visits:
            nursery.start_soon(look)
            for _ in range(40):
                visits.start_soon(visit, net)
            await trio.sleep(6 * random.random())
            if random.random() < 0.3:
                scope.cancel()
            elif random.random() < 0.5:
                await server.stop(4 * random.random())
        nursery.cancel_scope.cancel()
    assert here == {"0": [], "1": [], "2": []}
    assert sorted(came) == sorted(gone)
    assert server._assembly.users._sessions == {}


# --- wrong options


@pytest.mark.parametrize("most", [0, -1, 1.5, "1", True])
def test_a_number_that_means_nothing_is_refused(most: Any) -> None:
    with pytest.raises(RegistrationError, match=r"connections_per_user=.*1 or more"):
        Server("test", connections_per_user=most)


async def test_a_server_that_does_not_know_its_users_does_not_run(autojump_clock: MockClock) -> None:
    server = Server("test", connections_per_user=1)
    with pytest.raises(RegistrationError, match=r"@server\.authenticate"):
        await server.serve("127.0.0.1", 0)

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        return Identity("ana")

    async with open_server(server) as net:
        await net.connect()
    assert server.describe().connections_per_user == 1
