"""A game whose hooks are logged, and what its members are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from simplysocket import Client, Identity, Reason, Request, Room, Server, action
from simplysocket.games import Bot, GameRoom, Seat
from simplysocket.testing import Net, TestClient, open_server

from .servers import make

NAME = "table"


class Logged(GameRoom):
    """A game that logs its hooks, as `sit 0 ana`. `move` passes the turn on."""

    log: list[str]
    errors: list[str]

    async def on_create(self) -> None:
        self.log, self.errors = [], []

    def note(self, hook: str, seat: Seat | None = None, more: str = "") -> None:
        parts = (hook, "" if seat is None else f"{seat.index}", "" if seat is None else seat.name or "", more)
        self.log.append(" ".join(part for part in parts if part))

    async def on_start(self) -> None:
        self.note("start")

    async def on_turn(self, seat: Seat) -> None:
        self.note("turn", seat)

    async def on_time_out(self, seat: Seat) -> None:
        self.note("time out", seat)
        await self.next_turn()

    async def on_end(self, result: Any) -> None:
        self.note("end", more=f"{result}")

    async def on_sit(self, seat: Seat) -> None:
        self.note("sit", seat)

    async def on_stand(self, seat: Seat, player: Client | Bot, reason: Reason) -> None:
        self.note("stand", seat, f"{player.name} {reason}")

    async def on_away(self, seat: Seat) -> None:
        self.note("away", seat)

    async def on_back(self, seat: Seat) -> None:
        self.note("back", seat)

    async def on_watch(self, client: Client) -> None:
        self.note("watch", more=client.name)

    async def on_unwatch(self, client: Client) -> None:
        self.note("unwatch", more=client.name)

    async def on_owner(self, seat: Seat) -> None:
        self.note("owner", seat)

    async def on_ready(self) -> None:
        self.note("ready")

    async def on_error(self, error: BaseException) -> None:
        self.errors.append(f"{error}")

    @action("move")
    async def move(self, client: Client) -> bool:
        """Pass the turn on; False if the client does not have it."""
        if not self.is_turn(client):
            return False
        await self.next_turn()
        return True

    @action("finish")
    async def finish(self, body: Any) -> None:
        await self.end(body)


class Crashing(Logged):
    """A game that is made anew after a crash, and crashes when it is asked to."""

    on_crash = "restart"

    @action("crash")
    async def crash(self) -> None:
        self.start_soon(self.fail)

    async def fail(self) -> None:
        raise RuntimeError("a bug")


def make_table(game: type[Room[Any]], *, has_users: bool = False, **options: Any) -> Server:
    """Return a server with this game. With users, a client whose token is `u1` is that user."""
    server = make((NAME, game), **options)
    if has_users:

        @server.authenticate
        async def authenticate(request: Request) -> Identity:
            return Identity(request.token or "nobody")

    return server


@asynccontextmanager
async def open_table(game: type[Room[Any]], **options: Any) -> AsyncIterator[Net]:
    """Serve this game in memory."""
    async with open_server(make_table(game, **options)) as net:
        yield net


async def come(net: Net, *names: str, **options: Any) -> list[TestClient]:
    """Connect clients of these names and let them join, one after the other; `options` are those of their joins."""
    clients = []
    for name in names:
        client = await net.connect(name)
        await client.join(NAME, **options)
        clients.append(client)
    return clients


def table_of(net: Net) -> Logged:
    """Return the room."""
    room = net.server.rooms[NAME]
    assert isinstance(room, Logged)
    return room


def log_of(net: Net) -> list[str]:
    """Return what the room has logged since the last call."""
    room = table_of(net)
    log, room.log = room.log, []
    return log


async def told(client: TestClient, *actions: str) -> list[Any]:
    """Return the bodies of the messages of these actions that have come."""
    return [each["message_body"] for each in await client.settle() if each["action"] in actions]


async def told_all(client: TestClient) -> list[str]:
    """Return the actions of all messages of the room that have come."""
    return [each["action"] for each in await client.settle() if NAME in (each["target"], each.get("room"))]


def names(net: Net) -> list[str | None]:
    """Return who has which seat."""
    return [seat.name for seat in table_of(net).all_seats]
