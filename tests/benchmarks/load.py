"""The load generator: many clients in one process, on raw sockets, cheap enough never to be the bottleneck.

Laws:
- It parses no frames: it counts markers in what it receives. All markers have one length, so that the bytes carried
  over from one read to the next can never hold a whole marker and nothing is counted twice.
- Every wait and every number is bounded. What was due and did not come is reported as lost, client by client, so that
  a message too many for one never hides one too few for another.
- It knows the wire, not the servers: the product and the comparison get the same bytes.

Run: python -m tests.benchmarks.load PORT --rooms 1 --members 500 --senders 10 --window 4; prints one line of JSON.
With --idle N it connects N clients, prints `ready` and holds them until its stdin ends.
"""

import argparse
import collections
import contextlib
import gc
import json
import select
import socket
import sys
import time
from array import array
from pathlib import Path

import attrs

from tests.benchmarks.clients import (
    DELIVERY,
    ERROR,
    MESSAGE_BYTES,
    REPLY,
    RESUMING,
    open_clients,
    ping_frame,
    room_name,
    say_frame,
)

JOIN_REPLIES = 1  # what a client has received before its first delivery
CARRY_BYTES = len(DELIVERY) - 1
READ_BYTES = 262_144
QUIET_SECONDS = 10.0  # at most, for what is still under way when the senders stop
GRACE_SECONDS = 0.05  # after the last message that was due, for any that was not
MAX_SECONDS = 30.0  # members that only listen send nothing: a server may close them as silent after a minute
MAX_MESSAGES = 5_000_000  # sent in one run; each keeps eight bytes of latency


@attrs.frozen
class Load:
    """Who sits where and who talks: one column of the table."""

    rooms: int
    members: int  # in each room
    senders: int  # of them
    window: int  # messages in flight for each sender
    action: str = "say"  # "ask" expects a reply too, "others" leaves the sender out
    message_bytes: int = MESSAGE_BYTES
    protocols: str = ""  # that the clients offer

    module = "load"

    @property
    def own(self) -> int:
        """What a sender receives for its own message, beyond what every member does."""
        return {"ask": 1, "others": -1}.get(self.action, 0)


@attrs.define(eq=False)
class Wire:
    """One client's socket, what came out of it, and the sender whose window moves by what is heard here."""

    sock: socket.socket
    tail: bytes | bytearray = b""  # the end of the last read, shorter than a marker
    received: int = 0  # deliveries, and replies where they are asked for
    hears: bytes = b""
    speaker: "Speaker | None" = None
    unwritten: bytes = b""  # what the socket has not taken yet, of large messages
    acknowledged: int = 0  # of what was received


@attrs.define(eq=False)
class Speaker:
    """A client that sends: as many messages as its window allows."""

    wire: Wire
    script: bytes  # two windows of frames, so that any run of them is one slice
    next: int = 0  # place in the window
    sent: int = 0
    sent_at: collections.deque[float] = attrs.Factory(collections.deque)


class Generator:
    """Drives one Load over its joined clients, room by room, and counts."""

    def __init__(self, load: Load, clients: list[socket.socket]) -> None:
        self.load = load
        self.members = wires = [Wire(sock) for sock in clients]
        self.rooms = [wires[at : at + load.members] for at in range(0, len(wires), load.members)]
        self.speakers = [self._appoint(room, place) for room in range(load.rooms) for place in range(load.senders)]
        self.wires = {wire.sock.fileno(): wire for wire in wires}
        self.poll = select.epoll()
        for wire in wires:
            wire.sock.setblocking(False)
            self.poll.register(wire.sock, select.EPOLLIN)
        self.buffer = bytearray(CARRY_BYTES + READ_BYTES)
        self.free = memoryview(self.buffer)[CARRY_BYTES:]
        self.sent = self.expected = self.received = self.errors = self.closed = 0
        self.latencies = array("d")  # seconds
        self.sending, self.first_error = True, ""
        self.began, self.asked = time.perf_counter(), 0  # how many acknowledgements were due since then

    def _appoint(self, room: int, place: int) -> Speaker:
        """Make a member its room's sender and settle where its message is heard.

        The first members are the senders. One that is left out of its own broadcast has a
        witness: a member that only listens.
        """
        load, members = self.load, self.rooms[room]
        tag = b"<%05d>" % (room * load.senders + place)
        ids = range(10, 10 + load.window) if load.action == "ask" else [None] * load.window
        script = b"".join(
            say_frame(load.action, room_name(room), tag, message_id, load.message_bytes) for message_id in ids
        )
        speaker = Speaker(members[place], script * 2)
        ear = members[place + load.senders] if load.action == "others" else members[place]
        ear.hears, ear.speaker = REPLY if load.action == "ask" else tag, speaker
        return speaker

    def say(self, speaker: Speaker, count: int, now: float) -> None:
        """Send the next `count` messages of a sender, in one write."""
        frame_bytes = len(speaker.script) // (2 * self.load.window)
        first = speaker.next * frame_bytes
        speaker.next = (speaker.next + count) % self.load.window
        speaker.sent += count
        speaker.sent_at.extend((now,) * count)
        self.sent += count
        self.expected += count * (self.load.members + self.load.own)
        self.write(speaker.wire, speaker.script[first : first + count * frame_bytes])

    def write(self, wire: Wire, data: bytes = b"") -> None:
        """Write what the socket takes; the rest follows when it takes more."""
        was_waiting, data = bool(wire.unwritten), wire.unwritten + data
        try:
            wire.unwritten = data[wire.sock.send(data) :]
        except BlockingIOError:
            wire.unwritten = data
        except OSError:  # closed by the server: what is not said is lost, and seen as such
            wire.unwritten = b""
        if bool(wire.unwritten) != was_waiting:
            with contextlib.suppress(FileNotFoundError):  # closed by the server, as `receive` has seen
                self.poll.modify(wire.sock, select.EPOLLIN | (select.EPOLLOUT if wire.unwritten else 0))

    def acknowledge(self, now: float) -> None:
        """Let each client acknowledge what it has received, once a second if that is more: one after another."""
        count = len(self.members)
        for number in range(self.asked, int((now - self.began) * count)):
            wire = self.members[number % count]
            if wire.received != wire.acknowledged:
                wire.acknowledged = wire.received
                self.write(wire, ping_frame(JOIN_REPLIES + wire.received))
            self.asked = number + 1

    def receive(self, wire: Wire) -> None:
        """Read once, count, and move the window of the sender that is heard here.

        The hot path: about three microseconds with the read itself, half of what a server pays for the send.
        """
        buffer, tail = self.buffer, wire.tail
        start = CARRY_BYTES - len(tail)
        buffer[start:CARRY_BYTES] = tail
        try:
            size = wire.sock.recv_into(self.free)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.poll.unregister(wire.sock)
            self.closed += 1
            return
        end = CARRY_BYTES + size
        wire.tail = buffer[max(start, end - CARRY_BYTES) : end]
        found = buffer.count(DELIVERY, start, end)
        if wire.speaker is not None:
            found += self.listen(wire, wire.speaker, start, end)
        wire.received += found
        self.received += found

    def listen(self, wire: Wire, speaker: Speaker, start: int, end: int) -> int:
        """Look for what concerns a sender in the part of the buffer just read; return the number of replies."""
        heard = self.buffer.count(wire.hears, start, end)
        replies = heard if wire.hears is REPLY else 0
        if errors := self.buffer.count(ERROR, start, end):
            self.errors += errors
            at = self.buffer.find(ERROR, start, end)
            self.first_error = self.first_error or self.buffer[at : min(at + 300, end)].decode(errors="replace")
        heard = min(heard, len(speaker.sent_at))  # what comes twice shows in the count
        if heard:
            now = time.perf_counter()
            for _ in range(heard):
                self.latencies.append(now - speaker.sent_at.popleft())
            if self.sending and self.sent < MAX_MESSAGES:
                self.say(speaker, heard, now)
        return replies

    def pump(self, seconds: float, *, until_complete: bool = False) -> float:
        """Read what comes for `seconds`, or until all that is due has come; return the time it took."""
        started = now = time.perf_counter()
        deadline = started + seconds
        while now < deadline and not (until_complete and self.received >= self.expected):
            for descriptor, events in self.poll.poll(deadline - now, len(self.wires)):
                wire = self.wires[descriptor]
                if events != select.EPOLLIN and wire.unwritten:
                    self.write(wire)
                if events != select.EPOLLOUT:
                    self.receive(wire)
            now = time.perf_counter()
            if self.load.protocols == RESUMING:
                self.acknowledge(now)
        return now - started

    def run(self, warm_up: float, seconds: float) -> dict[str, object]:
        """Warm up, measure, stop the senders, wait for the rest; return the figures."""
        self.pump(GRACE_SECONDS)  # what the joins left behind
        for speaker in self.speakers:
            self.say(speaker, self.load.window, time.perf_counter())
        self.pump(warm_up)
        del self.latencies[:]
        received, cpu = self.received, time.process_time()
        elapsed = self.pump(seconds)
        received, cpu = self.received - received, time.process_time() - cpu
        latencies = sorted(self.latencies) or [elapsed]  # nothing came back: at least as long as we looked
        self.sending = False
        self.pump(QUIET_SECONDS, until_complete=True)
        self.pump(GRACE_SECONDS)
        lost, doubled = self.reckon()
        return {
            "per_second": received / elapsed,
            "p50_ms": percentile(latencies, 0.50) * 1000,
            "p99_ms": percentile(latencies, 0.99) * 1000,
            "sent": self.sent,
            "expected": self.expected,
            "received": self.received,
            "lost": lost,
            "doubled": doubled,
            "errors": self.errors,
            "first_error": self.first_error,
            "closed": self.closed,
            "generator_cpu": cpu / elapsed,
            "generator_waited": waited_share("self"),
        }

    def reckon(self) -> tuple[int, int]:
        """Return how many messages some client lacks, and how many some client has too many."""
        lost = doubled = 0
        for number, members in enumerate(self.rooms):
            speakers = self.speakers[number * self.load.senders : (number + 1) * self.load.senders]
            due = dict.fromkeys(members, sum(speaker.sent for speaker in speakers))
            for speaker in speakers:
                due[speaker.wire] += speaker.sent * self.load.own
            lost += sum(max(0, count - wire.received) for wire, count in due.items())
            doubled += sum(max(0, wire.received - count) for wire, count in due.items())
        return lost, doubled


def waited_share(process: int | str) -> float:
    """Return how much of its running time a process waited for its core because another program was on it.

    Linux: /proc/PID/schedstat, nanoseconds on a core and waiting for one. 0 if the kernel does not count them.
    """
    try:
        ran, waited, _ = map(int, Path(f"/proc/{process}/schedstat").read_text().split())
    except OSError:
        return 0.0
    return waited / max(1, ran + waited)


def percentile(ordered: list[float], share: float) -> float:
    """Return the value below which `share` of an ascending list lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description="Load one room server.")
    parser.add_argument("port", type=int)
    parser.add_argument("--rooms", type=int, default=1)
    parser.add_argument("--members", type=int, default=1, help="clients in each room")
    parser.add_argument("--senders", type=int, default=1, help="of the members, how many send")
    parser.add_argument("--window", type=int, default=1, help="messages in flight for each sender")
    parser.add_argument("--action", choices=("say", "ask", "others", "wait"), default="say")
    parser.add_argument("--message-bytes", type=int, default=MESSAGE_BYTES, help="of each message")
    parser.add_argument("--protocols", default="", help="that the clients offer, with commas")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds")
    parser.add_argument("--seconds", type=float, default=3.0, help=f"measured; at most {MAX_SECONDS:g}")
    parser.add_argument("--no-join-answer", action="store_true", help="the server does not answer joins")
    parser.add_argument("--idle", type=int, metavar="N", help="hold N idle clients until stdin ends")
    return parser.parse_args()


def main() -> None:
    """Run one load and print its figures."""
    options = arguments()
    if options.idle is not None:
        held = open_clients(options.port, [None] * options.idle, join_answer=False, protocols=options.protocols)
        print("ready", len(held), flush=True)
        sys.stdin.read()
        return
    load = Load(**{field.name: getattr(options, field.name) for field in attrs.fields(Load)})
    if load.members < load.senders * (2 if load.action == "others" else 1):
        raise SystemExit("a room needs a member for each sender, and with --action others a witness for each too")
    rooms = [room_name(number) for number in range(load.rooms) for _ in range(load.members)]
    join_answer = not options.no_join_answer
    clients = open_clients(options.port, rooms, join_answer=join_answer, protocols=load.protocols)
    gc.disable()  # nothing here makes cycles, and a pause would be measured as the server's
    print(json.dumps(Generator(load, clients).run(options.warm_up, min(options.seconds, MAX_SECONDS))))


if __name__ == "__main__":
    main()
