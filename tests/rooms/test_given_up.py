"""Callers that give up: `timeout` and `cancel` for built-in actions, and the server's own joins that are cancelled."""

from typing import Any, ClassVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room, Server, action
from simplysocket.testing import TestClient, open_server

from ..harness.messages import actions_of, answers_of
from ..harness.servers import make
from ..harness.work import is_at_rest


class Busy(Room):
    """A room whose hooks and handlers take the time that the test says, and which notes its joins and leaves."""

    announce = True
    noted: ClassVar[list[str]]
    seconds: ClassVar[dict[str, float]]

    async def on_create(self) -> None:
        await trio.sleep(self.seconds.get("on_create", 0))

    async def on_join(self, client: Client) -> None:
        self.noted.append(f"+{client.name}")
        await trio.sleep(self.seconds.get("on_join", 0))

    async def on_leave(self, client: Client, reason: str) -> None:
        self.noted.append(f"-{client.name} {reason}")

    @action("nap")
    async def nap(self, body: float) -> None:
        await trio.sleep(body)

    @action("hello")
    async def hello(self) -> str:
        return "hello"


class Asking(Busy):
    """The same with an `on_auth`."""

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(self.seconds.get("on_auth", 0))


def make_busy(base: type[Busy] = Busy, **seconds: float) -> tuple[Server, list[str]]:
    class Here(base):  # type: ignore[misc, valid-type]
        noted: ClassVar[list[str]] = []

    Here.seconds = seconds
    return make(("*", Here)), Here.noted


async def give_up(client: TestClient, how: str, id: int = 7) -> None:
    if how == "cancel":
        await client.send("cancel", id=id)


def keys_of(how: str, seconds: float) -> dict[str, Any]:
    return {"id": 7} if how == "cancel" else {"id": 7, "timeout": seconds}


CODES = {"cancel": "cancelled", "timeout": "timeout"}
IN_BOTH_WAYS = pytest.mark.parametrize("how", CODES)


@IN_BOTH_WAYS
@pytest.mark.parametrize("base", [Busy, Asking])
async def test_a_join_that_waits_for_its_turn(autojump_clock: MockClock, base: type[Busy], how: str) -> None:
    server, noted = make_busy(base)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        await ben.send("nap", 10, target="one")
        await ana.send("join-room", {"roomname": "one"}, **keys_of(how, 3))
        await ana.send("hello", target="one", id=8)  # waits behind the join
        await trio.sleep(1)
        await give_up(ana, how)
        await trio.sleep(20)
        messages = await ana.settle()
        assert answers_of(messages, 7) == [CODES[how]]
        assert answers_of(messages, 8) == ["not-a-member"]
        assert noted == ["+ben"]
        assert list(server.rooms["one"].members) == [ben.id]
        assert (await ana.join("one"))["total"] == 2
        assert is_at_rest(server)


@IN_BOTH_WAYS
async def test_what_waits_behind_a_join_is_cancelled_too(autojump_clock: MockClock, how: str) -> None:
    server, _ = make_busy()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        await ben.send("nap", 10, target="one")
        await ana.send("join-room", {"roomname": "one"}, id=6)
        for name in ("hello", "who", "leave-room"):
            await ana.send(name, {"roomname": "one"}, target="one", **keys_of(how, 3))
            await give_up(ana, how)
            await ana.settle()
        await trio.sleep(20)
        messages = await ana.settle()
        assert [each["message_body"]["total"] for each in messages if each.get("id") == 6] == [2]
        assert ana.id in server.rooms["one"].members


@IN_BOTH_WAYS
@pytest.mark.parametrize("name", ["who", "leave-room", "hello", "join-room"])
@pytest.mark.parametrize("is_member", [True, False])
async def test_each_builtin_action_that_waits_for_its_turn(
    autojump_clock: MockClock, how: str, name: str, is_member: bool
) -> None:
    server, _ = make_busy()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        if is_member:
            await ana.join("one")
        await ben.send("nap", 10, target="one")
        await ana.send(name, {"roomname": "one"}, target="one", **keys_of(how, 3))
        await trio.sleep(1)
        await give_up(ana, how)
        if how == "cancel":
            assert answers_of(await ana.settle(), 7) == ["cancelled"]
        else:
            await trio.sleep(20)
            expected = "timeout" if is_member or name != "hello" else "not-a-member"
            assert answers_of(await ana.settle(), 7) == [expected]
        assert (ana.id in server.rooms["one"].members) == is_member


@IN_BOTH_WAYS
@pytest.mark.parametrize("name", ["who", "leave-room"])
async def test_a_builtin_action_that_the_application_has_replaced(
    autojump_clock: MockClock, how: str, name: str
) -> None:
    server, _ = make_busy()

    @server.action(name)
    async def replaced() -> str:
        return "replaced"

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await trio.sleep(100)
        assert await ana.request(name, target="one", timeout=5) == "replaced"
        await ana.send("nap", 10, target="one")
        await ana.send(name, target="one", **keys_of(how, 3))
        await trio.sleep(1)
        await give_up(ana, how)
        await trio.sleep(20)
        assert answers_of(await ana.settle(), 7) == [CODES[how]]


@IN_BOTH_WAYS
@pytest.mark.parametrize("base", [Busy, Asking])
async def test_a_join_that_makes_its_room_leaves_none(autojump_clock: MockClock, base: type[Busy], how: str) -> None:
    server, noted = make_busy(base, on_create=10)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("join-room", {"roomname": "one"}, **keys_of(how, 3))
        await trio.sleep(1)
        await give_up(ana, how)
        await trio.sleep(20)
        assert answers_of(await ana.settle(), 7) == [CODES[how]]
        assert noted == []
        assert "one" not in server.rooms


async def test_others_that_wait_for_the_same_new_room_join_it(autojump_clock: MockClock) -> None:
    server, noted = make_busy(on_create=10)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.send("join-room", {"roomname": "one"}, id=7)
        await ana.settle()
        await ben.send("join-room", {"roomname": "one"}, id=8)
        await ben.settle()
        await ana.send("cancel", id=7)
        await trio.sleep(30)
        assert noted == ["+ben"]
        assert list(server.rooms["one"].members) == [ben.id]


@IN_BOTH_WAYS
async def test_a_join_that_on_auth_has_let_pass(autojump_clock: MockClock, how: str) -> None:
    server, noted = make_busy(Asking, on_auth=1)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        await ana.send("join-room", {"roomname": "one"}, **keys_of(how, 5))
        await trio.sleep(0.5)
        await ben.send("nap", 10, target="one")
        await trio.sleep(2)
        await give_up(ana, how)
        await trio.sleep(20)
        assert answers_of(await ana.settle(), 7) == [CODES[how]]
        assert noted == ["+ben"]
        await ben.request("leave-room", {"roomname": "one"})
        await trio.testing.wait_all_tasks_blocked()
        assert "one" not in server.rooms
        assert server.statistics()["askings"] == 0


@pytest.mark.parametrize("base", [Busy, Asking])
async def test_a_join_with_time_enough(autojump_clock: MockClock, base: type[Busy]) -> None:
    server, _ = make_busy(base, on_auth=1, on_join=1)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await trio.sleep(1_000)  # the time of a message is not one since the server began
        assert (await ana.request("join-room", {"roomname": "one"}, timeout=5))["total"] == 1


@IN_BOTH_WAYS
async def test_a_join_that_is_in_on_join_is_undone_when_that_ends(autojump_clock: MockClock, how: str) -> None:
    server, noted = make_busy(on_join=5)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        await ana.send("join-room", {"roomname": "one"}, **keys_of(how, 3))
        await ana.send("hello", target="one", id=8)
        await trio.sleep(1)
        await give_up(ana, how)
        await trio.sleep(3)
        assert noted == ["+ben", "+ana"]
        await trio.sleep(3)
        assert noted == ["+ben", "+ana", f"-ana {CODES[how]}"]
        messages = await ana.settle()
        assert answers_of(messages, 7) == [CODES[how]]
        assert answers_of(messages, 8) == ["not-a-member"]
        assert list(server.rooms["one"].members) == [ben.id]
        assert actions_of(await ben.settle()) == []  # nobody was told that it joined
        assert is_at_rest(server)


@IN_BOTH_WAYS
async def test_a_room_of_a_join_that_is_undone_closes(autojump_clock: MockClock, how: str) -> None:
    server, noted = make_busy(on_join=5)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("join-room", {"roomname": "one"}, **keys_of(how, 3))
        await trio.sleep(1)
        await give_up(ana, how)
        await trio.sleep(20)
        assert "one" not in server.rooms
        assert noted == ["+ana", f"-ana {CODES[how]}"]


async def test_a_client_that_disconnects_in_on_join_has_joined_and_leaves(autojump_clock: MockClock) -> None:
    server, noted = make_busy(on_join=5)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("join-room", {"roomname": "one"}, id=7)
        await trio.sleep(1)
        await ana.stream.aclose()
        await trio.sleep(20)
        assert noted == ["+ana", "-ana disconnected"]


# --- by the server's own code


@pytest.mark.parametrize("base", [Busy, Asking])
@pytest.mark.parametrize("where", ["turn", "on_create", "on_auth", "on_join"])
@pytest.mark.parametrize("from_room", [False, True])
async def test_a_join_of_the_servers_own_code_that_is_cancelled(
    autojump_clock: MockClock, base: type[Busy], where: str, from_room: bool
) -> None:
    server, noted = make_busy(base, **({} if where == "turn" else {where: 5}))

    async def join(client: Client) -> None:
        with trio.move_on_after(1) as scope:
            await client.join("one")
        assert scope.cancelled_caught == (where != "on_auth" or base is Asking)

    @server.action("join me")
    async def join_me(client: Client) -> None:
        await join(client)

    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        if where == "turn":
            await ben.join("one")
            await ben.send("nap", 10, target="one")
            await ben.settle()
        if from_room:
            await ana.request("join me")
        else:
            await join(server.clients[ana.id])
        await trio.sleep(30)
        assert "-ana cancelled" in noted or "+ana" not in noted or (where == "on_auth" and base is Busy)
        if where == "on_auth" and base is Busy:
            return
        assert "one" not in server.clients[ana.id].rooms
        assert ("one" in server.rooms) == (where == "turn")
        assert is_at_rest(server)


async def test_a_join_from_the_rooms_own_turn_that_is_cancelled_is_undone(autojump_clock: MockClock) -> None:
    server, _ = make_busy(on_join=5)

    @server.action("bring")
    async def bring(body: str, room: Room) -> None:
        with trio.move_on_after(1):
            await server.clients[body].join(room.name)

    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        await ben.request("bring", ana.id, target="one")
        assert list(server.rooms["one"].members) == [ben.id]


@pytest.mark.parametrize("how", ["leave", "kick"])
async def test_a_leave_that_is_cancelled_while_it_waits_does_not_happen(autojump_clock: MockClock, how: str) -> None:
    server, _ = make_busy()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ben.send("nap", 10, target="one")
        await ben.settle()
        client = server.clients[ana.id]
        with trio.move_on_after(1):
            await (client.leave("one") if how == "leave" else server.rooms["one"].kick(client))
        await trio.sleep(20)
        assert ana.id in server.rooms["one"].members


async def test_a_room_that_is_opened_in_vain_is_opened_all_the_same(autojump_clock: MockClock) -> None:
    server, _ = make_busy(on_create=5)
    async with open_server(server):
        with trio.move_on_after(1):
            await server.open_room("one")
        await trio.sleep(10)
        assert server.rooms["one"].is_open
        with pytest.raises(ActionError, match="bad-body"):
            await server.open_room("")
