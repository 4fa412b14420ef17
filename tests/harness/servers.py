"""Servers for tests: how they are made, and how they are served where a test cancels them."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import trio

from simplysocket import Limits, Room, Server
from simplysocket.testing import MemoryListener, Net

from .bystander import Counting
from .limits import IMPATIENT, LIMITS, UNLIMITED
from .rooms import Hall


def make(*rooms: tuple[str, type[Room[Any]]], name: str = "test", **options: Any) -> Server:
    """Return a server with these room classes, each given as (pattern, class).

    `options` are those of `Server`, and fields of `Limits`. The limits in
    `UNLIMITED` are lifted unless `options` sets them, or gives all as `limits`.
    """
    server = _make(name, options, UNLIMITED)
    for pattern, room_class in rooms:
        server.room(pattern)(room_class)
    return server


def make_attacked(**options: Any) -> Server:
    """Return a server for attacks: default limits with short deadlines, the bystander's room, halls, action `echo`.

    `options` are those of `make`.
    """
    server = _make("attacked", options, IMPATIENT)
    server.room("watch")(Counting)
    server.room("hall*")(Hall)

    @server.action("echo")
    async def echo(body: Any) -> Any:
        return body

    return server


def _make(name: str, options: dict[str, Any], usual: dict[str, Any]) -> Server:
    limits = {each: options.pop(each) for each in options.keys() & set(LIMITS)}
    if "limits" not in options:
        options["limits"] = Limits(**{**usual, **limits})
    elif limits:
        raise TypeError(f"limits= and {', '.join(sorted(limits))}: give one or the other")
    return Server(name, **options)


@contextlib.asynccontextmanager
async def in_cancel_scope(server: Server) -> AsyncIterator[tuple[Net, trio.CancelScope]]:
    """Serve in memory in a scope that the test may cancel."""
    listener = MemoryListener()
    async with trio.open_nursery() as clients:
        scope = trio.CancelScope()

        async def serve(task_status: trio.TaskStatus[Server]) -> None:
            with scope:
                await server.serve(listeners=[listener], task_status=task_status)

        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            yield Net(server, listener, clients), scope
            scope.cancel()
        clients.cancel_scope.cancel()
