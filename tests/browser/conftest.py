"""A server, a line to it, and a script at the end of the line: in Node, and in a page."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext

from ..harness.browser import Process, run_example
from ..harness.line import Line
from ..harness.scripts import NodeScript, PageScript, Script

HOUSE = "tests.browser.house"


def port_of(process: Process) -> int:
    return int(process.url.rpartition(":")[2])


@pytest.fixture
def house() -> Iterator[Process]:
    with run_example(HOUSE) as process:
        yield process


@pytest.fixture
def line(house: Process) -> Iterator[Line]:
    with Line(port_of(house)) as line:
        yield line


@pytest.fixture
def context(request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A context of the browser: storage and tabs of its own."""
    browser = request.getfixturevalue("browser")
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(params=["node", "chromium"])
def make_script(request: pytest.FixtureRequest, line: Line) -> Iterator[Callable[[], Script]]:
    """A function that starts a script at the end of the line."""
    scripts: list[Script] = []

    def make() -> Script:
        if request.param == "node":
            scripts.append(NodeScript(line.url))
        else:
            scripts.append(PageScript(request.getfixturevalue("context"), line.url))
        return scripts[-1]

    yield make
    for script in scripts:
        script.end()


@pytest.fixture
def script(make_script: Callable[[], Script]) -> Script:
    return make_script()


@pytest.fixture
def page(context: BrowserContext, line: Line) -> PageScript:
    """A script in a page."""
    return PageScript(context, line.url)
