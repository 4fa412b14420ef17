"""Whatever runs in a room has its turn: of all kinds of code, one runs at a time."""

from typing import Any

import trio
from trio.testing import MockClock

from simplysocket import Call, Client, Message, Room, action
from simplysocket.middleware import Next, middleware
from simplysocket.testing import open_server

from ..harness.servers import make


class Busy(Room):
    """A room in which each kind of code waits for a while, and notes who else is there."""

    def note(self) -> None:
        self.seen = set[str]()
        self.together = list[tuple[str, ...]]()
        self.inside = list[str]()

    async def wait(self, what: str) -> None:
        self.inside.append(what)
        self.seen.add(what)
        if len(self.inside) > 1:
            self.together.append(tuple(self.inside))
        await trio.sleep(0.7)
        self.inside.remove(what)

    async def on_create(self) -> None:
        self.note()
        self.every(5, self.wait, "every")
        self.after(0, self.wait, "after")
        await self.wait("on_create")

    async def on_join(self, client: Client) -> None:
        await self.wait("on_join")

    async def on_snapshot(self, client: Client) -> None:
        await self.wait("on_snapshot")

    async def on_drop(self, client: Client) -> None:
        await self.wait("on_drop")

    async def on_resume(self, client: Client) -> None:
        await self.wait("on_resume")

    async def on_leave(self, client: Client) -> None:
        await self.wait("on_leave")

    async def on_error(self, error: BaseException, client: Client | None) -> None:
        await self.wait("on_error")

    @middleware
    async def ware(self, call: Call, next: Next) -> object:
        if call.action in ("whisper", "relayed"):
            await self.wait(call.action)
        return await next(call)

    @action("ask")
    async def ask(self) -> None:
        await self.wait("action")

    @action("cancellable", cancel=True)
    async def cancellable(self) -> None:
        await self.wait("cancellable")

    @action("fail")
    async def fail(self) -> None:
        raise KeyError("a bug")


class Listening(Busy):
    """The same with `on_message`, in whose place a relay would come."""

    async def on_message(self, message: Message) -> None:
        await self.wait("on_message")


KINDS = {"on_create", "on_join", "on_snapshot", "on_drop", "on_resume", "on_leave", "on_error", "after", "every"}
KINDS |= {"action", "cancellable", "whisper", "relayed"}


async def test_of_all_that_runs_in_a_room_one_runs_at_a_time(autojump_clock: MockClock) -> None:
    server = make(("relaying", Busy), ("listening", Listening), relay=True, direct=True)
    async with open_server(server) as net:
        for name in ("relaying", "listening"):
            ana = await net.connect("ana")
            ben, eve = await net.connect("ben", resume=True), await net.connect("eve", resume=True)
            for client in (ana, ben, eve):
                await client.join(name)
            room: Any = server.rooms[name]
            for _ in range(3):
                for client in (ana, ben, eve):
                    for said in ("ask", "cancellable", "fail", "relayed"):
                        await client.send(said, target=name)
                    await client.send("whisper", {}, target=ana.id if client is ben else ben.id, IsTargetClient=True)
            await trio.sleep(100)
            ben.drop()
            await trio.sleep(20)
            await ben.come_back()
            await trio.sleep(20)
            await server.clients[eve.id].leave(name)
            await room.kick(server.clients[ben.id])
            assert room.seen == KINDS | ({"on_message"} if name == "listening" else set())
            assert room.together == []
