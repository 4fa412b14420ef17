"""The tic-tac-toe example's page, in a real browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ..harness.browser import Process, open_pages, run_example
from ..harness.line import Line

HTML = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with run_example("examples.tictactoe.server", "--seconds", "600") as process:
        yield process


@pytest.fixture
def enter(browser: Browser, process: Process) -> Iterator[Callable[..., Page]]:
    with open_pages(browser) as open_page:

        def enter(name: str, url: str = "") -> Page:
            page = open_page()
            page.goto(url or process.url)
            page.get_by_label("Your name").fill(name)
            page.get_by_role("button", name="Join the game" if url else "Play with a friend").click()
            expect(page.get_by_role("status")).not_to_have_text("Joining…")
            return page

        yield enter


def cell(page: Page, number: int, mark: str = "empty") -> Locator:
    return page.get_by_role("button", name=f"Row {number // 3 + 1}, column {number % 3 + 1}: {mark}")


def says(page: Page, text: str) -> None:
    expect(page.get_by_role("status")).to_have_text(text)


def test_two_play_to_the_end_and_again(enter: Callable[..., Page]) -> None:
    ana = enter("Ana")
    says(ana, "Waiting for a second player")
    ben = enter(HTML, ana.url)  # a link that was sent
    zoe = enter("Zoe", ana.url)
    says(ana, "Your turn")
    says(ben, "Ana is thinking")
    expect(zoe.get_by_text("You are watching")).to_be_visible()

    cell(ben, 0).click(force=True)  # not yet
    for page, number, mark in ((ana, 4, "X"), (ben, 0, "O"), (ana, 3, "X"), (ben, 1, "O")):
        cell(page, number).click()
        expect(cell(zoe, number, mark)).to_be_visible()
    ana.reload()  # in the middle of the game
    says(ana, "Your turn")
    cell(ana, 3, "X").focus()  # with the keyboard
    ana.keyboard.press("ArrowRight")
    ana.keyboard.press("ArrowRight")
    ana.keyboard.press("Enter")
    says(ana, "You win!")
    says(ben, "Ana wins")
    says(zoe, "Ana wins")

    for page in (ana, ben):
        page.get_by_role("button", name="Play again").click()
    says(ben, "Your turn")
    expect(cell(ben, 4)).to_be_visible()
    expect(ben.get_by_role("group", name="Players")).to_contain_text(HTML)
    for page in (ana, ben, zoe):
        assert page.locator("img").count() == 0


def test_a_cut_line_costs_no_seat(browser: Browser, process: Process) -> None:
    with Line(int(process.url.rpartition(":")[2])) as line, open_pages(browser) as open_page:
        ana, ben = open_page(), open_page()
        for page, name in ((ana, "Ana"), (ben, "Ben")):
            page.goto(line.url if page is ana else ana.url.replace(line.url, process.url))
            page.get_by_label("Your name").fill(name)
            page.get_by_role("button", name="Play with a friend" if page is ana else "Join the game").click()
            expect(page.get_by_role("group", name="Players")).to_contain_text(name)
        says(ana, "Your turn")
        line.block()
        says(ben, "Waiting for Ana to come back")
        expect(ana.get_by_role("alert")).to_contain_text("Your seat is kept")
        line.open()
        says(ben, "Ana is thinking")
        cell(ana, 4).click()
        expect(cell(ben, 4, "X")).to_be_visible()


def test_one_plays_against_the_computer_on_a_phone(enter: Callable[..., Page]) -> None:
    ana = enter("A" * 30)
    ana.set_viewport_size({"width": 390, "height": 844})
    ana.get_by_role("button", name="Play against the computer").click()
    says(ana, "Your turn")
    cell(ana, 4).click()
    says(ana, "Your turn")
    expect(ana.get_by_role("button", name=": O")).to_have_count(1)
    assert ana.evaluate("document.documentElement.scrollWidth") <= 390
    board = ana.get_by_role("group", name="Board").bounding_box()
    assert board is not None
    assert board["y"] + board["height"] <= 844

    ana.get_by_role("button", name="Leave").click()
    expect(ana.get_by_role("button", name="Play with a friend")).to_be_visible()


def test_two_strangers_find_each_other(browser: Browser, process: Process, enter: Callable[..., Page]) -> None:
    friends = enter("Friend")  # waits for somebody who has the link
    with open_pages(browser) as open_page:
        ana, ben = open_page(), open_page()
        for page, name in ((ana, "Ana"), (ben, "Ben")):
            page.goto(process.url)
            page.get_by_label("Your name").fill(name)
            page.keyboard.press("Enter")
            expect(page.get_by_role("group", name="Players")).to_contain_text(name)
        says(ana, "Your turn")
        cell(ana, 4).click()
        expect(cell(ben, 4, "X")).to_be_visible()
        says(friends, "Waiting for a second player")
