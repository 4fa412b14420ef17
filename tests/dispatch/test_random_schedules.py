"""Random schedules: clients, handlers, middleware and rooms that do random things at random times."""

import contextlib
from random import Random
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Call, Client, Limits, Next, Room, RoomClosed, middleware
from simplysocket.testing import TestClient, open_server

from ..harness.servers import make
from ..harness.work import is_at_rest


class RandomHandler:
    """A handler that does random things."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    async def handle(self, client: Client, room: Room) -> str:
        random = self.random
        for _ in range(random.randrange(4)):
            side = f"room-{random.randrange(3)}"
            match random.randrange(9):
                case 0:
                    await trio.sleep(random.random() * 3)
                case 1:
                    await room.broadcast("said")
                case 2:
                    raise KeyError("a bug")
                case 3:
                    raise ActionError("my-code")
                case 4:
                    with contextlib.suppress(ActionError):
                        await client.join(side)
                case 5:
                    with contextlib.suppress(ActionError):
                        await client.leave(side)
                case 6:
                    try:
                        await trio.sleep(2)
                    except trio.Cancelled:
                        if random.random() < 0.5:
                            return "swallowed"
                        raise
                case 7:
                    try:
                        await trio.sleep(2)
                    finally:
                        if random.random() < 0.3:
                            raise OSError("a bug in a finally")
                case 8:
                    if random.random() < 0.1 and room.name != "mesh-global":
                        await room.close()
        return "done"


@pytest.mark.parametrize("seed", range(15))
async def test_in_a_random_schedule_each_request_is_answered_once_and_nothing_remains(
    autojump_clock: MockClock, seed: int
) -> None:
    handler = RandomHandler(seed)
    random = handler.random

    class RandomRoom(Room):
        async def on_error(self, error: BaseException) -> None:
            await trio.sleep(random.random())
            if random.random() < 0.2:
                raise ValueError("a bug in on_error")

        @middleware
        async def slow(self, call: Call, next: Next) -> object:
            if random.random() < 0.2:
                await trio.sleep(random.random())
            return await next(call)

    bounds = Limits(joins_per_second=None, messages_per_second=None, tasks_per_client=4, inbox_seconds=None)
    server = make(("room-*", RandomRoom), ("mesh-global", RandomRoom), limits=bounds)
    for name, options in (("outside", {"turn": False}), ("ends", {"cancel": True}), ("turn", {})):
        server.action(name, **options)(handler.handle)

    async def crash() -> None:
        raise ValueError("a task crashes")

    def open_rooms() -> list[Room[Any]]:
        return [room for name, room in server.rooms.items() if name != "mesh-global" and room.is_open]

    async with open_server(server) as net:
        asked: dict[TestClient, list[int]] = {}
        for id in range(250):
            while len(asked) < 4:
                client = await net.connect()
                asked[client] = []
                for at in range(3):
                    await client.join(f"room-{at}")
            client = random.choice(list(asked))
            match random.randrange(20):
                case 12 | 13 | 14 | 15 if asked[client]:
                    await client.send("cancel", id=random.choice(asked[client]))
                case 16 if random.random() < 0.3:
                    await client.stream.aclose()
                    del asked[client]
                case 17:
                    await client.send("join-room", {"roomname": f"room-{random.randrange(3)}"})
                case 18 if open_rooms() and random.random() < 0.2:
                    net.nursery.start_soon(random.choice(open_rooms()).close)
                case 19 if random.random() < 0.1:
                    await trio.testing.wait_all_tasks_blocked()
                    with contextlib.suppress(RoomClosed):
                        random.choice(list(server.rooms.values())).start_soon(crash)
                case _:
                    asked[client].append(id)
                    target = random.choice(["room-0", "room-1", "room-2", "mesh-global"])
                    keys = {"timeout": random.random() * 3} if random.random() < 0.3 else {}
                    await client.send(random.choice(["outside", "ends", "turn"]), target=target, id=id, **keys)
            for _ in range(random.randrange(4)):
                await trio.lowlevel.checkpoint()
            if random.random() < 0.2:
                await trio.sleep(random.random())
        await trio.sleep(1000)
        for client, ids in asked.items():
            heard = await client.settle()
            assert sorted(each["id"] for each in heard if "id" in each) == ids
        assert is_at_rest(server)
        assert len(server.clients) == len(asked)
