"""Seeded stories of twenty clients in four rooms: they join, talk, leave, vanish and are kicked, rooms crash and close.

Everything is drawn from the seed, the scheduler's own choices too, so that a seed
tells the same story each time. What is promised is checked all along and at the end.
"""

import contextlib
import itertools
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, ActionError, Client, Limits, Room, Server, action, fanout
from simplysocket.frames import CLOSE, client_frame
from simplysocket.testing import Net, TestClient, open_server

STEPS = 500  # of one story
CLIENTS = 20
NAMES = ("one", "two", "three", "four")
SHIELDED = 3.0  # seconds for which the worst handler does not let itself be cancelled
CALM = 60.0  # seconds after which nothing is under way any more
LIMITS = Limits(joins_per_second=None, messages_per_second=None, turn_seconds=2, close_seconds=1)
# What clients do, and how often; `odd` is what a handler had better not do.
ACTS = {"join-room": 60, "leave-room": 12, "say": 60, "odd": 60, "lobby": 20, "goodbye": 2, "vanish": 2}

Said = tuple[str, int]  # action, number


@attrs.define
class Story:
    """What happens in a run, and what must come of it."""

    draw: random.Random
    faults: list[str] = attrs.field(factory=list)
    rooms: Iterator[int] = attrs.field(factory=itertools.count)  # numbers them: a name has many, one after the other
    live: Counter[str] = attrs.field(factory=Counter)  # {name: rooms between on_create and the end of on_close}
    said: dict[str, dict[int, list[Said]]] = attrs.field(factory=lambda: defaultdict(lambda: defaultdict(list)))
    """{client id: {room's number: what it must hear from that room, in this order}}"""
    heard: int = 0  # messages of rooms, by all who were there to the end

    def expect(self, is_so: bool, fault: str) -> None:
        """Note a broken promise: an assertion in a handler would only be one more failing handler."""
        if not is_so:
            self.faults.append(fault)

    async def pause(self) -> None:
        """Sleep now and then, and fail now and then."""
        if self.draw.random() < 0.3:
            await trio.sleep(self.draw.choice((0, 0, 0.1, 0.5, 3)))
        if self.draw.random() < 0.06:
            raise self.draw.choice((ValueError("bug"), ActionError("no", "no")))


class Wild(Room):
    """A room in which everything happens that may. Everyone in it is told a number each time something does."""

    story: ClassVar[Story]
    number, told = -1, 0  # its own, and the newest that was told
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
        body = [self.number, self.told]
        await (self.send(client, "one", body) if self.story.draw.random() < 0.5 else client.send("one", body))
        self.story.said[client.id][self.number].append(("one", self.told))

    async def stir(self) -> None:
        """Do what may wait and fail, in the turn."""
        with self.turn():
            await self.tell()
            await self.story.pause()

    on_auth = on_leave = stir

    async def on_create(self) -> None:
        self.number, self.welcome = next(self.story.rooms), set[str]()  # ids of those whose on_join has not failed
        await self.stir()
        if self.story.draw.random() < 0.3:
            self.story.draw.choice((self.after, self.every))(0.7, self.stir)
        self.story.live[self.name] += 1
        self.story.expect(self.story.live[self.name] == 1, f"two rooms {self.name} live")

    async def on_join(self, client: Client) -> None:
        with self.turn():
            self.welcome.discard(client.id)
            await self.tell_one(client)
            await self.stir()
            if self.story.draw.random() < 0.05:
                await self.story.draw.choice((client.leave, self.close))(self.name)
            self.was_entered |= client.id in self.members
            self.welcome.add(client.id)

    async def on_close(self) -> None:
        try:
            with self.turn():
                await self.stir()
                await trio.sleep(self.story.draw.choice((0, 0, 0, 0.5, 9)))
        finally:
            self.story.live[self.name] -= 1

    @action("say")
    async def say(self, client: Client) -> None:
        with self.turn():
            await self.stir()
            await self.tell(exclude=client if self.story.draw.random() < 0.3 else None)
            await self.tell_one(client)

    @action("odd")
    async def odd(self, client: Client) -> None:
        with self.turn():
            await self.do_odd(client)

    async def do_odd(self, client: Client) -> None:
        """Do what a handler had better not do; a task of the room may do it too, and crash it."""
        draw, rooms, name = self.story.draw, self.server.rooms, self.story.draw.choice(NAMES)
        odd: list[Callable[[], Awaitable[object]]] = [
            *[lambda: client.join(name)] * 3,
            *[lambda: client.leave(name)] * 2,
            *[lambda: self.kick(draw.choice(list(self.members.values())))] * 2,
            lambda: self.close("asked"),
            lambda: rooms[name].close("asked by another"),
            lambda: self.server.open_room(name),
            lambda: client.request("what", timeout=1),  # which nobody answers
            lambda: client.close(4000, "bye"),
            lambda: self.leave_to_a_task(client),
            self.hold_out,
            self.leak,
        ]
        await draw.choice(odd)()
        await self.story.pause()

    async def leave_to_a_task(self, client: Client) -> None:
        self.start_soon(self.do_odd, client)

    async def hold_out(self) -> None:
        try:
            await trio.sleep(self.story.draw.choice((0, 2)))
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(SHIELDED)

    async def leak(self) -> None:
        trio.CancelScope(deadline=trio.current_time() + 0.5).__enter__()


@attrs.define(eq=False)
class Player:
    """A client, and what it asked."""

    client: TestClient
    asked: dict[int, str] = attrs.field(factory=dict)  # {id: what}

    async def act(self, draw: random.Random) -> None:
        """Ask for something, or say goodbye, or vanish."""
        [what], name = draw.choices(list(ACTS), list(ACTS.values())), draw.choice(NAMES)
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # its connection has ended
            if what == "goodbye":
                await self.client.send_bytes(client_frame((1000).to_bytes(2, "big"), opcode=CLOSE, key=b"mask"))
            elif what == "vanish":
                await self.client.stream.aclose()
            else:
                id = len(self.asked) + 1
                self.asked[id] = f"{what} {name}"
                await self.client.send(what, {"roomname": name}, target=None if what == "lobby" else name, id=id)

    def check(self, story: Story, messages: list[dict[str, Any]], *, is_whole: bool) -> None:
        """`is_whole`: it was there to the end, so that it must have heard everything; else a beginning of it."""
        answers = Counter(each["id"] for each in messages if each["action"] in ("reply", "error"))
        story.expect(answers.keys() <= self.asked.keys(), f"an answer that nobody asked for: {answers}")
        for id, what in self.asked.items():
            story.expect(answers[id] == 1 or (not is_whole and not answers[id]), f"{what}: {answers[id]} answers")
        heard: dict[int, list[Said]] = defaultdict(list)
        for each in messages:
            if each["action"] in ("all", "one"):
                number, told = each["message_body"]
                heard[number].append((each["action"], told))
                story.heard += is_whole
        said = story.said[self.client.id]
        for number in sorted(heard.keys() | said.keys()):
            must = said[number] if is_whole else said[number][: len(heard[number])]
            story.expect(heard[number] == must, f"heard {heard[number]} of room {number} instead of {must}")


def make(story: Story) -> Server:
    """Return a server whose rooms all are wild."""
    server = Server("test", limits=LIMITS)
    options = {"capacity": story.draw.choice((None, 4)), "empty_ttl": story.draw.choice((0, 0, 1))}
    wild = type("Hall", (Wild,), {"story": story, "announce": story.draw.random() < 0.5, **options})
    for name in NAMES:
        server.room(name)(wild)

    @server.action("lobby")
    async def lobby(client: Client) -> None:
        halls = [room for room in server.rooms.values() if isinstance(room, Wild)]
        await (story.draw.choice(halls).do_odd(client) if halls else client.join(NAMES[0]))

    return server


async def check_membership(story: Story, server: Server) -> None:
    """Rooms and clients agree on who is where; who has gone is there only until the turn ends that runs."""
    await trio.testing.wait_all_tasks_blocked()
    for name, room in server.rooms.items():
        for id, member in room.members.items():
            story.expect(member.rooms.get(name) is room, f"a member of {name} does not know of it")
            is_busy = isinstance(room, Wild) and (room.depth > 0 or not room.is_open)
            story.expect(id in server.clients or is_busy, f"a client that has gone is in {name}")
            is_in = not isinstance(room, Wild) or is_busy or id in room.welcome
            story.expect(is_in, f"one whose join failed is in {name}")
    for id, client in server.clients.items():
        for name, room in client.rooms.items():
            story.expect(server.rooms.get(name) is room and id in room.members, f"a client is in a {name} that is gone")


async def play(story: Story, server: Server, net: Net) -> list[Player]:
    """Let clients come and act, and see now and then that all is as it should be."""
    draw, players = story.draw, list[Player]()
    for step in range(STEPS):
        there = [each for each in players if each.client.id in server.clients]
        if not there or (len(there) < CLIENTS and draw.random() < 0.2):
            players.append(Player(await net.connect(f"client {step}")))
        elif draw.random() < 0.01:
            slow = await net.connect(f"slow {step}", reads=False, pipe_bytes=3_000)
            await slow.send("join-room", {"roomname": draw.choice(NAMES)})
        else:
            await draw.choice(there).act(draw)
        if draw.random() < 0.2:
            await check_membership(story, server)
        await trio.sleep(draw.choice((*[0] * 20, 0.1, 0.1, 1, 4)))
    return players


async def tell_story(seed: int) -> list[str]:
    """Run one story to its end, and return the promises that it found broken."""
    server = make(story := Story(random.Random(seed)))
    is_stopped_midway = story.draw.random() < 0.4
    async with open_server(server) as net:
        players = await play(story, server, net)
        if is_stopped_midway:
            grace, began = story.draw.choice((0, 1, 5, 30)), trio.current_time()
            await server.stop(grace)
            story.expect(trio.current_time() - began <= grace + SHIELDED + LIMITS.close_seconds, "a late stop")
        else:
            await trio.sleep(CALM)
            await check_membership(story, server)
        for player in players:
            is_whole = not is_stopped_midway and player.client.id in server.clients
            player.check(story, await player.client.settle(), is_whole=is_whole)
        if not is_stopped_midway:
            await net.close()
            await trio.sleep(CALM)
            for name, room in server.rooms.items():
                # What the server's own code has opened lives on until its first member has left.
                is_kept = isinstance(room, Wild) and room.creator is None and not room.was_entered
                story.expect(name == GLOBAL_ROOM or (is_kept and not room.members), f"room {name} is left")
        story.expect(not server.clients and not server.statistics()["connections"], "clients are left")
    story.expect(not server.rooms and not story.live.total(), f"rooms are left: {server.rooms} {story.live}")
    story.expect(is_stopped_midway or story.heard > 100, f"a dull story: {story.heard} messages were heard")
    return story.faults


@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_all_is_answered_once_and_heard_in_order_and_nothing_is_left(
    seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "simplysocket")  # rooms crash all the time
    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)  # as Hypothesis does it
    monkeypatch.setattr("trio._core._run._r", random.Random(seed))
    monkeypatch.setattr(fanout, "SLICE", (2, 3, 512)[seed % 3])
    assert trio.run(tell_story, seed, clock=MockClock(autojump_threshold=0)) == []
