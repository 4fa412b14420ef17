"""The net of a test: a server in memory, and the clients that connect to it.

Law: only the sockets are replaced; the server and its handshake are the real ones.
"""

import contextlib
from collections.abc import AsyncIterator
from functools import partial

import trio

from ..server import Server
from .client import TestClient
from .client_connection import Upgrade
from .pipes import PIPE_BYTES, MemoryListener, Pipe


class Net:
    """The network between a test's server and its clients, as `open_server` yields it.

    Attributes: `server`, and `nursery`, which ends with the block, for tasks of the test.
    """

    def __init__(self, server: Server, listener: MemoryListener, nursery: trio.Nursery) -> None:
        self.server = server
        self.nursery = nursery
        self._listener = listener
        self._streams: list[Pipe] = []

    async def connect(
        self,
        name: str = "",
        *,
        path: str = "/ws",
        greet: bool = True,
        reads: bool = True,
        headers: dict[str, str] | None = None,
        token: str | None = None,
        resume: bool = False,
        pipe_bytes: int = PIPE_BYTES,
    ) -> TestClient:
        """Connect a client called `name`, and return it after the handshake.

        `path`: where to connect. `token`: comes to `authenticate` as `Request.token`.
        `headers`: further headers of the request. `greet=False`: a client without the
        subprotocol, which gets no `welcome` and does not know its id. `reads=False`: a client
        that reads only while one of its methods waits, and answers no pings in between; in each
        direction at most `pipe_bytes` are then under way. `resume=True`: the client asks for a
        session, with which it can `come_back`; it acknowledges what it receives, out of sight,
        or with `reads=False` only when it connects. Raises `ConnectionEnded` with 3500 or
        3005 if `authenticate` refuses the client. With `greet=False`, and for all other refusals, it
        raises `ActionError` with the HTTP status as its code, such as "401".
        """
        if resume and not greet:
            raise ValueError("resume=True needs greet=True: a client without the subprotocol cannot come back")
        dial = partial(self.open_stream, pipe_bytes)
        client = TestClient(await dial(), dial=dial)
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        nursery = self.nursery if reads else None
        if resume:
            await client.begin_session(Upgrade(name, path, headers), nursery)
            return client
        await client.shake_hands(name, path=path, greet=greet, headers=headers)
        if nursery is not None:
            client.start_reading(nursery)
        return client

    async def open_stream(self, pipe_bytes: int = PIPE_BYTES) -> Pipe:
        """Connect and send nothing; return the stream, for requests written by hand."""
        stream = await self._listener.connect(pipe_bytes)
        self._streams.append(stream)
        return stream

    async def close(self) -> None:
        """End all streams without a Close, as a network does that breaks: those of clients, and of `open_stream`."""
        for stream in self._streams:
            await stream.aclose()


@contextlib.asynccontextmanager
async def open_server(server: Server) -> AsyncIterator[Net]:
    """Serve in memory for as long as the block lasts, and yield the `Net` to connect with.

    At the end of the block the clients disconnect without a Close, and the server stops. A
    server may be opened again afterwards, but not twice at a time (RuntimeError).

    >>> async with open_server(server) as net:
    ...     ana = await net.connect("ana")
    """
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
