"""Errors and codes."""

import inspect
import re

import pytest

from simplysocket import errors
from simplysocket._protocol.names import RESERVED_ACTIONS
from simplysocket.errors import (
    ERROR_CODES,
    ActionError,
    BadBody,
    BadMessage,
    CloseCode,
    SimplySocketError,
    may_come_back,
)


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
