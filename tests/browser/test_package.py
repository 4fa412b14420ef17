"""The browser's client as a package: its size, what belongs to it, and its types."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import simplysocket

from ..harness import ROOT
from ..harness.node import LIBRARY, tool

MOST_BYTES = 12_000  # when minified


def test_the_library_is_small_when_it_is_minified() -> None:
    command = [*tool("esbuild", "esbuild"), "--bundle", "--minify", "--format=esm", str(LIBRARY / "simplysocket.js")]
    ran = subprocess.run(command, capture_output=True, check=True)
    assert 6_000 < len(ran.stdout) < MOST_BYTES


def test_the_folder_is_a_package_of_npm() -> None:
    package = json.loads((LIBRARY / "package.json").read_text("utf-8"))
    assert package["version"] == simplysocket.__version__
    assert package["type"] == "module"
    named = {*package["exports"]["."].values(), package["types"]}
    assert named == {"./simplysocket.js", "./simplysocket.d.ts"}
    assert {f"./{name}" for name in package["files"]} == named
    assert {each.name for each in LIBRARY.iterdir()} == {*package["files"], "package.json"}


def test_the_library_imports_nothing() -> None:
    text = (LIBRARY / "simplysocket.js").read_text("utf-8")
    lines = text.splitlines()
    assert not any(line.startswith(("import ", "export * ", "export {")) for line in lines)
    assert max(map(len, lines)) <= 120


def test_the_wheel_holds_the_package_of_npm(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"simplysocket/browser/{each.name}" for each in LIBRARY.iterdir()} <= names
