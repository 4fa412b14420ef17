"""What the README and the docs show runs, and what they say of the wire is so."""

import configparser
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
import trio
from playwright.sync_api import Browser, Page, expect
from trio.testing import MockClock

import simplysocket
from simplysocket import CloseCode, Limits, Server, codec
from simplysocket.errors import ERROR_CODES
from simplysocket.message import RESERVED_ACTIONS

from ..harness import ROOT
from ..harness.browser import PATIENCE

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
PROTOCOL = (DOCS / "protocol.md").read_text("utf-8")
TUTORIAL = DOCS / "tutorial.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

DAY = 86_400  # seconds, virtual

_BLOCK = re.compile(
    r'^(?:<!-- not run: ([^\n]+) -->\n)?```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL
)


@attrs.frozen
class Block:
    """One block of code of a page."""

    page: str
    line: int
    language: str
    title: str
    code: str
    why_not_run: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of these languages of a page."""
    text = page.read_text("utf-8")
    name = page.relative_to(ROOT).as_posix()
    return [
        Block(name, text.count("\n", 0, found.start(4)), found[2], found[3] or "", found[4], found[1] or "")
        for found in _BLOCK.finditer(text)
        if found[2] in languages
    ]


def pages_with(*languages: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, *languages)]


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def run_page(page: Path) -> dict[str, Any]:
    """Run the Python of a page, block by block, as one module; its tests behind the block that they stand in."""
    module = sys.modules["page"] = ModuleType("page")
    names = module.__dict__
    for block in blocks(page, "python"):
        if block.why_not_run:
            continue
        before = dict(names)
        code = "\n" * block.line + block.code  # so that a traceback names the line of the page
        exec(compile(code, block.page, "exec", dont_inherit=True), names)
        for name, value in list(names.items()):
            if name.startswith("test_") and before.get(name) is not value:
                run_test(value)
    return names


def run_test(test: Callable[..., Awaitable[None]]) -> None:
    """Run a test as pytest-trio does; what still waits after a day of virtual time waits for ever."""
    if not test.__code__.co_argcount:
        trio.run(test)
        return
    clock = MockClock(autojump_threshold=0)

    async def within_a_day() -> None:
        with trio.fail_after(DAY):
            await test(clock)

    trio.run(within_a_day, clock=clock)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and a place for a page to be a module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "page", ModuleType("page"))
    return tmp_path


# --- what stands on the pages runs


@pytest.mark.parametrize("page", [each for each in pages_with("python") if each != TUTORIAL], ids=page_name)
def test_the_python_of_a_page_runs(page: Path, folder: Path) -> None:
    (folder / "static").mkdir()
    run_page(page)


def test_hardly_any_python_is_not_run() -> None:
    left_out = [str(block) for page in PAGES for block in blocks(page, "python") if block.why_not_run]
    assert len(left_out) <= 2, left_out


def test_every_block_says_its_language() -> None:
    for page in PAGES:
        fences = re.findall(r"^```.*$", page.read_text("utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(_BLOCK.findall(page.read_text("utf-8"))), page


@pytest.mark.parametrize("block", [each for page in PAGES for each in blocks(page, "sh")], ids=str)
def test_shell_can_be_parsed(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.code, text=True, check=True)


@pytest.mark.parametrize("block", [each for page in PAGES for each in blocks(page, "ini", "toml")], ids=str)
def test_settings_can_be_parsed(block: Block) -> None:
    if block.language == "toml":
        tomllib.loads(block.code)
    else:
        configparser.ConfigParser(strict=False, interpolation=None).read_string(block.code)


@pytest.mark.parametrize("block", [each for page in PAGES for each in blocks(page, "nginx")], ids=str)
def test_every_nginx_directive_ends_and_every_brace_closes(block: Block) -> None:
    lines = [line.split("#")[0].strip() for line in block.code.splitlines()]
    assert all(line.endswith((";", "{", "}")) for line in lines if line)
    assert block.code.count("{") == block.code.count("}")


@pytest.mark.parametrize("block", [each for page in PAGES for each in blocks(page, "dockerfile")], ids=str)
def test_every_line_of_a_container_file_is_an_instruction(block: Block) -> None:
    lines = block.code.replace("\\\n", " ").splitlines()
    assert all(re.match(r"#|[A-Z]+ \S", line) for line in lines if line)


@pytest.mark.parametrize("block", [each for page in PAGES for each in blocks(page, "js") if not each.title], ids=str)
def test_javascript_can_be_parsed(block: Block, browser: Browser) -> None:
    parse = "code => void new (Object.getPrototypeOf(async () => {}).constructor)(code)"
    page = browser.new_page()
    page.evaluate(parse, block.code)  # raises for what is no JavaScript, and runs nothing
    page.close()


# --- the tutorial, step by step


def write_steps(folder: Path) -> Iterator[int]:
    """Write the tutorial's files as a reader does; yields whenever a step's `game.py` is there."""
    step = 0
    for block in blocks(TUTORIAL, "python", "html", "js", "ini"):
        place = folder / block.title
        place.parent.mkdir(exist_ok=True)
        if block.language == "js":  # lines to be put behind one of the page
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


# --- what the README says


def test_the_readmes_commands_are_the_makefiles() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= targets
    assert set(re.findall(r"make (\w+)", README)) <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_readmes_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize(
    "line", [line for block in blocks(DOCS / "protocol.md", "json") for line in block.code.splitlines() if line]
)
def test_every_frame_in_the_protocol_is_as_it_stands_on_the_wire(line: str) -> None:
    shown = json.loads(line)
    envelope = codec.decode(line.encode())
    again = codec.encode(
        envelope.action,
        envelope.message_body,
        shown["target"],
        shown["sender"],
        target_client=shown["IsTargetClient"],
        id=shown.get("id"),
        timeout=shown.get("timeout"),
        room=shown.get("room"),
    )
    assert again.decode() == line


def test_the_protocol_names_every_code_and_reserved_action() -> None:
    for code in ERROR_CODES | RESERVED_ACTIONS:
        assert f"`{code}`" in PROTOCOL, code
    for close_code in CloseCode:
        if close_code >= 3000 or close_code in (1002, 1003, 1007, 1008, 1009):
            assert str(int(close_code)) in PROTOCOL, close_code


def test_the_limits_that_the_protocol_names_have_the_defaults_it_says() -> None:
    limits = attrs.asdict(Limits())
    named = re.findall(r"([\d,.]+)(?: s| lines| bytes| characters)?,? \(?`([a-z_]+)`\)?", PROTOCOL)
    checked = [(name, float(number.replace(",", ""))) for number, name in named if name in limits]
    assert len(checked) > 5
    assert checked == [(name, limits[name]) for name, _ in checked]


# --- the reference


def test_the_table_of_limits_is_that_of_the_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\S+) \|.*\| ?(\w*) \|$", (DOCS / "reference/limits.md").read_text("utf-8"), re.M
    )
    expected = {}
    for field in attrs.fields(Limits):
        default = "None" if field.default is None else f"{field.default:,}"
        expected[field.name] = default, "None" if can_be_lifted(field.name) else ""
    assert {name: (default, lifted) for name, default, lifted in rows} == expected
    assert len(rows) == len(expected)


def can_be_lifted(name: str) -> bool:
    try:
        Limits(**{name: None})
    except ValueError:
        return False
    return True


def test_the_tables_of_codes_are_those_of_the_code() -> None:
    errors, closes = (DOCS / "reference/codes.md").read_text("utf-8").split("## Close codes")
    assert set(re.findall(r"^\| `([\w-]+)` \|", errors, re.M)) == ERROR_CODES
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", closes, re.M)
    assert [(int(code), name) for code, name in rows] == [(int(code), code.name) for code in CloseCode]


def test_the_table_of_statistics_names_every_counter() -> None:
    text = (DOCS / "howto/looking-inside.md").read_text("utf-8")
    first_cells = re.findall(r"^\| (`.+?) \|", text, re.M)
    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == Server().statistics().keys()


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: simplysocket\.([\w.]+)$", text, re.M))
    modules = {name.partition(".")[0] for name in shown}
    assert set(simplysocket.__all__) - {"Limits"} <= shown | modules  # Limits are a table of their own
    for name in shown:
        pkgutil.resolve_name(f"simplysocket.{name}")  # raises where there is none


def test_the_reference_names_all_of_a_client() -> None:
    text = (DOCS / "reference/clients.md").read_text("utf-8")
    shown = set(re.findall(r"^\| `(\w+)` \|", text, re.M)) | set(re.findall(r"members: \[(.*)\]", text)[0].split(", "))
    assert all(hasattr(simplysocket.Client, name) for name in shown)
    public = inspect.getsource(simplysocket.Client)
    assert set(re.findall(r"^    (?:async )?def ([a-z]\w+)", public, re.M)) <= shown


def test_the_page_of_the_command_line_names_every_option() -> None:
    text = (DOCS / "reference/command-line.md").read_text("utf-8")
    parts = dict(re.findall(r"^## simplysocket (\w+)\n(.*?)(?=^## )", text, re.M | re.S))
    ran = subprocess.run(
        [sys.executable, "-m", "simplysocket", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for command, part in parts.items():
        assert command in ran.stdout
        shown = subprocess.run(
            [sys.executable, "-m", "simplysocket", command, "--help"],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        options = set(re.findall(r"(--[a-z-]+)", shown)) - {"--help", "--version"}
        assert set(re.findall(r"^\| `(--[a-z-]+)`", part, re.M)) == {each for each in options if "--no-" not in each}


# --- the site


def test_every_page_has_its_place() -> None:
    settings = (ROOT / ".mkdocs.yml").read_text("utf-8")
    placed = re.findall(r"(\S+\.md)$", settings, re.M)
    assert sorted(placed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / ".mkdocs.yml", folder)
    shutil.copytree(DOCS, folder / "docs")
    shutil.copytree(ROOT / "simplysocket", folder / "simplysocket")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", ".mkdocs.yml"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "build" / "docs"


def test_the_site_fetches_nothing_from_elsewhere(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for each in pages:
        page.goto(each.as_uri())
        assert page.locator("h1").count() == 1, each
    page.close()
    assert {url.partition(":")[0] for url in fetched} <= {"file", "data", "blob"}


def test_the_links_of_the_site_lead_somewhere(site: Path) -> None:
    class Links(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.links: list[str] = []
            self.ids: set[str] = set()

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            given = dict(attributes)
            self.links += [given["href"] or ""] if "href" in given else []
            self.ids |= {given["id"] or ""} if "id" in given else set()

    found: dict[Path, Links] = {}
    for page in site.rglob("*.html"):
        found[page] = Links()
        found[page].feed(page.read_text("utf-8"))
    for page, links in found.items():
        for link in links.links:
            place, _, fragment = link.partition("#")
            if not place.startswith("http") and page.name != "404.html":
                target = (page.parent / place).resolve() if place else page
                assert target.exists(), f"{page.name}: {link}"
                if fragment and not fragment.startswith("__"):
                    assert fragment in found[target].ids, f"{page.name}: {link}"
