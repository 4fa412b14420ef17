"""Rooms without members: how long they stay, whoever knocks meanwhile."""

import math
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room, action
from simplysocket.testing import Net, TestClient, open_server

from ..harness.error_log import errors_of
from ..harness.messages import code_of
from ..harness.servers import make


class Picky(Room):
    """A room that refuses whoever asks to be refused."""

    empty_ttl = 60

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(options.get("seconds", 0))
        if options.get("fail") == "on_auth":
            raise ActionError("forbidden")

    async def on_join(self, client: Client) -> None:
        if client.name == "unlucky":
            raise ActionError("forbidden")

    @action("hello")
    async def hello(self) -> None: ...


async def knock(net: Net, client: TestClient, how: str) -> None:
    """Ask for something that the room refuses, and wait a second."""
    if how == "on_auth":
        assert await code_of(client, "join-room", {"roomname": "one", "fail": "on_auth"}) == "forbidden"
    elif how == "slow on_auth":
        assert await code_of(client, "join-room", {"roomname": "one", "fail": "on_auth", "seconds": 9}) == "forbidden"
    elif how == "on_join":
        assert await code_of(client, "join-room", {"roomname": "one"}) == "forbidden"
    elif how == "server":
        with pytest.raises(ActionError):
            await net.server.clients[client.id].join("one", {"fail": "on_auth"})
    elif how == "timeout":
        assert await code_of(client, "join-room", {"roomname": "one", "seconds": 8}, timeout=5) == "timeout"
    else:
        assert await code_of(client, how, {"roomname": "one"}, target="one") == "not-a-member"
    await trio.sleep(1)


REFUSED = ("on_auth", "slow on_auth", "on_join", "server", "timeout", "who", "leave-room", "hello")


@pytest.mark.parametrize("is_opened", [False, True])
@pytest.mark.parametrize("how", REFUSED)
async def test_refused_joins_do_not_start_the_time_anew(autojump_clock: MockClock, how: str, is_opened: bool) -> None:
    class Opened(Picky):
        unjoined_ttl = 60

    server = make(("one", Opened))
    async with open_server(server) as net:
        ana, unlucky = await net.connect("ana"), await net.connect("unlucky")
        if is_opened:
            await server.open_room("one")
        else:
            await ana.join("one")
            await ana.request("leave-room", {"roomname": "one"})
        room = server.rooms["one"]
        began = trio.current_time()
        while trio.current_time() < began + 59:
            assert room.is_open
            await knock(net, unlucky, how)
        await trio.sleep_until(began + 61)
        assert server.rooms.get("one") is not room
        assert not room.is_open


async def test_overlapping_refusals_do_not_keep_a_room_open(autojump_clock: MockClock) -> None:
    server = make(("one", Picky))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("leave-room", {"roomname": "one"})
        room, began = server.rooms["one"], trio.current_time()
        for n in range(20):  # at each moment one of them is asked about
            stranger = await net.connect(f"stranger{n}")
            await stranger.send("join-room", {"roomname": "one", "fail": "on_auth", "seconds": 9}, id=1)
            await trio.sleep(4)
        assert trio.current_time() - began > 60
        assert not room.is_open


async def test_a_join_that_is_let_in_after_the_time_is_up_joins_the_next_room(autojump_clock: MockClock) -> None:
    server = make(("one", Picky))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("leave-room", {"roomname": "one"})
        room = server.rooms["one"]
        await trio.sleep(58)
        assert (await ana.join("one", seconds=5))["created"] is True
        assert server.rooms["one"] is not room


async def test_a_member_starts_the_time_anew(autojump_clock: MockClock) -> None:
    server = make(("one", Picky))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for _ in range(3):
            await ana.join("one")
            await ana.request("leave-room", {"roomname": "one"})
            await trio.sleep(50)
        room = server.rooms["one"]
        await trio.sleep(8)
        assert room.is_open
        await trio.sleep(3)
        assert not room.is_open


async def test_a_room_that_was_opened_and_never_joined_ends_after_its_time(autojump_clock: MockClock) -> None:
    class Reserved(Picky):
        empty_ttl = 5
        unjoined_ttl = 30

    server = make(("one", Reserved), ("*", Room))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        room = await server.open_room("one")
        await server.open_room("other")
        await trio.sleep(20)
        assert await server.open_room("one") is room
        assert "waits for its first member; it closes in 10 s" in str(server.tree())
        await trio.sleep(11)
        assert not room.is_open
        room = await server.open_room("one")
        await ana.join("one")
        await trio.sleep(100)
        assert room.is_open
        await ana.request("leave-room", {"roomname": "one"})
        await trio.sleep(6)
        assert not room.is_open
        await trio.sleep(10_000)
        assert server.rooms["other"].is_open


async def test_a_join_of_the_servers_own_code_that_is_let_in_too_late_joins_the_next_room(
    autojump_clock: MockClock,
) -> None:
    server = make(("one", Picky))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("leave-room", {"roomname": "one"})
        room = server.rooms["one"]
        await trio.sleep(58)
        assert (await server.clients[ana.id].join("one", {"seconds": 5}))["total"] == 1
        assert server.rooms["one"] is not room


@pytest.mark.parametrize(
    "seconds", ["5", [5], Decimal(5), math.nan, -1, pytest.param(10**400, id="beyond any float"), True]
)
@pytest.mark.parametrize("option", ["empty_ttl", "unjoined_ttl"])
async def test_a_time_that_is_none_is_logged_and_that_of_the_class_counts(
    option: str, seconds: Any, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Room):
        empty_ttl = 10
        unjoined_ttl = 10

        async def on_create(self) -> None:
            setattr(self, option, seconds)

    server = make(("one", Odd))
    async with open_server(server) as net:
        room = await server.open_room("one")
        if option == "empty_ttl":
            ana = await net.connect("ana")
            await ana.join("one")
            await ana.request("leave-room", {"roomname": "one"})
        await trio.sleep(9)
        assert room.is_open
        await trio.sleep(2)
        assert not room.is_open
    assert errors_of(caplog) == [
        f"room 'one' has set {option} to {seconds!r:.200}, so 10 counts: give seconds, or None for ever"
    ]
