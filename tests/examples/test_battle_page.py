"""The page of the word battle, in a real browser."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from examples.lobby.bot import WORDS

from ..harness.axe import View, faults
from ..harness.browser import Process, open_pages, run_example
from ..harness.line import Line

VIEWS: list[View] = [((390, 844), "dark"), ((1440, 900), "light")]


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with run_example("tests.harness.quick_battle") as process:
        yield process


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[], Page]]:
    with open_pages(browser) as open_page:
        yield open_page


def enter(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Connected")


def players(page: Page) -> Locator:
    return page.get_by_role("list", name="Players").get_by_role("listitem")


def say(page: Page, used: set[str], word: str = "") -> str:
    """Wait for the turn of a page, and say a word that counts, or the one given."""
    box = page.get_by_label("Your word")
    expect(page.get_by_text(re.compile("^Your turn: a word with"))).to_be_visible()
    expect(box).to_be_editable()
    expect(box).to_be_focused()
    letter = page.locator("#letter").inner_text().lower()
    word = word or next(each for each in WORDS if each[0] == letter and each not in used)
    used.add(word)
    page.keyboard.type(word)
    page.keyboard.press("Enter")
    return word


def end(page: Page) -> None:
    """End the game, as its time does."""
    page.evaluate("battle.room.request('end-now')")


def test_a_game_from_the_front_page_to_the_board_with_a_reload_and_a_cut_line(
    process: Process, open_page: Callable[[], Page]
) -> None:
    with Line(int(process.url.rpartition(":")[2])) as line:
        ana, ben = open_page(), open_page()
        enter(ana, line.url, "Ana")
        ana.get_by_role("button", name="Play with friends").click()
        expect(ana.get_by_role("heading", name="Your room")).to_be_visible()
        address = ana.url
        enter(ben, address, "Ben")  # by the link
        expect(ben.get_by_role("heading", name=re.compile("^Ana.s room$"))).to_be_visible()
        expect(players(ana)).to_have_text([re.compile("Ana"), re.compile("Ben"), "+2 free seats"])

        length = ana.get_by_label("A game takes")
        length.focus()
        ana.keyboard.press("End")
        expect(ben.get_by_text("A game takes 180 seconds.")).to_be_visible()
        ana.get_by_role("button", name="Start the game").click()

        used: set[str] = set()
        first = say(ana, used)
        expect(ben.get_by_role("list", name="Words so far").get_by_role("listitem")).to_have_text([first])
        ben.reload()  # it is its turn: the page comes back to the seat, and to the turn
        second = say(ben, used)
        expect(ana.get_by_label("Your word")).to_be_editable()
        line.block()
        expect(ana.get_by_role("status")).to_contain_text("Trying again")
        line.open()
        expect(ana.get_by_role("status")).to_have_text("Connected")
        third = say(ana, used)
        expect(ben.get_by_role("list", name="Words so far").get_by_role("listitem")).to_have_text(
            [first, second, third]
        )
        end(ana)
        for page in (ana, ben):
            expect(page.get_by_role("list", name="Scores").get_by_role("listitem")).to_have_count(2)
            expect(page.get_by_role("list", name="Scores")).to_contain_text("2 points")
            expect(page.get_by_role("list", name="words").get_by_role("listitem")).to_have_text([first, second, third])
            assert page.url == address
        expect(ana.get_by_role("heading", name="You have won!")).to_be_focused()
        expect(ben.get_by_role("heading", name="Ana has won!")).to_be_visible()
        expect(ben.get_by_text("Ana can start the next game.")).to_be_visible()
        ana.get_by_role("button", name="Play again").click()
        expect(ben.get_by_text("Get ready")).to_be_visible()


def test_a_random_game_with_a_bot_and_a_spectator_from_the_lobby(
    process: Process, open_page: Callable[[], Page]
) -> None:
    name, text = "<b>Ana</b>", '<img src=x onerror="document.title=1">'
    ana, eve = open_page(), open_page()
    enter(eve, process.url, "Eve")
    enter(ana, process.url, name)
    people = eve.get_by_role("list", name="Who is here")
    expect(people).to_contain_text(name)
    ana.get_by_role("button", name="Play with anyone").click()
    expect(ana.get_by_text("Looking for somebody to play with")).to_be_visible()
    expect(eve.get_by_role("list", name="Rooms")).to_contain_text(f"{name} and anyone")
    ana.get_by_role("button", name="Play with a bot").click()
    eve.get_by_role("button", name=f"Watch {name} and anyone").click()
    expect(eve.get_by_text("Watching")).to_be_visible()
    expect(eve.get_by_label("Your word")).to_be_hidden()

    ana.get_by_label("Message", exact=True).fill(text)
    ana.keyboard.press("Enter")
    expect(eve.get_by_role("log").get_by_role("listitem")).to_have_text([f"{name}{text}"])
    expect(ana.get_by_role("log").get_by_role("listitem")).to_have_text([f"You{text}"])
    say(ana, set(), "xyzzy")
    expect(eve.locator("#before")).to_have_text(f"{name}: “xyzzy” begins with another letter")
    expect(players(eve).nth(1)).to_contain_text("1 point", timeout=20_000)  # the bot has said a word
    say(ana, set(), "zzzzz")
    expect(ana.get_by_role("log").get_by_role("listitem")).to_have_count(1)  # what is a word is not said as well
    for page in (ana, eve):
        assert page.locator("main img, main b:has-text('Ana')").count() == 0

    ana.get_by_role("button", name="Leave").click()
    expect(ana.get_by_role("heading", name="What shall it be?")).to_be_focused()
    assert "#" not in ana.url


def test_nothing_in_any_view_keeps_a_person_out(process: Process, open_page: Callable[[], Page]) -> None:
    ana, ben = open_page(), open_page()
    ana.goto(process.url)
    assert faults(ana, VIEWS) == []
    enter(ana, process.url, "W" * 20)
    assert faults(ana, VIEWS) == []
    ana.get_by_role("button", name="Open a room").click()
    expect(ana.get_by_role("button", name="Let a bot play")).to_be_visible()
    enter(ben, process.url, "Ben")
    expect(ben.get_by_role("button", name="Join W")).to_be_visible()
    assert faults(ben, VIEWS) == []  # with a room in the list
    for _ in range(3):
        ana.get_by_role("button", name="Let a bot play").click()
    ana.get_by_label("Message", exact=True).fill("x" * 200)
    ana.keyboard.press("Enter")
    expect(players(ana)).to_have_count(4)
    assert faults(ana, VIEWS) == []
    ben.get_by_role("button", name="Watch W").click()
    ana.get_by_role("button", name="Start the game").click()
    expect(ana.locator("#game.mine")).to_be_visible()
    assert faults(ana, VIEWS) == []
    assert faults(ben, VIEWS) == []
    end(ana)
    expect(ana.get_by_role("list", name="Scores")).to_be_visible()
    assert faults(ana, VIEWS) == []
