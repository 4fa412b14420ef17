"""A folder to run a page in."""

import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder, and let the page of the test be the module `page`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "page", ModuleType("page"))
    return tmp_path
