"""The page on security: each threat that it calls answered is held by a test that exists."""

import re

import pytest

from ..harness import ROOT

PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text("utf-8")
HELD_BY = [cell for cell in re.findall(r"\| ([^|]*) \|$", PAGE, re.M) if ".py`" in cell]


@pytest.mark.parametrize("cell", HELD_BY)
def test_the_tests_that_hold_it_are_there(cell: str) -> None:
    source = ""
    for name in re.findall(r"`([\w/.]+)`", cell):
        if name.endswith(".py"):
            source = (ROOT / "tests" / name).read_text("utf-8")
        else:
            assert f"def {name}(" in source, name


def test_the_tables_are_read() -> None:
    assert len(HELD_BY) > 20
