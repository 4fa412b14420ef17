"""The test kit's client."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Server
from simplysocket.testing import open_server


async def test_a_wait_for_what_never_comes_ends(autojump_clock: MockClock) -> None:
    async with open_server(Server("test")) as net:
        ana = await net.connect("Ana")
        with pytest.raises(trio.TooSlowError, match=r"Ana waited 6 hours.*settle"):
            await ana.receive()
        with pytest.raises(trio.TooSlowError):
            await ana.wait_ended()
