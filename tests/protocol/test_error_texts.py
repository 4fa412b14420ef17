"""What a client is told about a body that is wrong: the place, and a text of bounded length."""

import dataclasses
import enum
from typing import Any, Literal

import attrs
import msgspec
import pytest

from simplysocket._protocol.codec import Raw, body_decoder, decode
from simplysocket._protocol.error_texts import TEXT_LENGTH, explain, shorten
from simplysocket.errors import BadBody, BadMessage

LONG = 65_000  # characters, nearly as many as a message may have
# What a client may write, over and over, to look like msgspec's own words.
WORDS = (
    "missing required field `",
    "Object missing required field `x`",
    " - at `",
    " - at `$.x`",
    "`",
    "\n",
    "a",
    "🎲",
)


class Colour(enum.Enum):
    RED = "red"


class Move(msgspec.Struct, tag="move"):
    x: int


class Shoot(msgspec.Struct, tag="shoot"):
    x: int


@attrs.define
class OneOf:
    role: str = attrs.field(validator=attrs.validators.in_(["a", "b"]))


@attrs.define
class Matching:
    role: str = attrs.field(validator=attrs.validators.matches_re("[0-9]"))


@attrs.define
class AfterInit:
    role: str

    def __attrs_post_init__(self) -> None:
        raise ValueError(f"no such role: {self.role}")


@dataclasses.dataclass
class AfterInitOfData:
    role: str

    def __post_init__(self) -> None:
        raise TypeError(self.role)


class AfterInitOfStruct(msgspec.Struct):
    role: str

    def __post_init__(self) -> None:
        raise ValueError(self.role)


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    role: str = ""


class Choice(msgspec.Struct):
    role: Literal["a", "b"]


class Coloured(msgspec.Struct):
    role: Colour


KINDS: list[tuple[Any, str]] = [  # (a type that refuses the role, the path of the refusal)
    (Choice, "$[0].role"),
    (Coloured, "$[0].role"),
    (OneOf, "$[0]"),
    (Matching, "$[0]"),
    (AfterInit, "$[0]"),
    (AfterInitOfData, "$[0]"),
    (AfterInitOfStruct, "$[0]"),
    (dict[str, Literal["a"]], "$[0][...]"),
    (dict[str, Move | Shoot], "$[0][...]"),
    (dict[str, int], "$[0][...]"),
]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(("kind", "path"), KINDS, ids=str)
def test_a_long_text_of_the_clients_is_cut_and_the_path_is_kept(kind: Any, path: str, word: str) -> None:
    text = word * (LONG // len(word))
    with pytest.raises(BadBody) as caught:
        body_decoder(list[kind])(Raw(msgspec.json.encode([{"role": text}])))
    assert caught.value.path == path
    assert 0 < len(caught.value.message) <= TEXT_LENGTH


@pytest.mark.parametrize("word", WORDS)
def test_a_long_tag_and_a_long_key_are_cut_and_the_path_is_kept(word: str) -> None:
    text = word * (LONG // len(word))
    with pytest.raises(BadBody) as caught:
        body_decoder(list[Move | Shoot])(Raw(msgspec.json.encode([{"type": text}])))
    assert (caught.value.path, len(caught.value.message) <= TEXT_LENGTH) == ("$[0].type", True)
    with pytest.raises(BadBody) as caught:
        body_decoder(list[Strict])(Raw(msgspec.json.encode([{text: 1}])))
    assert (caught.value.path, len(caught.value.message) <= TEXT_LENGTH) == ("$[0]", True)
    with pytest.raises(BadBody) as caught:
        body_decoder(list[dict[Literal["a"], int]])(Raw(msgspec.json.encode([{text: 1}])))
    assert (caught.value.path, len(caught.value.message) <= TEXT_LENGTH) == ("$[0]", True)


@pytest.mark.parametrize("key", ["action", "id", "target", "IsTargetClient", "timeout"])
@pytest.mark.parametrize("word", WORDS)
def test_an_envelope_of_long_texts_is_refused_in_a_short_one(key: str, word: str) -> None:
    payload = msgspec.json.encode({"action": 1, key: [word * (LONG // len(word))], word * (LONG // len(word)): 1})
    with pytest.raises(BadMessage) as caught:
        decode(payload)
    assert len(caught.value.message) <= TEXT_LENGTH
    assert len(caught.value.path or "") < 20


class Tree(msgspec.Struct):
    leaves: "list[Tree]" = []


def test_the_path_to_a_place_that_is_very_deep_is_cut_too() -> None:
    body = Raw(b'{"leaves":[' * 300 + b"1" + b"]}" * 300)
    with pytest.raises(BadBody) as caught:
        body_decoder(Tree)(body)
    assert caught.value.path is not None
    assert caught.value.path.startswith("$.leaves[0].leaves[0]")
    assert len(caught.value.path) <= TEXT_LENGTH
    assert len(caught.value.message) <= TEXT_LENGTH


class Watched(str):
    """A long text that may only be cut: it counts the characters taken, and fails if it is searched."""

    taken = 0

    def __getitem__(self, index: Any) -> str:
        part = super().__getitem__(index)
        Watched.taken += len(part)
        return part

    def _search(self, *_: object) -> Any:
        raise AssertionError("the whole text is searched")

    find = rfind = index = rindex = partition = rpartition = split = rsplit = splitlines = _search  # type: ignore[assignment]
    replace = strip = count = translate = __iter__ = __contains__ = _search  # type: ignore[assignment]


class WatchedError(msgspec.ValidationError):
    def __str__(self) -> str:
        return Watched("a" * LONG + " - at `$.role`")


def test_a_text_is_cut_before_anything_is_looked_for_in_it() -> None:
    Watched.taken = 0
    text, path = explain(WatchedError())
    assert path == "$.role"
    assert 0 < Watched.taken <= TEXT_LENGTH
    assert len(text) <= TEXT_LENGTH


EXPLAINED = [  # (what msgspec says, the text for the client, its path)
    ("Expected `int`, got `str` - at `$.n`", "Expected `int`, got `str`", "$.n"),
    ("Expected `int`, got `str` - at `key` in `$.n`", "Expected `int`, got `str`", "$.n"),
    ("Expected `int`, got `str`", "Expected `int`, got `str`", "$"),
    ("Object missing required field `n`", "Object missing required field `n`", "$.n"),
    ("Object missing required field `n` - at `$[2]`", "Object missing required field `n`", "$[2].n"),
    ("Invalid value 'x - at `$.y`' - at `$.n`", "Invalid value 'x - at `$.y`'", "$.n"),
    ("Invalid value 'missing required field `x`'", "Invalid value 'missing required field `x`'", "$"),
    ("two\nlines - at `$.n`", "two\nlines", "$.n"),
]


@pytest.mark.parametrize(("said", "text", "path"), EXPLAINED)
def test_the_text_and_the_path_are_told_apart(said: str, text: str, path: str) -> None:
    assert explain(msgspec.ValidationError(said)) == (text, path)


def test_only_a_text_that_is_too_long_is_cut_and_its_ends_are_kept() -> None:
    assert shorten("a" * TEXT_LENGTH) == "a" * TEXT_LENGTH
    cut = shorten("a" + "b" * TEXT_LENGTH + "c")
    assert len(cut) <= TEXT_LENGTH
    assert (cut[0], cut[-1], cut.count(" ... ")) == ("a", "c", 1)
    assert shorten(None) is None
