"""The commands of the Makefile, as they would run: which Python, which packages, and what is removed afterwards."""

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from .. import lowest
from ..harness import ROOT
from ..harness.documentation import DOCS


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask make what it would run. What a `make test PYTHON=...` above these tests was given does not count."""
    mine = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "PYTHON")}
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=mine, capture_output=True, text=True)


def python_of_version(folder: Path, version: str) -> str:
    """Return a program that says of itself that it is Python of this version."""
    program = folder / f"python-{version}"
    program.write_text(f"#!/bin/sh\necho {version}\n", "utf-8")
    program.chmod(0o755)
    return str(program)


def test_a_python_of_ones_choice_runs_the_tests_with_packages_of_its_own(tmp_path: Path) -> None:
    for version in ("3.12.1", "3.12.2", "3.13.0t"):
        python = python_of_version(tmp_path, version)
        ran = make("test", f"PYTHON={python}").stdout
        assert f"{python} -m venv .venv-{version} " in ran
        assert ran.splitlines()[-1] == f".venv-{version}/bin/python -m pytest"
        assert not re.search(r"\.venv/", ran)


def test_the_version_is_asked_of_the_python_itself() -> None:
    version = ".".join(map(str, sys.version_info[:3])) + sys.abiflags
    assert make("test", f"PYTHON={sys.executable}").stdout.splitlines()[-1] == f".venv-{version}/bin/python -m pytest"


def test_without_a_choice_the_packages_are_in_one_folder() -> None:
    assert make("test").stdout.splitlines()[-1] == ".venv/bin/python -m pytest"
    assert make("demo").stdout.splitlines()[-1].startswith(".venv/bin/python -m examples.lobby.server")


@pytest.mark.parametrize("python", ["no-such-python", ""])
def test_a_python_that_does_not_run_is_named(python: str) -> None:
    refused = make("test", f"PYTHON={python}")
    assert refused.returncode != 0
    assert f"PYTHON={python} is no Python 3 that runs" in refused.stderr


def test_the_lowest_versions_are_installed_apart_from_the_others(tmp_path: Path) -> None:
    python = python_of_version(tmp_path, "3.12.1")
    for given, folder in (((), ".venv-lowest"), ((f"PYTHON={python}",), ".venv-3.12.1-lowest")):
        ran = make("test-lowest", *given).stdout
        assert f"--requirement {folder}/requirements.txt --editable ." in ran
        assert ran.splitlines()[-1] == f"{folder}/bin/python -m pytest"
        assert set(re.findall(r"\.venv[\w.-]*", ran)) == {folder}


def test_what_is_installed_is_removed_and_never_committed() -> None:
    removed = make("clean").stdout.split()
    ignored = (ROOT / ".gitignore").read_text("utf-8").split()
    for folder in (".venv", ".venv-*"):
        assert folder in removed
        assert f"{folder}/" in ignored


def test_the_lowest_versions_are_those_of_all_extras() -> None:
    project = """
        [project]
        dependencies = ["trio>=0.31", "trio-websocket>=0.12.2"]
        [project.optional-dependencies]
        cli = ["watchfiles>=1.0"]
        dev = ["watchfiles>=1.0", "ruff>=0.12"]
    """
    expected = ["ruff==0.12", "trio-websocket==0.12.2", "trio==0.31", "watchfiles==1.0"]
    assert lowest.lowest(project) == expected


@pytest.mark.parametrize("requirement", ["trio", "trio==0.31", "trio~=0.31", "trio>=0.31,<1", "trio>=1; os_name=='nt'"])
def test_a_requirement_with_more_or_less_than_a_lower_bound_is_named(requirement: str) -> None:
    project = f'[project]\ndependencies = ["{requirement}"]\noptional-dependencies = {{}}\n'
    with pytest.raises(SystemExit, match=re.escape(repr(requirement))):
        lowest.lowest(project)


def test_each_package_has_one_lower_bound() -> None:
    versions = lowest.lowest(lowest.PROJECT.read_text("utf-8"))
    names = Counter(each.partition("==")[0] for each in versions)
    assert {name for name, count in names.items() if count > 1} == set()


def test_the_docs_name_commands_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    named = {each for page in DOCS.rglob("*.md") for each in re.findall(r"`make ([a-z-]+)", page.read_text("utf-8"))}
    assert "test-lowest" in named
    assert named <= targets


def test_the_versions_of_python_that_are_claimed_were_run() -> None:
    classifiers = tomllib.loads(lowest.PROJECT.read_text("utf-8"))["project"]["classifiers"]
    claimed = [each.rpartition(" ")[2] for each in classifiers if re.search(r":: 3\.\d+$", each)]
    table = (DOCS / "reference/platforms.md").read_text("utf-8")
    assert list(dict.fromkeys(re.findall(r"^\| (3\.\d+)\.\d+ \|", table, re.M))) == claimed
