"""The list of rooms: what it shows, and what a filter finds."""

from typing import Any

import attrs
import pytest
from trio.testing import MockClock

from simplysocket import ActionError, EncodeError, RegistrationError, Room
from simplysocket.games import Lobby
from simplysocket.testing import Net, TestClient, open_server

from ..harness.duels import Duel, Duelling, Hall, make_lobby
from ..harness.servers import make


async def join_duels(net: Net, count: int) -> TestClient:
    """Return a client that has made so many duels: duel-000 of level 0, duel-001 of level 1, ..."""
    ana = await net.connect("ana")
    for n in range(count):
        mode = "ranked" if n % 3 == 0 else "casual"
        await ana.join(f"duel-{n:03}", listing={"mode": mode, "level": n, "best": None if n % 2 else n})
    return ana


def names(answer: dict[str, Any]) -> list[str]:
    return [room["roomname"] for room in answer["rooms"]]


async def test_a_list_without_a_filter_is_that_of_a_server_without_a_lobby(autojump_clock: MockClock) -> None:
    answers = []
    for server in (make(("duel-*", Hall)), make_lobby(("duel-*", Hall))[0]):
        async with open_server(server) as net:
            ana = await net.connect("ana")
            for n in range(3):
                await ana.join(f"duel-{n}")
            answers.append([await ana.request("list-rooms", body) for body in ({}, {"after": "duel-1"})])
    assert answers[0] == answers[1]


async def test_a_long_list_is_read_page_by_page(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby(rooms_per_client=None)[0]) as net:
        ana = await join_duels(net, 150)
        first = await ana.request("list-rooms")
        second = await ana.request("list-rooms", {"after": first["next"]})
        assert names(first) + names(second) == [f"duel-{n:03}" for n in range(150)]
        assert "next" not in second
        assert first["total"] == 150


async def test_a_room_is_listed_with_what_it_publishes(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await net.connect("ana")
        await ana.join("duel-1", listing={"title": "Ana's"})
        await ana.join("hall-1")
        assert (await ana.request("list-rooms"))["rooms"] == [
            {
                "roomname": "duel-1",
                "members": 1,
                "capacity": 2,
                "listing": {"mode": "casual", "level": 1, "title": "Ana's", "best": None},
            },
            {"roomname": "hall-1", "members": 1, "capacity": None},
        ]


FOUND = [
    ({"mode": "ranked"}, lambda n: n % 3 == 0),
    ({"mode": {"eq": "ranked"}}, lambda n: n % 3 == 0),
    ({"mode": {"ne": "ranked"}}, lambda n: n % 3),
    ({"level": 7}, lambda n: n == 7),
    ({"level": {"lt": 5}}, lambda n: n < 5),
    ({"level": {"le": 5}}, lambda n: n <= 5),
    ({"level": {"gt": 35}}, lambda n: n > 35),
    ({"level": {"ge": 35}}, lambda n: n >= 35),
    ({"level": {"in": [3, 5, 99]}}, lambda n: n in (3, 5)),
    ({"level": {"ge": 3, "lt": 9, "ne": 5}}, lambda n: 3 <= n < 9 and n != 5),
    ({"level": {"in": [3, 5, 30], "lt": 20}}, lambda n: n in (3, 5)),
    ({"level": {"ge": 9, "lt": 3}}, lambda n: False),
    ({"mode": "ranked", "level": {"ge": 30}}, lambda n: n % 3 == 0 and n >= 30),
    ({"best": None}, lambda n: n % 2),
    ({"best": {"ge": 30}}, lambda n: n % 2 == 0 and n >= 30),
    ({"best": {"in": [None, 4]}, "level": {"le": 5}}, lambda n: n in (1, 3, 4, 5)),
    ({"title": "", "mode": {"in": ["casual"]}}, lambda n: n % 3),
    ({"level": 2.0}, lambda n: n == 2),
]


async def test_a_filter_finds_the_rooms_whose_listings_fit(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await join_duels(net, 40)
        await ana.join("hall-1")
        for asked, fits in FOUND:
            expected = [f"duel-{n:03}" for n in range(40) if fits(n)]
            assert names(await ana.request("list-rooms", {"filter": asked})) == expected, asked


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"colour": "red"}, "$.filter.colour"),
        ({"mode": {"like": "r"}}, "$.filter.mode.like"),
        ({"mode": 3}, "$.filter.mode"),
        ({"level": "3"}, "$.filter.level"),
        ({"level": True}, "$.filter.level"),
        ({"level": None}, "$.filter.level"),
        ({"level": {"in": 3}}, "$.filter.level.in"),
        ({"mode": {"in": "ranked"}}, "$.filter.mode.in"),
        ({"level": {"in": [3, "4"]}}, "$.filter.level.in[1]"),
        ({"level": [3]}, "$.filter.level"),
        ({"level": {"lt": None}}, "$.filter.level.lt"),
        ({"best": {"lt": None}}, "$.filter.best.lt"),
        ({"level": {"in": list(range(51))}}, "$.filter.level.in"),
        ({"level": {"in": list(range(30))}, "best": {"in": list(range(30))}}, "$.filter"),
        (
            {"level": {"lt": 1, "le": 1, "gt": 1, "ge": 1, "eq": 1}, "best": {"lt": 1, "le": 1, "gt": 1, "ge": 1}},
            "$.filter",
        ),
        ([], "$.filter"),
    ],
)
async def test_a_filter_that_is_wrong_is_refused_with_its_place(
    autojump_clock: MockClock, asked: Any, path: str
) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError) as refused:
            await ana.request("list-rooms", {"filter": asked})
        assert (refused.value.code, refused.value.path) == ("bad-body", path)


async def test_a_filter_of_many_bytes_is_refused_unread(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError, match="too-large"):
            await ana.request("list-rooms", {"filter": {"mode": "x" * 5_000}})


async def test_a_search_stops_after_a_thousand_looks_and_goes_on_from_there(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplysocket.games._lobby.filters.LOOKS", 10)
    async with open_server(make_lobby()[0]) as net:
        ana = await join_duels(net, 40)
        found, after, calls = [], "", 0
        while True:
            page = await ana.request("list-rooms", {"filter": {"title": "", "best": {"ge": 30}}, "after": after})
            found += names(page)
            calls += 1
            if "next" not in page:
                break
            after = page["next"]
        assert found == [f"duel-{n:03}" for n in range(30, 40, 2)]
        assert calls >= 4


async def test_a_change_of_the_listing_is_found_at_once(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await join_duels(net, 3)
        await ana.request("change", {"mode": "blitz", "level": 50}, target="duel-001")
        assert names(await ana.request("list-rooms", {"filter": {"mode": "blitz"}})) == ["duel-001"]
        assert names(await ana.request("list-rooms", {"filter": {"level": {"ge": 2, "lt": 50}}})) == ["duel-002"]
        await ana.request("close", target="duel-001")
        assert names(await ana.request("list-rooms", {"filter": {"mode": "blitz"}})) == []
        assert names(await ana.request("list-rooms")) == ["duel-000", "duel-002"]


async def test_rooms_of_two_classes_are_found_together_where_both_have_the_field(autojump_clock: MockClock) -> None:
    @attrs.frozen
    class Racing:
        level: int
        track: str = "ice"

    class Race(Room):
        listing: Any = Racing

        async def on_create(self) -> None:
            self.listing = Racing(self.options["level"])

    async with open_server(make_lobby(("duel-*", Duel), ("race-*", Race))[0]) as net:
        ana = await join_duels(net, 3)
        await ana.join("race-1", level=2)
        assert names(await ana.request("list-rooms", {"filter": {"level": 2}})) == ["duel-002", "race-1"]
        assert names(await ana.request("list-rooms", {"filter": {"level": 2, "track": "ice"}})) == ["race-1"]


async def test_a_listing_that_cannot_be_listed_is_refused_and_the_old_one_stays(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        await join_duels(net, 1)
        room = server.rooms["duel-000"]
        before = room.listing
        for wrong, error in (
            (3, TypeError),
            (Duelling(level="high"), TypeError),  # type: ignore[arg-type]
            (Duelling(title="x" * 2_000), ValueError),
            (Duelling(level=float("nan")), TypeError),  # type: ignore[arg-type]
            (Duelling(title=object()), TypeError),  # type: ignore[arg-type]
            (Duelling(title="\ud800"), EncodeError),
        ):
            with pytest.raises(error):
                room.listing = wrong
            assert room.listing is before
        room.listing = None
        assert "listing" not in (await (await net.connect()).request("list-rooms"))["rooms"][0]


async def test_without_a_lobby_a_listing_is_kept_and_checked(autojump_clock: MockClock) -> None:
    async with open_server(make(("duel-*", Duel))) as net:
        await (await net.connect("ana")).join("duel-1")
        room = net.server.rooms["duel-1"]
        assert room.listing == Duelling()
        with pytest.raises(TypeError, match="give a Duelling"):
            room.listing = {}
        assert Duel.listing is Duelling


async def test_a_room_without_the_option_has_no_listing(autojump_clock: MockClock) -> None:
    async with open_server(make(("hall-*", Hall))) as net:
        await (await net.connect("ana")).join("hall-1")
        room = net.server.rooms["hall-1"]
        assert room.listing is None
        with pytest.raises(TypeError, match="write `listing = YourClass`"):
            room.listing = Duelling()


async def test_code_finds_rooms_as_clients_do(autojump_clock: MockClock) -> None:
    server, lobby = make_lobby()
    async with open_server(server) as net:
        await join_duels(net, 4)
        assert [room.name for room in lobby.find({"mode": "ranked"})] == ["duel-000", "duel-003"]
        assert [room.name for room in lobby.find(after="duel-001")] == ["duel-002", "duel-003"]
        with pytest.raises(ActionError, match="bad-body"):
            lobby.find({"colour": "red"})


def test_what_cannot_work_is_refused_at_registration() -> None:
    with pytest.raises(RegistrationError, match="listing is 3"):
        make(("wrong", type("Wrong", (Room,), {"listing": 3})))
    server = make()
    for options in ({"room": "*"}, {"match": "duel-*"}, {"match": [3]}, {"reserve_seconds": 0}, {"room_class": Room}):
        with pytest.raises(RegistrationError, match="Lobby"):
            Lobby(server, **options)
    Lobby(server)
    with pytest.raises(RegistrationError, match="has a lobby"):
        Lobby(server, "another")


async def test_a_pattern_that_no_room_class_has_is_refused_when_the_server_begins(autojump_clock: MockClock) -> None:
    for pattern, wrong in (("chess-*", "there is no"), ("a*b*", "must have one")):
        server, _ = make_lobby(("duel-*", Duel), ("a*b*", Hall), lobby={"match": [pattern]})
        with pytest.raises(RegistrationError, match=wrong):
            await server.serve(port=0)
