"""The command line in a process of its own."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import simplysocket

PACKAGES = str(Path(simplysocket.__file__).parents[1])
PATIENCE = 60.0  # seconds until a silent process is killed, so that a test fails instead of hanging
LISTENS = r"(\w+) listens on (http://localhost:(\d+)) \(Ctrl\+C stops\)"
"""The line that a server writes when it listens: its name, its address and its port."""


def write(path: Path, text: str) -> None:
    """Write a file as an editor does, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(textwrap.dedent(text), "utf-8")
    new.replace(path)


class Command:
    """A running command and its stderr."""

    def __init__(self, project: Path, arguments: Sequence[str], variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "simplysocket", *arguments],
            cwd=project,
            env=environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a process group of its own, which is signalled as by a terminal
        )
        assert self.process.stderr is not None
        self.stderr = self.process.stderr

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read stderr up to the line with the pattern in it."""
        said = []
        for line in self.stderr:
            said.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} was never said, but: {''.join(said)}")

    def wait_ended(self) -> tuple[int, str]:
        """Wait until no process holds its stderr any more; return the exit code and the rest of stderr."""
        rest = self.stderr.read()
        return self.process.wait(), rest

    def signal_group(self, number: int) -> None:
        os.killpg(self.process.pid, number)


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Return this process's environment without variables of simplysocket, and with these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIMPLYSOCKET_")}
    return {**clean, "PYTHONPATH": PACKAGES, "NO_COLOR": "1", "COLUMNS": "120", **variables}


@contextlib.contextmanager
def running(project: Path, *arguments: str, **variables: str) -> Iterator[Command]:
    """Run a command during the block, and kill it after that."""
    command = Command(project, arguments, variables)
    timer = threading.Timer(PATIENCE, command.signal_group, [signal.SIGKILL])
    timer.start()
    try:
        yield command
    finally:
        with contextlib.suppress(ProcessLookupError):
            command.signal_group(signal.SIGKILL)
        command.process.communicate()
        timer.cancel()


def run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "simplysocket", *arguments],
        cwd=project,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def health(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """Return the answer of the server's health check."""
    with urllib.request.urlopen(f"{url}/health", context=context) as response:
        found: bytes = response.read()
    return found


@contextlib.contextmanager
def silent_client(command: Command) -> Iterator[None]:
    """Hold a WebSocket that never answers a Close, connected to the command's server."""
    with socket.create_connection(("localhost", int(command.wait_for(LISTENS)[3]))) as connection:
        connection.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert connection.recv(12) == b"HTTP/1.1 101"
        yield
