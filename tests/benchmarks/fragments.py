"""How long one message in many tiny fragments takes, beside plain trio-websocket.

Run: python -m tests.benchmarks.fragments

The servers take turns, every turn with a fresh server, which goes first changes from round to round. The time is that
from the first byte sent to the answer. The server's own time on its core is shown, too: other programs move it less.
"""

import argparse
import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.clients import REPLY, open_clients, read_until
from tests.benchmarks.runs import ServerProgram, machine, run_command, running

MEBIBYTE = 2**20
KEY = b"\x37\xfa\x21\x3d"  # of the examples in RFC 6455, 5.7
MOST_SECONDS = 120.0  # for one message
TICKS = os.sysconf("SC_CLK_TCK")
PROGRAMS = [ServerProgram(kind, "fragment_server", (kind,)) for kind in ("product", "plain")]


def fragments_of(payload: bytes, size: int) -> Iterator[bytes]:
    """Yield a text message in masked frames of `size` bytes, at most 125."""
    for at in range(0, len(payload), size):
        part = payload[at : at + size]
        is_last = at + size >= len(payload)
        first = (0x80 if is_last else 0) | (0 if at else 1)  # RFC 6455 5.2: FIN, and text or continuation
        mask = (KEY * (len(part) // len(KEY) + 1))[: len(part)]
        masked = int.from_bytes(part) ^ int.from_bytes(mask)
        yield bytes((first, 0x80 | len(part))) + KEY + masked.to_bytes(len(part))


def message(size: int) -> bytes:
    """Return a request of exactly `size` bytes."""
    head, foot = b'{"action":"measure","target":"","message_body":"', b'","id":7}'
    return head + b"." * (size - len(head) - len(foot)) + foot


def cpu_seconds(process: int) -> float:
    """Return the time that a process has had a core: utime and stime of /proc/PID/stat."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def send_and_wait(client: socket.socket, writes: list[bytes]) -> float:
    """Send a message and wait for its reply; return the seconds that this took."""

    def send() -> None:
        for each in writes:
            client.sendall(each)

    client.settimeout(MOST_SECONDS)
    began = time.perf_counter()
    threading.Thread(target=send, daemon=True).start()
    read_until(client, lambda answer: REPLY in answer)
    return time.perf_counter() - began


def measure(program: ServerProgram, writes: list[bytes]) -> tuple[float, float]:
    """Send the message to a fresh server; return the seconds that passed, and those of the server's core."""
    with running(program) as server:
        (client,) = open_clients(int(server.port), [None], join_answer=False)
        with client:
            before = cpu_seconds(server.process.pid)
            passed = send_and_wait(client, writes)
            return passed, cpu_seconds(server.process.pid) - before


def row(figures: list[tuple[float, float]]) -> str:
    """Return the medians of both times, and how far they spread."""
    passed, core = (sorted(each) for each in zip(*figures, strict=True))
    spans = [f"{statistics.median(each):.2f} s ({each[0]:.2f} to {each[-1]:.2f})" for each in (passed, core)]
    return f"{spans[0]}, of which the server's core {spans[1]}"


def main() -> int:
    """Measure, and print a line for each server."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fragments", description="Time tiny fragments.")
    parser.add_argument("--mebibytes", type=int, default=4, help="the size of the message")
    parser.add_argument("--fragment-bytes", type=int, default=64, choices=range(1, 126), metavar="1..125")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server")
    options = parser.parse_args()
    fragments = list(fragments_of(message(options.mebibytes * MEBIBYTE), options.fragment_bytes))
    print(f"{machine()}\none message of {options.mebibytes} MiB in fragments of {options.fragment_bytes} bytes")
    for about, writes in (("all in one write", [b"".join(fragments)]), ("a write for each fragment", fragments)):
        print(about, flush=True)
        turns: dict[str, list[tuple[float, float]]] = {program.name: [] for program in PROGRAMS}
        for number in range(options.rounds):
            for program in PROGRAMS if number % 2 == 0 else reversed(PROGRAMS):
                turns[program.name].append(measure(program, writes))
        for name, figures in turns.items():
            print(f"  {name:<8} {row(figures)}", flush=True)
    return 0


if __name__ == "__main__":
    run_command(main)
