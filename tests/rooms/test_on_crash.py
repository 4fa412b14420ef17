"""`on_crash`: what a crash of a room's task costs: the room, only the task, or the state of the room."""

import gc
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room, action
from simplysocket.testing import open_server

from ..harness.leaks import IGNORE_LEFT_OPEN, leave_open
from ..harness.messages import actions_of, bodies_of
from ..harness.rooms import fragile
from ..harness.servers import make


async def test_a_kept_room_loses_only_the_task_that_crashed(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    room_class = fragile("keep")
    async with open_server(make(("*", room_class))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        room: Any = net.server.rooms["one"]
        ended = trio.Event()

        async def other() -> None:
            await trio.sleep(30)
            ended.set()

        room.start_soon(other)
        await ana.request("count", target="one")
        await ana.request("crash", target="one")
        await trio.testing.wait_all_tasks_blocked()
        assert room_class.noted[1:] == [("error", "a crash", None)]
        assert "a crash" in caplog.text
        assert await ana.request("count", target="one") == {"room": 1, "count": 2}
        await trio.sleep(35)
        assert ended.is_set()
        assert room_class.noted.count(("beat", 1)) == 3
        assert actions_of(await ana.settle()) == ["state"]
        assert net.server.rooms["one"] is room
        assert net.server.statistics()["handlers_failed"] == 1
        assert net.server.statistics()["rooms_crashed"] == 0


@IGNORE_LEFT_OPEN
async def test_a_task_of_a_kept_room_that_leaves_a_scope_open_ends_alone(autojump_clock: MockClock) -> None:
    kept: list[Any] = []

    class Leaking(fragile("keep")):  # type: ignore[misc]
        @action("leak")
        async def begin_leak(self) -> None:
            self.start_soon(self.leak)

        async def leak(self) -> None:
            await leave_open(kept)
            await trio.sleep(10)

    async with open_server(make(("*", Leaking))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("leak", target="one")
        await trio.sleep(5)
        assert await ana.request("count", target="one") == {"room": 1, "count": 1}
        assert actions_of(await ana.settle()) == ["state"]
    kept.clear()
    gc.collect()


async def test_a_room_is_made_anew_with_its_members(autojump_clock: MockClock) -> None:
    room_class = fragile("restart")
    async with open_server(make(("*", room_class))) as net:
        ana, ben, eve = [await net.connect(name) for name in ("ana", "ben", "eve")]
        await ana.join("one", size=4)
        await ben.join("one")
        await eve.join("two")
        old: Any = net.server.rooms["one"]
        assert await ana.request("count", target="one") == {"room": 1, "count": 1}
        room_class.noted.clear()
        await ana.request("crash", target="one")
        await trio.testing.wait_all_tasks_blocked()
        new: Any = net.server.rooms["one"]
        assert new is not old
        assert new.options == {"size": 4}
        assert new.creator is old.creator
        assert room_class.noted == [("created", 3, ["ana", "ben"])]
        for client in (ana, ben):
            assert bodies_of(await client.settle(), "state") == [{"room": 1, "count": 0}, {"room": 3, "count": 0}]
        assert await ben.request("count", target="one") == {"room": 3, "count": 1}
        room_class.noted.clear()
        await trio.sleep(25)
        assert sorted(room_class.noted) == [("beat", 2)] * 2 + [("beat", 3)] * 2  # no timer of the old one is left
        assert actions_of(await eve.settle()) == ["state"]
        assert await eve.request("count", target="two") == {"room": 2, "count": 1}
        assert net.server.statistics()["rooms_crashed"] == 1


async def test_what_waits_is_handled_by_the_new_room_in_order_and_what_runs_is_answered(
    autojump_clock: MockClock,
) -> None:
    async with open_server(make(("*", fragile("restart")))) as net:
        ana, ben, eve = [await net.connect(name) for name in ("ana", "ben", "eve")]
        await ana.join("one")
        await ben.join("one")
        await ana.request("crash", 5, target="one")
        await ben.send("wait-outside", 60, target="one", id="outside")
        await ana.settle()
        await ben.settle()
        await ana.send("wait", 60, target="one", id="runs")
        for number in range(5):
            await ana.send("count", target="one", id=number)
        await eve.send("join-room", {"roomname": "one"}, id="join")
        await trio.sleep(6)
        heard = await ana.settle()
        assert [each.get("id", each["message_body"]) for each in heard] == [
            "runs",
            {"room": 2, "count": 0},
            *range(5),
        ]
        assert heard[0]["message_body"]["code"] == "internal"
        assert [each["message_body"]["count"] for each in heard[2:]] == [1, 2, 3, 4, 5]
        assert bodies_of(await ben.settle(), "error")[0]["code"] == "internal"
        assert actions_of(await eve.settle()) == ["state", "reply"]
        assert len(net.server.rooms["one"].members) == 3


async def test_the_fourth_crash_within_a_minute_closes_the_room(autojump_clock: MockClock) -> None:
    room_class = fragile("restart")
    async with open_server(make(("*", room_class))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        for _ in range(4):
            await ana.request("crash", target="one")
            await trio.sleep(21)
        assert room_class.made == 5  # the fourth came more than a minute after the first
        await trio.sleep(60)
        await ana.settle()
        for number in range(4):
            await ana.request("crash", target="one")
            heard = await ana.settle()
            assert bodies_of(heard, "room-closed") == (
                [{"roomname": "one", "reason": "crashed"}] if number == 3 else []
            )
        assert "one" not in net.server.rooms


async def test_a_room_whose_on_create_crashes_it_each_time_closes(autojump_clock: MockClock) -> None:
    class Hopeless(Room):
        on_crash = "restart"
        made = 0

        async def on_create(self) -> None:
            type(self).made += 1
            self.start_soon(self.crash)
            await trio.sleep(1)

        async def crash(self) -> None:
            raise RuntimeError("a crash")

    async with open_server(make(("*", Hopeless))) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError) as refused:
            await ana.join("one")
        assert refused.value.code == "room-closed"
        assert Hopeless.made == 4
        assert "one" not in net.server.rooms


async def test_a_new_room_whose_on_create_fails_closes_and_tells_its_members(autojump_clock: MockClock) -> None:
    class Failing(fragile("restart")):  # type: ignore[misc]
        async def on_create(self) -> None:
            await super().on_create()
            if self.number > 1:
                raise ValueError("a bug in on_create")

    async with open_server(make(("*", Failing))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ana.request("crash", 5, target="one")
        await ana.send("wait", 50, target="one")
        await ana.settle()
        await ben.send("join-room", {"roomname": "one"}, id=1)
        await trio.sleep(6)
        assert bodies_of(await ana.settle(), "room-closed") == [{"roomname": "one", "reason": "crashed"}]
        assert bodies_of(await ben.settle(), "error")[0]["code"] == "internal"
        assert "one" not in net.server.rooms


async def test_a_join_that_is_cut_short_is_undone_and_answered(autojump_clock: MockClock) -> None:
    class Slow(fragile("restart", announce=True)):  # type: ignore[misc]
        async def on_join(self, client: Client) -> None:
            await trio.sleep(10 if client.name == "ben" else 0)

        async def on_leave(self, client: Client) -> None:
            await trio.sleep(10)

    async with open_server(make(("*", Slow))) as net:
        ana, ben, eve = [await net.connect(name) for name in ("ana", "ben", "eve")]
        await ana.join("one")
        await eve.join("one")
        await ana.request("crash", 5, target="one")
        await ana.settle()
        with pytest.raises(ActionError) as refused:
            await ben.join("one")
        assert refused.value.code == "internal"
        assert [each.name for each in net.server.rooms["one"].members.values()] == ["ana", "eve"]
        await ana.request("crash", 5, target="one")
        await ana.settle()
        await eve.send("leave-room", {"roomname": "one"}, id=1)
        await trio.sleep(6)
        assert [each.name for each in net.server.rooms["one"].members.values()] == ["ana"]
        assert "client-left-room" in actions_of(await ana.settle())  # though on_leave was cut short


async def test_who_is_asked_about_is_asked_again(autojump_clock: MockClock) -> None:
    class Asking(fragile("restart")):  # type: ignore[misc]
        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            self.noted.append(("asked", client.name))
            await trio.sleep(10)

    async with open_server(make(("*", Asking), auths_per_room=1)) as net:
        ana, *others = [await net.connect(name) for name in ("ana", "ben", "eve", "zoe")]
        await ana.join("one")
        await ana.request("crash", 5, target="one")
        await ana.settle()
        for client in others:
            await client.send("join-room", {"roomname": "one"}, id=1)
            await client.send("count", target="one", id=2)
            await client.settle()
        Asking.noted.clear()
        await trio.sleep(40)
        asked = [each for each in Asking.noted if each[0] == "asked"]
        assert asked[-3:] == [("asked", "ben"), ("asked", "eve"), ("asked", "zoe")]
        for client in others:
            assert actions_of(await client.settle()) == ["state", "reply", "reply"]
        assert len(net.server.rooms["one"].members) == 4
        assert "joins that wait" not in str(net.server.tree())


async def test_members_that_are_away_keep_their_places_and_the_new_room_is_told(autojump_clock: MockClock) -> None:
    class Noting(fragile("restart")):  # type: ignore[misc]
        async def on_drop(self, client: Client) -> None:
            self.noted.append((self.number, "drop", client.name))

        async def on_resume(self, client: Client) -> None:
            self.noted.append((self.number, "resume", client.name))

    async with open_server(make(("*", Noting))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben", resume=True)
        await ana.join("one")
        await ben.join("one")
        await ben.settle()
        ben.drop()
        await ana.settle()
        await ana.request("crash", target="one")
        await ana.settle()
        assert Noting.noted[1:] == [(1, "drop", "ben"), ("created", 2, ["ana", "ben"]), (2, "drop", "ben")]
        assert (await ben.come_back())["outcome"] == "resumed"
        assert Noting.noted[-1] == (2, "resume", "ben")
        assert bodies_of(await ben.settle(), "state") == [{"room": 2, "count": 0}]


async def test_a_room_without_members_keeps_its_time(autojump_clock: MockClock) -> None:
    room_class = fragile("restart", empty_ttl=20.0)
    async with open_server(make(("*", room_class))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("crash", 15, target="one")
        await ana.request("leave-room", {"roomname": "one"})
        await trio.sleep(19)
        assert room_class.made == 2
        assert "one" in net.server.rooms
        await trio.sleep(2)
        assert "one" not in net.server.rooms


async def test_a_wrong_value_set_in_on_create_is_told_and_that_of_the_class_counts(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong(fragile("keep")):  # type: ignore[misc]
        async def on_create(self) -> None:
            await super().on_create()
            self.on_crash = "never"

    async with open_server(make(("*", Wrong))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert "has set on_crash to 'never', so 'keep' counts: give 'close', 'keep' or 'restart'" in caplog.text
        await ana.request("crash", target="one")
        assert await ana.request("count", target="one") == {"room": 1, "count": 1}


async def test_a_room_may_choose_in_on_create(autojump_clock: MockClock) -> None:
    class Choosing(fragile("close")):  # type: ignore[misc]
        async def on_create(self) -> None:
            await super().on_create()
            self.on_crash = self.options["on_crash"]

    async with open_server(make(("*", Choosing))) as net:
        ana = await net.connect("ana")
        for number, choice in enumerate(("keep", "restart", "close"), 1):
            await ana.join(choice, on_crash=choice)
            await ana.request("crash", target=choice)
            await trio.testing.wait_all_tasks_blocked()
            assert Choosing.made == number + (number > 1)
        assert set(net.server.rooms) == {"mesh-global", "keep", "restart"}


async def test_two_thousand_members_stay(autojump_clock: MockClock) -> None:
    room_class = fragile("restart")
    async with open_server(make(("*", room_class))) as net:
        clients = [await net.connect(f"c{number}", reads=number < 5) for number in range(2_000)]
        for client in clients[:5]:
            await client.join("one")
        for client in list(net.server.clients.values())[5:]:
            await client.join("one")
        await clients[0].request("crash", target="one")
        await trio.testing.wait_all_tasks_blocked()
        assert len(net.server.rooms["one"].members) == 2_000
        assert bodies_of(await clients[1].settle(), "state")[-1] == {"room": 2, "count": 0}


async def test_a_room_that_closes_and_crashes_closes(autojump_clock: MockClock) -> None:
    class Closing(fragile("restart")):  # type: ignore[misc]
        @action("close")
        async def close_slowly(self) -> None:
            self.start_soon(self.crash, 1)
            await self.close("over")
            await trio.sleep(10)

    async with open_server(make(("*", Closing))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("close", target="one")
        await trio.sleep(2)
        assert bodies_of(await ana.settle(), "room-closed") == [{"roomname": "one", "reason": "over"}]
        assert Closing.made == 1


async def test_the_server_stops_while_a_room_is_made_anew(autojump_clock: MockClock) -> None:
    class Slow(fragile("restart")):  # type: ignore[misc]
        async def on_create(self) -> None:
            await super().on_create()
            await trio.sleep(5 if self.number > 1 else 0)

    async with open_server(make(("*", Slow))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("crash", target="one")
        await trio.sleep(1)
        await net.server.stop(10)
        assert bodies_of(await ana.settle(), "room-closed") == [{"roomname": "one", "reason": "shutdown"}]
