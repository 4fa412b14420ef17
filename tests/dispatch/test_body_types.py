"""What is inside the type of a body: patterns that run over a client's text, however long."""

from typing import Annotated, Any

import attrs
import msgspec
import pytest
from attrs import validators
from msgspec import Meta

from simplysocket import Room, Server, action
from simplysocket._dispatch.body_types import unbounded_patterns
from simplysocket._operation.settings_check import unsafe_settings

Open = Annotated[str, Meta(pattern="^a+$")]
Bounded = Annotated[str, Meta(pattern="^a+$", max_length=20)]


class InStruct(msgspec.Struct):
    word: Open
    other: "InStruct | None" = None


@attrs.define
class InAttrs:
    words: list[Open]
    other: Bounded


@attrs.define
class Validated:
    word: str = attrs.field(validator=validators.matches_re("^b+$"))


@attrs.define
class ValidatedInside:
    words: list[str] = attrs.field(
        validator=validators.deep_iterable(validators.optional([validators.min_len(1), validators.matches_re("^b+$")]))
    )


@attrs.define
class ValidatedTooLate:
    word: str = attrs.field(validator=[validators.matches_re("^b+$"), validators.max_len(20)])


@attrs.define
class ValidatedBounded:
    word: str = attrs.field(validator=[validators.max_len(20), validators.matches_re("^b+$")])
    other: Bounded = attrs.field(default="a", validator=validators.matches_re("^b+$"))
    third: int = attrs.field(default=1, validator=lambda *_: None)


@pytest.mark.parametrize(
    ("hint", "patterns"),
    [
        (Open, ("^a+$",)),
        (Open | None, ("^a+$",)),
        (dict[Open, int], ("^a+$",)),
        (InStruct, ("^a+$",)),
        (list[InAttrs], ("^a+$",)),
        (Validated, ("^b+$",)),
        (ValidatedInside, ("^b+$",)),
        (ValidatedTooLate, ("^b+$",)),
        (ValidatedBounded, ()),
        (Bounded, ()),
        (Any, ()),
        (dict[str, str], ()),
    ],
    ids=str,
)
def test_a_pattern_without_a_length_is_found(hint: Any, patterns: tuple[str, ...]) -> None:
    assert unbounded_patterns(msgspec.inspect.type_info(hint)) == patterns


@pytest.mark.parametrize("length", [21, 60_000])
def test_a_text_over_its_length_never_meets_the_pattern(length: int) -> None:
    decoder = msgspec.json.Decoder(Bounded)
    with pytest.raises(msgspec.ValidationError, match="length <= 20"):
        decoder.decode(b'"%b"' % (b"b" * length))


def test_check_warns_of_an_action_with_such_a_pattern() -> None:
    server = Server()

    @server.action("say")
    async def say(body: InStruct) -> None: ...

    @server.room("game-*")
    class Game(Room):
        @action("guess")
        async def guess(self, body: Bounded) -> None: ...

        @action("shout")
        async def shout(self, body: Open) -> None: ...

    found = server.describe()
    assert {each.name: each.unbounded_patterns for each in found.actions} == {
        "say": ("^a+$",),
        "guess": (),
        "shout": ("^a+$",),
    }
    problems = [each.problem for each in unsafe_settings(found) if each.setting == "pattern"]
    assert [("'say'" in each, "'shout'" in each, "'^a+$'" in each) for each in problems] == [
        (True, False, True),
        (False, True, True),
    ]
