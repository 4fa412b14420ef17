"""Classes of listings: which of their fields a filter may ask for."""

import dataclasses
import enum
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pytest

from simplysocket import RegistrationError
from simplysocket.games import indexed
from simplysocket.games._lobby.listing import Kind, read_schema


class Phase(enum.Enum):
    WAITING = "waiting"
    PLAYING = "playing"


@attrs.frozen
class Attrs:
    text: str
    number: Annotated[int | None, indexed] = None
    phase: Annotated[Phase, indexed] = Phase.WAITING
    side: Literal["left", "right"] = "left"
    bounded: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    is_rated: bool = False
    tags: tuple[str, ...] = ()
    either: int | str = 3


class Struct(msgspec.Struct, rename="camel"):
    player_count: Annotated[int, indexed] = 0


@dataclasses.dataclass
class Data:
    mode: str = "x"


def test_texts_numbers_and_truths_may_be_asked_for() -> None:
    fields = read_schema(Attrs).fields
    assert {name: field.kind for name, field in fields.items()} == {
        "text": Kind.TEXT,
        "number": Kind.NUMBER,
        "phase": Kind.TEXT,
        "side": Kind.TEXT,
        "bounded": Kind.NUMBER,
        "is_rated": Kind.TRUTH,
    }
    assert {name for name, field in fields.items() if field.is_indexed} == {"number", "phase"}
    assert fields["number"].may_be_null


def test_a_field_is_asked_for_by_its_name_on_the_wire() -> None:
    schema = read_schema(Struct)
    assert list(schema.fields) == ["playerCount"]
    published = schema.read(Struct(player_count=3))
    assert published.values == {"playerCount": 3}
    assert bytes(published.encoded) == b'{"playerCount":3}'
    assert read_schema(Data).read(Data()).values == {"mode": "x"}


def test_an_enum_is_what_it_is_on_the_wire() -> None:
    assert read_schema(Attrs).read(Attrs("x", phase=Phase.PLAYING)).values["phase"] == "playing"


def test_a_later_change_of_the_object_changes_nothing() -> None:
    listing = Data("before")
    published = read_schema(Data).read(listing)
    listing.mode = "after"
    assert published.values == {"mode": "before"}


def make(annotation: Any) -> type:
    return attrs.make_class("Made", {"field": attrs.field(type=annotation)})


class Rows(msgspec.Struct, array_like=True):
    mode: str


@pytest.mark.parametrize("wrong", [make(Annotated[list[int], indexed]), make("Missing"), Rows])
def test_a_class_that_cannot_be_listed_is_refused(wrong: type) -> None:
    with pytest.raises(RegistrationError):
        read_schema(wrong)
