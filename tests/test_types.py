"""The types: mypy accepts correct use and reports common mistakes; pyright finds all public types complete."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

import simplysocket

from .harness import ROOT

RIGHT: Final = ROOT / "tests" / "typed" / "right.py"
LOBBY: Final = ROOT / "tests" / "typed" / "lobby.py"
MISTAKES: Final = ROOT / "tests" / "typed" / "mistakes.py"
EXAMPLES: Final = sorted((ROOT / "examples").rglob("*.py"))

_ERROR: Final = re.compile(r"^(.+?):(\d+): error: (.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, dict[int, list[str]]]:
    """Run mypy once over all files; return {file: {line: its errors}}."""
    command = [sys.executable, "-m", "mypy", "--strict", "--enable-error-code", "unused-awaitable", "--no-pretty"]
    command += ["--explicit-package-bases", "--hide-error-context", "--cache-dir", str(tmp_path_factory.mktemp("mypy"))]
    files = [str(path.relative_to(ROOT)) for path in (RIGHT, LOBBY, MISTAKES, *EXAMPLES)]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 2: mypy could not start
    found: dict[Path, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, line, text in _ERROR.findall(done.stdout):
        found[ROOT / path][int(line)].append(text)
    return found


def expected(mark: str) -> list[tuple[int, list[str]]]:
    """Return the lines of mistakes.py with this mark, and the words after it, one for each error."""
    lines = enumerate(MISTAKES.read_text("utf-8").splitlines(), 1)
    return [(number, line.split(f"  # {mark}: ")[1:]) for number, line in lines if f"  # {mark}: " in line]


def match(words: list[str], said: list[str]) -> bool:
    """Tell whether the errors of a line are those expected, and no others."""
    return len(words) == len(said) and all(any(word in text for text in said) for word in words)


def test_correct_use_and_the_examples_pass_strict_checks(errors: dict[Path, dict[int, list[str]]]) -> None:
    assert EXAMPLES
    assert {path: dict(errors[path]) for path in (RIGHT, LOBBY, *EXAMPLES) if path in errors} == {}


def test_mistakes_are_seen_and_nothing_else(errors: dict[Path, dict[int, list[str]]]) -> None:
    wanted, missed, said = dict(expected("E")), dict(expected("M")), errors[MISTAKES]
    assert len(wanted) > 50
    wrong = {line: said[line] for line, words in wanted.items() if not match(words, said[line])}
    assert wrong == {}
    assert {line: said[line] for line in said.keys() - wanted.keys() - missed.keys() if said[line]} == {}


def test_what_mypy_does_not_see_is_known(errors: dict[Path, dict[int, list[str]]]) -> None:
    """A hook may take fewer arguments than it is offered, which no signature in the class can express."""
    missed = dict(expected("M"))
    assert {line: errors[MISTAKES][line] for line in missed} == {line: [] for line in missed}


def test_every_public_type_is_complete() -> None:
    """For pyright, no type of the public modules is unknown, nor left to what a type checker infers."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "simplysocket", "--ignoreexternal", "--outputjson"]
    # pyright looks for packages where the first Python of the PATH has them.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: some are incomplete
    report = json.loads(done.stdout)["typeCompleteness"]
    assert Path(report["packageRootDirectory"]).samefile(ROOT / "simplysocket")
    symbols = report["symbols"]
    incomplete = {each["name"] for each in symbols if not each["isTypeKnown"] or each["isTypeAmbiguous"]}
    assert incomplete == set()
    assert report["completenessScore"] == 1


def test_every_public_name_is_in_the_correct_use() -> None:
    names = {node.id for node in ast.walk(ast.parse(RIGHT.read_text("utf-8"))) if isinstance(node, ast.Name)}
    assert set(simplysocket.__all__) <= names


def test_the_correct_use_registers() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-m", "tests.typed.right"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["simplysocket"]
    assert (ROOT / "simplysocket" / "py.typed").read_bytes() == b""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert "simplysocket/py.typed" in zipfile.ZipFile(wheel).namelist()
