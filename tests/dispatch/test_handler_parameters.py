"""What a handler may ask for by its annotations."""

from typing import Any

import attrs
import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Client, Message, Room, Server
from simplysocket.testing import open_server

from ..harness.servers import make


@attrs.frozen
class Guess:
    word: str
    points: int = 1


async def test_a_handler_gets_what_its_annotations_ask_for_in_any_order(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("guess")
    async def guess(body: Guess, room: Room, message: Message, client: Client, it: Server) -> list[Any]:
        return [body.word, body.points, room.name, message.action, message.sender == client.id, it is server]

    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await ana.request("guess", {"word": "tree"}) == ["tree", 1, "mesh-global", "guess", True, True]
        with pytest.raises(ActionError) as refused:
            await ana.request("guess", {"word": 3})
        assert (refused.value.code, refused.value.path) == ("bad-body", "$.word")
