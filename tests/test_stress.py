"""Seeded stories of twenty clients in four rooms: they join, talk, leave, vanish and are kicked, rooms crash and close.

Everything is drawn from the seed, the scheduler's own choices too, so that a seed
tells the same story each time. What is promised is checked all along and at the end.
"""

import contextlib
import itertools
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, ActionError, Client, Limits, Room, Server, action, fanout
from simplysocket.frames import CLOSE, client_frame
from simplysocket.testing import Net, TestClient, open_server

SEEDS = 25
STEPS = 300  # of one story
CLIENTS = 20
NAMES = ("one", "two", "three", "four")
SHIELDED = 3.0  # seconds that the worst handler does not let itself be cancelled
CALM = 60.0  # seconds after which nothing is under way any more
LIMITS = Limits(
    joins_per_second=None,
    messages_per_second=None,
    connections_per_address=None,
    turn_seconds=2,
    close_seconds=1,
)
ODD = (
    ("close", "close", "close other", "join other", "join other", "leave other", "kick", "kick", "crash", "later")
    + ("shield", "clean up slowly", "ask", "drop", "timer", "no timer", "open other", "leak")
)  # fmt: skip

Said = tuple[str, int]  # action, number


@attrs.define
class Story:
    """What happens in a run, and what must have come of it."""

    draw: random.Random
    faults: list[str] = attrs.field(factory=list)
    rooms: Iterator[int] = attrs.field(factory=itertools.count)  # numbers them: a name may have many, one by one
    live: Counter[str] = attrs.field(factory=Counter)  # {name: rooms between on_create and the end of on_close}
    said: dict[str, dict[int, list[Said]]] = attrs.field(factory=lambda: defaultdict(lambda: defaultdict(list)))
    """{client id: {room's number: what it must hear from that room, in this order}}"""
    seen: Counter[str] = attrs.field(factory=Counter)  # how often what happened

    def expect(self, is_so: bool, fault: str) -> None:
        """Note a broken promise: an assertion in a handler would only be one more failing handler."""
        if not is_so:
            self.faults.append(fault)

    async def pause(self, chance: float = 0.3) -> None:
        """Sleep now and then, and fail now and then."""
        if self.draw.random() < chance:
            await trio.sleep(self.draw.choice((0, 0, 0.1, 0.5, 3)))
        if self.draw.random() < 0.06:
            raise self.draw.choice((ValueError("bug"), ActionError("no", "no")))


class Wild(Room):
    """A room in which everything happens that may. Everyone in it is told a number each time something does."""

    story: ClassVar[Story]
    number = -1
    told = 0
    was_entered = False
    holder: trio.lowlevel.Task | None = None  # who holds the turn
    depth = 0  # of hooks that run within each other

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """See that no other task is in the room's turn; a hook may run inside a handler that caused it."""
        task = trio.lowlevel.current_task()
        self.story.expect(self.depth == 0 or self.holder is task, f"two in turn in {self.name}")
        self.holder, self.depth = task, self.depth + 1
        try:
            yield
        finally:
            self.depth -= 1

    async def tell(self, exclude: Client | None = None) -> None:
        """Tell everyone the next number, and note who must hear it."""
        self.told += 1
        await self.broadcast("all", [self.number, self.told], exclude=exclude or ())
        for member in self.members.values():
            if member is not exclude:
                self.story.said[member.id][self.number].append(("all", self.told))

    async def tell_one(self, client: Client) -> None:
        """Tell one client the newest number, in its place among the others."""
        say = self.story.draw.choice((self.send, Client.send))
        receiver = (client, "one") if say == self.send else (client, "one")
        await say(*receiver, [self.number, self.told])
        self.story.said[client.id][self.number].append(("one", self.told))

    async def on_create(self) -> None:
        self.number = next(self.story.rooms)
        with self.turn():
            await self.story.pause()
            if self.story.draw.random() < 0.3:
                self.every(0.7, self.on_tick)
            self.story.live[self.name] += 1
            self.story.expect(self.story.live[self.name] == 1, f"two rooms {self.name} live")

    async def on_tick(self) -> None:
        with self.turn():
            await self.tell()
            await self.story.pause()
            if self.story.draw.random() < 0.03:
                await self.close("timer")

    async def on_auth(self) -> None:
        with self.turn():
            await self.story.pause()

    async def on_join(self, client: Client) -> None:
        with self.turn():
            await self.tell_one(client)
            await self.tell()
            await self.story.pause()
            match self.story.draw.randrange(30):
                case 0:
                    await client.leave(self.name)
                case 1:
                    await self.close("join")
            self.was_entered |= client.id in self.members

    async def on_leave(self) -> None:
        with self.turn():
            await self.tell()
            await self.story.pause(0.1)

    async def on_close(self) -> None:
        self.story.expect(self.depth == 0, f"{self.name} closes within a turn")
        try:
            await self.tell()
            await self.story.pause()
            if self.story.draw.random() < 0.05:
                await trio.sleep_forever()
        finally:
            self.story.live[self.name] -= 1

    @action("say")
    async def say(self, client: Client) -> None:
        with self.turn():
            await self.tell()
            await self.story.pause()
            await self.tell(exclude=client if self.story.draw.random() < 0.3 else None)
            await self.tell_one(client)

    @action("odd")
    async def odd(self, client: Client) -> None:
        draw = self.story.draw
        what, other = draw.choice(ODD), draw.choice(NAMES)
        self.story.seen[what] += 1
        with self.turn():
            match what:
                case "close":
                    await self.close("asked")
                    await self.story.pause()
                case "close other" if other in self.server.rooms:
                    await self.server.rooms[other].close("other")
                case "join other":
                    await client.join(other)
                case "leave other":
                    await client.leave(other)
                case "kick":
                    await self.kick(draw.choice(list(self.members.values())))
                case "crash":
                    self.start_soon(self.crash)
                case "later":
                    self.start_soon(self.later, client)
                case "shield":
                    with trio.CancelScope(shield=True):
                        await trio.sleep(SHIELDED)
                case "clean up slowly":
                    try:
                        await trio.sleep(2)
                    finally:
                        with trio.CancelScope(shield=True):
                            await trio.sleep(0.3)
                case "ask":
                    await client.request("what", timeout=1)
                case "drop":
                    await client.close(4000, "bye")
                case "timer":
                    self.after(0.3, self.on_tick)
                case "no timer":
                    self.after(0.3, self.on_tick).cancel()
                case "open other":
                    await self.server.open_room(other)
                case "leak":
                    trio.CancelScope(deadline=trio.current_time() + draw.choice((0.5, 100))).__enter__()

    async def crash(self) -> None:
        await trio.sleep(0.1)
        raise ValueError("bug")

    async def later(self, client: Client) -> None:
        await trio.sleep(0.2)
        match self.story.draw.randrange(3):
            case 0:
                await self.close("task")
            case 1:
                await self.kick(client)
            case _:
                await client.join(self.story.draw.choice(NAMES))


@attrs.define(eq=False)
class Player:
    """A client, and what it asked and heard."""

    client: TestClient
    asked: dict[int, str] = attrs.field(factory=dict)
    heard: list[dict[str, Any]] = attrs.field(factory=list)
    is_gone = False
