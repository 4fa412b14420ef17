"""What a server counts."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.testing import open_server

from .harness.servers import make


async def test_an_end_without_a_close_is_counted_as_1006(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics()["connections_closed"] == {1006: 1}


async def test_what_was_counted_can_be_read(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError):
            await ana.request("nothing", target="one")
        statistics = server.statistics()
        assert statistics["clients"] == 1
        assert statistics["rooms"] == 2
        assert statistics["messages_received"] == 2
        assert statistics["messages_refused"] == {"unknown-action": 1}
        await ana.close()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics()["connections_closed"] == {1000: 1}
