"""What blocks the loop of a server is named, wherever it runs. The clock is the computer's; no test looks at a time.

A function that blocks goes on until the watch has looked at it often enough to be sure, on a busy machine, too.
"""

import gc
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import simplysocket
from simplysocket import Client, Identity, Limits, Message, Request, Room, Server
from simplysocket.testing import Net, open_server

from ..harness.command import environment

LOOKS = 8
COMPUTED = 0.1  # seconds of a processor: more than the limit
PATIENCE = 20.0  # seconds until a test goes on, and fails
LIMITS = Limits(blocked_seconds=0.05)


def is_seen(server: Server) -> bool:
    """Tell whether the watch has looked at this pass often enough."""
    sampler = server._assembly.hub.watch._sampler
    return sampler is not None and len(sampler.places()) >= LOOKS


def compute(server: Server) -> None:
    ended, computed = time.monotonic() + PATIENCE, time.thread_time() + COMPUTED
    while not (is_seen(server) and time.thread_time() > computed) and time.monotonic() < ended:
        sum(range(1_000))


def wait(server: Server) -> None:
    ended = time.monotonic() + PATIENCE
    while not is_seen(server) and time.monotonic() < ended:
        time.sleep(0.01)


Block = Callable[[Server], None]
Use = Callable[[Net], Awaitable[object]]


async def use_all(net: Net) -> None:
    """Connect, join, call, hear and leave."""
    ana = await net.connect("Ana")
    await ana.join("hall")
    await ana.request("call", target="hall")
    await ana.close()
    with trio.move_on_after(PATIENCE):
        await net.server.state_of_test.wait()  # type: ignore[attr-defined]


def make(blocks: str, block: Block) -> Server:
    """Return a server of which the function `blocks` blocks; the event `state_of_test` is set when all have run."""
    server: Any = Server("blocked", limits=LIMITS)
    server.state_of_test = trio.Event()
    has_run = set()

    def run(name: str) -> None:
        if name == blocks:
            block(server)
        has_run.add(name)
        if has_run >= {"on_disconnect", "timer", "own_task"}:
            server.state_of_test.set()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        run("authenticate")
        return Identity("ana", name="Ana")

    @server.on_connect
    async def on_connect(client: Client[Any], request: Request) -> None:
        run("on_connect")

    @server.on_disconnect
    async def on_disconnect(client: Client[Any], reason: str) -> None:
        run("on_disconnect")

    @server.outbound
    def outbound(message: Message) -> Message:
        run("outbound")
        return message

    @server.room("hall")
    class Hall(Room[Any]):
        empty_ttl = 60

        async def on_create(self) -> None:
            run("on_create")
            self.after(0.01, self.timer)
            self.start_soon(self.own_task)

        async def timer(self) -> None:
            run("timer")

        async def own_task(self) -> None:
            await trio.lowlevel.checkpoint()
            run("own_task")

    @server.action("call")
    async def call(room: Room[Any]) -> None:
        run("call")
        await room.broadcast("news", 1)

    result: Server = server
    return result


def blocked(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if "the loop was blocked for" in line or "blocked the loop for" in line]


@pytest.mark.parametrize("block", [compute, wait])
@pytest.mark.parametrize("name", ["authenticate", "on_connect", "on_disconnect", "own_task"])
async def test_code_outside_of_turns_that_blocks_is_named(
    caplog: pytest.LogCaptureFixture, name: str, block: Block
) -> None:
    async with open_server(make(name, block)) as net:
        await use_all(net)
    (line,) = [each for each in blocked(caplog) if __file__ in each]
    assert line.startswith("the loop was blocked for ")
    assert f" in {block.__name__}" in line


@pytest.mark.parametrize("block", [compute, wait])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("on_create", "on_create in room 'hall'"),
        ("timer", "the timer make.<locals>.Hall.timer in room 'hall'"),
        ("call", "the handler of 'call' in room 'hall'"),
        ("outbound", "the handler of 'call' in room 'hall'"),
    ],
)
async def test_a_turn_that_blocks_is_named_once_with_its_line(
    caplog: pytest.LogCaptureFixture, name: str, said: str, block: Block
) -> None:
    async with open_server(make(name, block)) as net:
        await use_all(net)
    (line,) = [each for each in blocked(caplog) if __file__ in each]
    assert line.startswith(f"{said} blocked the loop for ")
    assert f" in {block.__name__}" in line


async def test_the_packages_own_code_that_blocks_is_named_as_such(caplog: pytest.LogCaptureFixture) -> None:
    path = Path(simplysocket.__file__).parent / "_wire" / "reader.py"
    names: dict[str, Any] = {"is_seen": is_seen, "time": time}
    source = (
        "async def read(server):\n"
        f"    ended = time.monotonic() + {PATIENCE}\n"
        "    while not is_seen(server) and time.monotonic() < ended: time.sleep(0.01)\n"
    )
    exec(compile(source, str(path), "exec"), names)
    server = Server("blocked", limits=LIMITS)
    async with open_server(server), trio.open_nursery() as nursery:
        nursery.start_soon(names["read"], server)
    (line,) = [each for each in blocked(caplog) if "reader.py" in each]
    assert "simplysocket's own code, simplysocket/_wire/reader.py:3 in read" in line
    assert line.endswith("please report it")


async def test_what_does_not_end_is_named_while_it_lasts(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplysocket._loop_sampler.ENDLESS", LOOKS)

    def never_return(_: Server) -> None:
        ended = time.monotonic() + PATIENCE
        while not any("still is" in line for line in caplog.messages) and time.monotonic() < ended:
            time.sleep(0.01)

    async with open_server(make("call", never_return)) as net:
        await use_all(net)
    lasting, ended = (line for line in caplog.messages if __file__ in line)
    assert "and still is" in lasting
    assert "in test_what_does_not_end_is_named_while_it_lasts.<locals>.never_return" in lasting
    assert ended.startswith("the handler of 'call' in room 'hall' blocked the loop for ")


async def test_of_two_servers_in_one_loop_one_tells(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def both(one: Server, two: Server) -> AsyncIterator[None]:
        async with open_server(one), open_server(two):
            yield

    first, second = Server("first", limits=LIMITS), Server("second", limits=LIMITS)
    async with both(first, second):
        wait(first)
    assert len([each for each in blocked(caplog) if __file__ in each]) == 1


async def test_the_watch_leaves_nothing_behind() -> None:
    callbacks = list(gc.callbacks)
    async with open_server(Server("short", limits=LIMITS)) as net:
        await net.connect("Ana")
        assert len(gc.callbacks) == len(callbacks) + 1
        thread = net.server._assembly.hub.watch._sampler._thread  # type: ignore[union-attr]
        assert thread.is_alive()
    assert gc.callbacks == callbacks
    await trio.to_thread.run_sync(thread.join, PATIENCE)
    assert not thread.is_alive()


STOPPED = """
import logging, sys, trio
from simplysocket import Limits, Server
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
server = Server(limits=Limits(blocked_seconds=0.2))

async def tick():
    while True:
        await trio.sleep(0.02)

async def main():
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, "127.0.0.1", 0)
        nursery.start_soon(tick)
        print("listens", flush=True)

trio.run(main)
"""


async def test_a_process_that_was_stopped_says_so(tmp_path: Path) -> None:
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    process = await trio.lowlevel.open_process(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment({})
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(60):
            await process.stdout.receive_some()
            process.send_signal(signal.SIGSTOP)
            await trio.sleep(0.8)
            process.send_signal(signal.SIGCONT)
            said = b""
            while b"the process did not run for" not in said:
                received = await process.stderr.receive_some()
                assert received, said
                said += received
    finally:
        process.kill()
        await process.wait()
