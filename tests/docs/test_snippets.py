"""The code on every page runs, or at least can be parsed."""

import configparser
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from ..harness.documentation import (
    BLOCK,
    PAGES,
    TUTORIAL,
    Block,
    blocks,
    is_project,
    page_name,
    pages_with,
    run_page,
    write_project,
)
from ..harness.pytest_run import run_pytest

PROJECTS = [page for page in pages_with("python") if is_project(page)]


@pytest.mark.parametrize(
    "page", [each for each in pages_with("python") if each not in (*PROJECTS, TUTORIAL)], ids=page_name
)
def test_the_python_of_a_page_runs(page: Path, folder: Path) -> None:
    (folder / "static").mkdir()
    run_page(page)


@pytest.mark.parametrize("page", PROJECTS, ids=page_name)
def test_the_tests_of_a_page_pass(page: Path, folder: Path) -> None:
    write_project(page, folder)
    said = run_pytest(folder, "-p", "no:asyncio", "-o", "trio_mode=true")
    count = sum(len(re.findall(r"^ *async def test_", block.code, re.M)) for block in blocks(page, "python"))
    assert said.splitlines()[-1].startswith(f"{count} passed in "), said


def test_hardly_any_python_is_not_run() -> None:
    left_out = [str(block) for page in PAGES for block in blocks(page, "python") if block.why_not_run]
    assert len(left_out) <= 2, left_out


def test_every_block_says_its_language() -> None:
    for page in PAGES:
        fences = re.findall(r"^```.*$", page.read_text("utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(BLOCK.findall(page.read_text("utf-8"))), page


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
