"""Signals to a program with `server.run`: the first one drains; the second one, or the end of the grace, ends it."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from simplysocket import Server
from simplysocket.testing import TestClient

from ..harness.command import PATIENCE, environment

RUNNING = """
import contextlib, os, sys, threading, time
import trio
from simplysocket import Client, Limits, Room, Server, logs

server = Server("signalled", limits=Limits(drain_seconds={grace}, blocked_seconds=None, close_seconds=600))

@server.room("*")
class Game(Room):
    async def on_close(self):
        print("closing", flush=True)
        await trio.sleep({closing})
        print("closed", flush=True)

async def swallow():
    while True:
        with contextlib.suppress(BaseException):
            await trio.sleep(0.01)

def catch():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.01)

def spin():
    while True:
        pass

@server.action("stick")
async def stick(client: Client) -> None:
    sys.stdout.write("unwritten")
    os.write(1, b"stuck\\n")
    {stick}

logs.configure("info")
server.run("127.0.0.1", 0)
print("ended", flush=True)
"""
STUCK = {
    "a handler that spins": "spin()",
    "a handler that catches everything": "catch()",
    "a handler that sleeps": "time.sleep(600)",
    "a handler that waits for a lock": "threading.Event().wait()",
    "a task that swallows its cancellation": "await swallow()",
    "a thread that sleeps": "await trio.to_thread.run_sync(time.sleep, 600)",
}
BUFFERED = {"PYTHONUNBUFFERED": ""}  # so that something is left to flush
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Program:
    """A program with `server.run`, and one client in its room."""

    def __init__(self, process: trio.Process, client: TestClient) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.send_signal = process.send_signal
        self.client = client
        self.said = ""
        self._process = process
        self._stdout, self._stderr = process.stdout, process.stderr

    async def wait_for(self, text: str) -> None:
        """Read stdout until it has said the text."""
        while text not in self.said:
            received = await self._stdout.receive_some(1_000)
            assert received, self.said
            self.said += received.decode()

    async def wait_until_stopping(self) -> None:
        """Wait until stderr says that the first signal was taken: one more would be the same one otherwise."""
        line = b""
        while b"stopping, within 600 seconds (once more: at once)" not in line:
            received = await self._stderr.receive_some(1_000)
            assert received, line
            line += received

    async def wait_ended(self) -> int:
        """Read the rest of stdout, and return the exit code."""
        while received := await self._stdout.receive_some(1_000):
            self.said += received.decode()
        return await self._process.wait()


@contextlib.asynccontextmanager
async def running(
    tmp_path: Path, *, grace: float = 600, closing: float = 0, stick: str = "pass"
) -> AsyncIterator[Program]:
    """Run a program during the block, and kill it after that."""
    script = tmp_path / "running.py"
    script.write_text(RUNNING.format(grace=grace, closing=closing, stick=stick))
    process = await trio.lowlevel.open_process(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(BUFFERED)
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(PATIENCE):
            line = b""
            while not line.endswith(b"\n"):
                line += await process.stderr.receive_some(1_000)
            async with await trio.open_tcp_stream("127.0.0.1", int(line.split(b"127.0.0.1:")[1].split()[0])) as stream:
                client = TestClient(stream)
                await client.shake_hands("ana", path="/ws", greet=True, headers={})
                await client.join("one")
                yield Program(process, client)
    finally:
        process.kill()
        await process.stdout.aclose()
        await process.stderr.aclose()
        await process.wait()


@pytest.mark.parametrize("number", ENDING)
async def test_a_signal_drains_and_the_program_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    async with running(tmp_path) as program:
        program.send_signal(number)
        assert (await program.client.wait_ended()).code == 3001
        assert await program.wait_ended() == 0
        assert program.said == "closing\nclosed\nended\n"


@pytest.mark.parametrize("number", ENDING)
async def test_a_second_signal_ends_the_program_at_once(tmp_path: Path, number: signal.Signals) -> None:
    async with running(tmp_path, closing=600) as program:
        program.send_signal(signal.SIGTERM)
        await program.wait_for("closing\n")
        await program.wait_until_stopping()
        program.send_signal(number)
        assert await program.wait_ended() == 128 + number
        assert program.said == "closing\n"


@pytest.mark.parametrize("stick", STUCK.values(), ids=STUCK)
async def test_a_second_signal_ends_a_program_that_is_stuck(tmp_path: Path, stick: str) -> None:
    async with running(tmp_path, stick=stick) as program:
        await program.client.send("stick", target="one")
        await program.wait_for("stuck\n")
        program.send_signal(signal.SIGTERM)
        await program.wait_until_stopping()
        program.send_signal(signal.SIGINT)
        assert await program.wait_ended() == 128 + signal.SIGINT
        assert program.said.endswith("unwritten")  # what the program has not flushed is written all the same


@pytest.mark.parametrize("stick", STUCK.values(), ids=STUCK)
async def test_the_grace_ends_a_program_that_is_stuck(tmp_path: Path, stick: str) -> None:
    async with running(tmp_path, stick=stick, grace=0.1) as program:
        await program.client.send("stick", target="one")
        await program.wait_for("stuck\n")
        program.send_signal(signal.SIGTERM)
        assert await program.wait_ended() == 128 + signal.SIGTERM
        assert program.said.endswith("unwritten")


async def test_the_grace_being_over_closes_the_clients_and_is_said_by_the_code(tmp_path: Path) -> None:
    async with running(tmp_path, closing=600, grace=0.1) as program:
        program.send_signal(signal.SIGTERM)
        assert (await program.client.wait_ended()).code == 3001
        assert await program.wait_ended() == 128 + signal.SIGTERM
        assert "ended" not in program.said


def test_after_run_the_signals_are_as_before() -> None:
    script = """
import os, signal, threading
from simplysocket import Server

def mine(*_): print("mine", flush=True)

signal.signal(signal.SIGTERM, mine)
server = Server("one")
token = threading.Thread(target=lambda: (server_listens.wait(), os.kill(os.getpid(), signal.SIGTERM)))
server_listens = threading.Event()

import sys
class Noting:
    def write(self, text):
        if "listens" in text: threading.Timer(0.05, server_listens.set).start()
    def flush(self): ...
sys.stderr = Noting()
token.start()
server.run("127.0.0.1", 0)
os.kill(os.getpid(), signal.SIGTERM)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(signal.SIGHUP).name)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment({}), stdout=subprocess.PIPE, check=True, timeout=PATIENCE
    )
    assert done.stdout == b"mine\nTrue SIG_DFL\n"


async def test_a_thread_other_than_the_main_one_gets_no_signals() -> None:
    with pytest.raises(RuntimeError, match=r"run\(\) is for the main thread.*trio\.run\(server\.serve"):
        await trio.to_thread.run_sync(Server("one").run)
