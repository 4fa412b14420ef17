"""The echo example."""

import pytest
import trio

from examples.echo.server import server
from simplysocket.testing import open_server


@pytest.mark.parametrize("body", ["hello", 7, None, [1, {"a": "<ü>"}]])
async def test_an_echo_is_what_was_said(autojump_clock: trio.abc.Clock, body: object) -> None:
    async with open_server(server) as net:
        ana, ben = await net.connect("Ana"), await net.connect("Ben")
        assert await ana.request("echo", message_body=body) == body
        assert await ben.settle() == []
