"""The types of the browser's client: tsc accepts correct use and reports each mistake."""

import re
import subprocess

import pytest

from ..harness import ROOT
from ..harness.node import LIBRARY, tool

TYPED = ROOT / "tests" / "typed"
OPTIONS = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom"]


FILES = ["right.ts", "mistakes.ts"]


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    """{(file, line): error}, of files that import the package as npm would install it."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "simplysocket").symlink_to(LIBRARY)
    (folder / "package.json").write_text('{"type": "module"}')
    for name in FILES:
        (folder / name).write_text((TYPED / name).read_text("utf-8"), "utf-8")
    command = [*tool("typescript", "tsc"), *OPTIONS, "--pretty", "false", *FILES]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = re.findall(r"^(\w+\.ts)\((\d+),\d+\): error (.*)$", ran.stdout, re.MULTILINE)
    assert len(found) == len(re.findall(r": error ", ran.stdout)), ran.stdout + ran.stderr  # others are in the types
    assert bool(found) == (ran.returncode != 0), ran.stdout + ran.stderr
    return {(name, int(line)): text for name, line, text in found}


def test_tsc_accepts_correct_use(errors: dict[tuple[str, int], str]) -> None:
    assert [error for (name, _), error in errors.items() if name == "right.ts"] == []


def test_tsc_reports_each_mistake_and_nothing_else(errors: dict[tuple[str, int], str]) -> None:
    lines = (TYPED / "mistakes.ts").read_text("utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, 1) if "// E: " in line}
    assert len(expected) > 15
    assert {line for name, line in errors if name == "mistakes.ts"} == expected
