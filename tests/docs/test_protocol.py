"""The page of the protocol: its frames, codes and limits are those of the code."""

import json
import re

import attrs
import pytest

from simplysocket import CloseCode, Limits
from simplysocket._protocol import codec
from simplysocket._protocol.names import RESERVED_ACTIONS
from simplysocket.errors import ERROR_CODES

from ..harness.documentation import DOCS, PROTOCOL, blocks


@pytest.mark.parametrize(
    "line", [line for block in blocks(DOCS / "protocol.md", "json") for line in block.code.splitlines() if line]
)
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
