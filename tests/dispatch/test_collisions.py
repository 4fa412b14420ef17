"""Values that a client sends for a set or a dict, all with the same hash: refused before they are compared."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import attrs
import msgspec
import pytest
from msgspec import Meta

from simplysocket import ActionError
from simplysocket._dispatch.collisions import MOST_ALIKE, guarded
from simplysocket._protocol.codec import Raw, body_decoder
from simplysocket.errors import BadBody
from simplysocket.testing import open_server

from ..harness.servers import make

MODULUS = 2**61 - 1
ALIKE = [number * MODULUS for number in range(1, 501)]  # all hashes are 0
SMALL = 2**53

Small = Annotated[int, Meta(ge=0, le=SMALL)]


@dataclasses.dataclass(frozen=True)
class Compared:
    """A number that counts how often any of its kind is compared."""

    number: int
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Compared.comparisons += 1
        return isinstance(other, Compared) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


@attrs.frozen
class Square:
    x: int
    y: int = 0


class Named(NamedTuple):
    x: int


class Array(msgspec.Struct, array_like=True, tag="array"):
    name: str
    numbers: set[int]


@attrs.define
class Vote:
    numbers: set[int]
    name: str = ""


class Up(msgspec.Struct, tag=True):
    numbers: set[int]


class Down(msgspec.Struct, tag=True):
    numbers: list[int]


class Tree(msgspec.Struct):
    numbers: set[int] = msgspec.field(default_factory=set)
    inner: "list[Tree]" = []


def reader_of(hint: Any) -> Any:
    """Return what reads a body of this type for a handler."""
    return guarded(body_decoder(hint), msgspec.inspect.type_info(hint))


def as_json(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


def texts(numbers: Sequence[int]) -> list[str]:
    return [str(number) for number in numbers]


@pytest.mark.parametrize(
    ("hint", "body", "path"),
    [
        (set[int], ALIKE, "$"),
        (frozenset[int], ALIKE, "$"),
        (set[int | str], [*texts(range(500)), *ALIKE], "$"),
        (set[Any], ALIKE, "$"),
        (set, ALIKE, "$"),
        (set[Decimal], texts(ALIKE), "$"),
        (set[UUID], [str(UUID(int=number)) for number in ALIKE], "$"),
        (dict[int, str], dict.fromkeys(texts(ALIKE), ""), "$"),
        (dict[UUID, str], {str(UUID(int=number)): "" for number in ALIKE}, "$"),
        (set[tuple[int, str]], [[number, ""] for number in ALIKE], "$"),
        (set[tuple[int, ...]], [[number, 7] for number in ALIKE], "$"),
        (set[Square], [{"x": number} for number in ALIKE], "$"),
        (set[Named], [[number] for number in ALIKE], "$"),
        (set[frozenset[int]], [[1], ALIKE], "$[1]"),
        (Vote, {"name": "Ana", "numbers": ALIKE}, "$.numbers"),
        (list[Vote], [{"numbers": [1]}, {"numbers": ALIKE}], "$[1].numbers"),
        (dict[str, set[int]], {"Ana": [], "Bob": ALIKE}, "$[...]"),
        (tuple[int, set[int]], [1, ALIKE], "$[1]"),
        (Vote | None, {"numbers": ALIKE}, "$.numbers"),
        (Array, ["array", "Ana", ALIKE], "$.numbers"),
        (Up | Down, {"type": "Up", "numbers": ALIKE}, "$.numbers"),
        (Tree, {"inner": [{"inner": [{}, {"numbers": ALIKE}]}]}, "$.inner[0].inner[1].numbers"),
    ],
    ids=str,
)
def test_values_with_one_hash_are_refused_with_their_path(hint: Any, body: object, path: str) -> None:
    with pytest.raises(BadBody, match="same hash") as refused:
        reader_of(hint)(as_json(body))
    assert refused.value.path == path


def test_numbers_of_a_decimal_that_are_written_as_floats_are_refused_too() -> None:
    body = Raw(b"[%s]" % b",".join(b"%d.0" % number for number in ALIKE))
    with pytest.raises(BadBody, match="same hash"):
        reader_of(set[Decimal])(body)


def test_tuples_of_bounded_numbers_with_one_hash_are_refused() -> None:
    """The hash of a tuple has no secret either: for any first number, a second one can be computed."""
    pairs = [pair for pair in map(pair_with_one_hash, range(400_000)) if pair[1] <= SMALL]
    assert len(pairs) > MOST_ALIKE
    assert len({hash(pair) for pair in pairs}) == 1
    with pytest.raises(BadBody, match="same hash"):
        reader_of(set[tuple[Small, Small]])(as_json(pairs))


def pair_with_one_hash(first: int) -> tuple[int, int]:
    """Return a pair with this first number; all these pairs have the same hash (`tuplehash` of CPython, xxHash)."""
    prime_1, prime_2, prime_5 = 11400714785074694791, 14029467366897019727, 2870177450012600261
    inner = (prime_5 + first * prime_2) % 2**64
    inner = (inner << 31 | inner >> 33) * prime_1 % 2**64
    return first, (12_345 - inner) * pow(prime_2, -1, 2**64) % 2**64


@pytest.mark.parametrize(
    ("hint", "body"),
    [
        (set[int], list(range(5_000))),
        (set[int], [1] * 5_000),
        (set[int], ALIKE[:MOST_ALIKE]),
        (set[int], [2**power for power in range(600)]),
        (set[float], [2.0**power for power in range(-1_074, 1_024)]),
        (set[tuple[float, str]], [[2.0**power, "a"] for power in range(-1_074, 1_024)]),
        (set[int | str], texts(ALIKE)),
        (dict[str, int], dict.fromkeys(texts(ALIKE), 1)),
        (dict, dict.fromkeys(texts(ALIKE), 1)),
        (dict[int, int], {str(number): number for number in range(5_000)}),
        (set[UUID], [str(UUID(int=number)) for number in range(1_000)]),
        (set[Square], [{"x": x, "y": y} for x in range(30) for y in range(30)]),
        (Up | Down, {"type": "Down", "numbers": ALIKE}),
        (list[int], ALIKE),
        (Any, ALIKE),
    ],
    ids=str,
)
def test_what_honest_clients_send_is_read(hint: Any, body: object) -> None:
    raw = as_json(body)
    assert reader_of(hint)(raw) == body_decoder(hint)(raw)


def test_the_values_of_a_set_are_compared_a_bounded_number_of_times() -> None:
    read = reader_of(set[Compared])

    def comparisons_of(numbers: Sequence[object]) -> int:
        Compared.comparisons = 0
        with contextlib.suppress(BadBody):
            read(as_json([{"number": number} for number in numbers]))
        return Compared.comparisons

    assert comparisons_of(range(2_000)) == 0
    assert comparisons_of(ALIKE) == 0
    assert comparisons_of([*ALIKE, "no number"]) == 0  # the decoder would have compared them before it saw that
    in_groups = [each + at for at in range(20) for each in ALIKE[:MOST_ALIKE]]
    assert 0 < comparisons_of(in_groups) <= len(in_groups) * MOST_ALIKE


@pytest.mark.parametrize(
    "hint",
    [set[str], dict[str, int], dict, list[int], Any, set[Small], set[float], set[Literal[1, 2]], dict[Small, str]],
)
def test_a_type_that_hashes_nothing_of_the_kind_costs_nothing(hint: Any) -> None:
    read = body_decoder(hint)
    assert guarded(read, msgspec.inspect.type_info(hint)) is read


@pytest.mark.parametrize("text", [b"[%d]", b"[1, %d]"])
def test_a_number_out_of_its_bounds_is_never_hashed(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError, match="<= 9007199254740992"):
        msgspec.json.decode(text % MODULUS, type=set[Small])


@pytest.mark.parametrize(
    "body", [b"[" + b"1," * 100, b"[" + b"1," * 100 + b'"x"]', b"[" * 5_000 + b"1," * 100, b'["\xff"' + b",1" * 100]
)
def test_what_else_is_wrong_with_a_body_is_said_by_the_decoder(body: bytes) -> None:
    with pytest.raises(BadBody) as plain:
        body_decoder(set[int])(Raw(body))
    with pytest.raises(BadBody) as refused:
        reader_of(set[int])(Raw(body))
    assert (str(refused.value), refused.value.path) == (str(plain.value), plain.value.path)


async def test_a_client_that_sends_such_numbers_is_told_so(autojump_clock: object) -> None:
    server = make()

    @server.action("vote")
    async def vote(body: Vote) -> int:
        return len(body.numbers)

    async with open_server(server) as net:
        ana = await net.connect("Ana")
        assert await ana.request("vote", {"numbers": list(range(1_000))}) == 1_000
        with pytest.raises(ActionError) as refused:
            await ana.request("vote", {"numbers": ALIKE})
    assert (refused.value.code, refused.value.path) == ("bad-body", "$.numbers")
