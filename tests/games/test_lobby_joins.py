"""join-or-create: a client is put into a room that fits, or into a new one."""

from collections import Counter
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room
from simplysocket.testing import Net, TestClient, open_server

from ..harness.duels import Duel, Duelling, Hall, make_lobby


class Slow(Duel):
    """A duel whose on_auth takes as many seconds as the options say."""

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(options.get("seconds", 0))


class Sized(Room):
    """A room that takes as many members as its options say."""

    async def on_create(self) -> None:
        await trio.sleep(0.1)
        self.capacity = 2  # type: ignore[misc]  # an option that may differ from room to room


class Picky(Duel):
    """A duel that keeps out whoever is not welcome."""

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        if client.name in self.options.get("unwanted", ()):
            raise ActionError("not-you", "this room is for others")


async def play(client: TestClient, **body: Any) -> str:
    """Let a client play, and return the name of its room."""
    answer = await client.request("join-or-create", {"pattern": "duel-*", **body})
    return str(answer["roomname"])


async def crowd(net: Net, count: int, **body: Any) -> Counter[str]:
    """Let so many clients play at once; return {room: how many of them it has}."""
    rooms: Counter[str] = Counter()

    async def play_one(client: TestClient) -> None:
        rooms[await play(client, **body)] += 1

    clients = [await net.connect(f"c{n}") for n in range(count)]
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(play_one, client)
    return rooms


async def test_the_first_makes_a_room_and_the_second_joins_it(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        first = await ana.request("join-or-create", {"pattern": "duel-*"})
        assert first["created"] is True
        second = await ben.request("join-or-create", {"pattern": "duel-*"})
        assert second["created"] is False
        assert second["roomname"] == first["roomname"]
        assert [member["name"] for member in second["members"]] == ["ana", "ben"]
        assert await play(cem) != first["roomname"]


@pytest.mark.parametrize(("room_class", "count"), [(Duel, 200), (Sized, 200), (Duel, 600)])
async def test_a_crowd_makes_exactly_as_many_full_rooms_as_it_needs(
    autojump_clock: MockClock, room_class: type[Room[Any]], count: int
) -> None:
    server, _ = make_lobby(("duel-*", room_class))
    async with open_server(server) as net:
        rooms = await crowd(net, count)
        assert len(rooms) == count // 2
        assert set(rooms.values()) == {2}
        assert len(server.rooms) == count // 2 + 2  # the lobby and the global room


async def test_a_crowd_with_a_filter_makes_exactly_as_many_full_rooms(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        asked = {"filter": {"mode": "blitz"}, "options": {"listing": {"mode": "blitz"}}}
        rooms = await crowd(net, 100, **asked)
        assert len(rooms) == 50
        assert set(rooms.values()) == {2}


async def test_a_crowd_fills_rooms_that_are_there_the_oldest_first(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        for n in (3, 1, 2):
            await server.open_room(f"duel-{n}")
        ana = await net.connect("ana")
        assert await play(ana) == "duel-3"
        assert await crowd(net, 5) == {"duel-3": 1, "duel-1": 2, "duel-2": 2}


async def test_a_room_with_a_free_place_again_is_filled_before_newer_ones(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        await server.open_room("duel-1")
        await server.open_room("duel-2")
        clients = [await net.connect(f"c{n}") for n in range(4)]
        assert [await play(each) for each in clients[:3]] == ["duel-1", "duel-1", "duel-2"]
        await clients[0].request("leave-room", {"roomname": "duel-1"})
        assert await play(clients[3]) == "duel-1"


async def test_only_rooms_whose_listings_fit_are_joined(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        casual = await play(ana, options={"listing": {"mode": "casual"}})
        blitz = await play(ben, filter={"mode": "blitz"}, options={"listing": {"mode": "blitz", "level": 5}})
        assert casual != blitz
        assert await play(cem, filter={"mode": "blitz", "level": {"ge": 3}}) == blitz


async def test_a_client_is_put_into_another_room_than_those_it_is_in(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await net.connect("ana")
        assert await play(ana) != await play(ana)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"pattern": "hall-1"}, "$.pattern"),
        ({"pattern": "mesh-global"}, "$.pattern"),
        ({"pattern": "lobby"}, "$.pattern"),
        ({}, "$.pattern"),
        ({"pattern": "hall-*", "filter": {"mode": "x"}}, "$.filter"),
        ({"pattern": "duel-*", "filter": {"colour": "x"}}, "$.filter.colour"),
        ({"pattern": "duel-*", "options": [3]}, "$.options"),
    ],
)
async def test_a_wrong_search_is_refused_with_its_place(
    autojump_clock: MockClock, body: dict[str, Any], path: str
) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError) as refused:
            await ana.request("join-or-create", body)
        assert refused.value.code == "bad-body"
        assert refused.value.path == path
        assert len(net.server.rooms) == 2


async def test_a_pattern_that_joins_may_not_open_must_be_named(autojump_clock: MockClock) -> None:
    class Closed(Duel):
        open = False

    for match in (None, ["duel-*"]):
        async with open_server(make_lobby(("duel-*", Closed), lobby={"match": match})[0]) as net:
            ana = await net.connect("ana")
            if match is None:
                with pytest.raises(ActionError, match="no rooms"):
                    await play(ana)
            else:
                assert (await play(ana)).startswith("duel-")


async def test_a_place_that_is_kept_is_not_given_to_another_join(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Slow))
    async with open_server(server) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        await ana.join("duel-1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(play, ben, options={"seconds": 5}))
            await trio.sleep(1)
            with pytest.raises(ActionError, match="room-full"):
                await cem.join("duel-1")
        assert {client.name for client in server.rooms["duel-1"].members.values()} == {"ana", "ben"}


async def test_a_place_is_kept_for_ten_seconds(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Slow))
    async with open_server(server) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        await ana.join("duel-1")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                assert await play(ben, options={"seconds": 20}) != "duel-1"  # it gets a room of its own in the end

            await trio.sleep(9.9)
            assert await play(cem) != "duel-1"
            await cem.request(
                "leave-room",
                {"roomname": next(name for name in server.rooms if name[:5] == "duel-" and name != "duel-1")},
            )
            await trio.sleep(0.2)
            assert await play(cem) == "duel-1"


@pytest.mark.parametrize("how", ["cancel", "timeout", "drop", "close"])
async def test_a_caller_that_gives_up_gives_its_place_back_at_once(autojump_clock: MockClock, how: str) -> None:
    server, _ = make_lobby(("duel-*", Slow))
    async with open_server(server) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        await ana.join("duel-1")
        timeout = {"timeout": 1.0} if how == "timeout" else {}
        body = {"pattern": "duel-*", "options": {"seconds": 5}}
        await ben.send("join-or-create", body, id=7, **timeout)
        await trio.sleep(0.5)
        if how == "cancel":
            await ben.send("cancel", id=7)
        elif how == "drop":
            ben.drop()
        elif how == "close":
            await ben.close()
        await trio.sleep(1)
        assert await play(cem) == "duel-1"


async def test_a_room_that_keeps_a_client_out_is_not_tried_again(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Picky))
    async with open_server(server) as net:
        await server.open_room("duel-1", {"unwanted": ["ben"]})
        await server.open_room("duel-2")
        ben = await net.connect("ben")
        assert await play(ben) == "duel-2"


async def test_a_client_that_every_room_keeps_out_gets_a_new_one(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Picky))
    async with open_server(server) as net:
        for n in range(8):
            await server.open_room(f"duel-{n}", {"unwanted": ["ben"]})
        ben = await net.connect("ben")
        assert len(await play(ben)) == len("duel-") + 6


async def test_a_new_room_that_refuses_its_client_says_why_and_is_gone(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Picky))
    async with open_server(server) as net:
        ben = await net.connect("ben")
        with pytest.raises(ActionError, match="not-you"):
            await play(ben, options={"unwanted": ["ben"]})
        await ben.settle()
        assert list(server.rooms) == ["mesh-global", "lobby"]


async def test_a_room_that_closes_before_the_join_is_passed_over(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(("duel-*", Slow))
    async with open_server(server) as net:
        room = await server.open_room("duel-1")
        ben = await net.connect("ben")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                assert await play(ben, options={"seconds": 1}) != "duel-1"

            await trio.sleep(0.5)
            await room.close()
        assert "duel-1" not in server.rooms


async def test_a_room_whose_creator_gave_wrong_options_does_not_harm_those_who_wait_for_it(
    autojump_clock: MockClock,
) -> None:
    class Odd(Room):
        capacity = 2

        async def on_create(self) -> None:
            await trio.sleep(1)
            if self.options.get("wrong"):
                raise ActionError("bad-body", "wrong")

    async with open_server(make_lobby(("duel-*", Odd))[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                with pytest.raises(ActionError, match="wrong"):
                    await play(ana, options={"wrong": True})

            await trio.sleep(0.5)
            assert await play(ben)


async def test_of_one_client_one_search_runs_at_a_time(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby(("duel-*", Slow))[0]) as net:
        ana = await net.connect("ana")
        await ana.send("join-or-create", {"pattern": "duel-*", "options": {"seconds": 1}}, id=1)
        with pytest.raises(ActionError, match="busy"):
            await play(ana)
        await trio.sleep(2)
        await play(ana)


async def test_a_search_costs_as_much_of_the_rate_as_a_join(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby(joins_per_second=0.001, joins_burst=2)[0]) as net:
        ana = await net.connect("ana")
        await play(ana)
        await play(ana)
        with pytest.raises(ActionError, match="rate-limited"):
            await play(ana)
        with pytest.raises(ActionError, match="too-large"):
            await play(ana, options={"x": "x" * 5_000})


async def test_without_an_id_the_answer_is_a_message_of_the_same_action(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await net.connect("ana")
        await ana.send("join-or-create", {"pattern": "duel-*"})
        assert (await ana.expect("join-or-create"))["message_body"]["total"] == 1
        await ana.send("list-rooms")
        assert (await ana.expect("list-rooms"))["message_body"]["total"] == 1


async def test_options_reach_the_hooks_and_are_those_of_a_new_room(autojump_clock: MockClock) -> None:
    got: list[dict[str, Any]] = []

    class Noting(Room):
        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            got.append(options)

        async def on_join(self, client: Client, options: dict[str, Any]) -> None:
            got.append(options)

    server, lobby = make_lobby(("duel-*", Noting))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        name = await play(ana, options={"colour": "red"})
        assert server.rooms[name].options == {"colour": "red"}
        client = server.clients[ben.id]
        answer = await lobby.join_or_create(client, "duel-*", options={"colour": "blue"})
        assert answer["roomname"] == name
        assert got == [{"colour": "red"}] * 2 + [{"colour": "blue"}] * 2


async def test_while_the_server_stops_nobody_is_put_into_a_room(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        await server.open_room("duel-0")
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("duel-1")
        net.nursery.start_soon(partial(server.stop, 5, finish=True))
        await trio.sleep(1)
        with pytest.raises(ActionError, match="stopping"):
            await play(ben)


async def test_a_name_of_a_new_room_belongs_to_its_own_pattern(autojump_clock: MockClock) -> None:
    others = [(f"duel-{letter}*", Hall) for letter in "23456789abcdefghjkmnpqrstuvwx"]
    server, _ = make_lobby(("duel-*", Duel), *others)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for _ in range(3):
            try:
                assert isinstance(server.rooms[await play(ana)], Duel)
            except ActionError as error:
                assert error.code == "too-many"  # noqa: PT017


async def test_rooms_whose_class_has_a_filter_are_found_among_thousands(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplysocket.games._lobby.matchmaking.LOOKS", 10)
    monkeypatch.setattr("simplysocket.games._lobby.filters.LOOKS", 10)
    server, _ = make_lobby()
    async with open_server(server) as net:
        for n in range(40):
            await server.open_room(f"duel-{n}", {"listing": attrs.asdict(Duelling(level=n, mode="ranked"))})
        ana = await net.connect("ana")
        assert await play(ana, filter={"level": 37}) == "duel-37"
