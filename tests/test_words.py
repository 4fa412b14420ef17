"""Words and values: limits, codes, names."""

import inspect
import math
import re
from typing import Any

import attrs
import pytest

from simplysocket import errors
from simplysocket._protocol.names import RESERVED_ACTIONS, clean_name, is_room_name
from simplysocket.errors import (
    ERROR_CODES,
    ActionError,
    BadBody,
    BadMessage,
    CloseCode,
    SimplySocketError,
    may_come_back,
)
from simplysocket.limits import Limits
from simplysocket.message import Message

DEFAULTS = {
    "message_bytes": 65_536,
    "fragments": 1_024,
    "head_bytes": 16_384,
    "head_lines": 64,
    "handshake_seconds": 5,
    "outbox_frames": 1_024,
    "outbox_bytes": 1_048_576,
    "unsent_bytes": 131_072,
    "write_seconds": 10,
    "ping_seconds": 25,
    "silence_seconds": 60,
    "close_seconds": 2,
    "drain_seconds": 30,
    "inbox_messages": 128,
    "inbox_per_client": 16,
    "rooms_per_client": 100,
    "members_per_room": None,
    "name_length": 200,
    "messages_per_second": 100,
    "messages_burst": 200,
    "joins_per_second": 5,
    "joins_burst": 20,
    "controls_per_second": 10,
    "controls_burst": 50,
    "connections": 10_000,
    "connections_per_address": 100,
    "protocol_errors": 10,
    "static_bytes": 67_108_864,
}
LIMITS = [field.name for field in attrs.fields(Limits)]
# What must not be without a bound: the server itself would wait for ever, or have no number to pass on.
NEEDED = {
    "bytes_burst",
    "close_seconds",
    "controls_burst",
    "drain_seconds",
    "handshake_seconds",
    "head_bytes",
    "head_lines",
    "joins_burst",
    "messages_burst",
    "turn_seconds",
    "unsent_bytes",
    "write_seconds",
}


def limit(name: str, value: Any) -> Limits:
    return Limits(**{name: value})


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_a_limit_has_the_documented_default(name: str, value: float | None) -> None:
    assert getattr(Limits(), name) == value


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_bad_limit_is_refused_by_its_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"Limits\.{name} is {value!r}"):
        limit(name, value)


@pytest.mark.parametrize("name", ["message_bytes", "write_seconds"])
def test_a_limit_that_is_no_number_is_refused_by_its_name(name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"Limits\.{name} is '5'"):
        limit(name, "5")


@pytest.mark.parametrize("name", [name for name in LIMITS if name not in NEEDED])
def test_none_lifts_a_limit(name: str) -> None:
    assert getattr(limit(name, None), name) is None


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_limit_that_the_server_needs_cannot_be_lifted(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Limits\.{name} is None.*cannot be lifted"):
        limit(name, None)


def test_limits_are_given_by_name_and_never_change() -> None:
    with pytest.raises(TypeError):
        Limits(1)  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Limits().fragments = 2  # type: ignore[misc]


# --- codes


@pytest.mark.parametrize("code", [3000, 3001, 3008, 3499, 4000, 4499, 1000, 1001, 1006, 1011, 1012])
def test_after_these_codes_a_client_comes_back(code: int) -> None:
    assert may_come_back(code)


@pytest.mark.parametrize("code", [3500, 3504, 3999, 4500, 4999, 1002, 1003, 1007, 1008, 1009])
def test_after_these_codes_a_client_stays_away(code: int) -> None:
    assert not may_come_back(code)


CLOSE_CODES = {  # docs/protocol.md, "Close codes"
    "APPLICATION": 3000,
    "SHUTDOWN": 3001,
    "INTERNAL": 3004,
    "EXPIRED": 3005,
    "SLOW": 3008,
    "SILENT": 3012,
    "OVER_RATE": 3013,
    "BAD_TOKEN": 3500,
    "BAD_REQUESTS": 3501,
    "TAKEN_OVER": 3502,
    "KICKED": 3503,
    "TOO_MANY": 3504,
}


def test_the_close_codes_are_those_of_the_protocol() -> None:
    assert {code.name: code.value for code in CloseCode if code >= 3000} == CLOSE_CODES


def test_the_error_codes_are_those_of_the_protocol() -> None:
    assert " ".join(sorted(ERROR_CODES)) == (
        "bad-body bad-message busy cancelled expired forbidden gone internal not-a-member rate-limited room-closed "
        "room-full timeout too-large too-many unknown-action unknown-target"
    )


@pytest.mark.parametrize("code", sorted(ERROR_CODES | RESERVED_ACTIONS))
def test_every_word_on_the_wire_is_kebab_case(code: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)


def test_every_exception_has_one_root() -> None:
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)]
    assert len(found) > 5
    assert all(issubclass(each, SimplySocketError) for each in found)


@pytest.mark.parametrize("error", [errors.RoomClosed("x"), errors.Gone("x"), BadBody("x", path="$.a")])
def test_a_refusal_has_a_code_of_the_protocol(error: ActionError) -> None:
    assert error.code in ERROR_CODES
    assert str(error) == f"{error.code}: x"


def test_an_error_says_what_it_was_given() -> None:
    error = ActionError("busy", "later", retry_after=2, path="$.x")
    assert (error.code, error.message, error.retry_after, error.path) == ("busy", "later", 2, "$.x")
    assert str(ActionError("busy")) == "busy"
    bad = BadMessage("no", path="$.id", id=3)
    assert (str(bad), bad.path, bad.id) == ("no", "$.id", 3)


# --- messages and names


def test_a_message_never_changes() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Message("a").action = "b"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["a", "game 1", "Zürich", "🎲", "a" * 200, "мяч", "👩‍👩‍👧", "a/b?c#d"])
def test_a_room_may_have_this_name(name: str) -> None:
    assert is_room_name(name, 200)


@pytest.mark.parametrize(
    "name", ["", "a" * 201, "é" * 201, "a\nb", "\0", "a\x7f", "\x85é", "a\u2028", "\u2029", "\ud800"]
)
def test_a_room_may_not_have_this_name(name: str) -> None:
    assert not is_room_name(name, 200)


def test_a_room_name_may_be_long_where_there_is_no_limit() -> None:
    assert is_room_name("a" * 100_000, None)


NAMES = {  # given: shown
    "Ana": "Ana",
    "  Ana\t Maria \n": "Ana Maria",
    "A\0n\x07a\x7f": "Ana",
    "A\x1b[31mna": "A[31mna",
    "An\u2028a": "An a",
    "\u202eanA\u202c \u2066x\u2069": "anA x",
    "Zoë 🎲": "Zoë 🎲",
    "👩‍👧": "👩‍👧",
    "A\ud800na": "Ana",
    "\u202e\0 ": "",
    "": "",
}


@pytest.mark.parametrize(("given", "shown"), NAMES.items())
def test_a_clients_name_is_cleaned(given: str, shown: str) -> None:
    assert clean_name(given, 200) == shown


@pytest.mark.parametrize(
    ("given", "shown"), [("abcdef", "abcd"), ("abc def", "abc"), ("🎲🎲🎲🎲🎲", "🎲🎲🎲🎲"), ("\0abcde", "abcd")]
)
def test_a_clients_name_is_cut(given: str, shown: str) -> None:
    assert clean_name(given, 4) == shown
    assert clean_name(given * 100, None) == clean_name(given * 100, 10_000)
