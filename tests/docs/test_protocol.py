"""The page of the protocol: its frames, codes and limits are those of the code."""

import ast
import inspect
import json
import re

import attrs
import pytest

from simplysocket import Client, CloseCode, Limits, Room
from simplysocket._protocol import codec
from simplysocket._protocol.names import RESERVED_ACTIONS
from simplysocket.errors import ERROR_CODES

from ..harness.documentation import DOCS, PROTOCOL, blocks
from ..harness.source import MODULES, place_of


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


def words_given_to(function: str, at: int = 0) -> set[str]:
    """Return the texts that the package's own code gives to a function, as its argument at this place.

    Games are left out: they say why somebody gave up a seat, and are on top of the protocol, as applications are.
    """
    calls = [
        node
        for name, tree in MODULES.items()
        if place_of(name) != "games"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and len(node.args) > at
    ]
    arguments = [call.args[at] for call in calls if ast.unparse(call.func).rpartition(".")[2] == function]
    return {each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def default_of(function: object) -> str:
    return str(inspect.signature(function).parameters["reason"].default)  # type: ignore[arg-type]  # a method


def test_the_reasons_that_the_protocol_lists_are_those_of_the_code() -> None:
    _, _, part = PROTOCOL.partition("### Reasons")
    rooms, clients = (
        set(re.findall(r"`([^`]+)`", " ".join(re.findall(r"^\| (`.*?) \|", table, re.M))))
        for table in part.partition("## Order")[0].split("`client-left-room`, an entry")
    )
    assert rooms == {default_of(Room.close), *words_given_to("begin"), *words_given_to("close_rooms")}
    never_ours = {CloseCode.ABNORMAL, CloseCode.APPLICATION}  # `disconnected`, and the reason that was given
    names = {code.name.lower().replace("_", "-") for code in CloseCode if code not in never_ours}
    given = {default_of(Client.leave), default_of(Room.kick), *words_given_to("Reason")}
    assert clients == {"disconnected", "closed", *given, *names}
    assert {"disconnected", "closed"} <= {
        node.value for node in ast.walk(MODULES["reasons"]) if isinstance(node, ast.Constant)
    }
