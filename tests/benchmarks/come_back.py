"""Coming back: clients that have all lost their connections at once, half-open, and come back in the same moment.

Laws:
- The old connections stay open, and nobody reads them: to the server they look like those of peers that are gone
  without a word. Each client has missed a message.
- A client is back when it has that message and the reply to its first `ping`. One that is not the same as before, or
  lacks the message, counts as lost.
- Clients that do not ask to come back connect instead, as new ones, for comparison.

Run: python -m tests.benchmarks.come_back PORT --clients 2000 --protocols ...; prints one line of JSON.
"""

import argparse
import gc
import json
import re
import time
from typing import Final

import attrs

from tests.benchmarks.arrivals import BATCH, ROOM_MEMBERS, Arrival, Door
from tests.benchmarks.clients import (
    DELIVERY,
    MESSAGE_BYTES,
    PLAIN,
    RESUMING,
    handshake,
    ping_frame,
    room_name,
    say_frame,
)
from tests.benchmarks.load import JOIN_REPLIES

AT_ONCE = 1_000  # connections on their way: what waits beyond 1,024 in the kernel would be tried again after a second
MISSED_SECONDS = 0.5  # for the server to send what the clients miss
PING_ID = 2
RESUMED = b'"outcome":"resumed"'
TOKEN: Final = re.compile(rb'"token":"([^"]+)"')


@attrs.frozen
class ComeBack:
    """How many clients come back: one column of the table."""

    clients: int
    protocols: str = ""  # that the clients offer

    module = "come_back"


class Crowd:
    """Clients that connect, and come back if they have asked to."""

    def __init__(self, port: int, load: ComeBack) -> None:
        self.port, self.load = port, load
        self.door = Door(port, AT_ONCE, load.protocols)

    def run(self) -> dict[str, object]:
        """Let the clients in, lose them, and take the time until they are back; return the figures."""
        door, first = self.door, ping_frame(JOIN_REPLIES, PING_ID)
        if self.load.protocols == RESUMING:
            lost = door.let_in(door.strangers(self.load.clients))
            for number in range(0, len(lost), ROOM_MEMBERS):
                self.say(lost[number], number)
            time.sleep(MISSED_SECONDS)
            requests = [self.request(arrival, number) for number, arrival in enumerate(lost)]
        else:
            door.close(door.let_in(door.strangers(BATCH)))
            requests = [handshake(self.port, self.load.protocols)] * self.load.clients
        door.begin()
        back = door.let_in([(request, first) for request in requests], b'"id":%d' % PING_ID)
        if self.load.protocols == RESUMING:
            door.lost += sum(RESUMED not in each.answer or DELIVERY not in each.answer for each in back)
        return door.figures()

    def say(self, arrival: Arrival, number: int) -> None:
        """Let one client say something to its room, which the whole room misses."""
        arrival.sock.sendall(say_frame("say", room_name(number // ROOM_MEMBERS), b"", None, MESSAGE_BYTES))

    def request(self, arrival: Arrival, number: int) -> bytes:
        """Return the request with which a client comes back."""
        found = TOKEN.search(arrival.answer)
        if found is None:
            raise SystemExit(f"the server gives no token: {arrival.answer[-500:]!r}")
        sent = 1 + (number % ROOM_MEMBERS == 0)  # its join, and what it has said
        return handshake(self.port, f"{PLAIN}, simplysocket.resume.{found[1].decode()}.{JOIN_REPLIES}.{sent}")


def main() -> None:
    """Run one load and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.come_back", description="Come back, all at once.")
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=2_000)
    parser.add_argument("--protocols", default=RESUMING, help="that the clients offer, with commas")
    parser.add_argument("--warm-up", type=float, help="not used: one crowd is measured once")
    parser.add_argument("--seconds", type=float, help="not used either")
    options = parser.parse_args()
    gc.disable()  # a pause would be measured as the server's
    print(json.dumps(Crowd(options.port, ComeBack(options.clients, options.protocols)).run()))


if __name__ == "__main__":
    main()
