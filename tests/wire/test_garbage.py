"""Garbage: a connection that has ended is freed at once, and leaves nothing to the garbage collector.

Full collections hold up everybody, the longer the more there is to look at.
"""

import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
import trio

from ..harness.attack import BACK_SECONDS, under_attack, until
from ..harness.attacker import Peer
from ..harness.frames import FINAL, PING, PONG, close, frame

OURS = ("simplysocket._wire", "simplysocket._http", "trio_websocket", "wsproto", "h11")


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from freeing anything during the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def living() -> Counter[type]:
    """Count our objects that have not been freed, by class."""
    return Counter(type(each) for each in gc.get_objects() if type(each).__module__.startswith(OURS))


async def reset(peer: Peer) -> None:
    await peer.reset()


async def close_it(peer: Peer) -> None:
    await peer.send(close())
    assert await peer.end() == 1000


async def ping_and_leave(peer: Peer) -> None:
    await peer.send(frame(b"x", PING))
    assert await peer.next_frame() == (FINAL | PONG, b"x")
    await peer.close()


async def break_the_protocol(peer: Peer) -> None:
    await peer.send(b"\x81\x01a")
    assert await peer.end() == 1002
    await peer.close()


@pytest.mark.parametrize("end", [reset, close_it, ping_and_leave, break_the_protocol])
async def test_a_connection_that_ends_leaves_nothing_to_the_garbage_collector(
    end: Callable[[Peer], Awaitable[None]],
) -> None:
    async with under_attack() as attack:
        server = attack.server
        before = server.statistics()["connections"]
        await end(await attack.connect())  # what is made once is made now
        await until(lambda: server.statistics()["connections"] == before)
        with no_collection():
            lived = living()
            peer = await attack.connect()
            await end(peer)
            with trio.move_on_after(BACK_SECONDS):
                await until(lambda: living() <= lived)
            assert living() - lived == Counter()
