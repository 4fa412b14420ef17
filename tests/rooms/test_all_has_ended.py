"""When a room is closed, nothing that was started in it runs any more, however it has come to its end."""

import math
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Client, Room, action
from simplysocket.testing import open_server

from ..harness.servers import make

TURN_SECONDS = 30.0  # of what has the turn; the rest stays until it is cancelled


class Running(Room):
    """A room that notes what runs in it, in `Running.now`."""

    now: ClassVar[set[str]]

    async def stay(self, what: str) -> None:
        self.now.add(what)
        try:
            await trio.sleep(math.inf if what in ("task", "turn=False") else TURN_SECONDS)
        finally:
            self.now.remove(what)

    async def on_join(self, client: Client) -> None:
        if client.name == "ben":
            await self.stay("on_join")

    @action("start")
    async def start(self, body: str) -> None:
        if body == "task":
            self.start_soon(self.stay, "task")
        elif body == "after":
            self.after(0, self.stay, "after")
        else:
            await self.stay(body)

    @action("outside", turn=False)
    async def outside(self) -> None:
        await self.stay("turn=False")

    @action("cancellable", cancel=True)
    async def cancellable(self) -> None:
        await self.stay("cancel=True")

    @action("close soon")
    async def close_soon(self) -> None:
        async def close() -> None:
            await trio.sleep(1)
            await self.close()

        self.start_soon(close)

    @action("crash soon")
    async def crash_soon(self) -> None:
        async def crash() -> None:
            await trio.sleep(1)
            raise KeyError("a crash")

        self.start_soon(crash)


@pytest.mark.parametrize("end", ["own", "other", "empty", "crash", "stop"])
@pytest.mark.parametrize("holder", ["handler", "cancel=True", "after", "on_join"])
async def test_of_a_closed_room_nothing_runs(holder: str, end: str, autojump_clock: MockClock) -> None:
    class Here(Running):
        now: ClassVar[set[str]] = set()

    server = make(("one", Here))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        room = server.rooms["one"]
        if end in ("own", "crash"):
            await ana.request("close soon" if end == "own" else "crash soon", target="one")
        await ana.request("start", "task", target="one")
        await ana.send("outside", target="one")
        await trio.sleep(0.1)
        if holder == "on_join":  # only one of these has the turn
            await ben.send("join-room", {"roomname": "one"})
        elif holder == "cancel=True":
            await ana.send("cancellable", target="one")
        else:
            await ana.send("start", holder, target="one")
        await trio.sleep(0.1)
        assert Here.now == {"task", "turn=False", holder}
        if end == "other":
            await room.close()
            assert Here.now == set()
        elif end == "stop":
            await server.stop(60)
            assert Here.now == set()
        elif end == "empty":  # its last members go; what has the turn runs to its end before
            await ana.stream.aclose()
            await ben.stream.aclose()
        await trio.sleep(2)
        if end == "crash":
            assert Here.now == set()
        await trio.sleep(2 * TURN_SECONDS)  # a room that closes itself waits for what has the turn
        assert (Here.now, "one" in server.rooms) == (set(), False)
