"""The product under load: one room class for every name, every rate limit on but wide.

The actions say, ask, others and wait behave as those of `plain_server`.

Run: python -m tests.benchmarks.product_server; the first line on stdout is the port and the package's file.
It uses public names only, so that it runs with the package of another commit too (against.py).
"""

import trio

import simplysocket
from simplysocket import Client, Limits, Room, Server, action

WAIT_SECONDS = 0.001  # what the action "wait" sleeps before it broadcasts; the plain server's sleeps as long
LIFETIME_SECONDS = 600.0  # far more than any run takes: a server that was left over ends by itself

# The buckets are counted for every message, as in production; only their sizes never refuse anything here.
# All clients come from one address, and the memory run has more of them than a server takes by default.
# Another commit's package may not have all of these yet.
newer = (
    "account_bursts",
    "account_joins_per_second",
    "connects_per_second",
    "fragments_per_second",
    "http_requests_per_second",
    "room_bytes_per_second",
    "rooms_per_creator",
)
limits = Limits(
    messages_per_second=1e9,
    messages_burst=10**9,
    bytes_per_second=1e12,
    bytes_burst=10**12,
    joins_per_second=1e6,
    joins_burst=10**6,
    controls_per_second=1e6,
    controls_burst=10**6,
    connections=None,
    connections_per_address=None,
    **dict.fromkeys(each for each in newer if hasattr(Limits, each)),
)
server = Server("bench", limits=limits)


@server.room("*")
class Hall(Room):
    """A room in which whatever is said reaches everyone."""

    announce = False  # joins and leaves would be counted as nothing and cost the set-up its time

    @action("say")
    async def say(self, client: Client, body: dict[str, object]) -> None:
        """To everyone, the sender too."""
        await self.broadcast("say", body, sender=client)

    @action("ask")
    async def ask(self, client: Client, body: dict[str, object]) -> None:
        """The same, sent with an id: the reply stands after the broadcast."""
        await self.broadcast("say", body, sender=client)

    @action("others")
    async def others(self, client: Client, body: dict[str, object]) -> None:
        """To everyone but the sender."""
        await self.broadcast("say", body, sender=client, exclude=client)

    @action("wait")
    async def wait(self, client: Client, body: dict[str, object]) -> None:
        """To everyone, after a moment in the room's turn."""
        await trio.sleep(WAIT_SECONDS)
        await self.broadcast("say", body, sender=client)


async def run(server: Server) -> None:
    """Listen on a free port of 127.0.0.1; print it and the file of the imported package."""
    with trio.move_on_after(LIFETIME_SECONDS):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, "127.0.0.1", 0)
            print(server.port, simplysocket.__file__, flush=True)


if __name__ == "__main__":
    trio.run(run, server)
