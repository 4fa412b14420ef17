"""Fixtures for the tests of HTTP."""

from pathlib import Path

import pytest

from ..harness.site import write_site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a directory of files, next to secrets, and with links to them."""
    return write_site(tmp_path)
