"""Calls from other threads."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

from simplysocket import from_thread
from simplysocket.testing import open_server

from .harness.servers import make


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a thread that trio does not know, and return its result or its exception."""
    done, results = trio.Event(), list[Any]()
    token = trio.lowlevel.current_trio_token()

    def work() -> None:
        try:
            results.append(function())
        except BaseException as exc:
            results.append(exc)
        token.run_sync_soon(done.set)

    thread = threading.Thread(target=work)
    thread.start()
    await done.wait()
    thread.join()
    return results[0]


async def test_another_thread_calls_into_the_loop_and_gets_the_result() -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await in_thread(partial(from_thread.run, server, server.broadcast, "news", {"n": 1}))
        assert (await ana.receive())["message_body"] == {"n": 1}
        assert await in_thread(partial(from_thread.run_sync, server, lambda: list(server.clients))) == [ana.id]
        error = await in_thread(partial(from_thread.run, server, server.broadcast, "news", object()))
        assert "cannot be written as JSON" in str(error)


async def test_a_call_from_the_wrong_thread_or_to_a_server_that_is_not_there_says_so() -> None:
    server = make()
    error = await in_thread(partial(from_thread.run, server, server.broadcast, "news"))
    assert isinstance(error, RuntimeError)
    assert "'test' is not running" in str(error)
    async with open_server(server):
        with pytest.raises(RuntimeError, match="await the function itself"):
            from_thread.run(server, server.broadcast, "news")
        with pytest.raises(RuntimeError, match="await the function itself"):
            from_thread.run_sync(server, print)
    error = await in_thread(partial(from_thread.run_sync, server, print))
    assert "'test' is not running" in str(error)


async def test_a_call_from_another_thread_by_the_wrong_way_breaks_nothing() -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        room = server.rooms["hall"]
        for wrong in (server.broadcast("news"), room.kick(server.clients[ana.id]), room.close()):
            error = await in_thread(partial(asyncio.run, wrong))
            assert "from_thread" in str(error)
        await server.broadcast("news", {"n": 1})
        await room.broadcast("news", {"n": 2})
        assert [(await ana.receive())["message_body"] for _ in range(2)] == [{"n": 1}, {"n": 2}]
