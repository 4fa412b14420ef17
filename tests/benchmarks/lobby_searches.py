"""Searches in a lobby: what its work costs among few rooms and among many, in one process, without sockets.

Laws:
- Each figure is the best of several rounds: of the time of this thread, since others run beside it.
- The searches are those of a client: a message is read, rooms are found, and the answer is written.
"""

import gc
import json
import math
import time
from collections.abc import Callable
from typing import Annotated, Any, Final

import attrs
import trio
from trio.testing import MockClock

from simplysocket import Client, Limits, Room, Server
from simplysocket._protocol import codec
from simplysocket.games import Lobby, indexed
from simplysocket.middleware import Call
from simplysocket.testing import Net, open_server

FEW: Final = 10
MANY: Final = 10_000
ROUNDS: Final = 5
CLIENTS: Final = 400  # that look for a room at once
SEARCHES: Final = {
    "no filter": {},
    "indexed, few fit": {"level": 77},
    "indexed, a tenth fits": {"mode": "m3", "title": "room"},
    "indexed, most fit": {"level": {"ge": 10}},
    "a range and a list": {"level": {"ge": 20, "lt": 40}, "mode": {"in": ["m1", "m2"]}},
    "not indexed, all fit": {"title": "room"},
    "not indexed, none fits": {"title": "none"},
    "8 conditions, none fits": {
        "title": {"ne": "x", "ge": "a", "le": "z", "gt": "a", "lt": "z"},
        "best": {"ne": 1, "ge": 0, "lt": 0},
    },
    "8 conditions, 50 values": {
        "mode": {"in": [f"m{n}" for n in range(25)], "ne": "x"},
        "level": {"in": list(range(19)), "ge": 0, "ne": -1},
        "title": {"ne": "x", "ge": "a", "eq": "none"},
    },
}


@attrs.frozen
class Listed:
    """A listing such as games have: two indexed fields, and two others."""

    mode: Annotated[str, indexed]
    level: Annotated[int, indexed]
    title: str = "room"
    best: int = 7


class Duel(Room):
    """A room of two."""

    capacity = 2
    listing: Any = Listed

    async def on_create(self) -> None:
        """Publish a listing that the options say."""
        number = self.options.get("number", 0)
        self.listing = Listed(f"m{number % 10}", number % 100)


class Hall(Duel):
    """A room of the other pattern, so that nobody is put into it."""


def best(function: Callable[[int], object], times: int) -> float:
    """Return the seconds that one call takes, of `times` in a row."""
    fastest = math.inf
    for _ in range(ROUNDS):
        began = time.thread_time()
        for number in range(times):
            function(number)
        fastest = min(fastest, time.thread_time() - began)
    return fastest / times


def search(lobby: Lobby, client: Client, room: Room, body: dict[str, Any]) -> bytes:
    """Answer `list-rooms` as the server does; return the answer."""
    envelope = codec.decode(json.dumps({"action": "list-rooms", "message_body": body, "id": 1}).encode())
    try:
        lobby._list_rooms(Call(room.server, room, client, envelope)).send(None)
    except StopIteration as stop:
        return codec.encode("reply", stop.value, client.id, "server", target_client=True, id=1)
    raise RuntimeError("list-rooms has waited")


async def play(net: Net, lobby: Lobby) -> float:
    """Let many clients look for a room at once; return how many a second get one."""
    clients = [net.server.clients[(await net.connect(f"c{n}")).id] for n in range(CLIENTS)]
    fastest = math.inf
    for _ in range(ROUNDS):
        gc.collect()
        began = time.thread_time()
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(lobby.join_or_create, client, "duel-*")
        fastest = min(fastest, time.thread_time() - began)
        for client in clients:
            for name in client.rooms:
                if name.startswith("duel-"):
                    await client.leave(name)
    return CLIENTS / fastest


async def measure(count: int) -> dict[str, str]:
    """Return the figures among so many rooms."""
    server = Server(limits=Limits(rooms=None, rooms_per_creator=None, joins_per_second=None, blocked_seconds=None))
    server.room("duel-*")(Duel)
    server.room("hall-*")(Hall)
    lobby = Lobby(server)
    figures: dict[str, str] = {}
    async with open_server(server) as net:
        rooms = [await server.open_room(f"hall-{number:06}", {"number": number}) for number in range(count)]
        ana = server.clients[(await net.connect("ana")).id]
        hall = rooms[0]  # in the global room a search would wait for its pass
        gc.collect()
        gc.freeze()
        gc.disable()  # `Server.run` lets it look at all objects very rarely, too
        for name, asked in SEARCHES.items():
            body = {"filter": asked}
            size = len(search(lobby, ana, hall, body))
            seconds = best(lambda _, body=body: search(lobby, ana, hall, body), 50)
            figures[f"list-rooms, {name}"] = f"{seconds * 1e3:.3f} ms ({size:,} bytes)"
        title = [Listed("m1", 5, title) for title in ("a", "b")]
        level = [Listed("m1", level) for level in (5, 95)]

        def change(values: list[Listed]) -> Callable[[int], None]:
            def publish(number: int) -> None:
                rooms[number % count].listing = values[number // count % 2]

            return publish

        for name, values in (("a field", title), ("an indexed field", level)):
            change(values)(0)
            figures[f"a listing changes in {name}"] = f"{best(change(values), max(1_000, 2 * count)) * 1e6:.1f} us"
        reader = await net.connect("reader")
        await reader.join("lobby")
        await trio.sleep(60)
        for number in range(count):
            rooms[number].listing = title[1] if rooms[number].listing is title[0] else title[0]
        longest = await longest_pass(60)
        figures["the longest pass while all that changed is told"] = f"{longest * 1e3:.1f} ms"
        figures["join-or-create a second"] = f"{await play(net, lobby):,.0f}"
        gc.enable()
        gc.unfreeze()
    return figures


async def longest_pass(seconds: float) -> float:
    """Return the longest time between two passes of the scheduler in these seconds of the clock."""
    longest, before, ends = 0.0, time.thread_time(), trio.current_time() + seconds
    while trio.current_time() < ends:
        await trio.sleep(0.005)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    return longest


def report() -> None:
    """Print a table."""
    columns = [trio.run(measure, count, clock=MockClock(autojump_threshold=0)) for count in (FEW, MANY)]
    print(f"| | {FEW} rooms | {MANY:,} rooms |\n| --- | --- | --- |")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")
