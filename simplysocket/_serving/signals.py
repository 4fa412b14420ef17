"""Signals: a server runs until a signal comes, and then stops gracefully.

Laws: the first signal stops it gracefully. A second one stops it at once, and so
does one that comes before it listens. A failure to listen is returned, not raised.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from signal import Signals
from typing import Any

import trio

logger = logging.getLogger("simplysocket.program")


async def run_program(
    serving: Callable[..., Awaitable[object]],
    stop: Callable[[float], Awaitable[object]],
    *,
    signals: Sequence[Signals],
    grace: float,
    listens: Callable[[], object],
) -> OSError | UnicodeError | None:
    """Run `serving` until a signal comes; return the error if it could not listen.

    `serving` is a function as `nursery.start` takes it, and has started when the
    server listens: then `listens` is called. `stop` is called with `grace`, in seconds.
    """
    async with trio.open_nursery() as nursery:
        is_listening = trio.Event()
        await nursery.start(_watch_signals, nursery, stop, signals, grace, is_listening)
        async with trio.open_nursery() as inner:
            try:
                await inner.start(serving)
            except (OSError, UnicodeError) as error:
                nursery.cancel_scope.cancel()
                return error
            is_listening.set()
            listens()
        nursery.cancel_scope.cancel()
    return None


async def _watch_signals(
    nursery: trio.Nursery,
    stop: Callable[[float], Awaitable[object]],
    signals: Sequence[Signals],
    grace: float,
    is_listening: trio.Event,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(*signals) as received:
        task_status.started()
        is_stopping = False
        async for _ in received:
            if is_stopping or not is_listening.is_set():
                logger.info("stopping at once")
                nursery.cancel_scope.cancel()
                return
            is_stopping = True
            logger.info("stopping, within %g seconds (once more: at once)", grace)
            nursery.start_soon(stop, grace)


def name_places(
    server: Any, host: str | None, unix: object, *, is_tls: bool
) -> str:  # Any: a Server, whose module imports this one
    """Say where a server listens: a URL, a Unix socket, or both; "" when it was given other listeners."""
    places = [] if unix is None else [f"unix:{unix}"]
    try:
        port: int = server.port
    except RuntimeError:
        return " and ".join(places)
    name = f"[{host}]" if host and ":" in host else host or "0.0.0.0"
    return " and ".join([f"{'https' if is_tls else 'http'}://{name}:{port}", *places])
