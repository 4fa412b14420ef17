"""Bodies: what an annotation decodes, how a bad body is answered, and which types are refused at registration."""

import datetime
import enum
import typing
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NotRequired, Required, TypedDict, TypeVar

import attrs
import msgspec
import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Client, RegistrationError, Room
from simplysocket._protocol.frames import client_frame
from simplysocket.testing import open_server

from ..harness.messages import code_of, send_together
from ..harness.servers import make
from ..harness.work import is_at_rest


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


@attrs.define
class Player:
    health: int = 3


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
async def test_a_bad_body_is_answered_with_the_path_of_the_wrong_value(
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


class Shape(typing.Protocol):
    size: int


class Unreadable:
    """A class that JSON cannot be decoded to."""


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
def test_a_body_type_that_cannot_be_decoded_is_refused_at_registration(hint: Any) -> None:
    async def take(body: Any) -> None: ...

    take.__annotations__["body"] = hint
    with pytest.raises(RegistrationError, match=r"test_bodies\.py:\d+"):
        make().action("take")(take)


async def test_a_bug_in_the_class_of_a_body_is_answered_with_internal(autojump_clock: MockClock) -> None:
    @attrs.define
    class Broken:
        n: int

        def __attrs_post_init__(self) -> None:
            raise KeyError("a bug")

    async def take(body: Any) -> None: ...

    take.__annotations__["body"] = Broken
    server = make()
    server.action("take")(take)
    server.action("outside", turn=False)(take)
    async with open_server(server) as net:
        ana = await net.connect()
        assert await code_of(ana, "take", {"n": 1}) == "internal"
        assert await code_of(ana, "outside", {"n": 1}) == "internal"
        assert is_at_rest(server)


async def test_a_body_nested_too_deeply_is_refused_and_nothing_else_happens(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("plant", turn=False)
    async def plant(body: Tree) -> None: ...

    async with open_server(server) as net:
        ana = await net.connect()
        deep = b'{"name":"a","leaves":[' * 2000 + b"]}" * 2000
        await ana.send_bytes(client_frame(b'{"action":"plant","id":1,"message_body":' + deep + b"}", key=b"1234"))
        assert (await ana.receive())["message_body"]["code"] in ("bad-body", "bad-message")
        assert await ana.request("plant", {"name": "a"}) is None


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
