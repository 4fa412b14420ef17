"""After games nothing is left of them: no rooms, tasks, timers, members or objects."""

import gc
import weakref

import trio
from trio.testing import MockClock

from simplysocket import Client
from simplysocket.games import Bot, GameRoom, Seat
from simplysocket.testing import open_server

from ..harness.servers import make

ROOMS = 400
AT_A_TIME = 50


class Mover(Bot):
    """A bot that moves at once."""

    async def on_turn(self, game: GameRoom, seat: Seat) -> None:
        game.after(1, self.move, game, seat)

    async def move(self, game: GameRoom, seat: Seat) -> None:
        if game.turn is seat:
            await game.next_turn()


class Quick(GameRoom):
    """A game with a clock, a bot, and a ready check that is under way when the room closes."""

    seats = 3
    needed = 2
    turn_seconds = 15.0
    starts = "code"

    async def on_message(self, client: Client) -> None:
        await self.seat_bot(Mover())
        await self.ask_ready(100)
        if len(self.taken_seats) == 3:
            await self.start()


async def test_nothing_is_left_of_many_games(autojump_clock: MockClock) -> None:
    server, rooms = make(("game-*", Quick)), []
    async with open_server(server) as net:
        tasks = 0
        for first in range(0, ROOMS, AT_A_TIME):
            ana, ben = await net.connect("ana", resume=True), await net.connect("ben")
            for number in range(first, first + AT_A_TIME):
                name = f"game-{number}"
                await ana.join(name)
                await ben.join(name)
                rooms.append(weakref.ref(server.rooms[name]))
                if number % 2:
                    await ana.request("begin", target=name)
            await trio.sleep(20)
            ana.drop()
            await trio.sleep(10)
            ben.drop()
            await trio.sleep(200)  # longer than any seat is held
            tasks = tasks or trio.lowlevel.current_statistics().tasks_living
        assert list(server.rooms) == ["mesh-global"]
        assert server.clients == {}
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        del ana, ben
        gc.collect()
        left = [each for each in rooms if each() is not None]
        assert len(left) <= AT_A_TIME  # those of the last flush, which the server holds until the next one
