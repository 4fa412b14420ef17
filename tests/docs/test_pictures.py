"""The pictures of the docs were made from the texts beside them, and what their page says of the code is so."""

import ast
import hashlib
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simplysocket._rooms.state import FOLLOWING

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "simplysocket"
ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"
TEXTS = sorted((ROOT / "docs").rglob("*.dot"))
SVG = "{http://www.w3.org/2000/svg}"

_TABLE = re.compile(r"label=<(<TABLE.*?</TABLE>)>", re.DOTALL)
_LABEL = re.compile(r'label="([^"]*)"')
_FILE = re.compile(r"\b(?:\w+/)*\w+\.py\b")


def labels(text: str) -> set[str]:
    """Return the lines that a Graphviz text shows."""
    tables = [ElementTree.fromstring(table) for table in _TABLE.findall(text)]
    lines = [line for table in tables for cell in table.iter("TD") for line in cell.itertext()]
    return {with_single_spaces(line) for line in [*lines, *_LABEL.findall(text)]}


def with_single_spaces(text: str) -> str:
    return " ".join(text.split())  # dot writes some spaces as no-break spaces


def files(text: str) -> set[str]:
    return set(_FILE.findall(text)) - {"docs/pictures.py"}


def defined(path: Path) -> set[str]:
    """Return the functions and classes of a module: "judge", "Reader", "Reader.pump"."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{each.name}" for each in node.body if hasattr(each, "name")}
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return names


def test_there_are_pictures() -> None:
    assert len(TEXTS) >= 2


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_picture_was_made_from_the_text_beside_it(text: Path) -> None:
    digest = hashlib.sha256(text.read_bytes()).hexdigest()
    assert digest in text.with_suffix(".svg").read_text("utf-8"), f"{text.name} has changed: run `make pictures`"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_picture_shows_every_label_of_its_text_and_has_a_title(text: Path) -> None:
    root = ElementTree.parse(text.with_suffix(".svg")).getroot()
    shown = {with_single_spaces("".join(each.itertext())) for each in root.iter(f"{SVG}text")}
    wanted = labels(text.read_text("utf-8"))
    assert len(wanted) > 5
    assert shown == wanted
    assert root.findtext(f"{SVG}title")


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_picture_loads_nothing_and_is_on_a_page(text: Path) -> None:
    picture = text.with_suffix(".svg")
    assert "prefers-color-scheme: dark" in picture.read_text("utf-8")
    assert not re.search(r"href|url\(|@import|<script|<image", picture.read_text("utf-8"))
    assert f"]({picture.name})" in ARCHITECTURE.read_text("utf-8")


@pytest.mark.parametrize("page", [*TEXTS, ARCHITECTURE], ids=lambda path: path.stem)
def test_every_file_that_is_named_is_in_the_package(page: Path) -> None:
    named = files(page.read_text("utf-8"))
    assert len(named) > 1
    missing = {each for each in named if not (PACKAGE / each).is_file() and not list(PACKAGE.rglob(each))}
    assert not missing


def test_the_way_of_a_message_has_at_most_twelve_files_each_once_in_the_picture_as_on_the_page() -> None:
    page, picture = (
        re.findall(pattern, path.read_text("utf-8"), re.M)
        for pattern, path in (
            (r"^(\d+)\. \*\*`([\w/]+\.py)`\*\*", ARCHITECTURE),
            (r"<B>(\d+)  ([\w/]+\.py)</B>", ARCHITECTURE.with_name("way-of-a-message.dot")),
        )
    )
    assert page == picture
    assert [int(number) for number, _ in page] == list(range(1, len(page) + 1))
    assert len({name for _, name in page}) == len(page) <= 12


def test_the_table_of_places_names_what_is_there() -> None:
    rows = re.findall(r"^\| .+ \| `([\w/]+\.py)`: `([\w.]+)` \|$", ARCHITECTURE.read_text("utf-8"), re.M)
    assert len(rows) > 20
    for path, name in rows:
        assert name in defined(PACKAGE / path), f"{path} has no {name}"


def test_the_table_of_states_is_that_of_the_code() -> None:
    _, section = ARCHITECTURE.read_text("utf-8").split("## How a room closes")
    rows = re.findall(r"^\| (\w+) \| (\w+) \| ", section.split("\n## ")[0], re.M)
    assert len(rows) == len(set(rows))
    assert set(rows) == {(state.value, each.value) for state, following in FOLLOWING.items() for each in following}
