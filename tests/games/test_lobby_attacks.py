"""Clients that mean harm, and moments that come at once: nobody else waits, and nothing is left."""

import contextlib
import json
import random
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Limits, Message, Server
from simplysocket.games import Lobby
from simplysocket.testing import ConnectionEnded, Net, TestClient, open_server

from ..harness.duels import Duel, Duelling, make_lobby


class Slow(Duel):
    """A duel whose hooks wait, so that a caller may give up at each of these places."""

    async def on_create(self) -> None:
        await trio.sleep(0.1)
        await super().on_create()

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(0.1)

    async def on_join(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(0.1)


def check_nothing_is_left(server: Server, lobby: Lobby) -> None:
    """Check that the lobby knows the rooms that there are, and keeps no place."""
    overview = lobby._overview
    names = {name for name in server.rooms if name not in ("mesh-global", "lobby")}
    assert set(overview.records) == names
    assert len(overview.listings) == len(names)
    assert len(overview.reservations) == 0
    assert not lobby._matchmaking._searching
    for pattern in overview.patterns.values():
        open_rooms = {record.name for record in pattern.openings.oldest(10_000)}
        for name in names:
            room = server.rooms[name]
            if isinstance(room, Duel):
                assert (name in open_rooms) == (len(room.members) < 2), name
        assert not pattern.unready


@pytest.mark.parametrize("how", ["drop", "cancel", "kick"])
@pytest.mark.parametrize("at", range(20))
async def test_a_caller_that_goes_at_any_moment_leaves_nothing(autojump_clock: MockClock, how: str, at: int) -> None:
    server, lobby = make_lobby(("duel-*", Slow))
    async with open_server(server) as net:
        for filter in ({}, {"mode": "casual"}):
            ana, ben = await net.connect("ana"), await net.connect("ben")
            for client in (ana, ben):
                await client.send("join-or-create", {"pattern": "duel-*", "filter": filter}, id=1)
            await trio.sleep(0.02 * at)
            if how == "drop":
                ana.drop()
            elif how == "cancel":
                await ana.send("cancel", id=1)
            else:
                await server.clients[ana.id].close()
            await trio.sleep(5)
            check_nothing_is_left(server, lobby)
            found = [room.members for room in server.rooms.values() if isinstance(room, Duel)]
            assert sum(ben.id in members for members in found) == 1
            await ben.close()
            if how == "cancel":
                await ana.close()
            await trio.sleep(5)
            check_nothing_is_left(server, lobby)


@pytest.mark.parametrize("seed", range(15))
async def test_random_schedules_leave_every_room_as_the_lobby_knows_it(autojump_clock: MockClock, seed: int) -> None:
    rng = random.Random(seed)
    server, lobby = make_lobby(("duel-*", Slow))

    async def act(client: TestClient) -> None:
        for _ in range(8):
            await trio.sleep(rng.random() / 2)
            rooms = [name for name in server.clients[client.id].rooms if name[:5] == "duel-"]
            with contextlib.suppress(ActionError):
                match rng.choice(["play", "play", "play", "leave", "cancel", "close", "hide", "lock", "private"]):
                    case "play":
                        mode = rng.choice([{}, {"mode": "casual"}, {"level": {"ge": 0}}])
                        await client.request("join-or-create", {"pattern": "duel-*", "filter": mode})
                    case "cancel":
                        await client.send("join-or-create", {"pattern": "duel-*"}, id="x")
                        await trio.sleep(rng.random() / 3)
                        await client.send("cancel", id="x")
                    case "private":
                        await client.request("create-private", {"pattern": "duel-*"})
                    case "leave" if rooms:
                        await client.request("leave-room", {"roomname": rng.choice(rooms)})
                    case "close" if rooms:
                        await server.rooms[rng.choice(rooms)].close()
                    case "hide" | "lock" as change if rooms:
                        room = server.rooms.get(rng.choice(rooms))
                        if room is not None:
                            getattr(room, change)()
                            await trio.sleep(rng.random())
                            getattr(room, f"un{change}")()
        if rng.random() < 0.5:
            client.drop()

    async with open_server(server) as net:
        watching = await net.connect("watching")
        await watching.join("lobby")
        async with trio.open_nursery() as nursery:
            for n in range(12):
                nursery.start_soon(act, await net.connect(f"c{n}"))
        await trio.sleep(20)
        for room in server.rooms.values():
            assert len(room.members) <= 2 or not isinstance(room, Duel)
            if isinstance(room, Duel) and room.is_hidden:
                room.unhide()  # private ones, too
        await trio.sleep(5)
        check_nothing_is_left(server, lobby)
        known: dict[str, Any] = {}
        for message in await watching.settle():
            body = message["message_body"]
            match message["action"]:
                case "rooms":
                    known = {room["roomname"]: room for room in body["rooms"]}
                case "rooms-changed":
                    known |= {room["roomname"]: room for room in (*body["added"], *body["changed"])}
                    for name in body["removed"]:
                        del known[name]
        listed = (await watching.request("list-rooms"))["rooms"]
        assert known == {room["roomname"]: room for room in listed}


async def test_a_join_that_on_auth_holds_up_holds_up_nobody_else(autojump_clock: MockClock) -> None:
    class Hanging(Duel):
        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            if options.get("hangs"):
                await trio.sleep_forever()

    server, lobby = make_lobby(("duel-*", Hanging), trusted_proxies=["unix"])
    async with open_server(server) as net:
        for n in range(3):
            await server.open_room(f"duel-{n}")
        for n in range(10):
            bad = await net.connect(f"bad{n}", headers={"X-Forwarded-For": "192.0.2.1"})
            await bad.send("join-or-create", {"pattern": "duel-*", "options": {"hangs": True}})
        await trio.sleep(1)
        assert len(lobby._overview.reservations) == 4  # `auths_per_address`; the others wait for these
        good = await net.connect("good", headers={"X-Forwarded-For": "192.0.2.2"})
        began = trio.current_time()
        assert (await good.request("join-or-create", {"pattern": "duel-*"}))["roomname"] == "duel-2"
        await trio.sleep(10)
        assert len(lobby._overview.reservations) == 0
        good = await net.connect("good", headers={"X-Forwarded-For": "192.0.2.3"})
        assert (await good.request("join-or-create", {"pattern": "duel-*"}))["roomname"] == "duel-0"
        assert trio.current_time() - began < 11


async def test_a_member_of_the_lobby_that_never_reads_is_closed_and_holds_up_nobody(
    autojump_clock: MockClock,
) -> None:
    server, _ = make_lobby(outbox_bytes=20_000)
    async with open_server(server) as net:
        deaf = await net.connect("deaf", reads=False, pipe_bytes=1_000)
        await deaf.send("join-room", {"roomname": "lobby"})
        ana = await net.connect("ana")
        await ana.join("lobby")
        rooms = [await server.open_room(f"duel-{n:03}") for n in range(300)]
        for _ in range(20):
            for room in rooms:
                room.listing = room.listing
            await trio.sleep(1)
            await ana.request("ping")
        assert len(server.clients) == 1
        assert len([m for m in await ana.settle() if m["action"] == "rooms-changed"]) > 20


async def test_a_stop_ends_the_searches_that_run(autojump_clock: MockClock) -> None:
    server, lobby = make_lobby(("duel-*", Slow))
    async with open_server(server) as net:
        clients = [await net.connect(f"c{n}") for n in range(20)]
        for client in clients:
            await client.send("join-or-create", {"pattern": "duel-*"}, id=1)
        await trio.sleep(0.15)
        await server.stop(5)
        for client in clients:
            assert (await client.wait_ended()).code == 3001
        assert len(lobby._overview.reservations) == 0
        assert not lobby._overview.records


async def ask(net: Net, body: Any, times: int) -> None:
    bad = await net.connect("bad")
    with contextlib.suppress(ConnectionEnded):
        for _ in range(times):
            await bad.send("list-rooms", body)


WORST = [
    {"filter": {f"f{n}": n for n in range(5_000)}},
    {"filter": {"level": {"in": list(range(15_000))}}},
    {"filter": {"mode": {"in": ["x" * 60_000]}}},
    {"filter": json.loads("[" * 700 + "]" * 700)},
    {"filter": {"level": 1e308}},
    {"filter": {"level": {"in": [10**400]}}},
    {"after": "x" * 60_000},
]


@pytest.mark.parametrize("body", WORST)
async def test_the_worst_filters_are_refused_and_others_are_answered(autojump_clock: MockClock, body: Any) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask, net, body, 20)
        ana = await net.connect("ana")
        assert (await ana.request("list-rooms", {"filter": {"mode": "casual"}}))["rooms"] == []


async def test_of_many_searches_at_once_a_few_run_in_each_pass(autojump_clock: MockClock) -> None:
    server, lobby = make_lobby()
    passes: list[int] = []
    search = lobby._overview.listings.page

    class Counter(trio.abc.Instrument):
        def after_io_wait(self, timeout: float) -> None:
            passes.append(0)

    def count(after: str) -> Any:
        passes[-1] += 1
        return search(after)

    lobby._overview.listings.page = count  # type: ignore[method-assign]
    async with open_server(server) as net:
        clients = [await net.connect(f"c{n}") for n in range(50)]
        trio.lowlevel.add_instrument(counter := Counter())
        for client in clients:
            for _ in range(4):
                await client.send("list-rooms", id=1)
        for client in clients:
            assert len(await client.settle()) == 4
        trio.lowlevel.remove_instrument(counter)
    assert sum(passes) == 200
    assert max(passes) <= 8  # of two passes, where one begins in the middle


async def test_an_outbound_hook_that_breaks_a_change_costs_only_that(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    broken = [True]

    @server.outbound
    def spoil(message: Message) -> Message:
        if message.action == "rooms-changed" and broken:
            broken.clear()
            message.body["added"].append(object())
        return message

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("lobby")
        await server.open_room("duel-1")
        await trio.sleep(1)
        server.rooms["duel-1"].listing = attrs.evolve(Duelling(), level=3)
        assert (await ana.expect("rooms-changed"))["message_body"]["changed"]


def test_the_limits_of_codes_may_be_lifted() -> None:
    assert Limits(wrong_codes_per_second=None).wrong_codes_per_second is None
