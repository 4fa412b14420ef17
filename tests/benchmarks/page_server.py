"""A server that sends a page as many small messages as it asks for, as fast as the page reads.

Run: python -m tests.benchmarks.page_server; the first line on stdout is the port and the package's file.
"""

import trio

import simplysocket
from simplysocket import Client, Limits, Server
from tests.benchmarks.plain_server import LIFETIME_SECONDS

BATCH = 500  # messages between two passes of the scheduler

# All that the page was not fast enough for waits for it.
server = Server("bench", limits=Limits(outbox_frames=None, outbox_bytes=None, connects_per_second=None))


@server.action("flood", turn=False)
async def flood(client: Client, body: int) -> None:
    """Send so many messages to the page that asks."""
    for number in range(body):
        await client.send("tick", {"n": number, "x": 0.5, "y": -0.5})
        if number % BATCH == 0:
            await trio.lowlevel.checkpoint()


async def serve() -> None:
    """Serve for a bounded time."""
    with trio.move_on_after(LIFETIME_SECONDS):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, "127.0.0.1", 0)
            print(server.port, simplysocket.__file__, flush=True)


if __name__ == "__main__":
    trio.run(serve)
