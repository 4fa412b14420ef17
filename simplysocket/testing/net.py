"""The net of a test: a server in memory, and the clients that connect to it.

Law: everything but the sockets is the real thing.
"""

import contextlib
from collections.abc import AsyncIterator
from functools import partial

import trio

from ..server import Server
from .client import TestClient
from .pipes import PIPE_BYTES, MemoryListener, Pipe


class Net:
    """The net that a test's server and clients are on."""

    def __init__(self, server: Server, listener: MemoryListener, nursery: trio.Nursery) -> None:
        self.server = server
        self.nursery = nursery
        self._listener = listener
        self._clients: list[TestClient] = []

    async def connect(
        self,
        name: str = "",
        *,
        path: str = "/ws",
        greet: bool = True,
        reads: bool = True,
        headers: dict[str, str] | None = None,
        token: str | None = None,
        pipe_bytes: int = PIPE_BYTES,
    ) -> TestClient:
        """Connect a client.

        `greet=False`: as an old page, which gets no `welcome` and does not know its
        id. `reads=False`: it reads only when it is told to, and answers no pings
        meanwhile; `pipe_bytes` is then what fits between it and the server. `token`
        comes as `Request.token`. `ActionError` with the HTTP status when it is refused.
        """
        client = TestClient(await self.open_stream(pipe_bytes))
        self._clients.append(client)
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        await client.shake_hands(name, path=path, greet=greet, headers=headers)
        if reads:
            client.start_reading(self.nursery)
        return client

    async def open_stream(self, pipe_bytes: int = PIPE_BYTES) -> Pipe:
        """Connect and say nothing: for requests written by hand."""
        return await self._listener.connect(pipe_bytes)

    async def close(self) -> None:
        """Let all clients vanish, as a net that breaks."""
        for client in self._clients:
            await client.stream.aclose()


@contextlib.asynccontextmanager
async def open_server(server: Server) -> AsyncIterator[Net]:
    """Serve in memory for as long as the block lasts; at its end the clients vanish and the server stops."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.serve, listeners=[listener]))
        net = Net(server, listener, nursery)
        try:
            yield net
        finally:
            with trio.CancelScope(shield=True):
                await net.close()
                await server.stop(server.limits.close_seconds)
        nursery.cancel_scope.cancel()
