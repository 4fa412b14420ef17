"""The chat as a process of its own, and pages of it."""

from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from ..harness.browser import Process, open_pages, run_example
from ..harness.chat import Enter


@pytest.fixture
def process() -> Iterator[Process]:
    with run_example("examples.chat.server") as process:
        yield process


def close_or_connect(socket: WebSocketRoute, codes: list[int]) -> None:
    """Close the page's socket with the next of the codes; when all are used, connect it to the server."""
    if codes:
        socket.close(code=codes.pop(0), reason="enough")
    else:
        socket.connect_to_server()


@pytest.fixture
def enter(browser: Browser, process: Process) -> Iterator[Enter]:
    """Open the page and enter a name."""
    with open_pages(browser) as open_page:

        def enter(name: str, closes: Sequence[int] = (), room: str = "") -> Page:
            page = open_page()
            rest = list(closes)
            if closes:
                page.route_web_socket("**/ws?*", lambda socket: close_or_connect(socket, rest))
            page.goto(f"{process.url}/#{room}" if room else process.url)
            page.get_by_label("Your name").fill(name)
            page.keyboard.press("Enter")
            if not closes:
                expect(page.get_by_role("status")).to_have_text("Connected")
            return page

        yield enter
