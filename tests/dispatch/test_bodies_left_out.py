"""Bodies that are left out: a handler that can do without one gets None, or its default."""

import enum
from typing import Annotated, Any, Literal, Optional, TypedDict

import attrs
import msgspec
import pytest
from msgspec import Meta
from trio.testing import MockClock

from simplysocket import ActionError, Server
from simplysocket.testing import open_server

from ..harness.servers import make


@attrs.frozen
class Spot:
    """A body that has to be there."""

    x: int
    y: int = 0


class Loose(msgspec.Struct):
    """A body of which everything may be left out."""

    x: int = 0


class Typed(TypedDict):
    x: int


class Colour(enum.Enum):
    RED = "red"


DIRECTION = Literal["left", "right"]
OPTIONAL: dict[str, Any] = {
    "int": int | None,
    "str": str | None,
    "old": Optional[int],  # noqa: UP045  # the way it was written before
    "union": int | str | None,
    "bounded": Annotated[int, Meta(ge=0)] | None,
    "around": Annotated[int | None, Meta(description="of what")],
    "list": list[int] | None,
    "literal": DIRECTION | None,
    "enum": Colour | None,
    "dict": dict[str, int] | None,
    "attrs": Spot | None,
    "struct": Loose | None,
    "typed": Typed | None,
    "none": None,
}
TAKE_NO_OBJECT = {"int", "str", "old", "union", "bounded", "around", "list", "literal", "enum", "none"}


def make_server(hint: Any, *defaults: Any) -> Server:
    server = make()

    async def handler(body: Any) -> Any:
        return {"got": body}

    handler.__annotations__["body"] = hint
    handler.__defaults__ = defaults
    server.action("act")(handler)
    return server


@pytest.mark.parametrize("name", OPTIONAL)
async def test_an_optional_body_that_is_left_out_is_none(autojump_clock: MockClock, name: str) -> None:
    async with open_server(make_server(OPTIONAL[name])) as net:
        ana = await net.connect("ana")
        assert await ana.request("act") == {"got": None}


@pytest.mark.parametrize("name", TAKE_NO_OBJECT)
async def test_an_empty_object_counts_as_left_out_where_no_object_is_taken(
    autojump_clock: MockClock, name: str
) -> None:
    # A client may write `"message_body": {}` into every message, as those in Go do.
    async with open_server(make_server(OPTIONAL[name])) as net:
        ana = await net.connect("ana")
        assert await ana.request("act", {}) == {"got": None}
        with pytest.raises(ActionError, match="bad-body"):
            await ana.request("act", {"x": 1})


async def test_an_empty_object_is_a_body_where_an_object_is_taken(autojump_clock: MockClock) -> None:
    expected = {"dict": {}, "struct": {"x": 0}}
    for name in OPTIONAL.keys() - TAKE_NO_OBJECT:
        async with open_server(make_server(OPTIONAL[name])) as net:
            ana = await net.connect("ana")
            if name in expected:
                assert await ana.request("act", {}) == {"got": expected[name]}
            else:
                with pytest.raises(ActionError, match="missing required field"):
                    await ana.request("act", {})


@pytest.mark.parametrize(
    ("hint", "default", "got"),
    [
        (int, 3, 3),
        (int | None, 3, 3),
        (str, "", ""),
        (list[int], [1], [1]),
        (Any, None, None),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Spot, Spot(1), {"x": 1, "y": 0}),
    ],
)
async def test_a_body_with_a_default_that_is_left_out_is_the_default(
    autojump_clock: MockClock, hint: Any, default: object, got: object
) -> None:
    async with open_server(make_server(hint, default)) as net:
        assert await (await net.connect("ana")).request("act") == {"got": got}


async def test_an_empty_object_is_the_default_where_no_object_is_taken(autojump_clock: MockClock) -> None:
    for hint, default, got in ((int, 3, 3), (list[int], [1], [1]), (dict[str, int], {"a": 1}, {}), (Any, None, {})):
        async with open_server(make_server(hint, default)) as net:
            assert await (await net.connect("ana")).request("act", {}) == {"got": got}


async def test_a_body_that_is_given_is_read_as_ever(autojump_clock: MockClock) -> None:
    for name, body in (("int", 3), ("union", "x"), ("list", [1]), ("literal", "left"), ("enum", "red"), ("dict", {})):
        async with open_server(make_server(OPTIONAL[name])) as net:
            assert await (await net.connect("ana")).request("act", body) == {"got": body}


async def test_a_body_that_must_be_there_and_is_not_is_refused(autojump_clock: MockClock) -> None:
    for hint in (int, Spot, list[int], int | str):
        async with open_server(make_server(hint)) as net:
            with pytest.raises(ActionError, match="bad-body"):
                await (await net.connect("ana")).request("act")
    for hint, got in ((Any, {}), (dict[str, int], {}), (Loose, {"x": 0}), (Any | None, None)):
        async with open_server(make_server(hint)) as net:
            assert await (await net.connect("ana")).request("act") == {"got": got}
