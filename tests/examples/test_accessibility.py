"""The pages of the examples, judged by axe-core, in light and dark: nothing in them keeps a person out."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from examples.auth import server as auth

from ..harness.browser import open_pages, people_on, run_example

SIZES = [(390, 844), (1440, 900)]


@pytest.fixture(params=["light", "dark"])
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[[], Page]]:
    with open_pages(browser) as open_page:

        def open() -> Page:
            page = open_page()
            page.emulate_media(color_scheme=request.param, reduced_motion="reduce")
            return page

        yield open


def faults(page: Page) -> list[str]:
    """Return what is serious, at each size."""
    found = []
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
        for each in violations:
            if each["impact"] in ("serious", "critical"):
                found.append(f"{width}: {each['id']}: {each['help']}: {[node['html'] for node in each['nodes']]}")
    return found


def test_the_chat(open_page: Callable[[], Page]) -> None:
    with run_example("examples.chat.server") as process:
        ana, ben = open_page(), open_page()
        for page, name in ((ana, "Ana"), (ben, "Ben")):
            page.goto(process.url)
            assert faults(page) == []
            page.get_by_label("Your name").fill(name)
            page.keyboard.press("Enter")
            expect(page.get_by_role("status")).to_have_text("Connected")
            assert faults(page) == []
            page.get_by_label("Join or create a room").fill("garden")
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", name="garden")).to_be_visible()
            page.get_by_label("Message", exact=True).fill("Hello")
            page.keyboard.press("Enter")
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
