"""`on_auth` runs outside the turn: bounded in number, ended with its join, and asked anew by each room."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Identity, Request, Room, Server, action
from simplysocket.testing import Net, TestClient, open_server

from ..harness.messages import bodies_of
from ..harness.servers import make

SLOW = 0.3  # seconds that `on_auth` takes


class Guarded(Room):
    """A room that asks for long about each client, and lets in those who say so."""

    running: ClassVar[int]
    most: ClassVar[int]
    asked: ClassVar[list[str]]

    async def on_create(self) -> None:
        self.ticks = 0
        self.every(0.1, self.beat)

    async def beat(self) -> None:
        self.ticks += 1

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        cls = type(self)
        cls.running += 1
        cls.most = max(cls.most, cls.running)
        cls.asked.append(client.name)
        try:
            await trio.sleep(options.get("seconds", SLOW))
        finally:
            cls.running -= 1
        if options.get("bug"):
            raise KeyError("a bug")
        if not options.get("welcome"):
            raise ActionError("forbidden", "not you")

    @action("say")
    async def say(self, body: int, client: Client) -> int:
        await self.broadcast("said", body)
        return body

    @action("count")
    async def count(self) -> int:
        return self.ticks

    @action("end")
    async def end(self) -> None:
        await self.close()


def make_guarded(**options: Any) -> Server:
    """Return a server of guarded rooms, whose clients are users with the names in their requests."""
    Guarded.running, Guarded.most, Guarded.asked = 0, 0, []
    server = make(("guarded*", Guarded), ("*", Room), **options)

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(request.headers.get("x-user", "somebody"))

    return server


@asynccontextmanager
async def guarded_room(**options: Any) -> AsyncIterator[tuple[Server, Net, TestClient]]:
    """Serve, with one member in the room `guarded`."""
    server = make_guarded(**options)
    async with open_server(server) as net:
        ana = await connect(net, "ana")
        await ana.join("guarded", welcome=True, seconds=0)
        yield server, net, ana


async def connect(net: Net, name: str, user: str | None = None) -> TestClient:
    return await net.connect(name, headers={"x-user": user or name})


async def code_of_join(client: TestClient, name: str = "guarded", **options: object) -> str:
    try:
        await client.join(name, **options)
    except ActionError as error:
        return error.code
    return "joined"


async def test_strangers_that_are_refused_slowly_cost_the_members_no_tick(autojump_clock: MockClock) -> None:
    async with guarded_room() as (_, net, ana):
        stranger = await connect(net, "stranger")
        before = await ana.request("count", target="guarded")
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(code_of_join, stranger)
                await trio.sleep(0.2)
            nursery.cancel_scope.cancel()
        after = await ana.request("count", target="guarded")
        assert after - before in (99, 100, 101)


@pytest.mark.parametrize(
    ("limits", "user", "most"),
    [
        ({}, lambda number: f"user {number // 3}", 3),  # three joins of each client, one at a time
        ({}, lambda _: "one user", 2),
        ({"auths_per_address": 1}, lambda _: "one user", 1),
        ({"auths_per_room": 2}, lambda number: f"user {number}", 2),
    ],
)
async def test_so_many_are_asked_about_at_a_time_and_all_are_answered(
    autojump_clock: MockClock, limits: dict[str, int], user: Callable[[int], str], most: int
) -> None:
    async with guarded_room(**{"auths_per_address": 2, **limits}) as (server, net, _):
        clients = [await connect(net, f"c{number}", user(number)) for number in range(6)]
        if "auths_per_address" not in limits and most == 3:
            clients = [client for client in clients[::3] for _ in range(3)] + [await connect(net, "third")]
        Guarded.most, codes = 0, []  # type: ignore[var-annotated]

        async def join(client: TestClient) -> None:
            codes.append(await code_of_join(client))

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(join, client)
        assert codes == ["forbidden"] * len(clients)
        assert Guarded.most == most
        assert server._assembly.hub.authorizer._groups == {}


async def test_what_a_client_sends_after_its_join_waits_behind_it_and_other_rooms_do_not(
    autojump_clock: MockClock,
) -> None:
    async with guarded_room() as (_, net, ana):
        eve = await connect(net, "eve")
        await eve.send("join-room", {"roomname": "guarded", "welcome": True}, id=1)
        for number in range(20):
            await eve.send("say", number, target="guarded", id=100 + number)
        assert await eve.join("other")  # at once
        assert not bodies_of(await ana.settle(), "said")
        await trio.sleep(SLOW)
        assert bodies_of(await ana.settle(), "said") == list(range(20))
        answers = [each["id"] for each in await eve.settle() if each["action"] == "reply"]
        assert answers == [1, *range(100, 120)]


async def test_a_refused_join_lets_what_waits_behind_it_go_on(autojump_clock: MockClock) -> None:
    async with guarded_room() as (_, net, _ana):
        eve = await connect(net, "eve")
        await eve.send("join-room", {"roomname": "guarded"}, id=1)
        await eve.send("say", 1, target="guarded", id=2)
        await trio.sleep(SLOW)
        codes = [(each["id"], each["message_body"]["code"]) for each in await eve.settle()]
        assert codes == [(1, "forbidden"), (2, "not-a-member")]


@pytest.mark.parametrize("already", [0, 1], ids=["running", "waiting"])
async def test_a_join_ends_on_auth_when_it_is_cancelled(autojump_clock: MockClock, already: int) -> None:
    async with guarded_room() as (_, net, _ana):
        eve = await connect(net, "eve")
        for id in range(1 + already):
            await eve.send("join-room", {"roomname": f"guarded-{id}", "seconds": 50, "welcome": True}, id=id)
        await eve.settle()
        await eve.send("say", 1, target=f"guarded-{already}", id=7)
        await eve.send("cancel", None, id=already)
        codes = [(each["id"], each["message_body"]["code"]) for each in await eve.settle()]
        assert (already, "cancelled") in codes
        assert Guarded.running == already  # the first of two is still asked about
        assert codes[-1][0] == 7  # in the room that is gone, or without being a member
        assert trio.current_time() < 10


async def test_a_join_that_takes_longer_than_its_caller_waits_is_answered(autojump_clock: MockClock) -> None:
    async with guarded_room() as (_, net, _ana):
        eve = await connect(net, "eve")
        await eve.send("join-room", {"roomname": "guarded", "seconds": 50}, id=1, timeout=2)
        await trio.sleep(3)
        assert [each["message_body"]["code"] for each in await eve.settle()] == ["timeout"]
        assert Guarded.running == 0


async def test_on_auth_ends_when_its_client_disconnects(autojump_clock: MockClock) -> None:
    async with guarded_room() as (server, net, ana):
        eve, bob = await connect(net, "eve"), await connect(net, "bob")
        for name in ("guarded", "guarded-new"):
            await eve.send("join-room", {"roomname": name, "seconds": 50, "welcome": True}, id=1)
        await eve.settle()
        assert Guarded.running == 1
        await eve.close()
        await ana.settle()
        assert Guarded.running == 0
        assert list(server.rooms) == ["mesh-global", "guarded"]
        assert await code_of_join(bob, welcome=True) == "joined"


async def test_a_room_that_closes_meanwhile_leaves_the_question_to_the_next_one(autojump_clock: MockClock) -> None:
    async with guarded_room() as (server, net, ana):
        eve = await connect(net, "eve")
        await eve.send("join-room", {"roomname": "guarded", "welcome": True}, id=1)
        await eve.send("say", 5, target="guarded", id=2)
        await eve.settle()
        first = server.rooms["guarded"]
        await ana.request("end", target="guarded")
        await trio.sleep(SLOW * 3)
        received = await eve.settle()
        assert [each["id"] for each in received if each["action"] == "reply"] == [1, 2], received
        assert Guarded.asked.count("eve") == 2
        assert server.rooms["guarded"] is not first
        assert list(server.rooms["guarded"].members) == [eve.id]


async def test_places_are_checked_again_after_on_auth(autojump_clock: MockClock) -> None:
    async with guarded_room(members_per_room=2) as (server, net, _ana):
        codes: list[str] = []

        async def join(client: TestClient) -> None:
            codes.append(await code_of_join(client, welcome=True))

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(join, await connect(net, f"c{number}"))
        assert sorted(codes) == ["joined", "room-full", "room-full"]
        assert len(server.rooms["guarded"].members) == 2


async def test_a_bug_in_on_auth_is_answered_and_told_to_on_error(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[BaseException] = []

    class Telling(Guarded):
        async def on_error(self, error: BaseException, client: Client | None) -> None:
            told.append(error)

    Guarded.running, Guarded.most, Guarded.asked = 0, 0, []
    async with open_server(make(("*", Telling))) as net:
        eve = await net.connect("eve")
        assert await code_of_join(eve, bug=True) == "internal"
        await eve.settle()
    assert [type(each) for each in told] == [KeyError]
    assert "failed" in caplog.text


async def test_on_auth_that_leaves_a_scope_open_is_answered_and_costs_nobody_else(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Leaving(Room):
        async def on_auth(self, client: Client) -> None:
            trio.CancelScope().__enter__()

    async with open_server(make(("*", Leaving))) as net:
        eve = await net.connect("eve")
        with trio.fail_after(10):
            assert await code_of_join(eve, "one") == "internal"
        assert "Cancel scope stack corrupted" in caplog.text


async def test_an_empty_room_stays_until_the_last_question_about_it_has_ended(autojump_clock: MockClock) -> None:
    server = make_guarded()
    async with open_server(server) as net:
        eve, bob = await connect(net, "eve"), await connect(net, "bob")
        codes: list[str] = []

        async def join(client: TestClient, **options: object) -> None:
            codes.append(await code_of_join(client, **options))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(join, bob)
            await bob.settle()
            for _ in range(4):
                nursery.start_soon(join, eve)
        assert codes == ["forbidden"] * 5
        assert Guarded.asked.count("bob") == 1
        await trio.sleep(1)
        assert list(server.rooms) == ["mesh-global"]


async def test_a_join_by_the_servers_own_code_asks_outside_the_turn_too(autojump_clock: MockClock) -> None:
    async with guarded_room() as (server, net, ana):
        eve = server.clients[(await connect(net, "eve")).id]
        before = await ana.request("count", target="guarded")
        with pytest.raises(ActionError, match="forbidden"):
            await eve.join("guarded", {"seconds": 5})
        await eve.join("guarded", {"seconds": 5, "welcome": True})
        assert await ana.request("count", target="guarded") - before in (99, 100, 101)
        assert "guarded" in eve.rooms
        with pytest.raises(ActionError, match="forbidden"):
            await eve.join("guarded-new")
        await trio.testing.wait_all_tasks_blocked()
        assert "guarded-new" not in server.rooms


async def test_on_auth_of_a_new_room_is_called_after_its_on_create(autojump_clock: MockClock) -> None:
    calls: list[str] = []

    class New(Room):
        async def on_create(self) -> None:
            await trio.sleep(1)
            calls.append("on_create")

        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            calls.append(f"on_auth {client.name}")

    async with open_server(make(("new", New))) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ana.join, "new")
            await ana.settle()
            nursery.start_soon(bob.join, "new")
    assert calls[0] == "on_create"
    assert sorted(calls[1:]) == ["on_auth ana", "on_auth bob"]  # both run at a time


@pytest.mark.parametrize(("timeout", "expected"), [(5, "welcome"), (0.1, "timeout")])
async def test_a_timeout_is_counted_from_when_the_join_comes(
    autojump_clock: MockClock, timeout: float, expected: str
) -> None:
    async with open_server(make_guarded()) as net:
        await trio.sleep(1_000)  # a clock that begins at 0 would hide the difference
        ana = await net.connect("ana")
        await ana.send("join-room", {"roomname": "guarded", "welcome": True}, id=1, timeout=timeout)
        await trio.sleep(1)
        answer = next(each for each in await ana.settle() if each.get("id") == 1)
        assert answer["message_body"].get("code", "welcome") == expected
