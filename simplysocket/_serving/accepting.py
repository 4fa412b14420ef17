"""Accepting: takes the connections of one listener, and starts a task for each.

From a TCP or Unix socket all that wait are taken at once, as plain sockets. Every other listener of trio, such as one
for TLS or one in memory, is asked for one stream after the other.

Laws:
- No error of one connection ends the loop. Neither does a lack of descriptors or memory: those who are
  connected are served on, and the others wait in the kernel.
- An error of the listener itself ends the server: it would be deaf and not know it.
- When the time of a pass is used up, the next connection is accepted in a later one, and others run before.
- A lack is logged without a traceback. (That of `trio.serve_listeners` has one, ten times a second.)
"""

import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from .._pass_budget import Line, PassBudget

logger = logging.getLogger("simplysocket.accepting")

_WAIT_SECONDS: Final = 0.1  # after a failure that lasts, as trio does: no busy loop, and soon enough for a client
_TRIES: Final = 10  # that may fail one after the other, each by a connection of its own, before such a wait
_LACKS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})  # accept(2): of the whole system
_BROKEN: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})  # accept(2): this does not listen

_MOST: Final = 256  # accepted in one pass, whatever the clock says

Handle = Callable[..., Awaitable[object]]
"""Serves one connection to its end: called with a stream, or with a socket and the address that accept named."""


async def accept_all(
    listener: trio.abc.Listener[Any], connections: trio.Nursery, handle: Handle, budget: PassBudget
) -> None:
    """Accept until cancelled, run `handle` in the nursery `connections` for each, and close the listener."""
    accepting = _Accepting(connections, handle, budget)
    async with listener:
        if type(listener) is trio.SocketListener:
            await accepting.sockets(listener.socket)
        else:
            await accepting.streams(listener)


class _Accepting:
    """Takes the connections of one listener."""

    def __init__(self, connections: trio.Nursery, handle: Handle, budget: PassBudget) -> None:
        self._connections = connections
        self._handle = handle
        self._budget = budget
        self._failures = 0  # one after the other

    async def streams(self, listener: trio.abc.Listener[Any]) -> None:
        """Take the streams of any listener, until cancelled."""
        while True:
            try:
                stream = await listener.accept()
            except OSError as exc:
                await self._failed(exc)
            else:
                await self._start(_serve_stream, stream)

    async def sockets(self, listening: trio.socket.SocketType) -> None:
        """Take the connections of a listening socket, until cancelled.

        trio's own `accept` takes one in each pass, and makes two objects and two system calls more for each.
        """
        kind = listening.family, listening.type, listening.proto
        plain = socket.socket(*kind, fileno=listening.fileno())  # the same descriptor, which trio keeps and closes
        plain.setblocking(False)
        try:
            while True:
                await trio.lowlevel.wait_readable(listening)
                for _ in range(_MOST):
                    try:
                        accepted, address = plain.accept()
                    except BlockingIOError:
                        break
                    except OSError as exc:
                        await self._failed(exc)
                        break
                    peer = str(address[0]) if isinstance(address, tuple) else ""  # "" is a Unix socket
                    await self._start(_serve_socket, accepted, peer)
        finally:
            plain.detach()

    async def _start(self, serve: Callable[..., Awaitable[None]], *accepted: object) -> None:
        self._failures = 0
        self._connections.start_soon(serve, self._handle, *accepted)
        if self._budget.is_spent():
            await self._budget.turn(Line.ARRIVALS)

    async def _failed(self, error: OSError) -> None:
        """Wait if the failure may last; raise it if the listener is broken."""
        if error.errno in _BROKEN:
            raise error
        self._failures += 1
        if error.errno in _LACKS or self._failures >= _TRIES:
            _log(error)
            await trio.sleep(_WAIT_SECONDS)
        else:
            await trio.lowlevel.checkpoint()


async def _serve_stream(handle: Handle, stream: trio.abc.AsyncResource) -> None:
    try:
        await handle(stream)
    finally:
        # The transport takes the socket out of its stream and closes it: then there is nothing left to close here.
        if not (isinstance(stream, trio.SocketStream) and stream.socket.fileno() < 0):
            await trio.aclose_forcefully(stream)


async def _serve_socket(handle: Handle, accepted: socket.socket, address: str) -> None:
    with accepted:
        await handle(accepted, address)


def _log(error: OSError) -> None:
    code = error.errno or 0
    logger.error(
        "no connection can be accepted: %r (%r). The next try is in %g seconds. For more open files raise the limit"
        " of the process (LimitNOFILE, ulimit -n), or lower Limits.connections",
        errno.errorcode.get(code, type(error).__name__),
        os.strerror(code) if code else "",
        _WAIT_SECONDS,
    )
