"""For how long a room keeps the place of a member that is away, and how a place is given up."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, ActionError, Client, Reason, ReasonKind, Server, action
from simplysocket._rooms.holds import Holds, Place
from simplysocket.testing import Net, TestClient, open_server

from ..harness.away import Seats, log_of, lose, session_of
from ..harness.messages import bodies_of
from ..harness.rooms import Talk
from ..harness.servers import make

GRACE = 30


class Short(Seats):
    hold_seconds = 5


class Long(Seats):
    hold_seconds = 120


class AtOnce(Seats):
    hold_seconds = 0


def make_rooms(**options: Any) -> Server:
    return make(("short", Short), ("long", Long), ("once", AtOnce), ("*", Seats), **options)


async def enter(net: Net, *rooms: str) -> tuple[TestClient, TestClient]:
    """Connect ana and ben, both members of these rooms, and forget what these have logged."""
    ana, ben = await net.connect("ana"), await net.connect("ben")
    for name in rooms:
        await ana.join(name)
        await ben.join(name)
        log_of(net.server, name)
    return ana, ben


def hold_of(server: Server, client: TestClient) -> float:
    session = session_of(server, client.id)
    return session.home.joins.hold_seconds(session)


def holds_of(server: Server) -> Holds:
    return server._assembly.hub.holds


async def test_a_room_that_does_not_say_keeps_the_place_as_long_as_the_client(autojump_clock: MockClock) -> None:
    server = make_rooms(resume_seconds=GRACE)
    async with open_server(server) as net:
        _, ben = await enter(net, "one", "two")
        lose(server, ben.id)
        assert (hold_of(server, ben), len(holds_of(server))) == (GRACE, 0)
        await trio.sleep(1_000)
        assert log_of(server, "one") == log_of(server, "two") == ["drop ben"]


async def test_a_shorter_hold_ends_one_membership_and_no_other(autojump_clock: MockClock) -> None:
    server = make_rooms(resume_seconds=GRACE)
    async with open_server(server) as net:
        _, ben = await enter(net, "one", "short")
        absence = lose(server, ben.id, Reason("silent", ReasonKind.SILENT, 3012))
        assert hold_of(server, ben) == GRACE
        await trio.sleep(4.9)
        assert log_of(server, "short") == ["drop ben"]
        await trio.sleep(0.2)
        assert log_of(server, "short") == ["leave ben silent"]
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "short") == []
        assert log_of(server, "one") == ["drop ben", "resume ben"]
        assert set(server.clients[ben.id].rooms) == {GLOBAL_ROOM, "one"}


async def test_a_longer_hold_keeps_the_client_and_no_other_place(autojump_clock: MockClock) -> None:
    server = make_rooms(resume_seconds=GRACE)
    async with open_server(server) as net:
        _, ben = await enter(net, "one", "long", "short")
        absence = lose(server, ben.id)
        assert hold_of(server, ben) == 120
        await trio.sleep(GRACE + 0.1)
        assert log_of(server, "one") == log_of(server, "short") == ["drop ben", "leave ben lost"]
        assert hold_of(server, ben) == 120
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "long") == ["drop ben", "resume ben"]
        assert hold_of(server, ben) == 120


async def test_a_hold_of_no_time_ends_with_the_next_turn(autojump_clock: MockClock) -> None:
    server = make_rooms()
    async with open_server(server) as net:
        _, ben = await enter(net, "once")
        lose(server, ben.id)
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "once") == ["drop ben", "leave ben lost"]


async def test_a_client_that_is_back_at_the_end_of_its_hold_keeps_its_place(autojump_clock: MockClock) -> None:
    """The leave waits for its turn already, and the client is back before that comes."""
    server = make_rooms()
    async with open_server(server) as net:
        ana, ben = await enter(net, "short")
        server.rooms["short"].naps["message"] = 10  # type: ignore[attr-defined]
        absence = lose(server, ben.id)
        await trio.sleep(1)
        await ana.send("say", target="short")
        await trio.sleep(7)
        absence.back()
        await trio.sleep(10)
        assert log_of(server, "short") == ["drop ben", "message ana", "message ended", "resume ben"]
        assert ben.id in server.rooms["short"].members


async def test_one_that_is_away_again_at_the_end_of_its_hold_has_a_new_one(autojump_clock: MockClock) -> None:
    server = make_rooms()
    async with open_server(server) as net:
        ana, ben = await enter(net, "short")
        server.rooms["short"].naps["message"] = 10  # type: ignore[attr-defined]
        absence = lose(server, ben.id)
        await trio.sleep(1)
        await ana.send("say", target="short")
        await trio.sleep(7)  # the leave waits
        absence.back()
        lose(server, ben.id)
        await trio.sleep(4)  # the turn has come: the second hold goes on for a second
        log = log_of(server, "short")
        assert log[3:] == ["resume ben", "drop ben"]
        await trio.sleep(2)
        assert log_of(server, "short") == ["leave ben lost"]


async def test_a_hold_that_ends_in_the_moment_in_which_the_client_is_back(autojump_clock: MockClock) -> None:
    """Whichever comes first: the membership goes on, or has ended; the order within a moment is random."""
    for _ in range(30):
        server = make_rooms()
        async with open_server(server) as net:
            _, ben = await enter(net, "short")
            absence = lose(server, ben.id)
            await trio.sleep(5)
            absence.back()
            await trio.testing.wait_all_tasks_blocked()
            log = log_of(server, "short")
            assert log in (["drop ben", "resume ben"], ["drop ben", "leave ben lost"])
            assert (ben.id in server.rooms["short"].members) is (log[1] == "resume ben")


async def test_a_room_may_set_its_hold_when_it_is_made(autojump_clock: MockClock) -> None:
    class Chosen(Seats):
        async def on_create(self) -> None:
            await super().on_create()
            self.hold_seconds = self.options["hold"]  # type: ignore[misc]

    server = make(("*", Chosen))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one", hold=300)
        assert hold_of(server, ana) == 300


@pytest.mark.parametrize("wrong", [-1, "60", float("nan"), float("inf"), 10**400, True, []])
async def test_a_hold_that_is_no_time_is_logged_and_the_grace_counts(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, wrong: object
) -> None:
    class Wrong(Seats):
        async def on_create(self) -> None:
            await super().on_create()
            self.hold_seconds = wrong  # type: ignore[misc, assignment]

    server = make(("*", Wrong), resume_seconds=GRACE)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        lose(server, ana.id)
        assert hold_of(server, ana) == GRACE
        assert "room 'one' has set hold_seconds to" in caplog.text
        assert "give seconds" in caplog.text


async def test_the_global_room_may_keep_a_client_for_longer_and_not_for_less(autojump_clock: MockClock) -> None:
    for room_class, seconds in ((Long, 120), (Short, GRACE)):
        server = make((GLOBAL_ROOM, room_class), resume_seconds=GRACE)
        async with open_server(server) as net:
            ana = await net.connect("ana")
            lose(server, ana.id)
            assert hold_of(server, ana) == seconds
            await trio.sleep(1_000)
            assert ana.id in server.rooms[GLOBAL_ROOM].members


async def test_a_room_joined_while_away_counts_from_the_join(autojump_clock: MockClock) -> None:
    server = make_rooms(resume_seconds=GRACE)
    async with open_server(server) as net:
        _, ben = await enter(net, "one")
        client = server.clients[ben.id]
        lose(server, ben.id)
        await trio.sleep(10)
        await client.join("short")
        await trio.sleep(4.9)
        assert "short" in client.rooms
        await trio.sleep(0.2)
        assert "short" not in client.rooms
        assert hold_of(server, ben) == GRACE
        await client.join("long")  # from now on the client is kept for longer, and the other rooms are not
        assert hold_of(server, ben) == 120
        await trio.sleep(GRACE)
        assert set(client.rooms) == {GLOBAL_ROOM, "long"}
        assert log_of(server, "one") == ["drop ben", "leave ben lost"]


# --- release


async def test_release_gives_the_place_of_a_member_that_is_away_up(autojump_clock: MockClock) -> None:
    class Full(Seats):
        capacity = 2
        announce = True

        @action("release")
        async def let_go(self, body: str) -> bool:
            return await self.release(self.server.clients[body])

    server = make(("*", Full))
    async with open_server(server) as net:
        ana, ben = await enter(net, "one")
        assert not await ana.request("release", ben.id, target="one")  # it is not away
        absence = lose(server, ben.id)
        cat = await net.connect("cat")
        with pytest.raises(ActionError, match="room-full"):
            await cat.join("one")
        await ana.settle()
        assert await ana.request("release", ben.id, target="one")
        assert not await ana.request("release", ben.id, target="one")
        assert bodies_of(await ana.settle(), "client-left-room") == [
            {"client": ben.id, "name": "ben", "reason": "disconnected"}
        ]
        await cat.join("one")
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one")[:2] == ["drop ben", "leave ben lost"]


async def test_release_inside_on_drop(autojump_clock: MockClock) -> None:
    class Strict(Seats):
        async def on_drop(self, client: Client) -> None:
            await super().on_drop(client)
            assert await self.release(client)
            assert client.id not in self.members
            self.log.append("released")

    server = make(("*", Strict))
    async with open_server(server) as net:
        _, ben = await enter(net, "one")
        absence = lose(server, ben.id)
        absence.back()
        lose(server, ben.id)
        await trio.testing.wait_all_tasks_blocked()
        # In the turn of the first `on_drop` it is away again: its place is given up, once.
        assert log_of(server, "one") == ["drop ben", "leave ben lost", "released"]


async def test_release_of_a_client_that_is_back_or_elsewhere_or_gone_does_nothing(autojump_clock: MockClock) -> None:
    server = make_rooms()
    async with open_server(server) as net:
        ana, ben = await enter(net, "one")
        room = server.rooms["one"]
        client = server.clients[ben.id]
        absence = lose(server, ben.id)
        assert await server.open_room("two")
        assert not await server.rooms["two"].release(client)
        absence.back()
        assert not await room.release(client)
        lose(server, ben.id).end()
        assert not await room.release(client)
        await ana.request("leave-room", {"roomname": "one"})
        assert not await room.release(client)
        with pytest.raises(TypeError, match="release whom"):
            await room.release(ben.id)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="nobody leaves"):
            await server.rooms[GLOBAL_ROOM].release(client)


async def test_a_client_is_told_that_it_has_lost_its_place_when_it_is_back(autojump_clock: MockClock) -> None:
    server = make(("*", type("Plain", (Talk,), {"hold_seconds": 1, "empty_ttl": None})))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        absence = lose(server, ana.id)
        await trio.sleep(2)
        absence.back()
        (left,) = await ana.settle()
        assert (left["action"], left["room"]) == ("client-left-room", "one")
        assert left["message_body"] == {"client": ana.id, "name": "ana", "reason": "disconnected"}


# --- the heap


async def test_what_is_not_held_any_more_leaves_nothing(autojump_clock: MockClock) -> None:
    server = make_rooms()
    async with open_server(server) as net:
        _, ben = await enter(net, "short", "long")
        for _ in range(1_000):
            lose(server, ben.id).back()
            assert len(holds_of(server)) <= 66
        lose(server, ben.id).end()
        await trio.sleep(200)
        assert [server.rooms[name]._runtime.members.places for name in ("short", "long")] == [{}, {}]
        assert len(holds_of(server)) == 0


async def test_thousands_that_are_away_at_once_are_given_up_some_in_each_pass(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crowd:
        """A budget that is spent after each entry, and counts how often it was waited for."""

        turns = 0

        def is_spent(self) -> bool:
            return True

        async def turn(self) -> None:
            self.turns += 1
            await trio.lowlevel.checkpoint()

    given_up: list[Place] = []
    budget: Any = Crowd()
    holds = Holds(budget, given_up.append)
    places = [Place(Any, Any) for _ in range(5_000)]  # type: ignore[arg-type]  # which the heap does not look at
    async with trio.open_nursery() as nursery:
        nursery.start_soon(holds.run)
        await trio.testing.wait_all_tasks_blocked()
        for number, place in enumerate(places):
            place.since = trio.current_time()
            holds.add(place, 10 - number / 1_000)
        for place in places[::2]:
            holds.cancel(place)
        await trio.sleep(20)
        assert given_up == places[::-1][::2]
        assert budget.turns >= 2_500
        assert len(holds) == 0
        nursery.cancel_scope.cancel()


async def test_one_that_is_due_before_the_first_is_not_late(autojump_clock: MockClock) -> None:
    server = make_rooms()
    async with open_server(server) as net:
        ana, ben = await enter(net, "one", "long", "short")
        await ana.request("leave-room", {"roomname": "short"})
        lose(server, ana.id)  # it leaves "one" at the grace
        await trio.sleep(3)
        lose(server, ben.id)
        await trio.sleep(5.1)
        assert set(server.clients[ben.id].rooms) == {GLOBAL_ROOM, "one", "long"}
