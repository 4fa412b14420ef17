"""The README's commands and links."""

import re

from ..harness import ROOT
from ..harness.documentation import README


def test_the_readmes_commands_are_the_makefiles() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= targets
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_readmes_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
