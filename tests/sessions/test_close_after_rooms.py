"""What a client is told before it is closed reaches it, whoever tells it."""

import pytest
from trio.testing import MockClock

from simplysocket import Client, Room, action
from simplysocket.testing import open_server

from ..harness.messages import actions_of
from ..harness.servers import make


class Hall(Room):
    @action("send")
    async def by_room(self, client: Client) -> None:
        await self.send(client, "warning")
        await client.close(4000, "out")

    @action("broadcast")
    async def by_broadcast(self, client: Client) -> None:
        await self.broadcast("warning")
        await client.close(4000, "out")

    @action("exclude")
    async def before_an_exclusion(self, client: Client) -> None:
        await self.broadcast("warning")
        await self.broadcast("others", exclude=client)
        await client.close(4000, "out")

    @action("client")
    async def by_client(self, client: Client) -> None:
        await client.send("warning")
        await client.close(4000, "out")


@pytest.mark.parametrize("name", ["send", "broadcast", "exclude", "client"])
async def test_the_last_words_of_a_room_arrive_before_the_close(autojump_clock: MockClock, name: str) -> None:
    async with open_server(make(("*", Hall))) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        await ana.send(name, target="hall")
        ended = await ana.wait_ended()
        assert (ended.code, ended.reason) == (4000, "out")
        assert actions_of(await ana.settle()) == ["warning"]
        assert net.server.statistics()["frames_dropped"] == 0
