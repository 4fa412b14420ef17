"""Rooms and turns: order, closing, crashes, joins and leaves, each in virtual time."""

import contextlib
import contextvars
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Limits, Message, Room, RoomClosed, Server, action
from simplysocket.testing import TestClient, open_server


def actions_of(messages: list[dict[str, Any]]) -> list[str]:
    """Return what happened, in a word each."""
    return [message["action"] for message in messages]


def bodies_of(messages: list[dict[str, Any]], name: str) -> list[Any]:
    """Return the bodies of the messages of one action."""
    return [message["message_body"] for message in messages if message["action"] == name]


def make(*rooms: tuple[str, type[Room]], **options: Any) -> Server:
    """Return a server with these room classes, whose limits are wide unless they are what is tested."""
    options.setdefault("limits", Limits(joins_per_second=None, messages_per_second=None))
    server = Server("test", **options)
    for pattern, room_class in rooms:
        server.room(pattern)(room_class)
    return server


class Talk(Room):
    """A room in which `say` is broadcast."""

    @action("say")
    async def say(self, client: Client, body: dict[str, Any]) -> None:
        await self.broadcast("said", body, sender=client)


# --- a room that closes itself


class Closing(Talk):
    @action("end")
    async def end(self, body: dict[str, Any]) -> str:
        if body.get("wait"):
            await trio.sleep(3)
        await self.close("enough")
        await self.broadcast("said", {"m": "last words"})
        if body.get("wait"):
            await trio.sleep(3)
        return "closed"

    async def on_close(self, reason: str) -> None:
        await self.broadcast("wound-up", {"reason": reason, "members": len(self.members)})


@pytest.mark.parametrize("wait", [False, True])
async def test_a_room_that_closes_itself_replies_first_and_other_rooms_go_on(
    autojump_clock: MockClock, wait: bool
) -> None:
    server = make(("*", Closing))
    async with open_server(server) as net:
        ana, bob, eve = [await net.connect(name) for name in ("ana", "bob", "eve")]
        for client, room in ((ana, "one"), (bob, "one"), (eve, "two")):
            await client.join(room)
        assert await ana.request("end", {"wait": wait}, target="one") == "closed"
        heard = await bob.settle()
        assert actions_of(heard) == ["said", "wound-up", "room-closed"]
        assert bodies_of(heard, "wound-up") == [{"reason": "enough", "members": 2}]
        assert bodies_of(heard, "room-closed") == [{"roomname": "one", "reason": "enough"}]
        assert actions_of(await ana.settle()) == ["said", "wound-up", "room-closed"]
        assert set(server.rooms) == {"mesh-global", "two"}
        await eve.send("say", {"m": 1}, target="two")
        assert bodies_of(await eve.settle(), "said") == [{"m": 1}]


async def test_a_closed_rooms_name_is_free_for_a_new_room(autojump_clock: MockClock) -> None:
    server = make(("*", Closing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        first = server.rooms["one"]
        await ana.request("end", {}, target="one")
        assert (await ana.join("one"))["created"] is True
        assert server.rooms["one"] is not first
        with pytest.raises(RoomClosed):
            await first.broadcast("said", {})
        with pytest.raises(RoomClosed):
            first.start_soon(trio.sleep, 1)


async def test_a_join_during_a_close_gets_a_new_room_and_what_stands_behind_it_too(autojump_clock: MockClock) -> None:
    class Slow(Talk):
        async def on_close(self) -> None:
            await trio.sleep(1)

        @action("end")
        async def end(self) -> None:
            await self.close()

    server = make(("*", Slow))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        first = server.rooms["one"]
        await ana.send("end", target="one")
        await bob.send("join-room", {"roomname": "one"}, id=1)
        await bob.send("say", {"m": "behind the join"}, target="one")
        await ana.send("say", {"m": "too late"}, target="one", id=2)
        await trio.testing.wait_all_tasks_blocked()
        assert server.rooms["one"] is first
        assert list(first.members) == [ana.id]
        await trio.sleep(2)
        heard = await bob.settle()
        assert actions_of(heard) == ["reply", "said"]
        assert heard[0]["message_body"]["created"] is True
        assert list(server.rooms["one"].members) == [bob.id]
        refused = bodies_of(await ana.settle(), "error")
        assert [error["code"] for error in refused] in (["room-closed"], ["not-a-member"])


async def test_joins_that_wait_in_the_inbox_when_a_room_empties_get_a_new_room(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        for _ in range(20):
            await ana.send("leave-room", {"roomname": "one"}, id=1)
            await bob.send("join-room", {"roomname": "one"}, id=2)
            await trio.testing.wait_all_tasks_blocked()
            assert list(server.rooms["one"].members) == [bob.id]
            ana, bob = bob, ana


# --- what one handler leaves behind


SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


async def test_a_contextvar_set_in_one_handler_is_not_seen_by_the_next(autojump_clock: MockClock) -> None:
    class Setting(Room):
        @action("set")
        async def set(self) -> str:
            before = SEEN.get()
            SEEN.set("something")
            await trio.sleep(0.1)
            return f"{before}, {SEEN.get()}"

    server = make(("*", Setting))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert [await ana.request("set", target="one") for _ in range(3)] == ["nothing, something"] * 3


async def scoped(scope: trio.CancelScope) -> AsyncIterator[int]:
    """A generator that is left with its scope open."""
    with scope:
        while True:
            yield 1


def leak_deadline() -> Any:
    return scoped(trio.CancelScope(deadline=trio.current_time() + 0.5))


def leak_cancelled() -> Any:
    scope = trio.CancelScope()
    scope.cancel()
    return scoped(scope)


async def with_nursery() -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        while True:
            yield 1


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("leak", [leak_deadline, leak_cancelled, with_nursery])
async def test_a_handler_that_leaves_a_scope_open_hurts_nobody_else(
    autojump_clock: MockClock, leak: Callable[[], Any]
) -> None:
    kept: list[Any] = []

    class Leaking(Room):
        @action("leak")
        async def leak(self) -> str:
            generator = leak()
            kept.append(generator)  # else the interpreter closes it at once
            async for _ in generator:
                break
            return "left open"

        @action("wait")
        async def wait(self) -> str:
            await trio.sleep(5)
            return "slept"

    server = make(("*", Leaking))

    @server.action("lobby-leak")
    async def lobby_leak() -> None:
        generator = leak()
        kept.append(generator)
        async for _ in generator:
            break

    @server.action("lobby-wait")
    async def lobby_wait() -> str:
        await trio.sleep(5)
        return "slept"

    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("two")
        for _ in range(3):
            await ana.send("leak", target="one")
            assert await ana.request("wait", target="one") == "slept"
            await ana.send("lobby-leak")
            assert await ana.request("lobby-wait") == "slept"
        assert await bob.request("wait", target="two") == "slept"
        assert {"one", "two"} < set(server.rooms)
    kept.clear()
    gc.collect()


async def test_a_group_raised_out_of_a_finally_while_cancelled_hurts_nobody_else(autojump_clock: MockClock) -> None:
    class Failing(Talk):
        @action("wait")
        async def wait(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("a bug in a finally")

        @action("nurse")
        async def nurse(self) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                try:
                    await trio.sleep_forever()
                finally:
                    raise ValueError("a bug beside a Cancelled")

    server = make(("*", Failing))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await bob.join("two")
        for name in ("wait", "nurse"):
            await ana.join("one")
            await ana.send(name, target="one", id="w")
            await trio.testing.wait_all_tasks_blocked()
            await server.rooms["one"].close()
            heard = await ana.settle()
            assert [error["code"] for error in bodies_of(heard, "error")] == ["internal"]
            assert actions_of(heard)[-1] == "room-closed"
        await bob.send("say", {}, target="two")
        assert actions_of(await bob.settle()) == ["said"]


# --- order


async def test_a_broadcast_goes_out_at_once_though_its_handler_waits(autojump_clock: MockClock) -> None:
    class Waiting(Room):
        @action("go")
        async def go(self) -> None:
            await self.broadcast("first")
            await trio.sleep(10)
            await self.broadcast("second")

    server = make(("*", Waiting))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("go", target="one")
        started = trio.current_time()
        assert (await ana.receive())["action"] == "first"
        assert trio.current_time() - started < 1
        assert (await ana.receive())["action"] == "second"
        assert trio.current_time() - started == pytest.approx(10, abs=1)


async def test_a_reply_and_a_direct_message_stand_in_their_place_among_the_rooms_messages(
    autojump_clock: MockClock,
) -> None:
    class Ordered(Room):
        @action("go")
        async def go(self, client: Client) -> int:
            await self.broadcast("one")
            await client.send("two")
            await self.broadcast("three", exclude=client)
            await self.broadcast("four")
            await self.send(client, "five")
            await self.broadcast("six")
            return 7

    server = make(("*", Ordered))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("r")
        await bob.join("r")
        await ana.send("go", target="r", id=7)
        heard = await ana.settle()
        assert actions_of(heard) == ["one", "two", "four", "five", "six", "reply"]
        assert heard[3]["room"] == "r"
        assert heard[3]["IsTargetClient"] is True
        assert heard[3]["target"] == ana.id
        assert actions_of(await bob.settle()) == ["one", "three", "four", "six"]


async def test_messages_to_one_room_are_handled_one_at_a_time_in_order(autojump_clock: MockClock) -> None:
    running: list[int] = []
    handled: list[int] = []

    class Exclusive(Room):
        @action("work")
        async def work(self, body: dict[str, int]) -> None:
            assert not running
            running.append(1)
            await trio.sleep(1)
            running.clear()
            handled.append(body["n"])

    server = make(("*", Exclusive))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        for n in range(10):
            await ana.send("work", {"n": n}, target="one")
        await trio.sleep(20)
        assert handled == list(range(10))


async def test_in_the_global_room_no_client_waits_for_another(autojump_clock: MockClock) -> None:
    server = make()
    running: list[str] = []

    @server.action("nap")
    async def nap(client: Client) -> str:
        running.append(client.name)
        await trio.sleep(60)
        return client.name

    async with open_server(server) as net:
        clients = [await net.connect(f"c{n}") for n in range(5)]
        for client in clients:
            await client.send("nap", id=1)
            await client.send("nap", id=2)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(running) == [f"c{n}" for n in range(5)]
        for client in clients:
            assert [(await client.receive())["id"] for _ in range(2)] == [1, 2]


# --- who waits while something ends


class Patient(Talk):
    """`ask` asks its own client back; `wait` sleeps; the ends are noted."""

    ended: list[str]

    async def on_create(self) -> None:
        self.ended = []

    @action("wait")
    async def wait(self, body: dict[str, Any]) -> str:
        try:
            await trio.sleep(10)
        except trio.Cancelled:
            self.ended.append("cancelled")
            raise
        self.ended.append("slept")
        return "slept"

    @action("ask")
    async def ask(self, client: Client) -> None:
        try:
            await client.request("question", {}, timeout=30)
        except ActionError as exc:
            self.ended.append(exc.code)
            raise

    async def on_leave(self, client: Client, reason: str) -> None:
        self.ended.append(f"left: {reason}")


async def test_a_handler_whose_client_disconnects_runs_to_its_end_before_the_leave(autojump_clock: MockClock) -> None:
    server = make(("*", Patient))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        room = server.rooms["one"]
        await ana.send("wait", {}, target="one", id=1)
        await trio.testing.wait_all_tasks_blocked()
        await ana.stream.aclose()
        await trio.sleep(1)
        assert ana.id in room.members
        assert ana.id not in server.clients
        await trio.sleep(10)
        assert room.ended == ["slept", "left: disconnected"]  # type: ignore[attr-defined]
        assert list(room.members) == [bob.id]


async def test_a_handler_that_asks_its_own_client_gets_the_answer_or_gone(autojump_clock: MockClock) -> None:
    server = make(("*", Patient))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await (await net.connect("bob")).join("one")
        room = server.rooms["one"]
        await ana.send("ask", target="one", id="a")
        question = await ana.receive()
        assert question["action"] == "question"
        await ana.send("reply", {"yes": True}, id=question["id"])
        assert (await ana.receive())["action"] == "reply"
        await ana.send("ask", target="one", id="b")
        await ana.receive()
        await ana.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert room.ended == ["gone", "left: disconnected"]  # type: ignore[attr-defined]


async def test_a_handler_that_waits_while_its_room_is_closed_is_cancelled_and_its_caller_told(
    autojump_clock: MockClock,
) -> None:
    server = make(("*", Patient))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        room = server.rooms["one"]
        await ana.send("wait", {}, target="one", id=1)
        await ana.send("say", {}, target="one", id=2)
        await trio.testing.wait_all_tasks_blocked()
        await room.close("over")
        heard = await ana.settle()
        assert {(m["id"], m["message_body"]["code"]) for m in heard if m["action"] == "error"} == {
            (1, "room-closed"),
            (2, "room-closed"),
        }
        assert actions_of(heard)[-1] == "room-closed"
        assert room.ended == ["cancelled"]  # type: ignore[attr-defined]


async def test_a_handler_that_waits_while_the_server_stops_is_cancelled_and_everyone_told(
    autojump_clock: MockClock,
) -> None:
    server = make(("*", Patient))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        room = server.rooms["one"]
        await ana.send("wait", {}, target="one", id=1)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 5)
            ended = await ana.wait_ended()
            messages = await ana.settle()
        assert actions_of(messages) == ["error", "room-closed"]
        assert ended.code == 3001
        assert room.ended == ["cancelled"]  # type: ignore[attr-defined]


# --- crashes


async def test_a_bug_in_a_handler_costs_one_message(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Buggy(Talk):
        @action("bug")
        async def bug(self) -> None:
            raise KeyError("secret of the server")

    server = make(("*", Buggy))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError) as refused:
            await ana.request("bug", target="one")
        assert refused.value.code == "internal"
        assert "secret" not in refused.value.message
        assert "secret of the server" in caplog.text
        await ana.request("say", {}, target="one")


async def test_a_crash_of_a_rooms_task_closes_that_room_only(autojump_clock: MockClock) -> None:
    class Crashing(Talk):
        async def on_create(self) -> None:
            self.start_soon(self.crash)

        async def crash(self) -> None:
            await trio.sleep(5)
            if self.name == "one":
                raise RuntimeError("a crash")

    server = make(("*", Crashing))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("two")
        await trio.sleep(10)
        heard = await ana.settle()
        assert bodies_of(heard, "room-closed") == [{"roomname": "one", "reason": "crashed"}]
        await bob.request("say", {}, target="two")
        assert set(server.rooms) == {"mesh-global", "two"}


async def test_a_crash_of_the_global_rooms_tasks_restarts_them(autojump_clock: MockClock) -> None:
    starts: list[float] = []

    class Global(Room):
        async def on_create(self) -> None:
            starts.append(trio.current_time())
            self.start_soon(self.crash)

        async def crash(self) -> None:
            await trio.sleep(5)
            if len(starts) < 3:
                raise RuntimeError("a crash")

    server = make(("mesh-global", Global))

    @server.action("hello")
    async def hello() -> str:
        await trio.sleep(6)
        return "hello"

    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await ana.request("hello") == "hello"
        await trio.sleep(30)
        assert len(starts) == 3
        assert await ana.request("hello") == "hello"


async def test_a_room_that_cannot_be_created_refuses_the_joins(autojump_clock: MockClock) -> None:
    class Picky(Room):
        async def on_create(self) -> None:
            if "map" not in self.options:
                raise ActionError("bad-body", "a game needs a map", path="$.map")
            if self.options["map"] == "broken":
                raise ValueError("no such map")

    server = make(("*", Picky))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError) as refused:
            await ana.join("one")
        assert (refused.value.code, refused.value.path) == ("bad-body", "$.map")
        with pytest.raises(ActionError) as refused:
            await ana.join("one", map="broken")
        assert refused.value.code == "internal"
        assert (await ana.join("one", map="island"))["created"] is True


# --- joins and leaves


async def test_the_first_to_join_creates_and_the_last_to_leave_closes(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        assert (await ana.join("one"))["created"] is True
        answer = await bob.join("one")
        assert answer == {
            "roomname": "one",
            "created": False,
            "members": [{"client": ana.id, "name": "ana"}, {"client": bob.id, "name": "bob"}],
        }
        assert (await bob.join("one"))["created"] is False  # joining again answers again
        assert server.rooms["one"].creator is server.clients[ana.id]
        assert await ana.request("leave-room", {"roomname": "one"}) == {"roomname": "one"}
        assert await bob.request("who", {"roomname": "one"}) == {"members": [{"client": bob.id, "name": "bob"}]}
        assert await bob.request("leave-room", target="one") == {"roomname": "one"}
        await trio.testing.wait_all_tasks_blocked()
        assert set(server.rooms) == {"mesh-global"}


async def test_an_on_join_that_raises_undoes_the_join(autojump_clock: MockClock) -> None:
    class Strict(Talk):
        announce = True

        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            if options.get("password") == "wrong":
                raise ActionError("forbidden", "wrong password")

        async def on_join(self, client: Client) -> None:
            if client.name == "eve":
                raise ActionError("forbidden", "not you")

    server = make(("*", Strict))
    async with open_server(server) as net:
        ana, eve = await net.connect("ana"), await net.connect("eve")
        await ana.join("one")
        for options in ({}, {"password": "wrong"}):
            with pytest.raises(ActionError, match="forbidden"):
                await eve.join("one", **options)
        assert list(server.rooms["one"].members) == [ana.id]
        assert "one" not in server.clients[eve.id].rooms
        assert await ana.settle() == []
        with pytest.raises(ActionError, match="not-a-member"):
            await eve.request("say", {}, target="one")


async def test_room_events_go_to_the_members_where_the_room_announces_them(autojump_clock: MockClock) -> None:
    class Announcing(Talk):
        announce = True

    server = make(("*", Announcing))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        await bob.request("leave-room", {"roomname": "one"})
        heard = await ana.settle()
        assert actions_of(heard) == ["client-joined-room", "client-left-room"]
        assert heard[1]["message_body"] == {"client": bob.id, "name": "bob", "reason": "left"}
        assert heard[1]["target"] == "one"


async def test_a_thousand_rooms_made_and_left_leave_nothing(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("warm-up")
        await ana.request("leave-room", {"roomname": "warm-up"})
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        tasks, rooms = trio.lowlevel.current_statistics().tasks_living, set(server.rooms)
        objects = sum(isinstance(each, Room) for each in gc.get_objects())
        for n in range(1_000):
            await ana.send("join-room", {"roomname": f"r{n}"}, id=n)
            await ana.send("say", {}, target=f"r{n}")
            await ana.send("leave-room", {"roomname": f"r{n}"}, id=n)
            if n % 50 == 49:
                assert len(await ana.settle()) == 150
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert set(server.rooms) == rooms
        assert sum(isinstance(each, Room) for each in gc.get_objects()) == objects
        assert not server.clients[ana.id].rooms.keys() - {"mesh-global"}


async def test_a_thousand_joins_in_one_tick_are_all_answered(autojump_clock: MockClock) -> None:
    server = make(("*", Talk), limits=Limits(joins_per_second=None, messages_per_second=None, inbox_messages=None))
    async with open_server(server) as net:
        clients = [await net.connect(f"c{n}") for n in range(1_000)]
        for client in clients:
            await client.send("join-room", {"roomname": "big"}, id=1)
        room_sizes = []
        for client in clients:
            answer = await client.receive()
            room_sizes.append(len(answer["message_body"]["members"]))
        assert sorted(room_sizes) == list(range(1, 1_001))
        await clients[0].send("say", {"m": 1}, target="big")
        for client in clients:
            assert (await client.receive())["message_body"] == {"m": 1}


async def test_a_handler_may_join_and_leave_for_its_client_also_in_its_own_room(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))

    @server.action("take")
    async def take(client: Client, room: Room, body: dict[str, str]) -> list[str]:
        await client.join(body["to"])
        if body.get("from"):
            await client.leave(body["from"])
        return sorted(client.rooms)

    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await ana.request("take", {"to": "one"}) == ["mesh-global", "one"]
        assert await ana.request("take", {"to": "two", "from": "one"}, target="one") == ["mesh-global", "two"]
        assert await ana.request("take", {"to": "two"}, target="two") == ["mesh-global", "two"]
        await trio.testing.wait_all_tasks_blocked()
        assert set(server.rooms) == {"mesh-global", "two"}


async def test_two_handlers_that_wait_for_each_others_rooms_fail_with_busy(autojump_clock: MockClock) -> None:
    class Crossing(Room):
        @action("cross")
        async def cross(self, client: Client, body: dict[str, str]) -> str:
            await trio.sleep(1)
            await client.join(body["to"])
            return "joined"

    server = make(("*", Crossing))
    async with open_server(server) as net:
        ana, bob, zoe = [await net.connect(name) for name in ("ana", "bob", "zoe")]
        await ana.join("one")
        await bob.join("two")
        await zoe.join("one")
        await zoe.join("two")
        await ana.send("cross", {"to": "two"}, target="one", id=1)
        await bob.send("cross", {"to": "one"}, target="two", id=1)
        answers = [await ana.receive(), await bob.receive()]
        codes = [answer["message_body"].get("code") if answer["action"] == "error" else None for answer in answers]
        assert "busy" in codes
        assert set(codes) <= {"busy", None}


async def test_kick_takes_a_member_out_and_tells_why(autojump_clock: MockClock) -> None:
    class Kicking(Talk):
        @action("kick")
        async def kick_one(self, body: dict[str, str]) -> bool:
            return await self.kick(self.members[body["client"]], "rude")

    server = make(("*", Kicking))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        assert await ana.request("kick", {"client": bob.id}, target="one") is True
        assert bodies_of(await bob.settle(), "client-left-room") == [
            {"client": bob.id, "name": "bob", "reason": "rude"}
        ]
        assert list(server.rooms["one"].members) == [ana.id]


# --- tasks and timers


async def test_timers_take_their_turn_and_end_with_the_room(autojump_clock: MockClock) -> None:
    ticks: list[str] = []

    class Timed(Room):
        async def on_create(self) -> None:
            self.is_busy = False
            self.every(10, self.tick)
            self.after(25, self.once)
            self.after(5, self.never).cancel()

        async def tick(self) -> None:
            assert not self.is_busy
            ticks.append(f"tick {trio.current_time() - self.began:.0f}")
            await self.broadcast("tick")

        async def once(self) -> None:
            ticks.append("once")
            raise ValueError("a bug in a timer")

        async def never(self) -> None:
            ticks.append("never")

        async def on_join(self) -> None:
            self.began = trio.current_time()

        @action("busy")
        async def busy(self) -> None:
            self.is_busy = True
            await trio.sleep(34)
            self.is_busy = False

    server = make(("*", Timed))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await trio.sleep(51)
        assert ticks == ["tick 10", "tick 20", "once", "tick 30", "tick 40", "tick 50"]
        ticks.clear()
        await ana.request("busy", target="one")  # from 51 to 85: one tick is late, two are left out
        await trio.sleep(16)
        assert ticks == ["tick 85", "tick 90", "tick 100"]
        await ana.request("leave-room", {"roomname": "one"})
        await trio.sleep(100)
        assert len(ticks) == 3


async def test_an_empty_room_lives_on_for_its_ttl(autojump_clock: MockClock) -> None:
    class Lasting(Talk):
        empty_ttl = 30.0

    class Lasting2(Talk):
        empty_ttl = None

    server = make(("a*", Lasting), ("b*", Lasting2))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for name in ("a", "b"):
            await ana.join(name)
            await ana.request("leave-room", {"roomname": name})
        await trio.sleep(20)
        assert (await ana.join("a"))["created"] is False
        await trio.sleep(20)
        await ana.request("leave-room", {"roomname": "a"})
        await trio.sleep(29)
        assert "a" in server.rooms
        await trio.sleep(2)
        assert set(server.rooms) == {"b", "mesh-global"}


async def test_a_room_opened_by_the_server_waits_for_its_first_member(autojump_clock: MockClock) -> None:
    class Reserved(Talk):
        open = False

    server = make(("vip-*", Reserved), open_rooms=False)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for name in ("vip-1", "any"):
            with pytest.raises(ActionError, match="unknown-target"):
                await ana.join(name)
        room = await server.open_room("vip-1", {"level": 3})
        assert room.options == {"level": 3}
        await trio.sleep(1000)
        assert (await ana.join("vip-1"))["created"] is False
        await ana.request("leave-room", {"roomname": "vip-1"})
        await trio.testing.wait_all_tasks_blocked()
        assert "vip-1" not in server.rooms


# --- messages


@attrs.frozen
class Guess:
    word: str
    points: int = 1


async def test_a_handler_gets_what_its_annotations_ask_for_in_any_order(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("guess")
    async def guess(body: Guess, room: Room, message: Message, client: Client, it: Server) -> list[Any]:
        return [body.word, body.points, room.name, message.action, message.sender == client.id, it is server]

    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await ana.request("guess", {"word": "tree"}) == ["tree", 1, "mesh-global", "guess", True, True]
        with pytest.raises(ActionError) as refused:
            await ana.request("guess", {"word": 3})
        assert (refused.value.code, refused.value.path) == ("bad-body", "$.word")


async def test_a_relay_room_sends_on_what_no_handler_takes_and_nothing_reserved(autojump_clock: MockClock) -> None:
    server = make(relay=True)
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        await ana.send("shout", {"a": [1, 2.5, None]}, target="one", id=3, offset=7, sender="bob")
        heard = await bob.settle()
        assert heard == [
            {
                "action": "shout",
                "message_body": {"a": [1, 2.5, None]},
                "IsTargetClient": False,
                "target": "one",
                "sender": ana.id,
            }
        ]
        assert actions_of(await ana.settle()) == ["shout", "reply"]
        for reserved in ("room-closed", "welcome", "client-left-room"):
            with pytest.raises(ActionError, match="forbidden"):
                await ana.request(reserved, {}, target="one")
        assert await bob.settle() == []


async def test_direct_messages_need_the_servers_leave_and_a_room_in_common(autojump_clock: MockClock) -> None:
    server = make(direct=True)
    async with open_server(server) as net:
        ana, bob, eve = [await net.connect(name) for name in ("ana", "bob", "eve")]
        await ana.join("one")
        await bob.join("one")
        assert await ana.request("whisper", {"m": "psst"}, target=bob.id, IsTargetClient=True) is None
        assert (await bob.settle()) == [
            {
                "action": "whisper",
                "message_body": {"m": "psst"},
                "IsTargetClient": True,
                "target": bob.id,
                "sender": ana.id,
            }
        ]
        for target in (eve.id, "nobody"):
            with pytest.raises(ActionError, match="unknown-target"):
                await ana.request("whisper", {}, target=target, IsTargetClient=True)
    async with open_server(make(relay=True)) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError, match="forbidden"):
            await ana.request("whisper", {}, target=ana.id, IsTargetClient=True)


async def test_built_in_actions_without_an_id_answer_with_their_own_action(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("join-room", {"roomname": "one"})
        await ana.send("who", {"roomname": "one"})
        await ana.send("list-rooms")
        await ana.send("ping")
        await ana.send("leave-room", {"roomname": "one"})
        assert sorted(actions_of(await ana.settle())) == ["join-room", "leave-room", "list-rooms", "ping", "who"]


async def test_list_rooms_is_cut_and_continued(autojump_clock: MockClock) -> None:
    server = make(("*", Talk), limits=Limits(joins_per_second=None, messages_per_second=None, rooms_per_client=None))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for n in range(150):
            await ana.join(f"r{n:03}")
        first = await ana.request("list-rooms")
        assert first["total"] == 150
        assert [room["roomname"] for room in first["rooms"]] == [f"r{n:03}" for n in range(100)]
        second = await ana.request("list-rooms", {"after": "r099"})
        assert [room["roomname"] for room in second["rooms"]] == [f"r{n:03}" for n in range(100, 150)]
        assert second["rooms"][0] == {"roomname": "r100", "members": 1, "capacity": None}


async def test_requests_may_be_cancelled_or_run_out_of_time_while_they_wait(autojump_clock: MockClock) -> None:
    handled: list[str] = []

    class Slow(Room):
        @action("work")
        async def work(self, message: Message) -> str:
            handled.append(str(message.id))
            await trio.sleep(10)
            return "done"

    server = make(("*", Slow))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("work", target="one", id="first")
        await ana.send("work", target="one", id="second")
        await ana.send("work", target="one", id="third", timeout=5)
        await ana.send("cancel", id="second")
        await ana.send("cancel", id="first")  # it has begun: it runs to its end
        answers = {}
        for _ in range(3):
            answer = await ana.receive()
            answers[answer["id"]] = answer["message_body"]
        assert answers["first"] == "done"
        assert answers["second"]["code"] == "cancelled"
        assert answers["third"]["code"] == "timeout"
        assert handled == ["first"]


async def connect_many(net: Any, count: int) -> list[TestClient]:
    """Connect clients that are called c0, c1, ..."""
    return [await net.connect(f"c{n}") for n in range(count)]


async def test_members_of_a_very_large_room_all_hear_everything_in_order(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplysocket.fanout.SLICE", 10)

    class Large(Talk):
        @action("ask")
        async def ask(self, client: Client, body: dict[str, int]) -> int:
            await self.broadcast("said", body, exclude=client)
            return body["n"]

    server = make(("*", Large))
    async with open_server(server) as net:
        clients = await connect_many(net, 95)
        for client in clients:
            await client.join("big")
        for n in range(30):
            await clients[n % 7].send("say", {"n": n}, target="big")
            await clients[n % 5].send("ask", {"n": n}, target="big", id=n + 1_000)
        for client in clients[7:]:
            assert [m["message_body"]["n"] for m in await client.settle()] == [n for n in range(30) for _ in range(2)]


async def test_a_task_started_by_a_handler_does_not_share_its_turn(autojump_clock: MockClock) -> None:
    class Starting(Talk):
        async def on_create(self) -> None:
            self.seen: list[str] = []

        @action("start")
        async def start(self, client: Client) -> None:
            self.start_soon(self.kicker, client)
            await trio.sleep(5)
            self.seen.append("handler done")

        async def kicker(self, client: Client) -> None:
            with contextlib.suppress(RoomClosed):
                await self.kick(client)
            self.seen.append("kicked")

    server = make(("*", Starting))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        room = server.rooms["one"]
        await ana.send("start", target="one")
        await trio.sleep(10)
        assert room.seen == ["handler done", "kicked"]  # type: ignore[attr-defined]


async def test_a_volatile_message_reaches_who_can_take_it_and_waits_for_nobody(autojump_clock: MockClock) -> None:
    class Moving(Room):
        @action("move")
        async def move(self, body: dict[str, Any]) -> None:
            await self.broadcast("moved", body, volatile=True)

        @action("score")
        async def score(self, body: dict[str, Any]) -> None:
            await self.broadcast("scored", body, coalesce="score")

        @action("fill")
        async def fill(self) -> None:
            await self.broadcast("filled", {"x": "x" * 50_000})

    server = make(("*", Moving))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        slow = await net.connect("slow", reads=False, pipe_bytes=100)
        await ana.join("one")
        await slow.send("join-room", {"roomname": "one"})
        await ana.send("move", {"n": 0}, target="one")
        assert bodies_of(await ana.settle(), "moved") == [{"n": 0}]
        await ana.send("fill", target="one")
        await trio.testing.wait_all_tasks_blocked()
        for n in range(1, 4):
            await ana.send("move", {"n": n}, target="one")
            await ana.send("score", {"n": n}, target="one")
            await trio.testing.wait_all_tasks_blocked()
        heard = await ana.settle()
        assert [body["n"] for body in bodies_of(heard, "moved")] == [1, 2, 3]
        assert [body["n"] for body in bodies_of(heard, "scored")] == [1, 2, 3]
        slow.start_reading(net.nursery)
        heard = await slow.settle()
        assert bodies_of(heard, "moved") in ([], [{"n": 0}])
        assert bodies_of(heard, "scored") == [{"n": 3}]
        assert server.statistics()["frames_dropped"] >= 5
