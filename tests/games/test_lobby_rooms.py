"""Rooms that hide, lock, have seats or crash, as their lobby sees them."""

import functools
import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Reason, Room, action
from simplysocket.games._lobby.places import seats_changed, seats_kept
from simplysocket.testing import TestClient, open_server

from ..harness.duels import Duel, Duelling, make_lobby


class Shy(Duel):
    """A duel that hides and locks itself as its members ask."""

    on_crash = "restart"

    @action("set")
    async def set(self, body: list[str]) -> None:
        for name in body:
            getattr(self, name)()

    @action("crash")
    async def crash(self) -> None:
        self.start_soon(fail)


async def fail() -> None:
    raise RuntimeError("a bug")


class Seated(Room):
    """A room with two seats, which takes any number of members: those without a seat watch."""

    @functools.cached_property
    def seated(self) -> list[Client]:
        return []

    @property
    def free_seats(self) -> int:
        return 2 - len(self.seated)

    def seat_of(self, client: Client) -> int | None:
        return self.seated.index(client) if client in self.seated else None

    async def on_join(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(options.get("seconds", 0))
        if self.free_seats - seats_kept(self, client) > 0:
            self.seated.append(client)
            seats_changed(self)

    @action("stand")
    async def stand(self, client: Client) -> None:
        self.seated.remove(client)
        seats_changed(self)

    async def on_leave(self, client: Client, reason: Reason) -> None:
        if client in self.seated:
            await self.stand(client)


async def play(client: TestClient, **body: Any) -> str:
    answer = await client.request("join-or-create", {"pattern": "duel-*", **body})
    return str(answer["roomname"])


async def names(client: TestClient) -> list[str]:
    return [room["roomname"] for room in (await client.request("list-rooms"))["rooms"]]


async def test_a_room_that_hides_is_gone_for_others_until_it_shows_itself(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby(("duel-*", Shy))[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("lobby")
        await ana.join("duel-1")
        assert (await ben.expect("rooms-changed"))["message_body"]["added"][0]["roomname"] == "duel-1"
        await ana.request("set", ["hide"], target="duel-1")
        assert (await ben.expect("rooms-changed"))["message_body"]["removed"] == ["duel-1"]
        assert await names(ben) == []
        assert await play(ben) != "duel-1"
        await ana.request("set", ["unhide"], target="duel-1")
        assert "duel-1" in await names(ben)
        cem = await net.connect("cem")
        assert await play(cem) == "duel-1"


async def test_nobody_is_put_into_a_room_that_is_locked(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby(("duel-*", Shy))[0]) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        await ana.join("duel-1")
        await ana.request("set", ["lock"], target="duel-1")
        assert await names(ben) == ["duel-1"]
        assert await play(ben) != "duel-1"
        await ana.request("set", ["unlock"], target="duel-1")
        assert await play(cem) == "duel-1"


@pytest.mark.parametrize("publishes", [True, False])
async def test_a_room_that_is_made_anew_after_a_crash_shows_what_it_publishes_then(
    autojump_clock: MockClock, publishes: bool
) -> None:
    class Restarting(Shy):
        made = 0

        async def on_create(self) -> None:
            type(self).made += 1
            if publishes or self.made == 1:
                self.listing = Duelling(level=self.made)

    async with open_server(make_lobby(("duel-*", Restarting))[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("duel-1")
        await ana.request("crash", target="duel-1")
        await trio.sleep(1)
        found = {
            level: [r["roomname"] for r in (await ben.request("list-rooms", {"filter": {"level": level}}))["rooms"]]
            for level in (1, 2)
        }
        assert found == {1: [], 2: ["duel-1"] if publishes else []}
        assert await names(ben) == ["duel-1"]
        assert await play(ben) == "duel-1"


async def test_in_a_room_with_seats_the_free_seats_count(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Seated))
    async with open_server(server) as net:
        clients = [await net.connect(f"c{n}") for n in range(200)]
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(play, client)
        rooms = [room for room in server.rooms.values() if isinstance(room, Seated)]
        assert len(rooms) == 100
        assert all(len(room.seated) == 2 for room in rooms)


async def test_a_seat_that_becomes_free_is_offered_again(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Seated))
    async with open_server(server) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        name = await play(ana)
        assert await play(ben) == name
        await ana.request("stand", target=name)
        assert await play(cem) == name


async def test_a_seat_that_is_kept_is_not_given_to_another_join(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Seated))
    async with open_server(server) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        await ana.join("duel-1")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                assert await play(ben, options={"seconds": 3}) == "duel-1"

            await trio.sleep(1)
            await cem.join("duel-1")
        room = server.rooms["duel-1"]
        assert isinstance(room, Seated)
        assert [client.name for client in room.seated] == ["ana", "ben"]
        assert len(room.members) == 3


async def test_a_private_room_may_show_itself_to_all(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby(("duel-*", Shy))[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        made = await ana.request("create-private", {"pattern": "duel-*"})
        await ana.request("set", ["unhide"], target=made["roomname"])
        assert await names(ben) == [made["roomname"]]
        assert await play(ben) == made["roomname"]
        with pytest.raises(ActionError, match="room-full"):
            await (await net.connect("cem")).request("join-by-code", {"code": made["code"]})


async def test_a_room_that_cannot_say_how_many_seats_are_free_harms_nobody(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Seated):
        @property
        def free_seats(self) -> int:
            raise RuntimeError("a bug")

        async def on_join(self, client: Client, options: dict[str, Any]) -> None:
            """Seat nobody."""

    with caplog.at_level(logging.CRITICAL, "simplysocket.room"):
        async with open_server(make_lobby(("duel-*", Broken))[0]) as net:
            ana, ben = await net.connect("ana"), await net.connect("ben")
            await ana.join("duel-1")
            assert await play(ben) != "duel-1"


async def test_a_member_whose_on_join_takes_long_has_one_place_and_not_two(autojump_clock: MockClock) -> None:
    class Welcoming(Duel):
        async def on_join(self, client: Client, options: dict[str, Any]) -> None:
            await trio.sleep(options.get("seconds", 0))

    async with open_server(make_lobby(("duel-*", Welcoming))[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.send("join-or-create", {"pattern": "duel-*", "options": {"seconds": 5}})
        await trio.sleep(1)
        name = await play(ben)
        assert (await ana.expect("join-or-create"))["message_body"]["roomname"] == name
