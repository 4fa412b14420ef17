"""Hook calls: how functions of the application are called where a client comes or goes."""

from collections.abc import Awaitable, Callable

import trio

from .._boundary import SHOWN
from .._rooms.hub import Hub
from .._rooms.tasks import CURRENT_ROOM


async def call_hook(
    hub: Hub,
    function: Callable[..., Awaitable[object]],
    *args: object,
    turn: Callable[[], Awaitable[None]] | None = None,
) -> object:
    """Call a function in a task of its own, so that scopes it leaves open end with it; return what it returns.

    `turn` is awaited directly before it.
    """
    result: object = None

    async def call() -> None:
        nonlocal result
        # As code of a room: if it calls `server.stop()`, this returns at once and does not wait for this very task.
        CURRENT_ROOM.set(hub.global_room)
        if turn is not None:
            await turn()
        with SHOWN:
            result = await function(*args)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
    return result
