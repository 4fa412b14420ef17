"""A project with a server in it, for the command line."""

from pathlib import Path

import pytest

from ..harness.command import write

CHAT = """
    from simplysocket import Client, Limits, Room, Server

    server = Server("chat", limits=Limits(close_seconds=600))

    @server.room("game-*")
    class Game(Room):
        capacity = 10

    @server.action("say")
    async def say(client: Client, body: dict[str, int]) -> None: ...

    class Of:
        inner = Server("inner")

    def make() -> Server:
        return Server("made")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a directory with a server in it."""
    write(tmp_path / "chat.py", CHAT)
    return tmp_path
