"""What a join holds in addition to the room's name: bounded, kept raw, and decoded when it is looked at."""

import gc
import tracemalloc
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, ActionError, Client, Room
from simplysocket._protocol.frames import client_frame
from simplysocket._rooms.options import read_options
from simplysocket.testing import open_server

from ..harness.messages import code_of
from ..harness.rooms import Talk
from ..harness.servers import make


def body_of(size: int, name: str) -> dict[str, str]:
    """Return the body of a join that has `size` bytes on the wire."""
    body = {"roomname": name, "o": ""}
    return {**body, "o": "x" * (size - len(msgspec.json.encode(body)))}


async def test_a_join_larger_than_join_bytes_is_refused(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Talk), join_bytes=100)) as net:
        ana = await net.connect("ana")
        assert await code_of(ana, "join-room", body_of(101, "one")) == "too-large"
        assert "one" not in net.server.rooms
        assert (await ana.request("join-room", body_of(100, "one")))["created"] is True


async def test_a_join_has_4096_bytes_unless_the_limit_says_otherwise(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        ana = await net.connect("ana")
        assert await code_of(ana, "join-room", body_of(4_097, "one")) == "too-large"
        await ana.request("join-room", body_of(4_096, "one"))
    async with open_server(make(join_bytes=None)) as net:
        await (await net.connect("ana")).request("join-room", body_of(60_000, "one"))


async def test_options_of_the_servers_own_code_have_no_bound(autojump_clock: MockClock) -> None:
    server = make(("*", Talk), join_bytes=10)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        options = {"words": ["x" * 100]}
        await server.clients[ana.id].join("one", options)
        assert server.rooms["one"].options == options
        assert (await server.open_room("two", options)).options == options


async def test_options_are_decoded_when_they_are_first_looked_at(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[object] = []

    def counting(options: Any) -> dict[str, Any]:
        decoded.append(options)
        return read_options(options)

    monkeypatch.setattr("simplysocket._rooms.runtime.read_options", counting)
    monkeypatch.setattr("simplysocket._rooms.authorizing.read_options", counting)
    monkeypatch.setattr("simplysocket._rooms.membership.read_options", counting)
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one", map="island", tags=[1, 2])
        assert decoded == []
        room = server.rooms["one"]
        assert room.options == {"map": "island", "tags": [1, 2]}
        room.options["seen"] = True  # it is the room's own dict from now on
        assert room.options["seen"]
        assert len(decoded) == 1


async def test_on_auth_gets_each_joins_own_options(autojump_clock: MockClock) -> None:
    asked: list[dict[str, Any]] = []

    class Guarded(Room):
        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            asked.append(options)
            options["changed"] = True

    server = make(("*", Guarded))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one", password="a")
        await bob.join("one", password="b")
        assert asked == [{"password": "a", "changed": True}, {"password": "b", "changed": True}]
        assert server.rooms["one"].options == {"password": "a"}


async def test_options_that_cannot_be_decoded_are_refused_at_once(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        ana = await net.connect("ana")
        nested = b'{"action":"join-room","message_body":{"roomname":"one","o":1e999},"id":1}'
        await ana.send_bytes(client_frame(nested, key=b"1234"))
        assert (await ana.receive())["message_body"]["code"] == "bad-body"
        assert await code_of(ana, "join-room", ["one"], target="one") == "bad-body"
        assert "one" not in net.server.rooms


@pytest.mark.parametrize("rest", [b" " * 60_000, b'"target":"\xf0\x9f\x98\x80%b",' % (b"x" * 60_000)])
async def test_neither_rooms_nor_waiting_joins_hold_more_than_the_bytes_of_their_options(
    autojump_clock: MockClock, rest: bytes
) -> None:
    # The rest of the frame is nothing that a join may hold on to.
    class Slow(Room):
        async def on_create(self) -> None:
            await trio.sleep(3600)

    server = make(("slow", Slow), ("*", Talk), joins_per_second=None)
    options = b"{}," * 1_300 + b"{}"

    async def join(name: str) -> None:
        body = b'{"roomname":"%s","o":[%s]}' % (name.encode(), options)
        message = b'{"action":"join-room",%s"message_body":%s}' % (rest, body)
        await ana.send_bytes(client_frame(message, key=b"1234"))
        await trio.testing.wait_all_tasks_blocked()

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await join("warm-up")
        tracemalloc.start()
        try:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for n in range(20):
                await join(f"r{n}")
            for _ in range(20):
                await join("slow")
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert len(server.rooms) == 23
        assert grown < 40 * 25_000  # a decoded join takes 90,000 bytes or more, a frame 64,000


async def test_a_join_handed_to_the_next_room_of_the_name_brings_its_options(autojump_clock: MockClock) -> None:
    created: list[dict[str, Any]] = []

    class Closing(Talk):
        async def on_create(self) -> None:
            created.append(self.options)

        async def on_close(self) -> None:
            await trio.sleep(1)

    server = make(("*", Closing))
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one", n=1)
        net.nursery.start_soon(server.rooms["one"].close)
        await trio.testing.wait_all_tasks_blocked()
        assert await code_of(bob, "join-room", body_of(5_000, "one")) == "too-large"
        assert (await bob.join("one", n=2))["created"] is True
        assert created == [{"n": 1}, {"n": 2}]
        assert server.rooms["one"].options == {"n": 2}


# --- on_join(client, options), and joins of members


class Teams(Room):
    """A room whose hooks note the options of each join, and refuse two teams."""

    noted: list[tuple[str, Any]]

    async def on_create(self) -> None:
        self.noted = []

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        self.noted.append(("auth", options))
        if options.get("team") == "closed":
            raise ActionError("forbidden", "that team is closed")

    async def on_join(self, client: Client, options: dict[str, Any]) -> None:
        self.noted.append(("join", options))
        if options.get("team") == "full":
            raise ActionError("forbidden", "that team is full")

    async def on_snapshot(self, client: Client) -> None:
        self.noted.append(("snapshot", None))

    async def on_leave(self, client: Client) -> None:
        self.noted.append(("leave", None))

    def take_notes(self) -> list[tuple[str, Any]]:
        """Return what was noted since the last call."""
        noted, self.noted = self.noted, []
        return noted


class Rejoinable(Teams):
    rejoin = True
    capacity = 1
    announce = True


def entered(options: Any) -> list[tuple[str, Any]]:
    return [("auth", options), ("join", options), ("snapshot", None)]


async def test_on_join_gets_the_options_of_its_join(autojump_clock: MockClock) -> None:
    server = make(("*", Teams))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one", team="red")
        room: Any = server.rooms["one"]
        assert room.take_notes() == entered({"team": "red"})
        await ben.join("one")
        assert room.take_notes() == entered({})
        cat = await net.connect("cat")
        await server.clients[cat.id].join("one", {"team": "blue"})
        assert room.take_notes() == entered({"team": "blue"})
        await ana.join("one", team="blue")  # a member's join is answered, and nothing else
        assert room.take_notes() == []


async def test_on_join_of_the_global_room_gets_none(autojump_clock: MockClock) -> None:
    server = make((GLOBAL_ROOM, Teams))
    async with open_server(server) as net:
        await net.connect("ana")
        await trio.testing.wait_all_tasks_blocked()
        room: Any = server.rooms[GLOBAL_ROOM]
        assert room.take_notes() == [("join", {}), ("snapshot", None)]


async def test_options_are_not_decoded_for_an_on_join_that_takes_none(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain(Room):
        async def on_join(self, client: Client) -> None: ...

    monkeypatch.setattr("simplysocket._rooms.membership.read_options", None)
    async with open_server(make(("*", Plain))) as net:
        await (await net.connect("ana")).join("one", team="red")


async def test_a_member_may_join_with_other_options_where_the_room_says_so(autojump_clock: MockClock) -> None:
    """Also where the room is full: the member has its place. It is not announced again."""
    server = make(("*", Rejoinable))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one", team="red", size=1)
        room: Any = server.rooms["one"]
        room.take_notes()
        await ana.join("one", size=1, team="red")  # the same options, in another order
        assert room.take_notes() == []
        assert (await ana.join("one", team="blue"))["created"] is False
        assert room.take_notes() == entered({"team": "blue"})
        await server.clients[ana.id].join("one", {"team": "blue"})
        assert room.take_notes() == []
        await server.clients[ana.id].join("one", {"team": "green"})
        assert room.take_notes() == entered({"team": "green"})
        assert await ana.settle() == []


@pytest.mark.parametrize(("team", "hooks"), [("closed", ["auth"]), ("full", ["auth", "join"])])
async def test_a_member_whose_other_join_is_refused_stays_as_it_was(
    autojump_clock: MockClock, team: str, hooks: list[str]
) -> None:
    server = make(("*", Rejoinable))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one", team="red")
        room: Any = server.rooms["one"]
        room.take_notes()
        for _ in range(2):  # it is no less other for having been refused
            assert await code_of(ana, "join-room", {"roomname": "one", "team": team}) == "forbidden"
            assert [hook for hook, _ in room.take_notes()] == hooks
        await ana.join("one", team="red")
        assert room.take_notes() == []
        assert list(room.members) == [ana.id]


async def test_a_member_that_leaves_and_joins_again_is_new(autojump_clock: MockClock) -> None:
    server = make(("*", type("Staying", (Rejoinable,), {"empty_ttl": None})))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one", team="red")
        await ana.request("leave-room", {"roomname": "one"})
        room: Any = server.rooms["one"]
        assert room._runtime.members.joined_with == {}
        room.take_notes()
        await ana.join("one", team="red")
        assert room.take_notes() == entered({"team": "red"})


async def test_options_of_server_code_that_json_cannot_hold_are_always_others(autojump_clock: MockClock) -> None:
    server = make(("*", Rejoinable))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        options = {"team": object()}
        for _ in range(2):
            await server.clients[ana.id].join("one", options)
            room: Any = server.rooms["one"]
            assert room.take_notes() == entered(options)


@pytest.mark.parametrize("hook", ["join", "snapshot"])
async def test_a_join_whose_hook_removes_the_member_is_refused(autojump_clock: MockClock, hook: str) -> None:
    class Strict(Room):
        rejoin = True

        async def on_join(self, client: Client) -> None:
            if hook == "join":
                await self.kick(client)

        async def on_snapshot(self, client: Client) -> None:
            if hook == "snapshot":
                await self.kick(client)

    server = make(("*", Strict))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await code_of(ana, "join-room", {"roomname": "one"}) == "forbidden"
        assert set(server.clients[ana.id].rooms) == {GLOBAL_ROOM}


async def test_a_join_that_is_given_up_while_its_snapshot_is_sent_is_undone(autojump_clock: MockClock) -> None:
    class Slow(Teams):
        async def on_snapshot(self, client: Client) -> None:
            await trio.sleep(5)

    server = make(("*", Slow))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        room: Any = server.rooms["one"]
        room.take_notes()
        assert await code_of(ana, "join-room", {"roomname": "one"}, timeout=1) == "timeout"
        assert [hook for hook, _ in room.take_notes()] == ["auth", "join", "leave"]
        assert list(room.members) == [ben.id]
