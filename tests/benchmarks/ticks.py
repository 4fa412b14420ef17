"""Ticks: how exactly a room's `tick` keeps its times, in many rooms of one server at once.

With each tick, the clients in a room are sent where a ball is. Measured is the time from when a call was due to when
it began.

Law: every wait and every number is bounded, and what a run has started ends with it.
"""

import argparse
import json
import select
import sys
import time
from array import array
from typing import Final

import trio
from trio.testing import wait_all_tasks_blocked

from simplysocket import Room, Server
from simplysocket._serving.collector import Collector
from tests.benchmarks.clients import open_clients
from tests.benchmarks.load import percentile
from tests.benchmarks.product_server import limits, run
from tests.benchmarks.runs import GENERATOR_CORE, SERVER_CORE, first_line, module

HERTZ: Final = 20
ROOMS: Final = 200
SECONDS: Final = 8.0
READ_BYTES: Final = 65_536

late = array("d")  # seconds, for each call


class Field(Room):
    """A room in which a ball moves."""

    announce = False

    async def on_create(self) -> None:
        """Let it move."""
        self.x = 0.0
        self.timer = self.tick(HERTZ, self.move)

    async def move(self, dt: float) -> None:
        """Move the ball, and send where it is."""
        due = self.timer._due
        assert due is not None
        late.append(trio.current_time() - due)
        self.x = (self.x + 30 * dt) % 100
        await self.broadcast("ball", {"x": round(self.x, 2)})


async def serve() -> None:
    """Serve until a line comes; then measure for some seconds, print the figures, and end."""
    server = Server("ticks", limits=limits)
    server.room("r*")(Field)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, server)
        await wait_all_tasks_blocked(0.1)  # it serves
        for number in range(ROOMS):
            await server.open_room(f"r{number}")
        await trio.to_thread.run_sync(sys.stdin.readline)
        late[:] = array("d")
        began = time.process_time()
        await trio.sleep(SECONDS)
        ordered, cpu = sorted(late), time.process_time() - began
        nursery.cancel_scope.cancel()
    due = HERTZ * ROOMS * SECONDS
    shares = {"p50": 0.5, "p99": 0.99, "worst": 1.0}
    figures = {name: percentile(ordered, share) * 1000 for name, share in shares.items()}
    print(json.dumps(figures | {"made": len(ordered) / due, "cpu": cpu / SECONDS}), flush=True)


def hold(port: int, members: int) -> None:
    """Connect the clients, say so, and read what they are sent until the end."""
    clients = open_clients(port, [f"r{n}" for n in range(ROOMS) for _ in range(members)], join_answer=True)
    poll = select.epoll()
    by_descriptor = {client.fileno(): client for client in clients}
    for client in clients:
        poll.register(client, select.EPOLLIN)
    print("ready", flush=True)
    end = time.perf_counter() + 3 * SECONDS
    while time.perf_counter() < end:
        for descriptor, _ in poll.poll(1, max(1, len(clients))):
            if not by_descriptor[descriptor].recv(READ_BYTES):
                return


def measure(members: int) -> dict[str, float]:
    """Measure with so many clients in each room.

    Return p50, p99 and the worst in milliseconds, the share of the calls that were made and not skipped, and the share
    of its core that the server used.
    """
    with (
        module("ticks", "--serve", core=SERVER_CORE) as server,
        module(
            "ticks", "--hold", first_line(server).split()[0], f"--members={members}", core=GENERATOR_CORE
        ) as clients,
    ):
        first_line(clients)
        assert server.stdin is not None
        server.stdin.write("\n")
        server.stdin.flush()
        figures: dict[str, float] = json.loads(first_line(server))
        return figures


def main() -> None:
    """Do one part of a run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--hold", type=int, metavar="PORT")
    parser.add_argument("--members", type=int, default=1, help="of each room")
    options = parser.parse_args()
    if options.serve:
        with Collector(is_tuned=True).tuned():
            trio.run(serve)
    elif options.hold:
        hold(options.hold, options.members)
    else:
        print(measure(options.members))


if __name__ == "__main__":
    main()
