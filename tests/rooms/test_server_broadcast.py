"""`Server.broadcast`: a message to every client."""

from trio.testing import MockClock

from simplysocket.testing import open_server

from ..harness.servers import make


async def test_a_broadcast_to_everyone_may_exclude_a_client(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana, ben = await net.connect("Ana"), await net.connect("Ben")
        await server.broadcast("news", 1, exclude=server.clients[ana.id], volatile=True)
        await server.broadcast("news", 2, coalesce="news")
        assert [message["message_body"] for message in await ana.settle()] == [2]
        assert [message["message_body"] for message in await ben.settle()] == [1, 2]
