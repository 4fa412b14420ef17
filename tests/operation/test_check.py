"""`simplysocket check`."""

import json
from pathlib import Path

from simplysocket import Limits

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
    assert found["memory_bound"] == Limits(close_seconds=600).memory_bound()


SMALL = {"connections": 1, "rooms": 1, "accounts": 1, "outboxes_bytes": 1, "static_bytes": 1, "rooms_per_client": None}
LIFTED = {"connections": None, "inbox_messages": None, "inbox_per_client": None, "join_bytes": None}


def test_check_shows_how_much_memory_clients_can_take(project: Path) -> None:
    bound = Limits(**SMALL).memory_bound() / 2**20  # type: ignore[arg-type]  # all of them are int or None
    for name, limits, said in (
        ("small", SMALL, f"at most {bound:.1f} MiB (Limits.memory_bound)"),
        ("open", LIFTED, "no bound, since connections, inbox_messages, inbox_per_client are lifted"),
    ):
        text = f"from simplysocket import Limits, Server\nserver = Server({name!r}, limits=Limits(**{limits}))"
        write(project / f"{name}.py", text)
        assert f"Memory that clients can make it hold: {said}\n" in run(project, "check", name).stdout
    assert json.loads(run(project, "check", "open", "--json").stdout)["memory_bound"] is None
