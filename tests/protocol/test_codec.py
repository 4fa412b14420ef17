"""The codec: what a message looks like on the wire, and which bytes are refused."""

import collections
import dataclasses
import enum
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplysocket._protocol.codec import EMPTY, Raw, body_decoder, decode, decode_body, encode, encode_body, to_message
from simplysocket.errors import BadBody, BadMessage, EncodeError
from simplysocket.message import GLOBAL_ROOM, Message

STEADY = settings(derandomize=True, deadline=None)  # the same examples in every run
DEEP = b"[" * 100_000 + b"]" * 100_000
FIVE = b'{"action":"a","message_body":{},"IsTargetClient":false,"target":"r","sender":"s"'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


# --- messages going out


def test_a_plain_message_has_five_keys_in_the_order_of_the_protocol() -> None:
    assert encode("a", EMPTY, "r", "s") == FIVE + b"}"


def test_id_timeout_and_room_stand_behind_the_five() -> None:
    message = encode("a", EMPTY, "r", "s", id=7, timeout=2.5, room="q")
    assert message == FIVE + b',"id":7,"timeout":2.5,"room":"q"}'


@pytest.mark.parametrize(("name", "value"), [("id", 0), ("id", "x"), ("timeout", 0.0), ("room", "")])
def test_a_key_that_was_not_given_stays_absent(name: str, value: Any) -> None:
    written = json.loads(encode("a", EMPTY, "r", "s", **{name: value}))
    assert list(written)[5:] == [name]
    assert written[name] == value


def test_a_message_to_a_client_says_so() -> None:
    assert json.loads(encode("a", EMPTY, "c1", "s", target_client=True))["IsTargetClient"] is True


def test_nothing_is_escaped_for_html() -> None:
    assert encode("<é&>", encode_body("<&>\u2028"), "r", "s").startswith(
        '{"action":"<é&>","message_body":"<&>\u2028",'.encode()
    )


@STEADY
@given(json_values)
def test_a_raw_body_goes_out_unchanged(value: Any) -> None:
    body = Raw(json.dumps(value, indent=1).encode())  # with spaces and escapes that the codec itself never writes
    message = encode("a", encode_body(body), "r", "s")
    assert message == b'{"action":"a","message_body":' + bytes(body) + FIVE[31:] + b"}"


@pytest.mark.parametrize("names", [("\ud800", "r", "s"), ("a", "\ud800", "s"), ("a", "r", "\udfff")])
def test_a_name_with_a_lone_surrogate_is_not_written(names: tuple[str, str, str]) -> None:
    action, target, sender = names
    with pytest.raises(EncodeError, match="surrogates not allowed"):
        encode(action, EMPTY, target, sender)


# --- messages coming in


def test_what_is_absent_has_its_default() -> None:
    envelope = decode(b'{"action":"a"}')
    assert (envelope.target, envelope.IsTargetClient, envelope.id, envelope.timeout) == (GLOBAL_ROOM, False, None, None)
    assert envelope.message_body == Raw(b"{}")


def test_unknown_keys_are_ignored() -> None:
    envelope = decode(b'{"x":[1],"action":"a","sender":"someone else","offset":3,"\\u00e9":null}')
    assert to_message(envelope, "me") == Message("a", sender="me")


@pytest.mark.parametrize("target", [b"null", b'""', b'"mesh-global"'])
def test_a_null_or_empty_target_is_the_global_room(target: bytes) -> None:
    assert to_message(decode(b'{"action":"a","target":%b}' % target), "me").target == GLOBAL_ROOM


def test_a_null_flag_and_a_null_id_count_as_absent() -> None:
    message = to_message(decode(b'{"action":"a","IsTargetClient":null,"id":null,"timeout":null}'), "me")
    assert message == Message("a", sender="me")


def test_of_a_key_given_twice_the_last_counts_as_in_javascript_and_go() -> None:
    envelope = decode(b'{"action":"a","id":1,"action":"b","id":2}')
    assert (envelope.action, envelope.id) == ("b", 2)


@pytest.mark.parametrize("id", [0, -(2**53), 2**53, "x", "x" * 64])
def test_an_id_is_a_short_string_or_an_integer_that_javascript_can_hold(id: str | int) -> None:
    assert decode(json.dumps({"action": "a", "id": id}).encode()).id == id


def test_a_message_is_what_was_written() -> None:
    envelope = decode(encode("a", encode_body([1, None]), "r", "liar", target_client=True, id="q", timeout=3))
    assert envelope.timeout == 3
    assert to_message(envelope, "me") == Message("a", [1, None], "r", True, "me", "q")


BAD = {  # name: (payload, path, id)
    "empty": (b"", None, None),
    "half": (b'{"action":"a"', None, None),
    "array": (b"[]", "$", None),
    "null": (b"null", "$", None),
    "NaN in the body": (b'{"action":"a","message_body":{"x":NaN}}', None, None),
    "Infinity in the body": (b'{"action":"a","message_body":[-Infinity]}', None, None),
    "body of brackets": (b'{"action":"a","message_body":' + DEEP + b"}", None, None),
    "unknown key of brackets": (b'{"action":"a","x":' + DEEP + b"}", None, None),
    "brackets only": (DEEP, None, None),
    "lone high surrogate in the body": (b'{"action":"a","message_body":"\\ud800"}', None, None),
    "lone low surrogate in the body": (b'{"action":"a","message_body":["\\udc00"]}', None, None),
    "lone surrogate in a key": (b'{"action":"a","message_body":{"\\ud800x":1}}', None, None),
    "lone surrogate in the action": (b'{"action":"\\ud800"}', None, None),
    "id beyond 2^53": (b'{"action":"a","id":9007199254740993}', "$.id", None),
    "id below -2^53": (b'{"action":"a","id":-9007199254740993}', "$.id", None),
    "id beyond 64 bits": (b'{"action":"a","id":99999999999999999999999}', "$.id", None),
    "id true": (b'{"action":"a","id":true}', "$.id", None),
    "id fraction": (b'{"action":"a","id":1.5}', "$.id", None),
    "id empty": (b'{"action":"a","id":""}', "$.id", None),
    "id long": (b'{"action":"a","id":"%b"}' % (b"x" * 65), "$.id", None),
    "something behind": (b'{"action":"a"}{}', None, None),
    "zero byte behind": (b'{"action":"a"}\0', None, None),
    "byte order mark": (b'\xef\xbb\xbf{"action":"a"}', None, None),
    "not UTF-8 in the body": (b'{"action":"a","message_body":"\xff","id":3}', None, 3),
    "not UTF-8 in an unknown key": (b'{"action":"a","id":"q","x":"\xc3"}', None, "q"),
    "control character in the body": (b'{"action":"a","message_body":"\n\0"}', None, None),
    "no action": (b'{"id":5}', "$.action", 5),
    "empty action": (b'{"action":"","id":5}', "$.action", 5),
    "long action": (b'{"action":"%b","id":5}' % (b"x" * 65), "$.action", 5),
    "action null": (b'{"action":null,"id":5}', "$.action", 5),
    "target number": (b'{"action":"a","target":5,"id":"q"}', "$.target", "q"),
    "flag number": (b'{"action":"a","IsTargetClient":1,"id":"q"}', "$.IsTargetClient", "q"),
    "timeout below zero": (b'{"action":"a","timeout":-1,"id":5}', "$.timeout", 5),
    "timeout infinite": (b'{"action":"a","timeout":1e999,"id":5}', "$.timeout", 5),
}


@pytest.mark.parametrize(("payload", "path", "id"), BAD.values(), ids=BAD.keys())
def test_what_is_no_message_is_refused(payload: bytes, path: str | None, id: str | int | None) -> None:
    with pytest.raises(BadMessage) as caught:
        decode(payload)
    assert (caught.value.path, caught.value.id) == (path, id)
    assert caught.value.message


@STEADY
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_message_or_refused(payload: bytes) -> None:
    try:
        envelope = decode(payload)
    except BadMessage:
        return
    assert envelope.action


# --- bodies


@STEADY
@given(json_values)
def test_a_body_comes_back_as_it_was(value: Any) -> None:
    assert decode_body(encode_body(value)) == value
    assert json.loads(bytes(encode_body(value))) == value


def test_a_body_is_written_as_deep_as_it_can_be_read() -> None:
    body = decode_body(Raw(b"[" * 600 + b"null" + b"]" * 600))
    assert bytes(encode_body(body)) == b"[" * 600 + b"null" + b"]" * 600


@attrs.define
class AttrsBody:
    x: Any
    y: int = 1


@dataclasses.dataclass
class DataBody:
    x: Any


class StructBody(msgspec.Struct):
    x: Any


def as_enum(value: Any) -> Any:
    return enum.Enum("Choice", {"ONLY": value}).ONLY  # type: ignore[attr-defined]


Pair = collections.namedtuple("Pair", "x y")
HOLDERS = {
    "bare": lambda x: x,
    "dict": lambda x: {"x": x},
    "list": lambda x: [0, x],
    "tuple": lambda x: (x,),
    "named tuple": lambda x: Pair(x, 1),
    "set": lambda x: {x},
    "attrs": AttrsBody,
    "dataclass": DataBody,
    "struct": StructBody,
    "enum": as_enum,
    "nested": lambda x: {"a": [StructBody((AttrsBody(DataBody({"b": [x]})),))]},
}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS.keys())
def test_nan_and_infinity_are_not_written(hold: Any, value: float) -> None:
    with pytest.raises(EncodeError, match="NaN or Infinity"):
        encode_body(hold(value))


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS.keys())
def test_none_is_written_as_null(hold: Any) -> None:
    assert b"null" in bytes(encode_body(hold(None)))


def test_the_word_null_and_finite_numbers_pass() -> None:
    assert decode_body(encode_body({"null": [None, 1.5, "null"]})) == {"null": [None, 1.5, "null"]}


def lines_run(function: Callable[[], object]) -> int:
    """Return how many lines of Python a call runs: its work, whatever the machine."""
    count = 0

    def trace(_: object, event: str, __: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


DENSE = {  # of 64 KiB, from a client, as an application would return them
    "null": b"null",
    "digits": b"1",
    "texts": b'""',
    "numbers": b"1.5",
    "lists": b"[1]",
    "objects": b"{}",
    "words": b'"null"',
}


@pytest.mark.parametrize("item", DENSE.values(), ids=DENSE.keys())
def test_the_search_for_nan_is_a_few_lines_for_each_value(item: bytes) -> None:
    number = 1_000
    body = decode_body(Raw(b"[null," + b",".join([item] * number) + b"]"))
    encode_body(body)
    assert lines_run(lambda: encode_body(body)) < 16 * number
    if item[:1] not in b"[{":
        assert lines_run(lambda: encode_body(body)) < 8 * number + 50


@pytest.mark.parametrize("number", [b"1e308", b"9E+307", b"5e-324", b"1.5e0308", b"2.2250738585072011e-308", b"1e290"])
def test_numbers_that_are_dear_to_decode_are_refused_in_large_numbers(number: bytes) -> None:
    def of(count: int) -> bytes:
        return b'{"action":"a","id":7,"message_body":[' + b",".join([number] * count) + b"]}"

    assert decode(of(1_000)).id == 7
    with pytest.raises(BadMessage, match="exponents") as refused:
        decode(of(1_001))
    assert refused.value.id == 7


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b",".join([b"1.5e-7"] * 9_000), id="small numbers"),
        pytest.param(b'"' + b"here and there, e3e3 e-300 " * 2_000 + b'"', id="a text"),
        pytest.param(b'"' + b"e" * 60_000 + b'"', id="a text of one letter"),
    ],
)
def test_what_only_looks_like_dear_numbers_is_decoded(body: bytes) -> None:
    assert bytes(decode(b'{"action":"a","message_body":[' + body + b"]}").message_body) == b"[" + body + b"]"


circle: list[Any] = []
circle.append(circle)
NOT_JSON = {
    "object": object(),
    "function": len,
    "complex": 1j,
    "tuple as key": {(1, 2): 3},
    "inside": {"a": [object()]},
    "lone surrogate": "\ud800",
    "lone surrogate as key": {"\udc00": 1},
    "circle": circle,
    "empty raw": Raw(b""),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_json_cannot_say_is_not_written(body: Any) -> None:
    with pytest.raises(EncodeError):
        encode_body(body)


READS: dict[str, tuple[Any, bytes, str | None]] = {  # name: (type, body, path)
    "wrong field": (AttrsBody, b'{"x":0,"y":"1"}', "$.y"),
    "missing field": (AttrsBody, b"{}", "$.x"),
    "inside a list": (list[StructBody], b"[{}]", "$[0].x"),
    "inside a dict": (dict[str, list[int]], b'{"k":[1,"2"]}', "$[...][1]"),
    "wrong as a whole": (int, b'"1"', "$"),
    "too deep": (Any, DEEP, None),
    "number out of range": (Any, b"1e999", "$"),
    "lone surrogate": (Any, b'"\\ud800"', None),
    "unhashable": (set[Any], b"[[1]]", None),
}


@pytest.mark.parametrize(("type_", "body", "path"), READS.values(), ids=READS.keys())
def test_a_wrong_body_is_refused_with_its_place(type_: Any, body: bytes, path: str | None) -> None:
    with pytest.raises(BadBody) as caught:
        body_decoder(type_)(Raw(body))
    assert (caught.value.code, caught.value.path) == ("bad-body", path)
    assert caught.value.message


def test_a_body_is_read_as_its_type() -> None:
    assert body_decoder(AttrsBody)(Raw(b'{"x":[1],"z":0}')) == AttrsBody([1])
