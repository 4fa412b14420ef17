"""From other threads into the loop of a server: `simplysocket.from_thread.run(server, function, *args)`.

Law: nothing of a server may be touched from another thread but through here. What
is called runs in the server's loop, beside all rooms; the thread waits for it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import trio

from .server import Server

Result = TypeVar("Result")
Args = TypeVarTuple("Args")


def run(server: Server, function: Callable[[*Args], Awaitable[Result]], *args: *Args) -> Result:
    """Run an async function in the server's loop and return its result, or raise what it raised.

    >>> simplysocket.from_thread.run(server, server.broadcast, "news", {"text": "hello"})

    RuntimeError when the server is not running, when its loop ends meanwhile, or when it runs in this very thread.
    """
    try:
        return trio.from_thread.run(function, *args, trio_token=_token(server))
    except (trio.RunFinishedError, trio.Cancelled):
        raise RuntimeError(f"server {server.name!r} has ended before {function!r} did") from None


def run_sync(server: Server, function: Callable[[*Args], Result], *args: *Args) -> Result:
    """Call a plain function in the server's loop; otherwise as `run`."""
    try:
        return trio.from_thread.run_sync(function, *args, trio_token=_token(server))
    except trio.RunFinishedError:
        raise RuntimeError(f"server {server.name!r} has ended") from None


def _token(server: Server) -> trio.lowlevel.TrioToken:
    if trio.lowlevel.in_trio_run():
        raise RuntimeError("from_thread is for other threads: in the thread of the loop, await the function itself")
    if server.trio_token is None:
        raise RuntimeError(f"server {server.name!r} is not running: there is no loop to call into")
    return server.trio_token
