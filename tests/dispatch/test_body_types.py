"""What is inside the type of a body: patterns that run over a client's text, however long, and hashes of numbers."""

from collections import Counter
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import attrs
import msgspec
import pytest
from attrs import validators
from msgspec import Meta

from simplysocket import Room, Server, action
from simplysocket._dispatch.body_types import unbounded_hashes, unbounded_patterns
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


# --- numbers that are hashed

Small = Annotated[int, Meta(ge=0, le=2**53)]


@attrs.frozen
class InSet:
    number: int


@attrs.define
class WithSet:
    numbers: set[int]


@pytest.mark.parametrize(
    ("hint", "hashes"),
    [
        (set[int], ("set[int]",)),
        (frozenset[int], ("frozenset[int]",)),
        (dict[int, str], ("dict[int]",)),
        (set[Decimal], ("set[Decimal]",)),
        (dict[UUID, str], ("dict[UUID]",)),
        (set[Any], ("set[Any]",)),
        (set, ("set[Any]",)),
        (set[int | str], ("set[int]",)),
        (set[tuple[int, str]], ("set[int]",)),
        (set[InSet], ("set[int]",)),
        (list[WithSet], ("set[int]",)),
        (set[Annotated[int, Meta(ge=0)]], ("set[int]",)),
        (set[Annotated[int, Meta(lt=9)]], ("set[int]",)),
        (Annotated[set[int], Meta(max_length=9)], ("set[int]",)),
        (set[Small], ()),
        (dict[Annotated[int, Meta(gt=0, lt=9)], int], ()),
        (set[Literal[1, 2]], ()),
        (set[str], ()),
        (dict[str, int], ()),
        (dict, ()),
        (list[int], ()),
        (Any, ()),
    ],
    ids=str,
)
def test_a_set_or_a_key_of_unbounded_numbers_is_found(hint: Any, hashes: tuple[str, ...]) -> None:
    assert unbounded_hashes(msgspec.inspect.type_info(hint)) == hashes


@pytest.mark.parametrize("text", [b"[%d]", b"[1, %d]"])
def test_a_number_out_of_its_bounds_is_never_hashed(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError, match="<= 9007199254740992"):
        msgspec.json.decode(text % (2**61 - 1), type=set[Small])


def test_numbers_within_the_bounds_do_not_collide() -> None:
    modulus = 2**61 - 1
    assert len({hash(number * modulus) for number in range(3_000)}) == 1
    largest = 2**63 - 1  # the widest that `Meta` takes
    same = Counter(hash(number) for number in range(-largest, largest, modulus))
    assert max(same.values()) <= 9
    with pytest.raises(ValueError, match="int64"):
        msgspec.json.Decoder(Annotated[int, Meta(le=2**63)])


def test_check_warns_of_an_action_with_such_a_set() -> None:
    server = Server()

    @server.action("vote")
    async def vote(body: WithSet) -> None: ...

    @server.action("pick")
    async def pick(body: set[UUID]) -> None: ...

    found = [each for each in unsafe_settings(server.describe()) if each.setting == "hash"]
    assert [("'vote'" in each.problem, "Meta(ge=0" in each.remedy) for each in found] == [(True, True), (False, False)]
