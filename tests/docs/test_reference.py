"""The reference: its tables and names are those of the code."""

import inspect
import os
import pkgutil
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import simplysocket
from simplysocket import CloseCode, Limits, Server
from simplysocket.errors import ERROR_CODES

from ..harness import ROOT
from ..harness.documentation import DOCS
from ..harness.limits import can_be_lifted


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
        pkgutil.resolve_name(f"simplysocket.{name}")  # raises when there is no such name


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_that_takes_its_text_from_docstrings_says_where_they_are(page: Path) -> None:
    text = page.read_text("utf-8")
    shown = {
        pkgutil.resolve_name(f"simplysocket.{name}") for name in re.findall(r"^::: simplysocket\.([\w.]+)$", text, re.M)
    }
    sources = {
        inspect.getsourcefile(inspect.unwrap(each))
        for each in shown
        if inspect.isroutine(each) or inspect.isclass(each)
    }
    files = {source for source in sources if source is not None}
    note = re.search(r'^<p class="code-host">.*</p>$', text, re.M)
    linked = re.findall(r'<a href="([^"]+)">', note[0]) if note else []
    assert {str((page.parent / link).resolve()) for link in linked} >= files
    assert all((page.parent / link).exists() for link in linked)
    assert bool(note) == bool(shown)


@pytest.mark.parametrize("name", sorted(set(simplysocket.__all__) - {"GLOBAL_ROOM"}))
def test_help_shows_no_internals_as_defaults(name: str) -> None:
    text = pydoc.plain(pydoc.render_doc(getattr(simplysocket, name)))
    assert not re.search(r"= <msgspec\.(?!structs)|object at 0x|_simplysocket", text)


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
