"""The tests that the table of promises names are there."""

import re

from ..harness import ROOT


def test_each_test_that_the_table_names_exists() -> None:
    text = (ROOT / "docs" / "explanation" / "guarantees.md").read_text("utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| ")][2:]
    assert len(rows) > 10
    for row in rows:
        promise, paths, tests = (cell.strip() for cell in row.strip("|").split("|"))
        named = re.findall(r"`([\w/]+\.py)`", tests)
        assert promise
        assert paths
        assert named
        assert all((ROOT / "tests" / each).is_file() for each in named), row
