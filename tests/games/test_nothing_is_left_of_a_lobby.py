"""After rooms that a lobby has made nothing is left: no rooms, tasks, members, codes, listings or objects."""

import gc
from typing import Annotated, Any

import attrs
import trio
from trio.testing import MockClock

from simplysocket import Client
from simplysocket.games import Bot, GameRoom, Lobby, Seat, indexed
from simplysocket.testing import Net, open_server

from ..harness.servers import make

ROOMS = 1_000
AT_A_TIME = 50


@attrs.frozen
class Playing:
    """What a game publishes."""

    mode: Annotated[str, indexed] = "open"
    turns: int = 0


class Timed(GameRoom):
    """A game with a clock, a tick, and a listing that changes with each turn."""

    seats = 2
    turn_seconds = 15.0
    listing: Any = Playing

    async def on_create(self) -> None:
        self.listing = Playing()
        self.tick(0.1, self.step)

    async def step(self, dt: float) -> None:
        await self.broadcast("step", dt)

    async def on_turn(self, seat: Seat) -> None:
        self.listing = Playing("played", self.listing.turns + 1)

    async def on_message(self, client: Client) -> None:
        await self.seat_bot(Bot())


async def come_and_go(net: Net, first: int) -> None:
    """Play in further rooms: with two players, in private ones, and with a bot; all players lose the connection."""
    ana, ben, eve = [await net.connect(name, resume=True) for name in ("ana", "ben", "eve")]
    await eve.join("lobby")
    for number in range(first, first + AT_A_TIME):
        if number % 3 == 0:
            made = await ana.request("create-private", {"pattern": "game-*"})
            await ben.request("join-by-code", {"code": made["code"]})
        elif number % 3 == 1:
            await ana.request("join-or-create", {"pattern": "game-*"})
            await ben.request("join-or-create", {"pattern": "game-*"})
        else:
            name = (await ana.request("join-or-create", {"pattern": "game-*"}))["roomname"]
            await ana.request("begin", target=name)
    assert len(net.server.rooms) == 2 + AT_A_TIME
    await trio.sleep(20)
    for client in (ana, ben, eve):
        client.drop()
    await trio.sleep(150)  # longer than any seat is held


def count_objects() -> int:
    """Return how many objects there are of our classes. Those of the last rooms are held until the next ones close.

    Trio holds up to a thousand cancel scopes whose deadline has no meaning any more, and the test's net its clients:
    these are not counted.
    """
    gc.collect()
    modules = [f"{type(each).__module__}." for each in gc.get_objects()]
    ours = [name for name in modules if name.startswith(("simplysocket.", f"{__name__}."))]
    return sum(not name.startswith("simplysocket.testing.") for name in ours)


async def test_nothing_is_left_of_a_thousand_games_that_a_lobby_has_made(autojump_clock: MockClock) -> None:
    server = make(("game-*", Timed))
    Lobby(server)
    async with open_server(server) as net:
        await come_and_go(net, 0)  # what is made once, such as caches, is there now
        tasks, before = trio.lowlevel.current_statistics().tasks_living, count_objects()
        for first in range(AT_A_TIME, ROOMS, AT_A_TIME):
            await come_and_go(net, first)
        assert set(server.rooms) == {"mesh-global", "lobby"}
        assert dict(server.clients) == {}
        assert not server.rooms["lobby"].members
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert count_objects() - before < AT_A_TIME  # far less than one for each room
