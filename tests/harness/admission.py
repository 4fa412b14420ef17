"""Admission: servers on which clients come and go, and whose counts are checked at the end.

Law: after the block no connection, client or task is left, and every connection that was opened has been closed.
"""

import contextlib
from collections.abc import AsyncIterator

import trio

from simplysocket import Server
from simplysocket.testing import Net, open_server

from .leaks import living_tasks
from .servers import in_cancel_scope

HANDSHAKE_SECONDS = 5.0  # the default of Limits(handshake_seconds=)
CLOSE_SECONDS = 2.0  # the default of Limits(close_seconds=)


def check_no_connections(server: Server) -> None:
    """Check that the server counts no connection, and has counted the end of each."""
    counted = server.statistics()
    assert (counted["connections"], counted["clients"]) == (0, 0)
    assert server._assembly.front_door.arrivals.by_account == {}
    assert sum(counted["connections_closed"].values()) == counted["connections_opened"]
    assert 0 not in counted["connections_closed"]


@contextlib.asynccontextmanager
async def open_checked(server: Server) -> AsyncIterator[Net]:
    """Serve in memory; then check that no connection and no task is left."""
    tasks = living_tasks()
    async with open_server(server) as net:
        yield net
    check_no_connections(server)
    assert living_tasks() == tasks


@contextlib.asynccontextmanager
async def open_checked_in_scope(server: Server) -> AsyncIterator[tuple[Net, trio.CancelScope]]:
    """Serve in memory in a scope that the test may cancel; then check that no connection is left."""
    async with in_cancel_scope(server) as served:
        yield served
    check_no_connections(server)
