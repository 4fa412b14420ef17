"""Logs: how a record becomes a line.

Laws: a client's text is always escaped, so it can neither begin a new line nor
control a terminal. A record is written even if one of its values cannot be shown.
"""

import json as jsonlib
import logging
import math
import os
import sys
import traceback
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, TextIO

from ._log_limit import PLACE
from ._stderr import discard_unwritten

LEVELS: Final = ("debug", "info", "warning", "error", "critical")

_VALUE_LENGTH: Final = 4_096  # characters of one value; the rest is cut, so that no record fills a disk
_MESSAGE_LENGTH: Final = 32_768  # characters of a message; those of this package are far shorter
_EXCEPTION_LENGTH: Final = 32_768  # characters of a traceback; its text may hold what a client sent
_DEPTH: Final = 4  # of nested collections; deeper ones are written as their repr
_ITEMS: Final = 100  # of one collection; the rest is left out

_OF_A_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", PLACE}
_COLOURS: Final = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}  # SGR codes


def configure(level: str = "info", *, json: bool = False, stream: TextIO | None = None) -> None:
    """Send the logs of the whole program to `stream` (None: stderr), from `level` on.

    Replaces what was configured before. Writes text, with colours on a terminal
    unless NO_COLOR is set, or with `json` one JSON object a line. ValueError for a
    level that is not in `LEVELS`.
    """
    if level.lower() not in LEVELS:
        raise ValueError(f"{level!r} is no level of logging: give one of {', '.join(LEVELS)}")
    stream = stream or sys.stderr
    handler = _Handler(stream) if stream is not None else logging.NullHandler()  # stderr is None when it is closed
    is_coloured = stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")
    handler.setFormatter(JsonFormatter() if json else TextFormatter(is_coloured=is_coloured))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes records to a stream. What it cannot take, as stderr on a full disk, is lost, and stops no program."""

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], OSError):
            discard_unwritten(self.stream)
        else:
            super().handleError(record)


class TextFormatter(logging.Formatter):
    """Writes text: local time, level, logger, message and extra fields in a line, then an indented traceback."""

    def __init__(self, *, is_coloured: bool = False) -> None:
        super().__init__()
        self._is_coloured = is_coloured

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, and its traceback as further lines."""
        time = datetime.fromtimestamp(record.created).isoformat(" ", "milliseconds")
        level = f"{record.levelname.lower():8}"
        if self._is_coloured:
            time = f"\x1b[2m{time}\x1b[0m"
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        fields = "".join(f" {escape(name)}={_repr_of(value)}" for name, value in _extra(record).items())
        lines = [f"{time} {level} {escape(record.name)}: {escape(_message(record))}{fields}"]
        # Indented, so that a line in an exception's text cannot pass for a record.
        lines += [f"    {escape(line)}" for line in _exception(record).split("\n") if line]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """Writes one JSON object a line, in ASCII.

    Its fields are time (RFC 3339, UTC), level, logger, message, exception, and the
    extra fields. An extra field with one of these names gets a `_` appended.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if exception := _exception(record):
            fields["exception"] = exception
        for name, value in _extra(record).items():
            fields[f"{name}_" if name in (*fields, "exception") else name] = _field(value)
        return jsonlib.dumps(fields, ensure_ascii=True, allow_nan=False)


def escape(text: str) -> str:
    """Return the text with what is not printable escaped as in `repr`: control characters, line ends, marks."""
    if text.isprintable():
        return text
    odd = {each for each in set(text) if not each.isprintable()}  # a fifth of the time of a look at each character
    return text.translate({ord(each): each.encode("unicode_escape").decode("ascii") for each in odd})


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception as error:  # the arguments do not fit the format string, or a repr raises
        message = f"{_repr_of(record.msg)} with {_repr_of(record.args)} ({type(error).__name__})"
    return _cut(message, _MESSAGE_LENGTH)


def _exception(record: logging.LogRecord) -> str:
    """Return the traceback and the stack as text, without a final line end; "" when there is neither."""
    parts = []
    if record.exc_info and record.exc_info[1] is not None:
        try:
            parts.append("".join(traceback.format_exception(record.exc_info[1])))
        except Exception:  # an exception whose attributes raise
            parts.append(_repr_of(record.exc_info[1]))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return _cut_middle("\n".join(part.rstrip("\n") for part in parts), _EXCEPTION_LENGTH)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OF_A_RECORD}


def _field(value: object) -> object:
    try:
        return _plain(value, _DEPTH)
    except Exception:  # a collection that raises when it is read
        return _repr_of(value)


def _plain(value: object, depth: int) -> object:
    """Return the value as JSON can represent it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _cut(str.__str__(value), _VALUE_LENGTH)
    if isinstance(value, int) and abs(value) < 2**63:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each, depth - 1) for each in islice(value, _ITEMS)]
    if depth and isinstance(value, dict):
        some = islice(value.items(), _ITEMS)
        return {
            _cut(key, _VALUE_LENGTH) if isinstance(key, str) else _repr_of(key): _plain(each, depth - 1)
            for key, each in some
        }
    return _repr_of(value)


def _repr_of(value: object) -> str:
    try:
        return _cut(escape(repr(value)), _VALUE_LENGTH)
    except Exception:  # whatever the value's own repr raises, the line is written
        return f"<a {type(value).__name__} that cannot be shown>"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}... ({len(text)} characters)"


def _cut_middle(text: str, length: int) -> str:
    """Cut a text in its middle: a traceback begins with the code that ran, and ends with what went wrong."""
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}\n... ({len(text)} characters) ...\n{text[-half:]}"
