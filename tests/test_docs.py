"""What the README and the docs show runs, and what they say of the wire is so."""

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from simplysocket import CloseCode, Limits, codec
from simplysocket.errors import ERROR_CODES
from simplysocket.message import RESERVED_ACTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_readmes_game_and_its_test_run() -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    for block in blocks(README, "python"):
        exec(compile(block, "README.md", "exec", dont_inherit=True), names)
    clock = MockClock(autojump_threshold=0)
    trio.run(names["test_an_attempt_is_answered"], clock, clock=clock)


def test_the_readmes_commands_are_the_makefiles() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= targets
    assert set(re.findall(r"make (\w+)", README)) <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_readmes_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("line", [line for block in blocks(PROTOCOL, "json") for line in block.splitlines() if line])
def test_every_frame_in_the_protocol_is_as_it_stands_on_the_wire(line: str) -> None:
    shown = json.loads(line)
    envelope = codec.decode(line.encode())
    again = codec.encode(
        envelope.action,
        envelope.message_body,
        shown["target"],
        shown["sender"],
        target_client=shown["IsTargetClient"],
        id=shown.get("id"),
        timeout=shown.get("timeout"),
        room=shown.get("room"),
    )
    assert again.decode() == line


def test_the_protocol_names_every_code_and_reserved_action() -> None:
    for code in ERROR_CODES | RESERVED_ACTIONS:
        assert f"`{code}`" in PROTOCOL, code
    for close_code in CloseCode:
        if close_code >= 3000 or close_code in (1002, 1003, 1007, 1008, 1009):
            assert str(int(close_code)) in PROTOCOL, close_code


def test_the_limits_that_the_protocol_names_have_the_defaults_it_says() -> None:
    limits = attrs.asdict(Limits())
    named = re.findall(r"([\d,.]+)(?: s| lines| bytes| characters)?,? \(?`([a-z_]+)`\)?", PROTOCOL)
    checked = [(name, float(number.replace(",", ""))) for number, name in named if name in limits]
    assert len(checked) > 5
    assert checked == [(name, limits[name]) for name, _ in checked]
