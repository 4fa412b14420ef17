"""The log limit: a line that comes again and again is written a few times, and then only counted.

Laws:
- Of one line from one place at most `LINES` are written in `SECONDS`; then one line says how many were left out.
- Lines of different places do not count for each other. A place is the line of the log and, where
  there is an exception, the lines of code that it came through, or what `PLACE` says.
- No traceback is formatted and no value is shown for a line that is left out.
- The places that are remembered are bounded, and forgotten after their time.

The limit is a filter on the package's own loggers, and not a handler: so it holds for every way
to set up `logging`, and comes before the handlers, which are what costs.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final

LINES: Final = 5  # of one line and place in the time: enough to see that it is no single case
SECONDS: Final = 60.0  # 5 tracebacks of 4 kB a minute are 1.2 MB an hour, where there was no end
PLACES: Final = 1_000  # remembered at a time, about 200 bytes each; beyond, a line is counted without its place
_ERRORS: Final = 20  # of one group, looked at for the place
_FRAMES: Final = 200  # of one traceback, looked at for the place

PLACE: Final = "place"
"""The name of an extra field that tells the places apart which one line of the log speaks for.

>>> logger.error("the handler of %.64r failed", action, extra={PLACE: where_it_is_written})
"""

LIMITED: Final = tuple(
    f"simplysocket.{name}"
    for name in (
        "accepting",
        "admission",
        "connection",
        "frontdoor",
        "inbound",
        "loop",
        "outbound",
        "room",
        "server",
        "session",
        "turns",
    )
)
"""The loggers whose lines clients or failing handlers can cause: those of a server that runs."""

_TELLS: Final = "the log limit"  # the PLACE of the line that says how many were left out; it is always written
_CONVERSION: Final = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-z]")

_Key = tuple[str, str, str, int | None]


class LogLimit(logging.Filter):
    """Leaves out lines that have come too often. `clock` returns seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lines: dict[_Key, _Line] = {}  # in the order in which their time began
        self._lock = threading.RLock()  # threads log, too; the same thread may, when an object is collected

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be written. Says first what was left out in a time that is over."""
        place = getattr(record, PLACE, "")
        if place == _TELLS:
            return True
        now = self._clock()
        with self._lock:
            over = list(self._take_over(now))
            is_written = self._count(record, place, now)
        for line in over:
            line.tell()
        return is_written

    def tell(self) -> None:
        """Say what was left out in a time that is over."""
        with self._lock:
            over = list(self._take_over(self._clock()))
        for line in over:
            line.tell()

    def begin_anew(self) -> None:
        """Say what was left out, and forget all places: a server that starts or ends has its first lines again."""
        with self._lock:
            over = list(self._lines.values())
            self._lines.clear()
        for line in over:
            line.tell()

    def _count(self, record: logging.LogRecord, place: str, now: float) -> bool:
        key: _Key = (record.name, record.msg, place, _raised_at(record))
        line = self._lines.get(key)
        if line is None and len(self._lines) >= PLACES:
            key = (record.name, record.msg, "", None)
            line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(record, key[2], now)
        if line.written < LINES:
            line.written += 1
            return True
        line.left_out += 1
        return False

    def _take_over(self, now: float) -> "Iterator[_Line]":
        """Remove and yield the lines whose time is over."""
        while self._lines:
            key, line = next(iter(self._lines.items()))
            if now - line.began < SECONDS:
                return
            del self._lines[key]
            yield line


class _Line:
    """One line of the log from one place."""

    __slots__ = ("began", "left_out", "level", "logger", "place", "text", "written")

    def __init__(self, record: logging.LogRecord, place: str, began: float) -> None:
        self.logger = record.name
        self.level = record.levelno
        self.text = record.msg
        self.place = place
        self.began = began
        self.written = 0
        self.left_out = 0

    def tell(self) -> None:
        """Say how many were left out, if any."""
        if self.left_out:
            text = _CONVERSION.sub("...", self.text) + (f" ({self.place})" if self.place else "")
            logging.getLogger(self.logger).log(
                self.level,
                "%d more lines like this one were left out in %g seconds: %.500r",
                self.left_out,
                SECONDS,
                text,
                extra={PLACE: _TELLS},
            )


def _raised_at(record: logging.LogRecord) -> int | None:
    """Return a number for the class of an exception and the lines that it came through; None without one."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return None
    return hash(frozenset((type(each).__qualname__, _lines_of(each.__traceback__)) for each in _single(error)))


def _single(error: BaseException) -> list[BaseException]:
    """Return the first exceptions inside a group, or the exception alone."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < _ERRORS:
        each = waiting.pop()
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        else:
            found.append(each)
    return found


def _lines_of(traceback: TracebackType | None) -> frozenset[tuple[str, int]]:
    # A set: how deep a function calls itself may be a client's choice.
    found = set()
    for _ in range(_FRAMES):
        if traceback is None:
            break
        found.add((traceback.tb_frame.f_code.co_filename, traceback.tb_lineno))
        traceback = traceback.tb_next
    return frozenset(found)


LOG_LIMIT: Final = LogLimit()
"""The limit of this process: loggers are the process's, too."""


def install() -> None:
    """Put the limit before the loggers of the package; a second call changes nothing."""
    for name in LIMITED:
        logging.getLogger(name).addFilter(LOG_LIMIT)
