"""Who joins a game sits down or watches, as it asks, and is told who sits where."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client
from simplysocket.games import Seat

from ..harness.tables import NAME, Logged, come, log_of, names, open_table, table_of, told, told_all


class Pair(Logged):
    """Two seats with roles, two spectators."""

    roles = ("X", "O")
    spectators = 2
    starts = "code"


async def refused(client: Any, name: str = NAME, **options: object) -> ActionError:
    with pytest.raises(ActionError) as refusal:
        await client.join(name, **options)
    return refusal.value


async def test_who_joins_sits_if_a_seat_is_free_and_watches_otherwise(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        await come(net, "ana", "ben", "cat")
        assert names(net) == ["ana", "ben"]
        assert [client.name for client in table_of(net).watchers.values()] == ["cat"]
        assert log_of(net) == ["sit 0 ana", "owner 0 ana", "sit 1 ben", "watch cat"]


async def test_without_a_seat_and_a_place_for_a_spectator_the_room_is_full(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        await come(net, "ana", "ben", "cat", "dan")
        log_of(net)
        eve = await net.connect("eve")
        assert (await refused(eve)).code == "room-full"
        assert log_of(net) == []
        assert len(table_of(net).members) == 4


async def test_a_client_asks_for_a_seat_a_role_or_to_watch(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        (ana,) = await come(net, "ana", role="O")
        await come(net, "ben", **{"as": "spectator"})
        await come(net, "cat", seat=0)
        assert names(net) == ["cat", "ana"]
        (seated,) = await told(ana, "seated")
        assert (seated["seat"], seated["role"]) == (1, "O")


@pytest.mark.parametrize("wish", [{"seat": 0}, {"role": "X"}, {"as": "player", "seat": 0}])
async def test_who_asks_for_a_seat_that_is_not_free_is_refused(autojump_clock: MockClock, wish: dict[str, Any]) -> None:
    async with open_table(Pair) as net:
        await come(net, "ana")
        ben = await net.connect("ben")
        refusal = await refused(ben, **wish)
        assert refusal.code == "room-full"
        assert "not free" in refusal.message
        await ben.join(NAME)
        assert names(net) == ["ana", "ben"]


async def test_who_asks_to_be_a_player_does_not_watch_instead(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        await come(net, "ana", "ben")
        cat = await net.connect("cat")
        assert (await refused(cat, **{"as": "player"})).code == "room-full"
        assert table_of(net).watchers == {}


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"as": "owner"}, "$.as"),
        ({"as": 1}, "$.as"),
        ({"as": "spectator", "seat": 0}, "$.as"),
        ({"seat": 2}, "$.seat"),
        ({"seat": -1}, "$.seat"),
        ({"seat": True}, "$.seat"),
        ({"seat": "0"}, "$.seat"),
        ({"seat": 1.0}, "$.seat"),
        ({"role": "Y"}, "$.role"),
        ({"role": ["X"]}, "$.role"),
        ({"key": 1}, "$.key"),
        ({"key": "k" * 101}, "$.key"),
    ],
)
async def test_a_wrong_wish_is_a_bad_body(autojump_clock: MockClock, wish: dict[str, Any], path: str) -> None:
    async with open_table(Pair) as net:
        ana = await net.connect("ana")
        refusal = await refused(ana, **wish)
        assert (refusal.code, refusal.path) == ("bad-body", path)
        assert len(refusal.message) < 300


async def test_a_crowd_that_joins_at_once_shares_no_seat(autojump_clock: MockClock) -> None:
    class Large(Pair):
        seats = 20
        roles = ()
        spectators = 30

    async with open_table(Large) as net:
        clients = [await net.connect(f"c{number}") for number in range(60)]
        refusals = []

        async def join(client: Any) -> None:
            try:
                await client.join(NAME)
            except ActionError as refusal:
                refusals.append(refusal.code)

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(join, client)
        assert None not in names(net)
        assert len(set(names(net))) == 20
        assert len(table_of(net).watchers) == 30
        assert refusals == ["room-full"] * 10


async def test_all_are_told_who_sits_where(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        ana, ben = await come(net, "ana", "ben")
        first, second = await told(ana, "seats")
        assert first == {
            "seats": [
                {
                    "seat": 0,
                    "role": "X",
                    "client": ana.id,
                    "name": "ana",
                    "bot": False,
                    "away": False,
                    "ready": False,
                },
                {
                    "seat": 1,
                    "role": "O",
                    "client": None,
                    "name": None,
                    "bot": False,
                    "away": False,
                    "ready": False,
                },
            ],
            "owner": 0,
            "watching": 0,
            "phase": "waiting",
        }
        assert await told(ben, "seats") == [second]
        (cat,) = await come(net, "cat")
        assert [body["watching"] for body in await told(ana, "seats")] == [1]
        assert [body["watching"] for body in await told(cat, "seats")] == [1]


async def test_only_who_sits_down_is_told_its_key(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        ana, ben, cat = await come(net, "ana", "ben", "cat")
        keys = [body["key"] for client in (ana, ben, cat) for body in await told(client, "seated")]
        assert len(set(keys)) == 2


async def test_what_changes_in_one_turn_is_told_at_once(autojump_clock: MockClock) -> None:
    class Emptied(Pair):
        async def on_message(self) -> None:
            for seat in self.all_seats:
                await self.stand_up(seat)

    async with open_table(Emptied) as net:
        ana, _ = await come(net, "ana", "ben")
        await ana.settle()
        await ana.request("empty", target=NAME)
        (body,) = await told(ana, "seats")
        assert [seat["client"] for seat in body["seats"]] == [None, None]
        assert body["watching"] == 2


async def test_a_game_with_words_of_its_own_tells_nothing(autojump_clock: MockClock) -> None:
    class Silent(Pair):
        tells = False
        starts = "full"
        turn_seconds = 5

    async with open_table(Silent) as net:
        ana, ben, _ = await come(net, "ana", "ben", "cat")
        await ana.request("move", target=NAME)
        await trio.sleep(7)
        await ben.request("finish", {"winner": 1}, target=NAME)
        await ana.request("rematch", target=NAME)
        assert await told_all(ana) == []


async def test_a_spectator_takes_a_seat_and_a_player_changes_it(autojump_clock: MockClock) -> None:
    async with open_table(Pair) as net:
        ana, ben = await come(net, "ana", "ben", **{"as": "spectator"})
        log_of(net)
        assert await ana.request("take-seat", {"role": "O"}, target=NAME) == {"seat": 1, "role": "O"}
        assert await ana.request("take-seat", target=NAME) == {"seat": 0, "role": "X"}
        with pytest.raises(ActionError, match="room-full"):
            await ben.request("take-seat", {"seat": 0}, target=NAME)
        assert await ben.request("take-seat", target=NAME) == {"seat": 1, "role": "O"}
        with pytest.raises(ActionError, match="room-full"):
            await ana.request("take-seat", target=NAME)
        with pytest.raises(ActionError, match="bad-body") as refusal:
            await ben.request("take-seat", {"seat": 7}, target=NAME)
        assert refusal.value.path == "$.seat"
        assert log_of(net) == [
            *("unwatch ana", "sit 1 ana", "owner 1 ana", "stand 1 ana moved", "sit 0 ana"),
            *("unwatch ben", "sit 1 ben"),
        ]
        keys = [body["key"] for body in await told(ana, "seated")]
        assert len(keys) == 2
        assert len(set(keys)) == 1  # it keeps its key


async def test_while_the_game_is_played_seats_are_taken_only_if_it_says_so(autojump_clock: MockClock) -> None:
    class Started(Pair):
        seats = 3
        roles = ()
        needed = 2
        starts = "owner"

    async with open_table(Started) as net:
        ana, _ = await come(net, "ana", "ben")
        await ana.request("start-game", target=NAME)
        (cat,) = await come(net, "cat")
        assert names(net) == ["ana", "ben", None]
        for client in (cat, ana):
            with pytest.raises(ActionError, match="forbidden"):
                await client.request("take-seat", target=NAME)
        dan = await net.connect("dan")
        assert (await refused(dan, **{"as": "player"})).code == "room-full"

        table_of(net).late_seats = True
        await cat.request("take-seat", target=NAME)
        assert names(net) == ["ana", "ben", "cat"]
        with pytest.raises(ActionError, match="forbidden"):
            await ana.request("take-seat", target=NAME)  # a player keeps its seat while the game is played


async def test_what_a_client_is_may_be_asked(autojump_clock: MockClock) -> None:
    asked: dict[str, tuple[bool, bool, bool]] = {}

    class Asking(Pair):
        starts = "full"

        async def on_message(self, client: Client) -> None:
            asked[client.name] = (self.is_owner(client), self.is_turn(client), self.is_player(client))

        async def on_start(self) -> None:
            self.order.reverse()

    async with open_table(Asking) as net:
        for client in await come(net, "ana", "ben", "cat"):
            await client.request("ask", target=NAME)
    assert asked == {"ana": (True, False, True), "ben": (False, True, True), "cat": (False, False, False)}


async def test_a_hook_that_raises_changes_no_seat(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Pair):
        async def on_sit(self, seat: Seat) -> None:
            raise RuntimeError(f"seat {seat.index}")

        async def on_watch(self) -> None:
            raise ActionError("forbidden", "no")

    async with open_table(Broken) as net:
        await come(net, "ana", "ben", "cat")
        assert names(net) == ["ana", "ben"]
        assert len(table_of(net).watchers) == 1
        assert table_of(net).errors == ["seat 0", "seat 1", "forbidden: no"]
        assert net.server.statistics()["handlers_failed"] == 3
    hooks = [record.message for record in caplog.records if "of the game in room" in record.message]
    assert [".on_watch (" in each for each in hooks] == [False, False, True]
    assert all("Broken.on_" in each and __file__ in each for each in hooks)
