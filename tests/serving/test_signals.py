"""Signals: the first one drains, the second one stops at once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from simplysocket.testing import TestClient

from ..harness.command import environment

RUNNING = """
import trio
from simplysocket import Limits, Room, Server
server = Server("signalled", limits=Limits(drain_seconds=20))
@server.room("*")
class Game(Room):
    async def on_close(self):
        print("closing", flush=True)
        await trio.sleep({seconds})
        print("closed", flush=True)
server.run("127.0.0.1", 0)
print("ended", flush=True)
"""


async def run_and_signal(tmp_path: Path, seconds: float, *signals: signal.Signals) -> tuple[int, str, int]:
    """Run a server with one client, send it signals, and return its exit code, its output, and the client's Close."""
    script = tmp_path / "running.py"
    script.write_text(RUNNING.format(seconds=seconds))
    process = await trio.lowlevel.open_process(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment({})
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = b""
        while not line.endswith(b"\n"):
            line += await process.stderr.receive_some(1_000)
        port = int(line.split(b"127.0.0.1:")[1].split()[0])
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        client = TestClient(stream)
        await client.shake_hands("ana", path="/ws", greet=True, headers={})
        await client.join("one")
        output = b""
        for each in signals:
            process.send_signal(each)
            if seconds > 5 and not output:
                output += await process.stdout.receive_some(1_000)  # it is closing now
        code = (await client.wait_ended()).code
        with trio.fail_after(20):
            while received := await process.stdout.receive_some(1_000):
                output += received
            await process.wait()
        await stream.aclose()
        return process.returncode, output.decode(), code
    finally:
        process.kill()
        await process.stdout.aclose()
        await process.stderr.aclose()
        await process.wait()


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(tmp_path: Path, which: signal.Signals) -> None:
    assert await run_and_signal(tmp_path, 0.1, which) == (0, "closing\nclosed\nended\n", 3001)


async def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    exit_code, output, close_code = await run_and_signal(tmp_path, 10, signal.SIGTERM, signal.SIGTERM)
    assert (exit_code, close_code) == (0, 3001)
    assert output.startswith("closing\n")
    assert output.endswith("ended\n")
