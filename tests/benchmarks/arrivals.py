"""Arrivals: clients that connect, shake hands and join a room, one after another or many at once.

Laws:
- Only what lies between a client's `connect` and the reply to its join is measured. A batch stays connected until all
  of it has joined; then it says goodbye, and the server has a moment to forget it.
- Every wait and every number is bounded. A client that did not get in is reported as lost.
- It knows the wire, not the servers, and reads no more of an answer than it needs.

Run: python -m tests.benchmarks.arrivals PORT --at-once 200; prints one line of JSON.
"""

import argparse
import contextlib
import gc
import json
import select
import socket
import struct
import time
from collections.abc import Sequence

import attrs

from tests.benchmarks.clients import ERROR, REPLY, RESUMING, handshake, is_let_in, join_frame, ping_frame, room_name
from tests.benchmarks.load import MAX_SECONDS, percentile, waited_share

BATCH = 200  # clients that are connected together
ROOM_MEMBERS = 10  # of a batch: the first join creates the room, and its members fit into the answer to a join
BATCH_SECONDS = 10.0  # for a batch to get in
PAUSE_SECONDS = 0.15  # after a batch has closed
READ_BYTES = 65_536
CLOSE = b"\x88\x82" + bytes(4) + (1000).to_bytes(2)  # a Close with 1000, whose mask changes nothing


@attrs.frozen
class Arrivals:
    """How many clients arrive at once: one column of the table."""

    at_once: int
    protocols: str = ""  # that the clients offer

    module = "arrivals"


@attrs.define(eq=False)
class Arrival:
    """One client on its way in."""

    sock: socket.socket
    began: float
    then: bytes | None  # what it sends once it is connected
    answer: bytes = b""


class Door:
    """Lets clients in, batch after batch, and takes the times."""

    def __init__(self, port: int, at_once: int, protocols: str) -> None:
        self.address, self.protocols = ("127.0.0.1", port), protocols
        self.at_once = at_once
        self.took: list[float] = []  # seconds, for each client
        self.elapsed = 0.0  # seconds, while a batch was on its way in
        self.cpu = 0.0  # seconds that this process has used meanwhile
        self.lost = self.closed = self.errors = 0
        self.first_error = ""

    def strangers(self, count: int) -> list[tuple[bytes, bytes]]:
        """Return the requests of new clients, and what each sends once it is connected."""
        request = handshake(self.address[1], self.protocols)
        word = ping_frame(0) if self.protocols == RESUMING else b""
        return [(request, word + join_frame(room_name(number // ROOM_MEMBERS))) for number in range(count)]

    def open(self, request: bytes, then: bytes) -> Arrival:
        """Connect one client, and send its handshake."""
        began = time.perf_counter()
        sock = socket.create_connection(self.address, BATCH_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no port is left in TIME_WAIT
        sock.sendall(request)
        return Arrival(sock, began, then)

    def hear(self, arrival: Arrival, end: bytes) -> bool:
        """Read once, and go one step further. Return True if the way ends here: with the reply that has `end`."""
        try:
            received = arrival.sock.recv(READ_BYTES)
        except OSError:
            received = b""
        if not received:
            self.closed += 1
            return True
        answer = arrival.answer = arrival.answer + received
        if arrival.then is not None:
            if b"\r\n\r\n" in answer and not answer.startswith(b"HTTP/1.1 101 "):
                self.fail(answer)
                return True
            if is_let_in(answer, self.protocols):
                arrival.sock.sendall(arrival.then)
                arrival.then = None
            return False
        if ERROR in answer:
            self.fail(answer)
            return True
        if end in answer[max(0, answer.find(REPLY)) :] and REPLY in answer:
            self.took.append(time.perf_counter() - arrival.began)
            return True
        return False

    def fail(self, answer: bytes) -> None:
        """Note a client that was refused."""
        self.errors += 1
        self.first_error = self.first_error or answer[-300:].decode(errors="replace")

    def let_in(self, clients: Sequence[tuple[bytes, bytes]], end: bytes = b'"id":1') -> list[Arrival]:
        """Let one batch in, and take the time."""
        poll = select.epoll()
        under_way: dict[int, Arrival] = {}  # by descriptor
        opened: list[Arrival] = []
        cpu = time.process_time()
        began = now = time.perf_counter()
        deadline = began + BATCH_SECONDS * max(1, len(clients) / BATCH)
        while now < deadline and (under_way or len(opened) < len(clients)):
            while len(under_way) < self.at_once and len(opened) < len(clients):
                arrival = self.open(*clients[len(opened)])
                opened.append(arrival)
                under_way[arrival.sock.fileno()] = arrival
                poll.register(arrival.sock, select.EPOLLIN)
            for descriptor, _ in poll.poll(deadline - now, self.at_once):
                if self.hear(under_way[descriptor], end):
                    poll.unregister(descriptor)
                    del under_way[descriptor]
            now = time.perf_counter()
        self.elapsed += now - began
        self.cpu += time.process_time() - cpu
        self.lost += len(under_way)
        poll.close()
        return opened

    def close(self, arrivals: Sequence[Arrival]) -> None:
        """Close a batch, so that no session is held, and give the server a moment to forget it."""
        for arrival in arrivals:
            with contextlib.suppress(OSError):  # it did not get in
                arrival.sock.setblocking(True)
                arrival.sock.sendall(CLOSE)
        for arrival in arrivals:
            with contextlib.suppress(OSError):
                arrival.sock.settimeout(BATCH_SECONDS)
                while arrival.sock.recv(READ_BYTES):
                    pass
            arrival.sock.close()
        time.sleep(PAUSE_SECONDS)

    def begin(self) -> None:
        """Forget the times so far: the warm-up is over."""
        self.took.clear()
        self.elapsed = self.cpu = 0.0

    def run(self, warm_up: float, seconds: float) -> dict[str, object]:
        """Let batches in until they have taken `seconds` together; return the figures."""
        batch = self.strangers(BATCH)
        while self.elapsed < warm_up and not self.is_refused:
            self.close(self.let_in(batch))
        self.begin()
        while self.elapsed < seconds and not self.is_refused:
            self.close(self.let_in(batch))
        return self.figures()

    def figures(self) -> dict[str, object]:
        """Return what came of it since `begin`."""
        took = sorted(self.took) or [self.elapsed]
        return {
            "per_second": len(self.took) / self.elapsed if self.elapsed else 0.0,
            "p50_ms": percentile(took, 0.50) * 1000,
            "p99_ms": percentile(took, 0.99) * 1000,
            "lost": self.lost,
            "doubled": 0,
            "errors": self.errors,
            "first_error": self.first_error,
            "closed": self.closed,
            "generator_cpu": self.cpu / self.elapsed if self.elapsed else 0.0,
            "generator_waited": waited_share("self"),
        }

    @property
    def is_refused(self) -> bool:
        """Tell whether somebody did not get in: then the figures say nothing, and the run ends."""
        return bool(self.lost or self.closed or self.errors)


def main() -> None:
    """Run one load and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.arrivals", description="Connect, over and over.")
    parser.add_argument("port", type=int)
    parser.add_argument("--at-once", type=int, default=1, help=f"clients on their way in at a time, up to {BATCH}")
    parser.add_argument("--protocols", default="", help="that the clients offer, with commas")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds")
    parser.add_argument("--seconds", type=float, default=3.0, help=f"measured; at most {MAX_SECONDS:g}")
    options = parser.parse_args()
    gc.disable()  # a pause would be measured as the server's
    door = Door(options.port, min(options.at_once, BATCH), options.protocols)
    print(json.dumps(door.run(options.warm_up, min(options.seconds, MAX_SECONDS))))


if __name__ == "__main__":
    main()
