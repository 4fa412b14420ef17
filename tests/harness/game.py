"""A game server: its rooms and actions can refuse a message for every reason."""

from typing import Any

import attrs
import trio

from simplysocket import ActionError, Limits, Room, Server, action
from simplysocket._protocol.frames import client_frame
from simplysocket.testing import TestClient

from .servers import make


@attrs.frozen
class Guess:
    word: str
    places: list[int] = attrs.field(factory=list)


class Game(Room):
    """A room for two members, with actions that take a body of their own, take time, broadcast and fail."""

    capacity = 2

    @action("guess")
    async def guess(self, body: Guess) -> str:
        return body.word

    @action("wait")
    async def wait(self, body: float) -> float:
        await trio.sleep(body)
        return body

    @action("repeat")
    async def repeat(self, body: Any) -> None:
        await self.broadcast("repeated", body)

    @action("refuse")
    async def refuse(self, body: dict[str, Any]) -> None:
        raise ActionError(**body)


class Relaying(Room):
    """A room that relays."""

    relay = True


class Closed(Room):
    """A room that no client may open."""

    open = False


def make_game_server(**limits: Any) -> Server:
    """Return a server with these rooms and the action `echo`.

    `limits` are fields of `Limits`; the others keep their defaults, except that
    no number of bad messages ends a connection.
    """
    server = make(
        ("game*", Game),
        ("talk*", Relaying),
        ("closed*", Closed),
        limits=Limits(**{"protocol_errors": None, **limits}),
    )

    @server.action("echo")
    async def echo(body: Any) -> Any:
        return body

    return server


async def send_payload(client: TestClient, payload: str | bytes, opcode: int = 1) -> None:
    """Send one frame with this payload."""
    data = payload.encode() if isinstance(payload, str) else payload
    await client.send_bytes(client_frame(data, opcode=opcode))


async def answer_to(client: TestClient, payload: str | bytes, opcode: int = 1) -> dict[str, Any]:
    """Send a payload and return the one message that comes; check that the connection still works."""
    await send_payload(client, payload, opcode)
    (answer,) = await client.settle()
    assert await client.request("echo", "still here") == "still here"
    return answer
