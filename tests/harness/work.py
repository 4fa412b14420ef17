"""Work for clients: a server whose handlers end in every way, and what is still under way."""

import contextlib
from typing import Any

import pytest
import trio

from simplysocket import GLOBAL_ROOM, ActionError, Client, Room, Server

from .servers import make

ROOMS = ("one", GLOBAL_ROOM)
OPTIONS = ({"turn": False}, {"cancel": True})
"""The options of an action with which a handler is cancelled when its caller cancels, times out or disconnects."""
IN_EACH_ROOM = pytest.mark.parametrize("room", ROOMS)
CANCELLABLE = pytest.mark.parametrize("options", OPTIONS, ids=str)


def is_at_rest(server: Server) -> bool:
    """Tell whether no handler runs or waits for any client, and none of their requests waits for its turn."""
    return all(
        not session.handler_scopes and session.outside_turns == 0 and not session.waiting
        for session in server._assembly.hub.clients.values()
    )


def make_worker(*, turn: bool = True, cancel: bool = False, **limits: Any) -> Server:
    """Return a server whose action `work` ends in the way that its body names; `limits` are fields of `Limits`."""
    server = make(**limits)

    @server.action("work", turn=turn, cancel=cancel)
    async def work(body: str, client: Client, room: Room) -> str:
        await room.broadcast("begun", body)
        if body == "bug":
            await trio.sleep(1)
            raise KeyError("a bug")
        if body == "bug at once":
            raise KeyError("a bug")
        if body == "refuse":
            raise ActionError("my-code", "no")
        if body == "group":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await trio.sleep(1)
                raise KeyError("a bug")
        if body == "no JSON":
            return object()  # type: ignore[return-value]
        if body == "at once":
            return "done"
        if body == "swallow":
            with contextlib.suppress(trio.Cancelled):
                await trio.sleep(100)
            return "swallowed"
        if body == "finally":
            try:
                await trio.sleep(100)
            finally:
                raise KeyError("a bug in a finally")
        if body == "nested":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                try:
                    await trio.sleep_forever()
                finally:
                    raise KeyError("a bug together with a Cancelled")
        if body == "shield":
            with trio.CancelScope(shield=True):
                await trio.sleep(20)
            await trio.sleep(80)
        else:
            await trio.sleep(100)
        return "done"

    @server.action("hello")
    async def hello() -> str:
        return "hello"

    return server
