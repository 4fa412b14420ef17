"""The depth of a message: the same bound with every version of Python, and no brackets in strings."""

import pytest

from simplysocket._protocol import codec, depth
from simplysocket.errors import BadMessage


def message(body: str) -> bytes:
    return f'{{"action":"echo","id":7,"message_body":{body}}}'.encode()


def nested(levels: int, padding: str = "") -> str:
    """Return a body with so many arrays around an empty one or a string."""
    return "[" * levels + padding + "]" * levels


def test_a_message_may_be_nested_up_to_the_bound() -> None:
    assert codec.decode(message(nested(depth.MOST - 1))).id == 7  # the message itself is one level


@pytest.mark.parametrize("levels", [depth.MOST, 5_000, 30_000])
def test_beyond_it_is_refused(levels: int) -> None:
    with pytest.raises(BadMessage, match="nested too deeply"):
        codec.decode(message(nested(levels)))


@pytest.mark.parametrize(
    "body",
    [
        '"' + "[" * 5_000 + '"',
        '"\\"' + "{" * 5_000 + '\\\\"',
        "[" + ",".join(["[{}]"] * 5_000) + "]",
        nested(700, '"' + "[" * 2_000 + '"'),
    ],
    ids=["in a string", "after a quote in a string", "beside each other", "both"],
)
def test_many_brackets_are_no_depth(body: str) -> None:
    assert codec.decode(message(body)).id == 7


@pytest.mark.parametrize("payload", [b'"' * 60_000, b'"[' * 30_000, b'\\"' * 30_000, b'"\\' * 30_000 + b"[" * 900])
def test_what_is_no_json_is_refused(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        codec.decode(payload)
