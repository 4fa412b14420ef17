"""The tutorial, step by step, in a real browser."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from ..harness import ROOT
from ..harness.browser import PATIENCE
from ..harness.documentation import TUTORIAL, blocks


def write_steps(folder: Path) -> Iterator[int]:
    """Write the tutorial's files as a reader does; yield after each step that can be run."""
    step = 0
    for block in blocks(TUTORIAL, "python", "html", "js", "ini"):
        place = folder / block.title
        place.parent.mkdir(exist_ok=True)
        if block.language == "js":  # lines that go after one line of the page
            text = place.read_text("utf-8")
            assert text.count("const on = {\n") == 1
            place.write_text(text.replace("const on = {\n", "const on = {\n" + block.code), "utf-8")
        else:
            place.write_text(block.code, "utf-8")
        if block.title in ("game.py", "static/index.html") and (folder / "static" / "index.html").exists():
            step += 1
            yield step


class Game:
    """The tutorial's game as a process of its own, on a free port."""

    def __init__(self, folder: Path) -> None:
        code = "import game; game.server.run(port=0)"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found is not None, line + self._process.stderr.read()
        self.url = found[0]

    def __enter__(self) -> "Game":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()


def enter(browser: Browser, url: str, name: str, room: str) -> Page:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Room").select_option(room)
    page.get_by_role("button", name="Enter").click()
    expect(page.locator("#log")).to_contain_text(f"{name} has joined")
    return page


def say(page: Page, word: str) -> None:
    page.get_by_label("Word").fill(word)
    page.keyboard.press("Enter")


def test_every_step_of_the_tutorial_runs(folder: Path, browser: Browser) -> None:
    for step in write_steps(folder):
        with Game(folder) as game:
            ana = enter(browser, game.url, "Ana", "room-1")
            ben = enter(browser, game.url, "Ben", "room-1")
            eve = enter(browser, game.url, "Eve", "room-2")
            say(ana, "tree")
            for page in (ana, ben):
                expect(page.locator("#log")).to_contain_text("Ana: tree")
            if step > 1:
                say(ben, "Apple")
                expect(ben.get_by_role("alert")).to_contain_text("matching")
                say(ben, "apple")
                expect(ben.get_by_role("alert")).to_have_text("a word must begin with 'e'")
            say(ben, "egg")
            expect(ana.locator("#log")).to_contain_text("Ben: egg")
            assert "tree" not in eve.locator("#log").inner_text()
            ben.close()
            expect(ana.locator("#log")).to_contain_text("Ben has left")
            ana.close()
            eve.close()


def test_the_tutorials_game_ends_in_the_browser_and_in_its_own_test(folder: Path, browser: Browser) -> None:
    for _ in write_steps(folder):
        pass
    game_file = folder / "game.py"
    code = game_file.read_text("utf-8")
    assert "SECONDS = 20" in code
    game_file.write_text(code.replace("SECONDS = 20", "SECONDS = 0.5"), "utf-8")
    with Game(folder) as game:
        ana = enter(browser, game.url, "Ana", "room-1")
        say(ana, "tree")
        expect(ana.locator("#log")).to_contain_text("Ana 4")
        say(ana, "egg")
        expect(ana.get_by_role("alert")).to_have_text("let somebody else speak first")
        expect(ana.locator("#log")).to_contain_text("Time is up: Ana wins with 4 points.")
        ana.close()

    game_file.write_text(code, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr
