"""The pages of the examples, judged by axe-core, in light and dark: nothing in them keeps a person out."""

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from examples.auth import server as auth

from ..harness.axe import faults
from ..harness.browser import open_pages, people_on, run_example
from ..harness.chat import join, write


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[], Page]]:
    with open_pages(browser) as open_page:
        yield open_page


def enter(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Connected")


def talk(page: Page) -> None:
    join(page, "garden")
    write(page, "Hello")


def test_the_chat(open_page: Callable[[], Page]) -> None:
    with run_example("examples.chat.server") as process:
        ana, ben = open_page(), open_page()
        ana.goto(process.url)
        assert faults(ana) == []
        enter(ana, "Ana")
        assert faults(ana) == []
        talk(ana)
        ben.goto(process.url)
        enter(ben, "Ben")
        talk(ben)
        expect(ana.get_by_role("log").locator(".message")).to_have_count(2)
        assert faults(ana) == []
        process.stop()
        expect(ana.get_by_role("status")).not_to_have_text("Connected")
        assert faults(ana) == []


def test_the_echo(open_page: Callable[[], Page]) -> None:
    with run_example("examples.echo.server:server") as process:
        page = open_page()
        page.goto(process.url)
        expect(page.get_by_role("status")).to_have_text("Connected")
        assert faults(page) == []
        page.get_by_label("Say something").fill("hello " + "y" * 100)
        page.keyboard.press("Enter")
        expect(page.get_by_role("log").get_by_role("listitem")).to_have_count(1)
        process.stop()
        expect(page.get_by_role("status")).not_to_have_text("Connected")
        page.get_by_label("Say something").fill("nobody hears it")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Not sent")).to_be_visible()
        assert faults(page) == []


def test_tic_tac_toe(open_page: Callable[[], Page]) -> None:
    with run_example("examples.tictactoe.server", "--seconds", "600") as process:
        ana, ben = open_page(), open_page()
        ana.goto(process.url)
        assert faults(ana) == []
        for page, name in ((ana, "Ana"), (ben, "Ben")):
            page.goto(process.url if page is ana else ana.url)
            page.get_by_label("Your name").fill(name)
            page.keyboard.press("Enter")
            expect(page.get_by_role("group", name="Players")).to_contain_text(name)
            assert faults(page) == []
        for page, cell in ((ana, "Row 1, column 1"), (ben, "Row 2, column 1"), (ana, "Row 1, column 2")):
            page.get_by_role("button", name=cell).click()
            expect(page.get_by_role("button", name=f"{cell}: empty")).to_have_count(0)
        ben.get_by_role("button", name="Row 2, column 2").click()
        ana.get_by_role("button", name="Row 1, column 3").click()
        expect(ana.get_by_role("status")).to_have_text("You win!")
        assert faults(ana) == []
        process.stop()
        expect(ana.get_by_role("alert")).to_be_visible()
        assert faults(ana) == []


def test_the_page_with_identities(open_page: Callable[[], Page], monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "s" * 32
    monkeypatch.setenv("AUTH_SECRET", secret)
    monkeypatch.setattr(auth, "SECRET", secret)
    with run_example("examples.auth.server") as process:
        page = open_page()
        page.goto(process.url)
        assert faults(page) == []  # without a token
        page.goto(f"{process.url}/#{auth.make_token(auth.Claims('Ana', 'admin', time.time() + 3_600))}")
        page.reload()
        expect(people_on(page)).to_have_text(["Ana"])
        assert faults(page) == []
