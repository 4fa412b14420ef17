"""Accepting: takes the connections of one listener, and starts a task for each.

Laws:
- No error of one connection ends the loop. Neither does a lack of descriptors or memory: those who are
  connected are served on, and the others wait in the kernel.
- An error of the listener itself ends the server: it would be deaf and not know it.
- When the time of a pass is used up, the next connection is accepted in a later one, and others run before.
- A lack is logged without a traceback. (That of `trio.serve_listeners` has one, ten times a second.)

Works with every listener of trio, such as one for TLS or one in memory.
"""

import errno
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from .._pass_budget import Line, PassBudget

logger = logging.getLogger("simplysocket.accepting")

_WAIT_SECONDS: Final = 0.1  # after a failure that lasts, as trio does: no busy loop, and soon enough for a client
_TRIES: Final = 10  # that may fail one after the other, each by a connection of its own, before such a wait
_LACKS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})  # accept(2): of the whole system
_BROKEN: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})  # accept(2): this does not listen

Handle = Callable[[Any], Awaitable[object]]  # Any: each listener has its own kind of stream


async def accept_all(
    listener: trio.abc.Listener[Any], connections: trio.Nursery, handle: Handle, budget: PassBudget
) -> None:
    """Accept until cancelled, run `handle(stream)` in the nursery `connections` for each, and close the listener."""
    failures = 0  # one after the other
    async with listener:
        while True:
            try:
                stream = await listener.accept()
            except OSError as exc:
                if exc.errno in _BROKEN:
                    raise
                failures += 1
                if exc.errno in _LACKS or failures >= _TRIES:
                    _log(exc)
                    await trio.sleep(_WAIT_SECONDS)
                else:
                    await trio.lowlevel.checkpoint()
            else:
                failures = 0
                connections.start_soon(_serve, stream, handle)
                if budget.is_spent():
                    await budget.turn(Line.ARRIVALS)


async def _serve(stream: trio.abc.AsyncResource, handle: Handle) -> None:
    try:
        await handle(stream)
    finally:
        # The transport takes the socket out of its stream and closes it: then there is nothing left to close here.
        if not (isinstance(stream, trio.SocketStream) and stream.socket.fileno() < 0):
            await trio.aclose_forcefully(stream)


def _log(error: OSError) -> None:
    code = error.errno or 0
    logger.error(
        "no connection can be accepted: %r (%r). The next try is in %g seconds. For more open files raise the limit"
        " of the process (LimitNOFILE, ulimit -n), or lower Limits.connections",
        errno.errorcode.get(code, type(error).__name__),
        os.strerror(code) if code else "",
        _WAIT_SECONDS,
    )
