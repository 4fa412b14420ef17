"""A server, a line to it, and a script at the end of the line: in Node, and in a page.

A module's tests share the process of the server. Each finds it empty.
"""

import socket
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext

from ..harness.browser import PATIENCE, Process, run_example
from ..harness.frames import head, message, token_subprotocol
from ..harness.line import Line
from ..harness.scripts import NodeScript, PageScript, Script

HOUSE = "tests.browser.house"


def port_of(process: Process) -> int:
    return int(process.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """The server of a module's tests."""
    with run_example(HOUSE) as process:
        yield process


@pytest.fixture
def house(process: Process) -> Iterator[Process]:
    """The server, without clients and rooms."""
    yield process
    if process.is_running:
        make_it_forget(process)
    else:  # the test has failed
        process.start()


def make_it_forget(process: Process) -> None:
    """Let the server forget the test's clients and rooms."""
    with socket.create_connection(("localhost", port_of(process)), timeout=PATIENCE / 1000) as stream:
        for asked, answer in (
            (head(sec_websocket_protocol=token_subprotocol("ana")), b"\r\n\r\n"),
            (message("forget", id=1), b'"reply"'),
        ):
            stream.sendall(asked)
            heard = b""
            while answer not in heard:
                data = stream.recv(4_096)
                assert data, heard
                heard += data


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
