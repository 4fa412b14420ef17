"""The limit of the log: what it lets through, what it leaves out, and that it says so."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import simplysocket
from simplysocket import _log_limit
from simplysocket._log_limit import LIMITED, LINES, PLACE, PLACES, SECONDS, LogLimit

# Their lines come from the person who runs the command, and from signals: never from a client.
UNLIMITED = {"simplysocket.cli", "simplysocket.program", "simplysocket.supervisor"}


class Clock:
    """Stands still until a test advances it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """Counts how often it is shown."""

    def __init__(self) -> None:
        self.times = 0

    def __repr__(self) -> str:
        self.times += 1
        return "shown"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logger(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """Return a logger with a limit of its own, whose time is the clock's."""
    logger, limit = logging.getLogger("simplysocket.of-a-test"), LogLimit(clock)
    logger.addFilter(limit)
    yield logger
    logger.removeFilter(limit)


def limit_of(logger: logging.Logger) -> LogLimit:
    (found,) = logger.filters
    assert isinstance(found, LogLimit)
    return found


def test_a_line_is_written_a_few_times_and_then_only_counted(
    logger: logging.Logger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1_000):
        logger.warning("refused %.20r", number)
    assert caplog.messages == [f"refused {number}" for number in range(LINES)]
    clock.now += SECONDS
    logger.warning("refused %.20r", "again")
    assert caplog.messages[LINES:] == [
        f"{1_000 - LINES} more lines like this one were left out in {SECONDS:g} seconds: 'refused ...'",
        "refused 'again'",
    ]


def test_what_was_left_out_is_said_once_and_also_if_no_line_follows(
    logger: logging.Logger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(LINES + 3):
        logger.warning("refused")
    limit_of(logger).tell()
    assert len(caplog.messages) == LINES  # its time is not over
    clock.now += SECONDS
    for _ in range(3):
        limit_of(logger).tell()
    (said,) = caplog.records[LINES:]
    assert said.getMessage().startswith("3 more lines")
    assert (said.name, said.levelno) == (logger.name, logging.WARNING)


def test_a_server_that_starts_has_its_first_lines_again(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        for _ in range(LINES + 1):
            logger.warning("refused")
        limit_of(logger).begin_anew()
    assert caplog.messages.count("refused") == 3 * LINES
    assert len(caplog.messages) == 3 * LINES + 3


def test_no_value_is_shown_for_a_line_that_is_left_out(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    written, left_out = Shown(), Shown()
    for _ in range(LINES):
        logger.warning("refused %.20r", written)
    for _ in range(50):
        logger.warning("refused %.20r", left_out)
    assert written.times >= LINES
    assert left_out.times == 0


def fails_here() -> None:
    raise ValueError("here")


def fails_there() -> None:
    raise ValueError("there")


def fails_with_another() -> None:
    raise KeyError("there")


def fails_deeply(depth: int = 0) -> None:
    if depth:
        fails_deeply(depth - 1)
    raise ValueError("deep")


def fails_in_a_group(function: Callable[[], None]) -> None:
    try:
        function()
    except ValueError as exc:
        raise ExceptionGroup("of a nursery", [exc]) from None


def test_failures_of_different_places_are_counted_apart(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    functions = (
        *(fails_here, fails_there, fails_with_another, fails_deeply),
        *(lambda: fails_in_a_group(fails_here), lambda: fails_in_a_group(fails_there)),
    )
    for _ in range(20):
        for function in functions:
            try:
                function()
            except Exception:
                logger.exception("a handler failed")
    assert len(caplog.records) == LINES * len(functions)


def test_one_failing_function_is_one_place_however_deep_a_client_lets_it_go(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    for depth in range(2, 100):
        try:
            fails_deeply(depth)
        except ValueError:
            logger.exception("a handler failed")
    assert len(caplog.records) == LINES


def test_a_place_that_is_named_is_counted_apart(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        for place in ("game.py:1", "game.py:2"):
            logger.warning("the handler blocks", extra={PLACE: place})
        logger.warning("another line")
    assert len(caplog.records) == 3 * LINES


def test_the_places_that_are_remembered_are_bounded(
    logger: logging.Logger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3 * PLACES):
        logger.warning("blocked", extra={PLACE: f"place {number}"})
    assert len(caplog.records) == PLACES + LINES
    logger.warning("of another line")
    assert caplog.messages[-1] == "of another line"
    assert len(limit_of(logger)._lines) == PLACES + 2
    clock.now += SECONDS
    logger.warning("blocked", extra={PLACE: "a new one"})
    assert caplog.messages[-1] == "blocked"
    assert len(limit_of(logger)._lines) == 1


def test_every_logger_of_a_server_is_limited() -> None:
    package = Path(simplysocket.__file__).parent
    text = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    said = set(re.findall(r'getLogger\("(simplysocket\.[\w-]+)"\)', text))
    assert said == {*LIMITED, *UNLIMITED}
    _log_limit.install()  # once more, which changes nothing
    for name in LIMITED:
        assert logging.getLogger(name).filters.count(_log_limit.LOG_LIMIT) == 1
