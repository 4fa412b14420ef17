"""The pages for browsers in the README and in the how-to page, as a reader writes them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ..harness import ROOT
from ..harness.browser import PATIENCE, open_pages
from ..harness.documentation import DOCS, blocks
from ..harness.node import LIBRARY, tool

HOW_TO = DOCS / "howto" / "browser.md"
LOBBY = DOCS / "howto" / "lobby.md"


@pytest.fixture
def served(folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Serve the first Python and the first HTML of a page of the documentation; give the address."""
    page: Path = request.param
    (folder / "static").mkdir()
    (folder / "static" / "index.html").write_text(blocks(page, "html")[0].code, "utf-8")
    (folder / "game.py").write_text(blocks(page, "python")[0].code, "utf-8")
    static = "" if page == HOW_TO else "game.server.static('/', 'static'); "  # as the README says
    code = f"import game; {static}game.server.run(port=0)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://\S+:\d+", line)
    try:
        assert found is not None, line
        yield found[0]
    finally:
        process.terminate()
        process.communicate()


def visit(page: Page, url: str) -> Page:
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    return page


@pytest.mark.parametrize("served", [ROOT / "README.md"], indirect=True)
def test_the_page_of_the_readme_works_in_two_windows(served: str, browser: Browser) -> None:
    with open_pages(browser) as open_page:
        one, two = visit(open_page(), served), visit(open_page(), served)
        one.get_by_label("Word").fill("tree")
        one.get_by_role("button").click()
        expect(one.locator("output")).to_have_text("accepted")
        for page in (one, two):
            expect(page.locator("ul")).to_contain_text("tree")
        two.get_by_label("Word").fill("7")
        two.get_by_role("button").click()
        expect(two.locator("output")).to_have_text("no word")
        one.reload()
        two.get_by_label("Word").fill("again")
        two.get_by_role("button").click()
        expect(one.locator("ul")).to_contain_text("again")


@pytest.mark.parametrize("served", [HOW_TO], indirect=True)
def test_the_page_of_the_how_to_works_and_so_does_each_piece_of_code(served: str, browser: Browser) -> None:
    with open_pages(browser) as open_page:
        one, two = visit(open_page(), served), visit(open_page(), served)
        for page in (one, two):
            expect(page.locator("#state")).to_have_text("open")
        one.get_by_role("button", name="Roll").click()
        expect(two.locator("#log li")).to_contain_text(["Ana: "])
        two.reload()
        expect(two.locator("#total")).to_have_text(re.compile("[1-6]"))
        for block in blocks(HOW_TO, "js"):
            one.evaluate("async () => {" + block.code + "\n}")
        expect(one.locator("#log")).to_contain_text(re.compile(r'together \d+.*"Ana":[1-6]', re.DOTALL))


@pytest.mark.parametrize("served", [LOBBY], indirect=True)
def test_the_page_of_the_lobby_brings_two_windows_together(served: str, browser: Browser) -> None:
    with open_pages(browser) as open_page:
        one, two = visit(open_page(), served), visit(open_page(), served)
        one.get_by_role("button", name="anyone").click()
        expect(two.locator("#rooms li")).to_have_text([re.compile(r"duel-\w+: 1")])
        two.get_by_role("button", name="anyone").click()
        expect(two.locator("#where")).to_have_text(one.locator("#where").inner_text())
        expect(one.locator("#rooms li")).to_have_text([re.compile(r"duel-\w+: 2")])
        one.get_by_role("button", name="friends").click()
        expect(one.locator("#where")).to_have_text(re.compile(r"Tell your friends: \w+-\w+-\w+"))


def test_the_types_of_the_how_to_are_right(tmp_path: Path) -> None:
    (block,) = blocks(HOW_TO, "ts")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "simplysocket").symlink_to(LIBRARY)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / block.title).write_text(block.code, "utf-8")
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom"]
    command = [*tool("typescript", "tsc"), *options, block.title]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_reference_names_every_member_that_has_a_type() -> None:
    types = (LIBRARY / "simplysocket.d.ts").read_text("utf-8")
    text = (DOCS / "reference" / "browser.md").read_text("utf-8")
    for name in ("ConnectOptions", "Room", "Socket", "Speaker", "SimplySocketError", "Sync", "Closed", "StateInfo"):
        found = re.search(rf"(?:interface|class) {name}\b.*?\n}}", types, re.DOTALL)
        assert found is not None, name
        members = set(re.findall(r"^  (?:readonly )?(\w+)[?:(<]", found[0], re.MULTILINE)) - {"constructor"}
        assert len(members) >= 2, name
        assert not {each for each in members if not re.search(rf"\b{each}\b", text)}, name
