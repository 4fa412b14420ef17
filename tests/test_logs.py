"""The lines that log records become, with any content."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from simplysocket import logs

ODD = "line\nnext\rback\x1b[31m\x00\x85\u2028\u202e\x7f\ud800é"


class Rude:
    """Its repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class RudeList(list[int]):
    """It raises when it is iterated."""

    def __iter__(self) -> Iterator[int]:
        raise RuntimeError("no")


class RudeError(Exception):
    """Its str raises."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def record(message: object = "hello", *args: object, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("chat").makeRecord(
        "chat", logging.WARNING, "chat.py", 1, message, args, extra.pop("exc_info", None), extra=extra
    )


def raised(error: BaseException) -> Any:
    try:
        raise error
    except type(error):
        return sys.exc_info()


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = logs.JsonFormatter().format(made)
    assert "\n" not in line
    assert line.isascii()
    assert line.isprintable()
    found: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    return found


def as_text(made: logging.LogRecord) -> str:
    return logs.TextFormatter().format(made)


def test_a_record_is_one_line_of_json() -> None:
    made = record("%d clients of %r", 3, "ana", room="lobby", exc_info=raised(KeyError("missing")))
    found = as_json(made)
    assert datetime.fromisoformat(found["time"]).timestamp() == pytest.approx(made.created, abs=0.001)
    assert found["time"].endswith("Z")
    assert (found["level"], found["logger"], found["message"]) == ("warning", "chat", "3 clients of 'ana'")
    assert found["room"] == "lobby"
    assert found["exception"].startswith("Traceback")
    assert found["exception"].endswith("KeyError: 'missing'")


def test_a_record_without_an_exception_has_no_such_field() -> None:
    assert set(as_json(record())) == {"time", "level", "logger", "message"}
    assert set(as_json(record(exc_info=(None, None, None)))) == {"time", "level", "logger", "message"}


def test_an_extra_field_hides_nothing() -> None:
    found = as_json(record(time="noon", level=9, logger="x", exception="y"))
    assert (found["level"], found["level_"], found["time_"], found["exception_"]) == ("warning", 9, "noon", "y")
    assert "exception" not in found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (2**53 + 1, 2**53 + 1),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (ODD, ODD),
        (b"\x00\xff", repr(b"\x00\xff")),
        ((1, "two"), [1, "two"]),
        ({"a": {1: [float("inf")]}}, {"a": {"1": ["inf"]}}),
        (int, "<class 'int'>"),
        (Rude(), "<a Rude that cannot be shown>"),
        ([Rude()], ["<a Rude that cannot be shown>"]),
        ({Rude(): 1}, {"<a Rude that cannot be shown>": 1}),
        ([[[[[1]]]]], [[[["[1]"]]]]),
        (RudeList([1]), "[1]"),
    ],
)
def test_a_field_of_any_kind_is_written(value: object, shown: object) -> None:
    assert as_json(record(field=value))["field"] == shown
    as_text(record(field=value))


def test_a_traceback_is_cut_in_its_middle() -> None:
    try:
        try:
            raise ValueError("x" * 1_000_000)
        except ValueError as exc:
            raise KeyError("the last") from exc
    except KeyError:
        made = record("failed", exc_info=sys.exc_info())
    for text in (as_json(made)["exception"], as_text(made)):
        assert len(text) < 40_000
        assert "ValueError: xxx" in text
        assert "(10" in text  # characters
        assert text.endswith("KeyError: 'the last'")


def test_a_value_that_holds_itself_and_one_that_is_huge_are_cut() -> None:
    ring: list[object] = []
    ring.append(ring)
    assert "[...]" in json.dumps(as_json(record(ring=ring)))
    assert len(as_json(record(field="x" * 1_000_000))["field"]) < 5_000
    assert len(as_json(record(field=list(range(1_000_000))))["field"]) == 100
    assert len(as_text(record("%s", "x" * 1_000_000))) < 40_000
    assert as_json(record(number=10**10_000))["number"].startswith("<a int")  # Python does not print so many digits


@pytest.mark.parametrize("read", [lambda made: as_json(made)["exception"], as_text])
def test_a_traceback_is_cut_in_its_middle_and_a_key_at_its_end(read: Any) -> None:
    made = record("failed", exc_info=raised(KeyError("x" * 1_000_000)), field={"y" * 1_000_000: 1})
    assert len(read(made)) < 50_000
    assert "Traceback (most recent call last)" in read(made)
    assert "KeyError: 'xxx" in read(made)
    assert read(made).endswith("xxx'")
    assert len(json.dumps(as_json(made))) < 50_000


@pytest.mark.parametrize("read", [lambda made: as_json(made)["message"], as_text])
def test_a_message_that_does_not_fit_its_arguments_is_still_written(read: Any) -> None:
    assert "'%d clients'" in read(record("%d clients", "many"))
    assert "cannot be shown" in read(record("%r", Rude()))
    assert "RudeError" in read(record(RudeError()))


def test_an_exception_that_cannot_be_shown_is_still_written() -> None:
    assert "RudeError" in as_json(record(exc_info=raised(RudeError())))["exception"]
    assert "RudeError" in as_text(record(exc_info=raised(RudeError())))


def test_a_text_line_holds_no_control_character() -> None:
    made = record("said %s", ODD, **{"field": ODD, "na\nme": ODD})
    made.name = "lo\ngger"
    line = as_text(made)
    assert line.isprintable()
    assert "lo\\ngger: said line\\nnext\\rback\\x1b[31m\\x00\\x85\\u2028\\u202e\\x7f\\ud800é" in line


def test_an_exceptions_text_cannot_pass_for_a_record() -> None:
    forged = "x\n2030-01-01 00:00:00.000 info     chat: all is well\x1b[2J"
    first, *rest = as_text(record("failed", exc_info=raised(ValueError(forged)))).split("\n")
    assert first.endswith("chat: failed")
    assert rest
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    assert rest[-1] == "    2030-01-01 00:00:00.000 info     chat: all is well\\x1b[2J"


def test_colours_are_only_around_the_time_and_the_level() -> None:
    line = logs.TextFormatter(is_coloured=True).format(record("\x1b[5m"))
    assert line.count("\x1b[") == 4
    assert line.endswith("chat: \\x1b[5m")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Return the root logger, and leave it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield root
    root.handlers = handlers
    root.setLevel(level)


def test_configure_sends_everything_from_a_level_on_to_the_stream(root: logging.Logger) -> None:
    stream = io.StringIO()
    logs.configure("WARNING", stream=stream)
    logging.getLogger("mine").info("quiet")
    logging.getLogger("mine").warning("loud")
    assert stream.getvalue().endswith(" warning  mine: loud\n")
    assert stream.getvalue().count("\n") == 1


def test_configure_again_replaces_the_first(root: logging.Logger) -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure(stream=first)
    logs.configure(json=True, stream=second)
    logging.getLogger("mine").info("hello")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["message"] == "hello"


def test_configure_refuses_a_level_that_is_none() -> None:
    with pytest.raises(ValueError, match="'loud' is no level of logging: give one of debug, info"):
        logs.configure("loud")
