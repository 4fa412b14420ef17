"""The echo example: its server in memory, and its page in a real browser."""

import re
from collections.abc import Iterator

import pytest
import trio
from playwright.sync_api import Browser, Page, expect

from examples.echo.server import server
from simplysocket.testing import open_server

from ..harness.browser import Process, open_pages, run_example


@pytest.mark.parametrize("body", ["hello", 7, None, [1, {"a": "<ü>"}]])
async def test_an_echo_is_what_was_said(autojump_clock: trio.abc.Clock, body: object) -> None:
    async with open_server(server) as net:
        ana, ben = await net.connect("Ana"), await net.connect("Ben")
        assert await ana.request("echo", message_body=body) == body
        assert await ben.settle() == []


# --- the page, in a browser


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with run_example("examples.echo.server:server") as process:
        yield process


@pytest.fixture
def page(browser: Browser, process: Process) -> Iterator[Page]:
    with open_pages(browser) as open_page:
        page = open_page()
        page.goto(process.url)
        yield page


def test_a_page_shows_what_came_back_and_how_long_it_took(page: Page) -> None:
    expect(page.get_by_role("status")).to_have_text("Connected")
    echoes = page.get_by_role("log").get_by_role("listitem")
    expect(page.get_by_text("Nothing has come back yet.")).to_be_visible()
    page.keyboard.type("hello")  # the field has the focus
    page.keyboard.press("Enter")
    expect(echoes).to_have_text(re.compile(r"^hello\s*[\d.,]+ ms$"))
    expect(page.get_by_text("Nothing has come back yet.")).to_be_hidden()
    page.get_by_label("Say something").fill("<img src=x> 🐌")
    page.get_by_role("button", name="Send").click()
    expect(echoes.first).to_have_text(re.compile(r"^<img src=x> 🐌\s*[\d.,]+ ms$"))  # the newest is the first
    expect(echoes).to_have_count(2)
    expect(page.get_by_label("Say something")).to_have_value("")
    expect(page.get_by_label("Say something")).to_be_focused()


def test_what_a_page_says_while_the_server_is_away_is_not_lost(page: Page, process: Process) -> None:
    expect(page.get_by_role("status")).to_have_text("Connected")
    assert process.stop() == 0
    expect(page.get_by_role("status")).to_contain_text("Trying again")
    page.get_by_label("Say something").fill("is anybody there?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("Not sent: there is no connection.")
    expect(page.get_by_label("Say something")).to_have_value("is anybody there?")
    process.start()
    expect(page.get_by_role("status")).to_have_text("Connected")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text(re.compile(r"is anybody there\?\s*[\d.,]+ ms"))
