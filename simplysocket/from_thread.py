"""Calls from other threads into a server's loop: `simplysocket.from_thread.run(server, function, *args)`.

Law: other threads may use a server only through these functions. They call the
function in the server's loop, outside the turn of any room, and wait for its result.
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

    RuntimeError when the server is not running, when its loop ends first, or when this is the loop's own thread.
    """
    try:
        return trio.from_thread.run(function, *args, trio_token=_token(server))
    except (trio.RunFinishedError, trio.Cancelled):
        raise RuntimeError(f"server {server.name!r} has ended before {function!r} did") from None


def run_sync(server: Server, function: Callable[[*Args], Result], *args: *Args) -> Result:
    """Call a plain function in the server's loop, otherwise like `run`."""
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
