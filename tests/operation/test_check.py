"""`simplysocket check`."""

import json
from pathlib import Path

from ..harness.command import run, write

SAFE = """
    from simplysocket import Room, Server

    server = Server("safe")

    @server.authenticate
    async def authenticate(request): ...

    @server.room("game-*")
    class Game(Room): ...
"""


def test_check_shows_what_a_server_is_made_of(project: Path) -> None:
    said = run(project, "check", "chat:server")
    assert said.returncode == 0, said.stderr
    rows = [line.split() for line in said.stdout.splitlines()]
    assert ["say", "any", "room", "dict[str,", "int]", "yes", "no", "chat.py:10"] in rows
    assert ["game-*", "Game", "10", "the", "server's", "yes", "no", "0", "s"] in rows
    assert ["close_seconds", "600", "2"] in rows
    assert ["ping_seconds", "25", "25"] not in rows
    assert "authenticate: anyone may connect" in said.stdout
    assert ["ping_seconds", "25", "25"] in [
        line.split() for line in run(project, "check", "chat:server", "--all").stdout.splitlines()
    ]


def test_a_strict_check_fails_on_warnings_only(project: Path) -> None:
    write(project / "safe.py", SAFE)
    assert run(project, "check", "chat:server", "--strict").returncode == 1
    said = run(project, "check", "safe", "--strict")
    assert said.returncode == 0, said.stderr
    assert "No warnings" in said.stdout


def test_check_writes_json_for_machines(project: Path) -> None:
    said = run(project, "check", "chat:server", "--json", "--strict")
    assert said.returncode == 1
    found = json.loads(said.stdout)
    assert found["name"] == "chat"
    assert found["limits"]["close_seconds"] == 600
    assert [action["name"] for action in found["actions"]] == ["say"]
    assert "authenticate" in [warning["setting"] for warning in found["warnings"]]
