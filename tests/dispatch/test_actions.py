"""Actions: bodies, handlers beside the turns, cancelling, middleware and what becomes of exceptions."""

import contextlib
import contextvars
import datetime
import enum
import gc
import logging
import random
import sys
import types
import typing
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NotRequired, Required, TypedDict, TypeVar

import attrs
import msgspec
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import (
    ActionError,
    Actions,
    Call,
    Client,
    Limits,
    Message,
    Next,
    RegistrationError,
    Room,
    RoomClosed,
    Server,
    action,
    middleware,
)
from simplysocket import actions as actions_module
from simplysocket.frames import client_frame
from simplysocket.testing import TestClient, open_server


def make(*rooms: tuple[str, type[Room[Any]]], **options: Any) -> Server:
    """Return a server with these room classes and the room "one", with wide limits unless they are what is tested."""
    options.setdefault("limits", Limits(joins_per_second=None, messages_per_second=None, inbox_per_client=None))
    server = Server("test", **options)
    for pattern, room_class in rooms:
        server.room(pattern)(room_class)
    return server


def answers_of(messages: list[dict[str, Any]], id: str | int) -> list[Any]:
    """Return what a request was answered: the body of a reply, the code of an error."""
    return [
        each["message_body"] if each["action"] == "reply" else each["message_body"]["code"]
        for each in messages
        if each.get("id") == id
    ]


def bodies_of(messages: list[dict[str, Any]], name: str) -> list[Any]:
    return [each["message_body"] for each in messages if each["action"] == name]


def is_at_rest(server: Server) -> bool:
    """Tell whether nothing is under way for any client."""
    return all(not client.errands and client.apart == 0 for client in server.clients.values())


def living_tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def code_of(client: TestClient, name: str, body: object = None, **keys: Any) -> str:
    """Return the code that a request is refused with."""
    with pytest.raises(ActionError) as caught:
        await client.request(name, body, **keys)
    return caught.value.code


async def send_together(client: TestClient, *messages: dict[str, Any]) -> None:
    """Send several messages so that they are read at once."""
    await client.send_bytes(b"".join(client_frame(msgspec.json.encode(each), key=b"1234") for each in messages))


# --- bodies


@attrs.frozen
class Word:
    word: str
    times: int = 1


@dataclass
class Point:
    x: int
    y: float


@dataclass
class Positive:
    n: int

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError("below 0")


class Profile(TypedDict, total=False):
    name: Required[str]
    age: NotRequired[int]
    mail: str


class Item(msgspec.Struct):
    n: int


class Cart(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    items: list[Item]
    paid_at: datetime.datetime | None = None


class Move(msgspec.Struct, tag="move", tag_field="kind"):
    x: int


class Shoot(msgspec.Struct, tag="shoot", tag_field="kind"):
    at: Point


@attrs.define
class Tree:
    name: str
    leaves: "list[Tree]" = attrs.field(factory=list)


@attrs.frozen
class Early:
    late: "Late"  # defined below


@attrs.frozen
class Late:
    n: int


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T]):
    rows: list[T]


Key = typing.NewType("Key", str)


class Pair(typing.NamedTuple):
    a: int
    b: str


Dice = Annotated[int, msgspec.Meta(ge=1, le=6)]
WHEN = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
SOME_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")

# Classes that cannot be asked whether another is below them.
GOOD_BODIES: list[Any] = [
    (Word, {"word": "a"}, Word("a")),
    (Word, {"word": "a", "times": 3, "unknown": 1}, Word("a", 3)),
    (Point, {"x": 1, "y": 2}, Point(1, 2.0)),
    pytest.param(Profile, {"name": "a"}, {"name": "a"}, id="TypedDict"),
    (list[Profile], [{"name": "a", "mail": ""}], [{"name": "a", "mail": ""}]),
    (Cart, {"items": [{"n": 1}], "paidAt": "2024-05-06T07:08:09Z"}, Cart([Item(1)], WHEN)),
    (Move | Shoot, {"kind": "shoot", "at": {"x": 1, "y": 2}}, Shoot(Point(1, 2))),
    (Move | None, None, None),
    (Dice, 6, 6),
    (list[Item], [{"n": 1}], [Item(1)]),
    (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
    (int, 1, 1),
    (str, "", ""),
    (bool, False, False),
    (float, 1, 1.0),
    (int | None, None, None),
    (Literal["on", "off"], "on", "on"),
    (Colour, "red", Colour.RED),
    (datetime.datetime, "2024-05-06T07:08:09Z", WHEN),
    (uuid.UUID, str(SOME_ID), SOME_ID),
    (Tree, {"name": "a", "leaves": [{"name": "b"}]}, Tree("a", [Tree("b")])),
    (Early, {"late": {"n": 1}}, Early(Late(1))),
    (Page[Item], {"rows": [{"n": 1}]}, Page([Item(1)])),
    (Key, "k", "k"),
    (Pair, [1, "b"], Pair(1, "b")),
    (tuple[int, str], [1, "b"], (1, "b")),
    (set[int], [1, 1], {1}),
    (object, [None], [None]),
    (Any, {"a": [1.5]}, {"a": [1.5]}),
    (dict, {"a": 1}, {"a": 1}),
    (Annotated[Word, "a note"], {"word": "a"}, Word("a")),
]


@pytest.mark.parametrize(("hint", "sent", "given"), GOOD_BODIES, ids=str)
async def test_a_body_comes_as_its_annotation_says(
    autojump_clock: MockClock, hint: Any, sent: object, given: object
) -> None:
    seen: list[object] = []

    async def take(body: Any) -> None:
        seen.append(body)

    take.__annotations__["body"] = hint
    server = make()
    server.action("take")(take)
    async with open_server(server) as net:
        ana = await net.connect()
        await send_together(ana, {"action": "take", "id": 1, "message_body": sent})
        assert (await ana.receive())["action"] == "reply"
    assert seen == [given]
    assert type(seen[0]) is type(given)


BAD_BODIES: list[Any] = [
    (Word, {"word": 1}, "$.word"),
    (Word, {}, "$.word"),
    (Word, [], "$"),
    (Word, None, "$"),
    (Point, {"x": 1}, "$.y"),
    (Point, {"x": 1, "y": "2"}, "$.y"),
    (Positive, {"n": -1}, "$"),
    (list[Positive], [{"n": 1}, {"n": -1}], "$[1]"),
    pytest.param(Profile, {}, "$.name", id="TypedDict missing"),
    (list[Profile], [{}], "$[0].name"),
    (list[Profile], [{"name": "a", "age": "old"}], "$[0].age"),
    (Cart, {"items": [{"n": "x"}]}, "$.items[0].n"),
    (Cart, {"items": [{"n": 1}, {}]}, "$.items[1].n"),
    (Cart, {"items": [], "paidAt": "yesterday"}, "$.paidAt"),
    (Cart, {"items": [], "paid_at": None}, "$"),
    (Move | Shoot, {"x": 1}, "$.kind"),
    (Move | Shoot, {"kind": "dance"}, "$.kind"),
    (Move | Shoot, {"kind": "shoot", "at": {"x": 1}}, "$.at.y"),
    (Dice, 7, "$"),
    (Dice, 1.5, "$"),
    (list[int], [1, "2"], "$[1]"),
    (int, "1", "$"),
    (int, True, "$"),
    (Literal["on", "off"], "up", "$"),
    (Colour, "green", "$"),
    (uuid.UUID, "no", "$"),
    (Tree, {"name": "a", "leaves": [{"name": "b", "leaves": [{}]}]}, "$.leaves[0].leaves[0].name"),
    (Early, {"late": {"n": None}}, "$.late.n"),
]


@pytest.mark.parametrize(("hint", "sent", "path"), BAD_BODIES, ids=str)
@pytest.mark.parametrize("options", [{}, {"turn": False}, {"cancel": True}], ids=str)
async def test_a_bad_body_is_answered_with_the_place_that_is_wrong(
    autojump_clock: MockClock, hint: Any, sent: object, path: str, options: dict[str, bool]
) -> None:
    async def take(body: Any) -> None:
        raise AssertionError("the handler is not called")

    take.__annotations__["body"] = hint
    server = make()
    server.action("take", **options)(take)
    async with open_server(server) as net:
        ana = await net.connect()
        await send_together(ana, {"action": "take", "id": 1, "message_body": sent})
        answer = await ana.receive()
        assert (answer["action"], answer["message_body"]["code"]) == ("error", "bad-body")
        assert answer["message_body"]["path"] == path
        assert answer["message_body"]["action"] == "take"
        assert server.statistics()["handlers_failed"] == 0
        assert is_at_rest(server)


@attrs.define
class Player:
    lives: int = 3


class Arena(Room[Player]):
    @action("hit")
    async def hit(self, body: Dice, call: Call, client: Client[Player], *, message: Message, server: Server) -> Any:
        client.state.lives -= body
        return [client.state.lives, call.action, call.message.body, message.id, server.name, call.room is self]


async def test_a_handler_asks_for_what_it_needs_in_any_order(autojump_clock: MockClock) -> None:
    server = make(("arena", Arena), state=Player)

    @server.action("where")
    async def where(
        message: Message, *, body: list[int], client: Client[Player], room: Room[Player], of: Server, call: Call
    ) -> Any:
        return [
            message.body == body,
            client.state.lives,
            room.name,
            of is server,
            call.client is client,
            call.is_request,
        ]

    @server.action("nothing")
    async def nothing() -> None: ...

    @server.action("only-arena")
    async def only_arena(room: Arena, /, body: int = 0) -> str:
        return type(room).__name__

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("arena")
        assert await ana.request("hit", 2, target="arena") == [1, "hit", 2, 2, "test", True]
        assert await ana.request("where", [1], target="arena") == [True, 1, "arena", True, True, True]
        assert await ana.request("nothing") is None
        assert await ana.request("only-arena", 1, target="arena") == "Arena"
        assert await code_of(ana, "only-arena", 1) == "unknown-action"


LATER_SOURCE = """
from __future__ import annotations

import attrs
from simplysocket import Call, Client, Room, action


class Pitch(Room[Player]):
    @action("kick")
    async def shoot(self, client: Client[Player], body: Kick, *, call: Call) -> str:
        return f"{call.action} {body.how.name} {client.state.lives}"


@attrs.define
class Player:
    lives: int = 3


@attrs.frozen
class Kick:
    how: How


@attrs.frozen
class How:
    name: str


async def plain(body: list[Kick], room: Room[Player]) -> int:
    return len(body)
"""


async def test_annotations_may_be_postponed(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pitch")
    monkeypatch.setitem(sys.modules, "pitch", module)
    # Room[Player] is evaluated when the class is made, so that Player must be there.
    before, _, after = LATER_SOURCE.partition("class Pitch")
    player = "@attrs.define\nclass Player:\n    lives: int = 3\n"
    exec(compile(before + player + "class Pitch" + after.replace(player, ""), "pitch.py", "exec"), module.__dict__)
    server = make(("pitch", module.Pitch), state=module.Player)
    server.action("plain")(module.plain)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("pitch")
        assert await ana.request("kick", {"how": {"name": "far"}}, target="pitch") == "kick far 3"
        assert await ana.request("plain", [{"how": {"name": "far"}}]) == 1
        with pytest.raises(ActionError) as caught:
            await ana.request("plain", [{"how": {}}])
        assert caught.value.path == "$[0].how.name"


class Shape(typing.Protocol):
    size: int


class Unreadable:
    """A class that JSON knows nothing of."""


@pytest.mark.parametrize(
    "hint",
    [
        Unreadable,
        list[Unreadable],
        Word | Point,
        Callable[[], None],
        pytest.param(Shape),
        Client[Player] | None,
        list[Room],
        "Missing",
    ],
    ids=str,
)
def test_a_body_that_cannot_be_read_is_refused_at_registration(hint: Any) -> None:
    async def take(body: Any) -> None: ...

    take.__annotations__["body"] = hint
    with pytest.raises(RegistrationError, match=r"test_actions\.py:\d+"):
        make().action("take")(take)


async def test_a_bug_in_a_bodys_own_class_is_a_bug_and_no_bad_body(autojump_clock: MockClock) -> None:
    @attrs.define
    class Broken:
        n: int

        def __attrs_post_init__(self) -> None:
            raise KeyError("a bug")

    async def take(body: Any) -> None: ...

    take.__annotations__["body"] = Broken
    server = make()
    server.action("take")(take)
    server.action("apart", turn=False)(take)
    async with open_server(server) as net:
        ana = await net.connect()
        assert await code_of(ana, "take", {"n": 1}) == "internal"
        assert await code_of(ana, "apart", {"n": 1}) == "internal"
        assert is_at_rest(server)


async def test_a_body_nested_beyond_reason_is_refused_and_nothing_else_happens(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("plant", turn=False)
    async def plant(body: Tree) -> None: ...

    async with open_server(server) as net:
        ana = await net.connect()
        deep = b'{"name":"a","leaves":[' * 2000 + b"]}" * 2000
        await ana.send_bytes(client_frame(b'{"action":"plant","id":1,"message_body":' + deep + b"}", key=b"1234"))
        assert (await ana.receive())["message_body"]["code"] in ("bad-body", "bad-message")
        assert await ana.request("plant", {"name": "a"}) is None


# --- beside the turns: one answer, whatever happens

WHERE = pytest.mark.parametrize("room", ["one", "mesh-global"])
OPTIONS = pytest.mark.parametrize("options", [{"turn": False}, {"cancel": True}], ids=str)


def make_worker(**options: bool) -> Server:
    """Return a server whose action `work` ends in the way that its body names."""
    server = make()

    @server.action("work", **options)
    async def work(body: str, client: Client, room: Room) -> str:
        await room.broadcast("begun", body)
        if body == "bug":
            await trio.sleep(1)
            raise KeyError("a bug")
        if body == "bug at once":
            raise KeyError("a bug")
        if body == "refuse":
            raise ActionError("my-code", "no")
        if body == "group":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await trio.sleep(1)
                raise KeyError("a bug")
        if body == "no JSON":
            return object()  # type: ignore[return-value]
        if body == "at once":
            return "done"
        if body == "swallow":
            with contextlib.suppress(trio.Cancelled):
                await trio.sleep(100)
            return "swallowed"
        if body == "finally":
            try:
                await trio.sleep(100)
            finally:
                raise KeyError("a bug in a finally")
        if body == "nested":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                try:
                    await trio.sleep_forever()
                finally:
                    raise KeyError("a bug beside a Cancelled")
        if body == "shield":
            with trio.CancelScope(shield=True):
                await trio.sleep(20)
            await trio.sleep(80)
        else:
            await trio.sleep(100)
        return "done"

    @server.action("hello")
    async def hello() -> str:
        return "hello"

    return server


@WHERE
@OPTIONS
@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ("at once", "done"),
        ("wait", "done"),
        ("bug", "internal"),
        ("bug at once", "internal"),
        ("refuse", "my-code"),
        ("group", "internal"),
        ("no JSON", "internal"),
    ],
)
async def test_a_request_is_answered_once_when_its_handler_ends(
    autojump_clock: MockClock, room: str, options: dict[str, bool], how: str, answer: str
) -> None:
    server = make_worker(**options)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await trio.testing.wait_all_tasks_blocked()
        for times in range(3):
            await ana.send("work", how, target=room, id=times)
            await ana.send("work", how, target=room)
            await trio.sleep(250)
            heard = await ana.settle()
            assert answers_of(heard, times) == [answer]
            assert is_at_rest(server)
        assert await ana.request("hello", target=room) == "hello"
        before = living_tasks()
        await ana.request("work", "at once", target=room)
        await ana.settle()
        assert living_tasks() == before


@WHERE
@OPTIONS
@pytest.mark.parametrize("how", ["wait", "swallow", "finally", "nested", "shield"])
@pytest.mark.parametrize("end", ["cancel", "cancel twice", "timeout", "gone", "crash", "close", "stop"])
async def test_a_request_is_answered_once_when_its_handler_is_ended(
    autojump_clock: MockClock, room: str, options: dict[str, bool], how: str, end: str
) -> None:
    server = make_worker(**options)
    if room != "one" and (end == "close" or (end == "crash" and "cancel" in options)):
        pytest.skip("the global room does not close, and a client's turns there are no tasks of it")
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        for client in (ana, bob):
            await client.join("one")
            await client.request("hello", target=room)
        await ana.settle()
        tasks = living_tasks()
        keys = {"timeout": 10} if end == "timeout" else {}
        await ana.send("work", how, target=room, id=7, **keys)
        heard = await ana.settle()
        assert bodies_of(heard, "begun") == [how]
        if end.startswith("cancel"):
            for _ in end.split():
                await ana.send("cancel", id=7)
        elif end == "gone":
            await ana.stream.aclose()
        elif end == "crash":

            async def crash() -> None:
                raise ValueError("a task crashes")

            server.rooms[room].start_soon(crash)
        elif end == "close":
            await server.rooms[room].close()
        elif end == "stop":
            net.nursery.start_soon(server.stop, 60)
        await trio.sleep(50)
        if end == "gone":
            assert list(server.clients) == [bob.id]
        else:
            heard = await ana.settle()
            by_caller = {"timeout": "timeout"}.get(end, "cancelled" if "cancel" in end else "room-closed")
            expected = {"swallow": "swallowed", "finally": "internal", "nested": "internal"}.get(how, by_caller)
            # The global room ends with the connections: behind a Close nothing is said.
            assert answers_of(heard, 7) == ([] if end == "stop" and room != "one" else [expected])
        assert is_at_rest(server)
        if end in ("cancel", "cancel twice", "timeout", "gone"):
            assert await bob.request("hello", target=room) == "hello"
            await bob.settle()
            assert living_tasks() <= tasks


@WHERE
@OPTIONS
async def test_cancelling_what_is_not_there_or_not_ones_own_does_nothing(
    autojump_clock: MockClock, room: str, options: dict[str, bool]
) -> None:
    server = make_worker(**options)
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await ana.join("one")
        await bob.join("one")
        await ana.send("work", "wait", target=room, id=7)
        await trio.testing.wait_all_tasks_blocked()
        await bob.send("cancel", id=7)
        await ana.send("cancel", id="7")
        await ana.send("cancel", id=8)
        await ana.send("cancel")
        await trio.sleep(50)
        assert answers_of(await ana.settle(), 7) == []
        assert answers_of(await bob.settle(), 7) == []
        await trio.sleep(100)
        assert answers_of(await ana.settle(), 7) == ["done"]
        await ana.send("cancel", id=7)  # too late
        assert await ana.request("hello", target=room) == "hello"
        assert answers_of(await ana.settle(), 7) == []


async def test_a_handler_in_the_turn_runs_to_its_end_whatever_its_caller_does(autojump_clock: MockClock) -> None:
    ended: list[int] = []

    class Steady(Room):
        @action("work")
        async def work(self, body: int) -> str:
            await trio.sleep(10)
            ended.append(body)
            return "done"

    server = make(("one", Steady))
    async with open_server(server) as net:
        ana, bob, eve = [await net.connect() for _ in range(3)]
        for client in (ana, bob, eve):
            await client.join("one")
        await ana.send("work", 1, target="one", id=7, timeout=1)
        await trio.testing.wait_all_tasks_blocked()
        await ana.send("cancel", id=7)
        await trio.sleep(5)
        await bob.send("work", 2, target="one", id=7)
        await trio.sleep(10)
        assert answers_of(await ana.settle(), 7) == ["done"]
        await bob.stream.aclose()
        await trio.sleep(30)
        assert ended == [1, 2]
        await eve.send("work", 3, target="one", id=1)
        await ana.send("work", 4, target="one", id=8)
        await trio.testing.wait_all_tasks_blocked()
        await ana.send("cancel", id=8)  # it waits still
        assert answers_of(await ana.settle(), 8) == ["cancelled"]
        await trio.sleep(50)
        assert ended == [1, 2, 3]


async def test_a_request_that_was_cancelled_while_it_waited_is_not_begun(autojump_clock: MockClock) -> None:
    server = make_worker(turn=False)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await send_together(
            ana,
            {"action": "work", "message_body": "wait", "target": "one", "id": 7},
            {"action": "cancel", "id": 7},
        )
        heard = await ana.settle()
        assert answers_of(heard, 7) == ["cancelled"]
        assert bodies_of(heard, "begun") == []


async def test_a_cancel_is_heard_however_soon_it_comes(autojump_clock: MockClock) -> None:
    server = make_worker(turn=False)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        for id in range(200):
            await ana.send("work", "wait", target="one", id=id)
            for _ in range(id % 8):
                await trio.lowlevel.checkpoint()
            await ana.send("cancel", id=id)
            assert answers_of(await ana.settle(), id) == ["cancelled"]


STEPS = 24


@WHERE
@OPTIONS
@pytest.mark.parametrize("end", ["cancel", "gone", "close", "timeout"])
async def test_a_handler_may_be_ended_at_any_of_its_awaits(
    autojump_clock: MockClock, room: str, options: dict[str, bool], end: str
) -> None:
    if end == "close" and room != "one":
        pytest.skip("the global room does not close")
    server = make()
    reached = 0

    @server.action("tour", **options)
    async def tour(client: Client, room: Room) -> str:
        nonlocal reached
        for step in range(STEPS):
            reached = step
            match step % 6:
                case 0:
                    await trio.lowlevel.checkpoint()
                case 1:
                    await room.broadcast("step", step)
                    await trio.sleep(1)
                case 2:
                    await client.join(f"side-{step}")
                case 3:
                    with contextlib.suppress(ActionError):
                        await client.request("ask", step, timeout=1)
                case 4:
                    await client.leave(f"side-{step - 2}")
                case 5:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(trio.sleep, 1)
                        await client.send("step", step)
        return "done"

    @server.action("hello")
    async def hello() -> str:
        return "hello"

    async with open_server(server) as net:
        bob = await net.connect()
        for steps in range(3 * STEPS):
            ana = await net.connect()
            await ana.join("one")
            await bob.join("one")
            keys = {"timeout": steps / 6} if end == "timeout" else {}
            await ana.send("tour", target=room, id="t", **keys)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(steps // 3):
                await trio.sleep(0.5)
            for _ in range(steps % 3):
                await trio.lowlevel.checkpoint()
            if end == "cancel":
                await ana.send("cancel", id="t")
            elif end == "gone":
                await ana.stream.aclose()
            elif end == "close":
                await server.rooms["one"].close()
            await trio.sleep(60)
            answers = answers_of(await ana.settle(), "t")
            if end != "gone":
                assert len(answers) == 1, (steps, reached, answers)
                assert answers[0] in ("done", {"cancel": "cancelled", "close": "room-closed"}.get(end, end))
            assert is_at_rest(server)
            await bob.join("one")
            assert await bob.request("hello", target=room) == "hello"
            await ana.stream.aclose()
            await trio.sleep(5)
            assert [name for name in server.rooms if name.startswith("side")] == []
            assert list(server.clients) == [bob.id]


async def scoped(scope: trio.CancelScope) -> AsyncIterator[int]:
    with scope:
        while True:
            yield 1


def leak_deadline() -> Any:
    return scoped(trio.CancelScope(deadline=trio.current_time() + 0.5))


def leak_cancelled() -> Any:
    scope = trio.CancelScope()
    scope.cancel()
    return scoped(scope)


async def leak_nursery() -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        while True:
            yield 1


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@WHERE
@pytest.mark.parametrize(
    ("options", "leak"),
    [
        ({"turn": False}, leak_deadline),
        ({"turn": False}, leak_cancelled),
        pytest.param({"turn": False}, leak_nursery),
        ({"cancel": True}, leak_deadline),
        ({"cancel": True}, leak_cancelled),
        ({"cancel": True}, leak_nursery),
    ],
)
async def test_a_handler_that_leaves_a_scope_open_costs_one_message(
    autojump_clock: MockClock, room: str, options: dict[str, bool], leak: Callable[[], Any]
) -> None:
    kept: list[Any] = []
    server = make()

    @server.action("leak", **options)
    async def leaking() -> str:
        generator = leak()
        kept.append(generator)  # else the interpreter closes it at once
        async for _ in generator:
            break
        return "left open"

    @server.action("wait")
    async def wait() -> str:
        await trio.sleep(5)
        return "slept"

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        for id in range(3):
            await ana.send("leak", target=room, id=f"leak-{id}")
            heard = await ana.settle()
            assert len(answers_of(heard, f"leak-{id}")) == 1
            assert await ana.request("wait", target=room) == "slept"
        assert is_at_rest(server)
        assert server.statistics()["rooms_crashed"] == 0
    kept.clear()
    gc.collect()


@pytest.mark.parametrize("room", ["one", "mesh-global"])
async def test_a_room_goes_on_beside_a_handler_outside_of_its_turn(autojump_clock: MockClock, room: str) -> None:
    server = make_worker(turn=False)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.send("work", "wait", target=room, id="w")
        started = trio.current_time()
        assert await ana.request("hello", target=room) == "hello"
        assert trio.current_time() - started < 10
        await trio.sleep(200)
        heard = await ana.settle()
        assert [each["action"] for each in heard if each.get("id") != "x"][-1] == "reply"
        assert answers_of(heard, "w") == ["done"]


async def start_many(client: TestClient, count: int) -> None:
    await send_together(
        client,
        *({"action": "apart", "target": "one", "message_body": each} for each in range(count)),
        {"action": "within", "target": "one", "message_body": count},
    )


async def test_a_handler_outside_of_the_turn_begins_in_its_place_in_the_order(autojump_clock: MockClock) -> None:
    order: list[int] = []

    class Orderly(Room):
        @action("apart", turn=False)
        async def apart(self, body: int) -> None:
            order.append(body)
            await trio.sleep(1)

        @action("within")
        async def within(self, body: int) -> None:
            order.append(body)

    server = make(("one", Orderly))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await start_many(ana, 14)
        await trio.testing.wait_all_tasks_blocked()
        assert order == list(range(15))


SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


async def test_a_contextvar_set_beside_the_turn_is_seen_by_nobody_else(autojump_clock: MockClock) -> None:
    class Setting(Room):
        @action("set", turn=False)
        async def set(self, body: str) -> str:
            before = SEEN.get()
            SEEN.set(body)
            await trio.sleep(1)
            return f"{before}, {SEEN.get()}"

        @action("get", cancel=True)
        async def get(self) -> str:
            before = SEEN.get()
            SEEN.set("leaked")
            return before

    server = make(("one", Setting))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.send("set", "a", target="one", id="a")
        await ana.send("set", "b", target="one", id="b")
        assert await ana.request("get", target="one") == "nothing"
        assert await ana.request("get", target="one") == "nothing"
        await trio.sleep(2)
        heard = await ana.settle()
        assert answers_of(heard, "a") == ["nothing, a"]
        assert answers_of(heard, "b") == ["nothing, b"]


@WHERE
@pytest.mark.parametrize("how", ["wait", "bug", "cancel", "timeout", "swallow", "leave"])
async def test_no_client_has_more_than_its_share_beside_the_turns(
    autojump_clock: MockClock, room: str, how: str
) -> None:
    server = make_worker(turn=False)
    object.__setattr__(server.limits, "tasks_per_client", 3)
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await ana.join("one")
        await bob.join("one")
        body = how if how in ("bug", "swallow") else "wait"
        for times in range(3):
            keys = {"timeout": 10} if how == "timeout" else {}
            for id in range(5):
                await ana.send("work", body, target=room, id=f"{times}-{id}", **keys)
            heard = await ana.settle()
            refused = [id for id in range(5) if answers_of(heard, f"{times}-{id}") == ["too-many"]]
            assert refused == [3, 4]
            await bob.send("work", "at once", target=room, id="bob")
            assert answers_of(await bob.settle(), "bob") == ["done"]
            if how in ("cancel", "swallow"):
                for id in range(3):
                    await ana.send("cancel", id=f"{times}-{id}")
            elif how == "leave":
                await ana.request("leave-room", {"roomname": "one"})
                await ana.join("one")
            await trio.sleep(150)
            answers = {
                "wait": "done",
                "leave": "done",
                "bug": "internal",
                "cancel": "cancelled",
                "timeout": "timeout",
                "swallow": "swallowed",
            }
            heard = await ana.settle()
            assert [answers_of(heard, f"{times}-{id}") for id in range(3)] == [[answers[how]]] * 3
            assert is_at_rest(server)


async def test_the_share_beside_the_turns_is_free_again_when_its_room_has_gone(autojump_clock: MockClock) -> None:
    server = make_worker(turn=False)
    object.__setattr__(server.limits, "tasks_per_client", 2)

    async def crash() -> None:
        raise ValueError("a task crashes")

    async with open_server(server) as net:
        ana = await net.connect()
        for how in ("close", "crash", "close"):
            await ana.join("one")
            for id in range(2):
                await ana.send("work", "wait", target="one", id=id)
            assert await code_of(ana, "work", "wait", target="one") == "too-many"
            if how == "close":
                await server.rooms["one"].close()
            else:
                server.rooms["one"].start_soon(crash)
            heard = await ana.settle()
            assert [answers_of(heard, id) for id in range(2)] == [["room-closed"]] * 2
            assert is_at_rest(server)


async def test_the_share_beside_the_turns_is_free_with_the_answer(autojump_clock: MockClock) -> None:
    class Watched(Room):
        @action("bug", turn=False)
        async def bug(self) -> None:
            await trio.sleep(1)
            raise KeyError("a bug")

        @action("long")
        async def long(self) -> None:
            await trio.sleep(50)

        async def on_error(self, error: Exception) -> None: ...

    server = make(("one", Watched))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.send("bug", target="one", id=1)
        await ana.send("long", target="one")
        await trio.sleep(5)
        assert answers_of(await ana.settle(), 1) == ["internal"]
        assert is_at_rest(server)


async def test_what_runs_beside_the_turn_may_speak_take_the_turn_and_close_the_room(autojump_clock: MockClock) -> None:
    class Busy(Room):
        @action("work", turn=False)
        async def work(self, client: Client) -> str:
            await self.broadcast("one")
            await trio.sleep(1)
            await self.send(client, "two")
            await client.join("two")
            await self.kick(client)
            await client.join("one")
            await self.close("enough")
            return "closed"

    server = make(("*", Busy))
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await bob.join("one")
        await ana.join("one")
        assert await ana.request("work", target="one") == "closed"
        heard = await ana.settle()
        assert [each["action"] for each in heard] == ["one", "two", "client-left-room", "room-closed"]
        assert [each["action"] for each in await bob.settle()] == ["one", "room-closed"]


async def test_what_waits_for_the_room_itself_beside_the_turn_ends_with_its_caller(autojump_clock: MockClock) -> None:
    class Held(Room):
        @action("hold")
        async def hold(self) -> None:
            await trio.sleep(50)

        @action("kick", turn=False)
        async def out(self, client: Client) -> bool:
            return await self.kick(client)

    server = make(("one", Held))
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await ana.join("one")
        await bob.join("one")
        await bob.send("hold", target="one", id=1)
        await ana.send("kick", target="one", id=2)
        await trio.sleep(1)
        await ana.send("cancel", id=2)
        assert answers_of(await ana.settle(), 2) == ["cancelled"]
        assert is_at_rest(server)
        await trio.sleep(100)
        assert set(server.rooms["one"].members) == {ana.id, bob.id}


async def test_what_a_client_asked_before_it_vanished_is_not_begun_if_it_ends_with_it(
    autojump_clock: MockClock,
) -> None:
    begun: list[str] = []
    server = make()

    @server.action("hold")
    async def hold() -> None:
        await trio.sleep(10)

    @server.action("steady")
    async def steady() -> None:
        begun.append("steady")

    @server.action("apart", turn=False)
    async def apart() -> None:
        begun.append("apart")

    @server.action("ends", cancel=True)
    async def ends() -> None:
        begun.append("ends")

    async with open_server(server) as net:
        for room in ("one", "mesh-global"):
            ana = await net.connect()
            await ana.join("one")
            for name in ("hold", "apart", "ends", "steady"):
                await ana.send(name, target=room)
            await ana.settle()
            await ana.stream.aclose()
            await trio.sleep(30)
        assert begun == ["steady", "steady"]
        assert server.statistics()["handlers_failed"] == 0


async def test_a_timeout_counts_without_an_id_and_from_when_the_message_came(autojump_clock: MockClock) -> None:
    seen: list[str] = []
    server = make()

    @server.action("work", cancel=True)
    async def work(body: str) -> None:
        seen.append(f"begun {body}")
        await trio.sleep(10)
        seen.append(f"ended {body}")

    async with open_server(server) as net:
        ana = await net.connect()
        for body, seconds in (("a", 5), ("b", 1), ("c", 9), ("d", 40)):
            await ana.send("work", body, timeout=seconds)
        await trio.sleep(50)
        assert seen == ["begun a", "begun c", "begun d", "ended d"]
        assert [each["code"] for each in bodies_of(await ana.settle(), "error")] == ["timeout"] * 3


async def test_a_timeout_of_nothing_still_answers_once(autojump_clock: MockClock) -> None:
    server = make_worker(turn=False)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.send("work", "wait", id=1, timeout=0)
        assert answers_of(await ana.settle(), 1) == ["timeout"]
        await ana.send("work", "wait", id=2, timeout=1e308)
        await ana.settle()
        await ana.send("cancel", id=2)
        assert answers_of(await ana.settle(), 2) == ["cancelled"]
        assert is_at_rest(server)


async def test_a_room_that_crashes_takes_no_tasks_with_a_word_of_its_own(autojump_clock: MockClock) -> None:
    async def crash() -> None:
        raise ValueError("a task crashes")

    server = make()
    async with open_server(server):
        for steps in range(100):
            room = await server.open_room("one")
            room.start_soon(crash)
            for _ in range(steps % 10):
                await trio.lowlevel.checkpoint()
            with contextlib.suppress(RoomClosed):
                room.start_soon(trio.lowlevel.checkpoint)
            await trio.testing.wait_all_tasks_blocked()
            assert not room.is_open


class Chance:
    """What may happen in a handler, by lot."""

    def __init__(self, seed: int) -> None:
        self.lot = random.Random(seed)

    async def handle(self, client: Client, room: Room) -> str:
        lot = self.lot
        for _ in range(lot.randrange(4)):
            side = f"room-{lot.randrange(3)}"
            match lot.randrange(9):
                case 0:
                    await trio.sleep(lot.random() * 3)
                case 1:
                    await room.broadcast("said")
                case 2:
                    raise KeyError("a bug")
                case 3:
                    raise ActionError("my-code")
                case 4:
                    with contextlib.suppress(ActionError):
                        await client.join(side)
                case 5:
                    with contextlib.suppress(ActionError):
                        await client.leave(side)
                case 6:
                    try:
                        await trio.sleep(2)
                    except trio.Cancelled:
                        if lot.random() < 0.5:
                            return "swallowed"
                        raise
                case 7:
                    try:
                        await trio.sleep(2)
                    finally:
                        if lot.random() < 0.3:
                            raise OSError("a bug in a finally")
                case 8:
                    if lot.random() < 0.1 and room.name != "mesh-global":
                        await room.close()
        return "done"


@pytest.mark.parametrize("seed", range(15))
async def test_whatever_happens_each_request_is_answered_once_and_nothing_remains(
    autojump_clock: MockClock, seed: int
) -> None:
    chance = Chance(seed)
    lot = chance.lot

    class Chancy(Room):
        async def on_error(self, error: Exception) -> None:
            await trio.sleep(lot.random())
            if lot.random() < 0.2:
                raise ValueError("a bug in on_error")

        @middleware
        async def slow(self, call: Call, next: Next) -> object:
            if lot.random() < 0.2:
                await trio.sleep(lot.random())
            return await next(call)

    bounds = Limits(joins_per_second=None, messages_per_second=None, tasks_per_client=4)
    server = make(("room-*", Chancy), ("mesh-global", Chancy), limits=bounds)
    for name, options in (("apart", {"turn": False}), ("ends", {"cancel": True}), ("turn", {})):
        server.action(name, **options)(chance.handle)

    async def crash() -> None:
        raise ValueError("a task crashes")

    def open_rooms() -> list[Room[Any]]:
        return [room for name, room in server.rooms.items() if name != "mesh-global" and room.is_open]

    async with open_server(server) as net:
        asked: dict[TestClient, list[int]] = {}
        for id in range(250):
            while len(asked) < 4:
                client = await net.connect()
                asked[client] = []
                for at in range(3):
                    await client.join(f"room-{at}")
            client = lot.choice(list(asked))
            match lot.randrange(20):
                case 12 | 13 | 14 | 15 if asked[client]:
                    await client.send("cancel", id=lot.choice(asked[client]))
                case 16 if lot.random() < 0.3:
                    await client.stream.aclose()
                    del asked[client]
                case 17:
                    await client.send("join-room", {"roomname": f"room-{lot.randrange(3)}"})
                case 18 if open_rooms() and lot.random() < 0.2:
                    net.nursery.start_soon(lot.choice(open_rooms()).close)
                case 19 if lot.random() < 0.1:
                    await trio.testing.wait_all_tasks_blocked()
                    with contextlib.suppress(RoomClosed):
                        lot.choice(list(server.rooms.values())).start_soon(crash)
                case _:
                    asked[client].append(id)
                    target = lot.choice(["room-0", "room-1", "room-2", "mesh-global"])
                    keys = {"timeout": lot.random() * 3} if lot.random() < 0.3 else {}
                    await client.send(lot.choice(["apart", "ends", "turn"]), target=target, id=id, **keys)
            for _ in range(lot.randrange(4)):
                await trio.lowlevel.checkpoint()
            if lot.random() < 0.2:
                await trio.sleep(lot.random())
        await trio.sleep(1000)
        for client, ids in asked.items():
            heard = await client.settle()
            assert sorted(each["id"] for each in heard if "id" in each) == ids
        assert is_at_rest(server)
        assert len(server.clients) == len(asked)


# --- what no action takes


class Heard(Room):
    async def on_message(self, client: Client, message: Message) -> Any:
        return ["class", message.action, message.body]

    @action("known")
    async def known(self) -> str:
        return "class action"


async def test_what_no_action_takes_goes_to_the_class_then_the_server_then_the_room(autojump_clock: MockClock) -> None:
    class Quiet(Room):
        relay = False

    class Loud(Room):
        relay = True

    server = make(("heard", Heard), ("quiet", Quiet), ("loud", Loud))

    @server.action("shared")
    async def shared() -> str:
        return "server action"

    @server.action("only-heard")
    async def only_heard(room: Heard) -> str:
        return "in heard"

    async with open_server(server) as net:
        ana = await net.connect()
        for room in ("heard", "quiet", "loud", "plain"):
            await ana.join(room)
        assert await ana.request("known", target="heard") == "class action"
        assert await ana.request("shared", target="heard") == "server action"
        assert await ana.request("only-heard", target="heard") == "in heard"
        assert await ana.request("new", [1], target="heard") == ["class", "new", [1]]
        assert await code_of(ana, "new", target="quiet") == "unknown-action"
        assert await code_of(ana, "only-heard", target="quiet") == "unknown-action"
        assert await code_of(ana, "new", target="plain") == "unknown-action"
        assert await ana.request("new", [1], target="loud") is None
        assert bodies_of(await ana.settle(), "new") == [[1]]
        assert await code_of(ana, "new", target="mesh-global") == "unknown-action"

    server = make(("heard", Heard), ("quiet", Quiet), ("loud", Loud), relay=True)

    @server.on_message
    async def other(call: Call, body: Any, room: Room) -> Any:
        return ["server", call.action, body, room.name]

    async with open_server(server) as net:
        ana = await net.connect()
        for room in ("heard", "quiet", "loud"):
            await ana.join(room)
        assert await ana.request("new", 1, target="heard") == ["class", "new", 1]
        assert await ana.request("new", 1, target="quiet") == ["server", "new", 1, "quiet"]
        assert await ana.request("new", 1, target="loud") == ["server", "new", 1, "loud"]
        assert await ana.request("new", 1) == ["server", "new", 1, "mesh-global"]
        assert await ana.settle() == []


async def test_a_fallback_for_one_room_class_leaves_the_others_to_the_relay(autojump_clock: MockClock) -> None:
    class Loud(Room):
        relay = True

    server = make(("heard", Heard), ("loud", Loud))

    @server.on_message
    async def other(room: Heard) -> str:
        return "never"

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("loud")
        assert await ana.request("new", 1, target="loud") is None
        assert bodies_of(await ana.settle(), "new") == [1]


async def test_on_message_may_refuse_fail_and_be_inherited(autojump_clock: MockClock) -> None:
    class Below(Heard):
        async def on_message(self, message: Message) -> Any:
            if message.action == "refuse":
                raise ActionError("my-code")
            if message.action == "bug":
                raise KeyError("a bug")
            return ["below", message.action]

    class Lowest(Below):
        pass

    server = make(("one", Lowest))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        assert await ana.request("x", target="one") == ["below", "x"]
        assert await code_of(ana, "refuse", target="one") == "my-code"
        assert await code_of(ana, "bug", target="one") == "internal"
        assert await ana.request("x", target="one") == ["below", "x"]
        await ana.send("x", target="one")  # nobody asked
        assert await ana.settle() == []


async def test_reserved_actions_and_strangers_never_reach_on_message(autojump_clock: MockClock) -> None:
    seen: list[str] = []
    server = make(relay=True)

    @server.on_message
    async def other(message: Message) -> None:
        seen.append(message.action)

    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await bob.join("one")
        for name in ("welcome", "room-closed", "part", "credit", "resume", "client-joined-room", "client-left-room"):
            assert await code_of(ana, name, {}) == "forbidden"
        for name in ("reply", "error", "cancel"):
            await ana.send(name, {}, id="none")
        for name in ("ping", "list-rooms"):
            await ana.request(name, {})
        await ana.settle()
        assert await code_of(ana, "x", target="one") == "not-a-member"
        assert await code_of(ana, "x", target="nowhere") == "unknown-target"
        assert seen == []


async def test_memory_does_not_grow_with_the_names_that_clients_invent(autojump_clock: MockClock) -> None:
    class Loud(Room):
        relay = True

    server = make(("heard", Heard), ("loud", Loud))

    @server.middleware
    async def through(call: Call, next: Next) -> object:
        return await next(call)

    async with open_server(server) as net:
        ana = await net.connect()
        for room in ("heard", "loud", "plain"):
            await ana.join(room)
        sizes = []
        for round in range(3):
            for at in range(40):
                for room in ("heard", "loud", "plain", "mesh-global"):
                    await ana.send(f"invented-{round}-{at}", target=room, id=1)
                await ana.settle()
            sizes.append({name: len(life.calls) for name, life in server._hub.lives.items()})
            assert set(server.metrics.messages_refused) == {"unknown-action"}
        assert sizes == [{"heard": 1, "loud": 1, "plain": 0, "mesh-global": 0}] * 3


@pytest.mark.parametrize("name", ["who", "leave-room", "say-nothing"])
async def test_a_room_class_may_have_its_own_built_in_actions(autojump_clock: MockClock, name: str) -> None:
    await ask_own(name)


@pytest.mark.parametrize("name", ["list-rooms", "join-room"])
async def test_a_built_in_action_that_a_room_class_cannot_have_is_refused(autojump_clock: MockClock, name: str) -> None:
    with contextlib.suppress(RegistrationError):
        await ask_own(name)


async def ask_own(name: str) -> None:
    class Own(Room):
        @action(name)
        async def own(self) -> str:
            return "own"

    server = make(("one", Own))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.request("join-room", {"roomname": "one"})
        assert await ana.request(name, {"roomname": "one"}, target="one") == "own"


# --- groups


async def test_a_group_has_a_prefix_and_middleware_of_its_own(autojump_clock: MockClock) -> None:
    seen: list[str] = []
    chat = Actions(prefix="chat.")

    @chat.action("say")
    async def say(body: str) -> str:
        return body

    @chat.action("long", turn=False)
    async def long() -> str:
        await trio.sleep(10)
        return "long"

    @chat.middleware
    async def of_group(call: Call, next: Next) -> object:
        seen.append(f"group {call.action}")
        return await next(call)

    server = make()
    other = make()
    server.include(chat)
    other.include(chat)

    @server.middleware
    async def of_server(call: Call, next: Next) -> object:
        seen.append(f"server {call.action}")
        return await next(call)

    @server.action("say")
    async def plain() -> str:
        return "plain"

    for each, expected in ((server, ["server chat.say", "group chat.say"]), (other, ["group chat.say"])):
        seen.clear()
        async with open_server(each) as net:
            ana = await net.connect()
            assert await ana.request("chat.say", "hi") == "hi"
            assert seen == expected
            assert await ana.request("chat.long") == "long"
    seen.clear()
    async with open_server(server) as net:
        ana = await net.connect()
        assert await ana.request("say") == "plain"
        assert seen == ["server say"]


def test_what_comes_too_late_for_a_group_or_twice_is_refused() -> None:
    async def handler() -> None: ...

    async def ware(call: Call, next: Next) -> object:
        return await next(call)

    group = Actions(prefix="a.")
    group.action("x")(handler)
    server = make()
    server.include(group)
    with pytest.raises(RegistrationError, match="twice"):
        server.include(group)
    with pytest.raises(RegistrationError, match="too late"):
        group.action("y")(handler)
    with pytest.raises(RegistrationError, match="too late"):
        group.middleware(ware)
    twice = Actions()
    twice.action("x")(handler)
    twice.action("x")(handler)
    with pytest.raises(RegistrationError, match="twice"):
        make().include(twice)
    for wrong in ("", "x" * 62, 5, handler):
        with pytest.raises(RegistrationError):
            Actions(prefix="abc").action(wrong)  # type: ignore[arg-type]
    with pytest.raises(RegistrationError):
        Actions().action("reply")
    with pytest.raises(RegistrationError):
        Actions(prefix=None)  # type: ignore[arg-type]
    with pytest.raises(RegistrationError):
        make().include("chat")  # type: ignore[arg-type]
    with pytest.raises(RegistrationError):
        Actions().middleware(handler)


def test_a_name_in_a_group_is_free_if_it_is_with_its_prefix() -> None:
    async def handler() -> None: ...

    group = Actions(prefix="chat.")
    group.action("reply")(handler)
    make().include(group)


# --- middleware


async def test_middleware_runs_servers_first_then_groups_then_the_classes_in_the_order_written(
    autojump_clock: MockClock,
) -> None:
    seen: list[str] = []

    def note(name: str) -> Any:
        async def ware(call: Call, next: Next) -> object:
            seen.append(name)
            result = await next(call)
            seen.append(f"/{name}")
            return result

        return ware

    class Base(Room):
        relay = True

        @middleware
        async def zebra(self, call: Call, next: Next) -> object:
            return await note("base zebra")(call, next)

        @middleware
        async def apple(self, call: Call, next: Next) -> object:
            return await note("base apple")(call, next)

        @middleware
        async def gone(self, call: Call, next: Next) -> object:
            return await note("base gone")(call, next)

    class Below(Base):
        @middleware
        async def below(self, call: Call, next: Next) -> object:
            return await note("below")(call, next)

        @middleware
        async def zebra(self, call: Call, next: Next) -> object:
            return await note("below zebra")(call, lambda call: super(Below, self).zebra(call, next))

        async def gone(self, call: Call, next: Next) -> object:  # no middleware any more
            raise AssertionError

        @action("own")
        async def own(self) -> None:
            seen.append("own")

    server = make(("one", Below), ("base", Base))
    server.middleware(note("s1"))
    server.middleware(note("s2"))
    group = Actions()

    @group.action("of-group")
    async def of_group() -> None:
        seen.append("of-group")

    group.middleware(note("g1"))
    group.middleware(note("g2"))
    server.include(group)

    def around(*names: str, inner: str) -> list[str]:
        return [*names, *([inner] if inner else []), *(f"/{name}" for name in reversed(names))]

    of_class = ("below zebra", "base zebra", "base apple", "below")
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.join("base")
        assert seen == []  # joins are none of its business
        await ana.request("own", target="one")
        assert seen == around("s1", "s2", *of_class, inner="own")
        seen.clear()
        await ana.request("of-group", target="one")
        assert seen == around("s1", "s2", "g1", "g2", *of_class, inner="of-group")
        seen.clear()
        await ana.request("relayed", target="one")
        assert seen == around("s1", "s2", *of_class, inner="")
        seen.clear()
        await ana.request("relayed", target="base")
        assert seen == around("s1", "s2", "base zebra", "base apple", "base gone", inner="")
        seen.clear()
        await ana.request("of-group")
        assert seen == around("s1", "s2", "g1", "g2", inner="of-group")
        seen.clear()
        assert await code_of(ana, "nothing") == "unknown-action"
        for built_in in ("who", "leave-room", "join-room"):
            await ana.request(built_in, {"roomname": "one"})
        await ana.request("ping")
        assert seen == []


class Wares(Room):
    """What middleware may do, each by the name of the action."""

    relay = True

    async def on_create(self) -> None:
        self.calls: list[Any] = []

    @action("echo")
    async def echo(self, body: Any, call: Call, message: Message) -> Any:
        self.calls.append(body)
        return {"body": body, "call": call.message.body, "message": message.body}

    @action("typed")
    async def typed(self, body: Word) -> str:
        return body.word

    @action("apart", turn=False)
    async def apart(self, body: Any) -> Any:
        self.calls.append(body)
        await trio.sleep(10)
        return body


def wares(**how: Callable[[Call, Next], Any]) -> Server:
    """Return a server with a middleware for each action that is named."""
    server = make(("one", Wares))

    @server.middleware
    async def by_name(call: Call, next: Next) -> object:
        ware = how.get(call.message.body["how"]) if isinstance(call.message.body, dict) else None
        return await (ware or (lambda call, next: next(call)))(call, next)

    return server


async def test_middleware_may_answer_itself_call_twice_change_body_and_result(autojump_clock: MockClock) -> None:
    async def stop(call: Call, next: Next) -> object:
        return "stopped"

    async def twice(call: Call, next: Next) -> object:
        return [await next(call.with_body(1)), await next(call.with_body(2))]

    async def change(call: Call, next: Next) -> object:
        return {"changed": await next(call.with_body({"word": "new"}))}

    async def wrong(call: Call, next: Next) -> object:
        return await next(call.with_body({"word": 5}))

    async def no_json(call: Call, next: Next) -> object:
        return await next(call.with_body({"word": object()}))

    async def refuse(call: Call, next: Next) -> object:
        raise ActionError("my-code", "no")

    async def refuse_after(call: Call, next: Next) -> object:
        await next(call)
        raise ActionError("my-code", "no")

    async def bug(call: Call, next: Next) -> object:
        raise KeyError("a bug")

    async def slow(call: Call, next: Next) -> object:
        await trio.sleep(5)
        return await next(call)

    def one(value: object) -> dict[str, object]:
        return {"body": value, "call": value, "message": value}

    server = wares(
        stop=stop,
        twice=twice,
        change=change,
        wrong=wrong,
        no_json=no_json,
        refuse=refuse,
        refuse_after=refuse_after,
        bug=bug,
        slow=slow,
    )
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        room = server.rooms["one"]

        async def ask(name: str, how: str) -> Any:
            return await ana.request(name, {"how": how}, target="one")

        assert await ask("echo", "stop") == "stopped"
        assert room.calls == []  # type: ignore[attr-defined]
        assert await ask("echo", "twice") == [one(1), one(2)]
        assert await ask("echo", "change") == {"changed": one({"word": "new"})}
        assert await ask("typed", "change") == {"changed": "new"}
        for name in ("echo", "relayed", "apart"):
            assert await ask(name, "stop") == "stopped"
            assert await code_of(ana, name, {"how": "refuse"}, target="one") == "my-code"
            assert await code_of(ana, name, {"how": "refuse_after"}, target="one") == "my-code"
            assert await code_of(ana, name, {"how": "bug"}, target="one") == "internal"
            assert await code_of(ana, name, {"how": "no_json"}, target="one") == "internal"
        with pytest.raises(ActionError) as caught:
            await ask("typed", "wrong")
        assert (caught.value.code, caught.value.path) == ("bad-body", "$.word")
        await ana.settle()
        await ask("relayed", "twice")
        assert bodies_of(await ana.settle(), "relayed") == [1, 2]
        assert await ask("apart", "twice") == [1, 2]
        assert await ask("echo", "slow") == one({"how": "slow"})
        assert await ask("apart", "slow") == {"how": "slow"}
        assert is_at_rest(server)


async def test_middleware_of_what_ends_with_its_caller_ends_with_it_too(autojump_clock: MockClock) -> None:
    async def slow(call: Call, next: Next) -> object:
        await trio.sleep(5)
        result = await next(call)
        await trio.sleep(5)
        return result

    server = wares(slow=slow)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        for seconds in (1, 7, 17):
            await ana.send("apart", {"how": "slow"}, target="one", id=seconds)
            await trio.sleep(seconds)
            await ana.send("cancel", id=seconds)
            assert answers_of(await ana.settle(), seconds) == ["cancelled"]
            assert is_at_rest(server)


async def test_a_chain_is_built_once_for_an_action_and_a_room(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    chain = actions_module.chain

    def counting(wares: Any, handle: Any) -> Any:
        built.append(1)
        return chain(wares, handle)

    monkeypatch.setattr(actions_module, "chain", counting)
    server = wares()
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        for client in (ana, bob):
            await client.join("one")
        for _ in range(3):
            for client in (ana, bob):
                await client.request("echo", 1, target="one")
                await client.request("apart", 1, target="one")
                await client.request("relayed", 1, target="one")
                await client.request("relayed-too", 1, target="one")
        assert len(built) == 3  # echo, apart, relay
    built.clear()
    server = make(("one", Wares))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.request("echo", 1, target="one")
    assert built == []  # where there is no middleware there is no chain


async def test_middleware_and_exception_handlers_are_refused_while_the_server_runs(autojump_clock: MockClock) -> None:
    async def ware(call: Call, next: Next) -> object:
        return await next(call)

    async def caught(call: Call, error: Exception) -> None: ...

    server = make()
    async with open_server(server):
        with pytest.raises(RegistrationError):
            server.middleware(ware)
        with pytest.raises(RegistrationError):
            server.exception_handler(KeyError)(caught)


async def test_a_fallback_that_comes_late_is_refused_or_counts_everywhere(autojump_clock: MockClock) -> None:
    server = make(relay=True)

    async def other() -> str:
        return "heard"

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.request("x")
        try:
            server.on_message(other)
        except RegistrationError:
            return
        assert await ana.request("x") == "heard"


# --- exceptions


class Mine(KeyError):
    """An exception of the application's."""


async def raise_it(error: Exception) -> None:
    raise error


async def raise_together(*errors: Exception) -> None:
    async with trio.open_nursery() as nursery:
        for error in errors:
            nursery.start_soon(raise_it, error)


def make_raiser(how: dict[str, Callable[[], Any]]) -> Server:
    server = make()
    for name, raiser in how.items():

        async def handler(raiser: Any = raiser) -> Any:
            await raiser()

        for options in ({}, {"turn": False}, {"cancel": True}):
            prefix = "".join(f"{key}-" for key in options)

            def bind(raiser: Callable[[], Any]) -> Callable[[], Any]:
                async def handler() -> Any:
                    await trio.lowlevel.checkpoint()
                    return await raiser()

                return handler

            server.action(prefix + name, **options)(bind(raiser))
    return server


@pytest.mark.parametrize("prefix", ["", "turn-", "cancel-"])
async def test_an_exception_goes_to_the_most_specific_handler(
    autojump_clock: MockClock, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_raiser(
        {
            "mine": lambda: raise_it(Mine("m")),
            "key": lambda: raise_it(KeyError("k")),
            "lookup": lambda: raise_it(IndexError("i")),
            "value": lambda: raise_it(ValueError("v")),
            "os": lambda: raise_it(OSError("o")),
            "refused": lambda: raise_it(ActionError("my-code")),
            "one": lambda: raise_together(Mine("m")),
            "one-refused": lambda: raise_together(ActionError("my-code")),
            "several": lambda: raise_together(Mine("m"), KeyError("k")),
        }
    )

    @server.exception_handler(KeyError)
    async def of_key(call: Call, error: KeyError) -> Any:
        return ["key", error.args[0], call.action]

    @server.exception_handler(LookupError)
    async def of_lookup(call: Call, error: LookupError) -> Any:
        await trio.sleep(1)
        return ["lookup", error.args[0]]

    @server.exception_handler(ValueError)
    async def of_value(call: Call, error: ValueError) -> Any:
        raise ActionError("bad-value", str(error))

    @server.exception_handler(OSError)
    async def of_os(call: Call, error: OSError) -> Any:
        raise RuntimeError("a bug in the exception handler")

    async with open_server(server) as net:
        ana = await net.connect()
        assert await ana.request(prefix + "mine") == ["key", "m", prefix + "mine"]
        assert await ana.request(prefix + "one") == ["key", "m", prefix + "one"]
        assert await ana.request(prefix + "key") == ["key", "k", prefix + "key"]
        assert await ana.request(prefix + "lookup") == ["lookup", "i"]
        assert await code_of(ana, prefix + "value") == "bad-value"
        assert await code_of(ana, prefix + "refused") == "my-code"
        assert await code_of(ana, prefix + "one-refused") == "my-code"
        assert server.statistics()["handlers_failed"] == 0
        assert caplog.records == []
        assert await code_of(ana, prefix + "os") == "internal"
        assert "a bug in the exception handler" in caplog.text
        assert await code_of(ana, prefix + "several") == "internal"
        assert server.statistics()["handlers_failed"] == 2
        assert is_at_rest(server)


async def test_several_refusals_in_a_group_stay_a_refusal_without_a_handler(autojump_clock: MockClock) -> None:
    server = make_raiser({"two": lambda: raise_together(ActionError("my-code"), ActionError("my-code"))})
    async with open_server(server) as net:
        ana = await net.connect()
        assert await code_of(ana, "two") == "my-code"


async def test_several_refusals_in_a_group_stay_a_refusal(autojump_clock: MockClock) -> None:
    server = make_raiser({"two": lambda: raise_together(ActionError("my-code"), ActionError("my-code"))})

    @server.exception_handler(Exception)
    async def of_all(call: Call, error: Exception) -> Any:
        return repr(error)

    async with open_server(server) as net:
        ana = await net.connect()
        assert await code_of(ana, "two") == "my-code"


async def test_an_exception_in_middleware_or_a_body_goes_to_its_handler_too(autojump_clock: MockClock) -> None:
    server = make()

    @server.exception_handler(KeyError)
    async def of_key(call: Call, error: KeyError) -> Any:
        return "caught"

    @server.middleware
    async def failing(call: Call, next: Next) -> object:
        if call.message.body == "middleware":
            raise KeyError
        return await next(call)

    @server.action("x")
    async def x(body: str) -> Any:
        raise KeyError

    @server.on_message
    async def other() -> Any:
        raise KeyError

    async with open_server(server) as net:
        ana = await net.connect()
        assert await ana.request("x", "middleware") == "caught"
        assert await ana.request("x", "") == "caught"
        assert await ana.request("y", "") == "caught"
        assert await code_of(ana, "x", 1) == "bad-body"


async def test_cancelling_during_an_exception_handler_answers_once(autojump_clock: MockClock) -> None:
    server = make_raiser({"key": lambda: raise_it(KeyError("k"))})

    @server.exception_handler(KeyError)
    async def of_key(call: Call, error: KeyError) -> Any:
        try:
            await trio.sleep(100)
        finally:
            if call.action == "turn-key":
                raise ValueError("a bug during the cancellation")

    async with open_server(server) as net:
        ana = await net.connect()
        for name, answer in (("turn-key", "internal"), ("cancel-key", "cancelled")):
            await ana.send(name, id=name)
            await trio.sleep(1)
            await ana.send("cancel", id=name)
            assert answers_of(await ana.settle(), name) == [answer]
            assert is_at_rest(server)


def test_an_exception_handler_that_cannot_work_is_refused() -> None:
    server = make()

    async def good(call: Call, error: Exception) -> None: ...

    async def short(call: Call) -> None: ...

    def plain(call: Call, error: Exception) -> None: ...

    server.exception_handler(KeyError)(good)
    for error_class, handler in (
        (KeyError, good),
        (ActionError, good),
        (trio.Cancelled, good),
        (5, good),
        (good, good),
        (OSError, short),
        (OSError, plain),
    ):
        with pytest.raises(RegistrationError):
            server.exception_handler(error_class)(handler)  # type: ignore[arg-type, type-var]


# --- on_error


class Failing(Room):
    """Tells its own class of what it is told."""

    told: list[tuple[str, str | None, bool]]

    async def on_create(self) -> None:
        self.told = []
        self.running = ""

    async def on_error(self, error: Exception, client: Client | None) -> None:
        self.told.append((type(error).__name__, client.name if client else None, bool(self.running)))
        self.running = "on_error"
        await trio.sleep(1)
        self.running = ""
        if str(error) == "'again'":
            raise ValueError("a bug in on_error")
        if str(error) == "'refuse'":
            raise ActionError("my-code")

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        if options.get("fail") == "on_auth":
            raise KeyError("on_auth")

    async def on_join(self, client: Client) -> None:
        if client.name == "unlucky":
            raise KeyError("on_join")

    async def on_leave(self, client: Client) -> None:
        raise IndexError("on_leave")

    @action("fail")
    async def fail(self, body: str) -> None:
        self.running = "fail"
        await trio.sleep(1)
        self.running = ""
        raise KeyError(body)

    @action("apart", turn=False)
    async def apart(self) -> None:
        await trio.sleep(1)
        raise KeyError("apart")

    @action("ended", cancel=True)
    async def ended(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("ended")

    @action("refuse")
    async def refuse(self) -> None:
        raise ActionError("my-code")

    @action("timer")
    async def timer(self) -> None:
        self.after(1, self.ring)

    async def ring(self) -> None:
        raise OSError("timer")

    @action("no-json")
    async def no_json(self) -> object:
        return object()

    @action("two")
    async def two(self) -> None:
        await raise_together(KeyError("a"), KeyError("b"))


async def test_on_error_is_told_once_of_each_bug_in_the_turn(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(("one", Failing))
    async with open_server(server) as net:
        ana, bob, unlucky = await net.connect("ana"), await net.connect("bob"), await net.connect("unlucky")
        await ana.join("one")
        room: Any = server.rooms["one"]

        async def told_of(*names: str) -> None:
            await trio.sleep(10)
            assert [(name, client) for name, client, _ in room.told] == [
                tuple(name.split()) if " " in name else (name, None) for name in names
            ]
            assert not any(busy for _, _, busy in room.told)
            room.told.clear()

        assert await code_of(ana, "fail", "x", target="one") == "internal"
        await told_of("KeyError ana")
        for _ in range(3):
            await ana.send("fail", "x", target="one")
        await told_of("KeyError ana", "KeyError ana", "KeyError ana")
        assert await code_of(ana, "apart", target="one") == "internal"
        await told_of("KeyError ana")
        await ana.send("apart", target="one")
        await ana.send("fail", "x", target="one")  # its turn is under way when the other one fails
        await told_of("KeyError ana", "KeyError ana")
        assert await code_of(bob, "join-room", {"roomname": "one", "fail": "on_auth"}) == "internal"
        await told_of("KeyError bob")
        assert await code_of(unlucky, "join-room", {"roomname": "one"}) == "internal"
        await told_of("KeyError unlucky")
        await bob.join("one")
        await bob.request("leave-room", {"roomname": "one"})
        await told_of("IndexError bob")
        await bob.join("one")
        await bob.send("ended", target="one")
        await bob.settle()
        await bob.stream.aclose()
        await told_of("KeyError bob", "IndexError bob")
        await ana.request("timer", target="one")
        await told_of("OSError")
        assert await code_of(ana, "no-json", target="one") == "internal"
        await told_of("EncodeError ana")
        assert await code_of(ana, "two", target="one") == "internal"
        await told_of("ExceptionGroup ana")
        assert await code_of(ana, "refuse", target="one") == "my-code"
        await told_of()
        caplog.clear()
        for how in ("again", "refuse"):
            assert await code_of(ana, "fail", how, target="one") == "internal"
            await told_of("KeyError ana")
        assert [record.getMessage() for record in caplog.records if "on_error" in record.getMessage()] == [
            "on_error of room 'one' failed"
        ] * 2
        assert room.is_open
        await ana.send("apart", target="one")
        await room.close()
        await told_of()


async def test_on_error_is_not_told_of_what_an_exception_handler_has_answered(autojump_clock: MockClock) -> None:
    server = make(("one", Failing))

    @server.exception_handler(KeyError)
    async def of_key(call: Call, error: KeyError) -> str:
        return "caught"

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("fail", "x", target="one") == "caught"
        assert await ana.request("apart", target="one") == "caught"
        assert server.rooms["one"].told == []  # type: ignore[attr-defined]


async def test_a_room_that_ends_during_on_error_has_answered_once(autojump_clock: MockClock) -> None:
    server = make(("one", Failing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for name in ("fail", "apart", "no-json"):
            await ana.join("one")
            await ana.send(name, "x", target="one", id=name)
            while (await ana.receive())["action"] != "error":
                pass
            await trio.testing.wait_all_tasks_blocked()  # on_error waits
            await server.rooms["one"].close()
            assert answers_of(await ana.settle(), name) == []
            assert is_at_rest(server)


async def test_on_error_is_not_called_behind_the_end_of_the_room(autojump_clock: MockClock) -> None:
    told: list[str] = []

    class Ending(Room):
        async def on_error(self, error: Exception) -> None:
            told.append(str(error))

        async def on_close(self) -> None:
            told.append("closed")
            raise KeyError("on_close")

        @action("apart", turn=False)
        async def apart(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("apart")

        @action("last")
        async def last(self) -> None:
            await self.close()
            raise KeyError("last")

    server = make(("one", Ending))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.send("apart", target="one", id=1)
        await ana.settle()
        assert await code_of(ana, "last", target="one") == "internal"
        assert answers_of(await ana.settle(), 1) == ["internal"]
        assert told == ["'last'", "closed"]


async def test_on_error_of_the_global_room_is_told_too(autojump_clock: MockClock) -> None:
    told: list[str] = []

    class Lobby(Room):
        async def on_error(self, error: Exception, client: Client) -> None:
            told.append(f"{error} {client.name}")

        async def on_join(self, client: Client) -> None:
            if client.name == "unlucky":
                raise KeyError("on_join")

        @action("fail")
        async def fail(self) -> None:
            raise KeyError("fail")

        @action("apart", turn=False)
        async def apart(self) -> None:
            raise KeyError("apart")

    server = make(("mesh-global", Lobby))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await net.connect("unlucky")
        for name in ("fail", "apart"):
            assert await code_of(ana, name) == "internal"
            await ana.settle()
        assert told == ["'on_join' unlucky", "'fail' ana", "'apart' ana"]


async def test_on_error_of_the_global_room_is_told_however_busy_it_is(autojump_clock: MockClock) -> None:
    told: list[str] = []

    class Lobby(Room):
        async def on_create(self) -> None:
            self.after(1, self.long)

        async def long(self) -> None:
            await trio.sleep(20)

        async def on_error(self, error: Exception) -> None:
            told.append(str(error))

        @action("fail")
        async def fail(self) -> None:
            raise KeyError("fail")

    server = make(("mesh-global", Lobby))
    async with open_server(server) as net:
        ana = await net.connect()
        await trio.sleep(2)
        assert await code_of(ana, "fail") == "internal"
        await trio.sleep(50)
        assert told == ["'fail'"]


async def test_a_bug_is_logged_once_with_its_own_traceback(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_raiser({"one": lambda: raise_together(Mine("m"))})
    async with open_server(server) as net:
        ana = await net.connect()
        for name in ("one", "turn-one", "cancel-one"):
            caplog.clear()
            assert await code_of(ana, name) == "internal"
            (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
            assert record.exc_info is not None
            assert record.exc_info[0] is Mine


# --- small things


async def test_a_message_without_a_body_gives_the_parameters_default(autojump_clock: MockClock) -> None:
    server = make()
    seen: list[Word | None] = []

    @server.action("say")
    async def say(body: Word | None = None) -> None:
        seen.append(body)

    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.request("say")
        await ana.request("say", {"word": "a"})
        with pytest.raises(ActionError, match="bad-body"):
            await ana.request("say", {})
    assert seen == [None, Word("a")]


def test_a_group_is_included_whole_or_not_at_all() -> None:
    server, group = make(), Actions("a.")

    @server.action("a.two")
    async def two() -> None: ...

    group.action("one")(two)
    group.action("two")(two)
    with pytest.raises(RegistrationError, match="twice"):
        server.include(group)
    assert [action.name for action in server.describe().actions] == ["a.two"]


async def test_what_everyone_is_told_may_leave_someone_out(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana, ben = await net.connect("Ana"), await net.connect("Ben")
        await server.broadcast("news", 1, exclude=server.clients[ana.id], volatile=True)
        await server.broadcast("news", 2, coalesce="news")
        assert [message["message_body"] for message in await ana.settle()] == [2]
        assert [message["message_body"] for message in await ben.settle()] == [1, 2]


async def test_on_message_may_go_without_annotations_as_other_hooks(autojump_clock: MockClock) -> None:
    class Hall(Room):
        async def on_message(self, client, message):  # type: ignore[no-untyped-def]
            return [client.name, message.action, message.body]

    server = make(("hall", Hall))

    @server.on_message
    async def anything(message, client):  # type: ignore[no-untyped-def]
        return [message.action, client.name]

    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        assert await ana.request("wave", 1, target="hall") == ["Ana", "wave", 1]
        assert await ana.request("wave") == ["wave", "Ana"]
