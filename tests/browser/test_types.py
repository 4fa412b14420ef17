"""The types of the browser's client: tsc accepts correct use and reports each mistake."""

import re
import subprocess
from pathlib import Path

from ..harness import ROOT
from ..harness.node import LIBRARY, tool

TYPED = ROOT / "tests" / "typed"
OPTIONS = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom"]


def errors_of(name: str, folder: Path) -> dict[int, str]:
    """Return {line: error} of a file that imports the package as npm would install it."""
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "simplysocket").symlink_to(LIBRARY)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / name).write_text((TYPED / name).read_text("utf-8"), "utf-8")
    command = [*tool("typescript", "tsc"), *OPTIONS, "--pretty", "false", name]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = re.findall(rf"^{re.escape(name)}\((\d+),\d+\): error (.*)$", ran.stdout, re.MULTILINE)
    assert len(found) == len(re.findall(r": error ", ran.stdout)), ran.stdout + ran.stderr  # others are in the types
    assert bool(found) == (ran.returncode != 0), ran.stdout + ran.stderr
    return {int(line): text for line, text in found}


def test_tsc_accepts_correct_use(tmp_path: Path) -> None:
    assert errors_of("right.ts", tmp_path) == {}


def test_tsc_reports_each_mistake_and_nothing_else(tmp_path: Path) -> None:
    lines = (TYPED / "mistakes.ts").read_text("utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, 1) if "// E: " in line}
    assert len(expected) > 15
    assert set(errors_of("mistakes.ts", tmp_path)) == expected
