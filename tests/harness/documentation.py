"""The pages of the documentation: their blocks of code, and how the Python of a page is run."""

import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from . import ROOT

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
PROTOCOL = (DOCS / "protocol.md").read_text("utf-8")
TUTORIAL = DOCS / "tutorial.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
DAY = 86_400  # seconds, virtual
BLOCK = re.compile(
    r'^(?:<!-- not run: ([^\n]+) -->\n)?```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL
)


@attrs.frozen
class Block:
    """A block of code on a page."""

    page: str
    line: int
    language: str
    title: str
    code: str
    why_not_run: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page in these languages."""
    text = page.read_text("utf-8")
    name = page.relative_to(ROOT).as_posix()
    return [
        Block(name, text.count("\n", 0, found.start(4)), found[2], found[3] or "", found[4], found[1] or "")
        for found in BLOCK.finditer(text)
        if found[2] in languages
    ]


def pages_with(*languages: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, *languages)]


def is_project(page: Path) -> bool:
    """Tell whether the Python of a page is a project with tests, each block of which names its file."""
    return any(block.title == "conftest.py" for block in blocks(page, "python"))


def write_project(page: Path, folder: Path) -> None:
    """Write the files of a page's Python into a folder; blocks of one file follow each other."""
    for block in blocks(page, "python"):
        with (folder / block.title).open("a", encoding="utf-8") as file:
            file.write(block.code + "\n\n")


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def run_page(page: Path) -> dict[str, Any]:
    """Run the Python of a page, block by block, as one module; run each test after its block."""
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
    """Run a test as pytest-trio does; it fails when it still waits after a day of virtual time."""
    if not test.__code__.co_argcount:
        trio.run(test)
        return
    clock = MockClock(autojump_threshold=0)

    async def within_a_day() -> None:
        with trio.fail_after(DAY):
            await test(clock)

    trio.run(within_a_day, clock=clock)
