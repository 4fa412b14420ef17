"""The product with what a service adds: typed bodies, a middleware, and an identity for each client.

Behaves as `product_server` on the wire; beside it, it shows what these cost.

Run: python -m tests.benchmarks.house_server; the first line on stdout is the port and the package's file.
"""

import attrs
import trio

from simplysocket import Call, Client, Identity, Next, Request, Room, Server, action
from tests.benchmarks.product_server import WAIT_SECONDS, limits, run


@attrs.frozen
class Said:
    """The body of every message."""

    m: str


server = Server("bench", limits=limits)


@server.authenticate
async def authenticate(request: Request) -> Identity:
    """Let everyone in under his name."""
    return Identity(user=request.query.get("name", "") or "someone")


@server.middleware
async def only_users(call: Call, next: Next) -> object:
    """Let those through who are someone."""
    if call.client.user is None:
        raise PermissionError(call.client.id)
    return await next(call)


@server.room("*")
class Hall(Room):
    """A room in which whatever is said reaches everyone."""

    announce = False

    @action("say")
    async def say(self, client: Client, body: Said) -> None:
        """To everyone, the sender too."""
        await self.broadcast("say", body, sender=client)

    @action("ask")
    async def ask(self, client: Client, body: Said) -> None:
        """The same, sent with an id: the reply stands after the broadcast."""
        await self.broadcast("say", body, sender=client)

    @action("others")
    async def others(self, client: Client, body: Said) -> None:
        """To everyone but the sender."""
        await self.broadcast("say", body, sender=client, exclude=client)

    @action("wait")
    async def wait(self, client: Client, body: Said) -> None:
        """To everyone, after a moment in the room's turn."""
        await trio.sleep(WAIT_SECONDS)
        await self.broadcast("say", body, sender=client)


if __name__ == "__main__":
    trio.run(run, server)
