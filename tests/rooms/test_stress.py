"""Seeded stories of twenty clients in four rooms: they join, talk, leave, vanish and are kicked, rooms crash and close.

Everything is drawn from the seed, the scheduler's own choices too, so that a seed
tells the same story each time. The promises are checked during the story and at its end.
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

from simplysocket import GLOBAL_ROOM, ActionError, Client, Limits, Room, Server, action
from simplysocket._protocol.frames import CLOSE, client_frame
from simplysocket._rooms import fanout
from simplysocket.testing import Net, TestClient, open_server

STEPS = 500  # of one story
CLIENTS = 20
NAMES = ("one", "two", "three", "four")
SHIELDED = 3.0  # seconds for which the worst handler shields itself from cancellation
CALM = 60.0  # seconds after which nothing is running any more
LIMITS = Limits(joins_per_second=None, messages_per_second=None, turn_seconds=2, close_seconds=1)
TIGHT = attrs.evolve(
    LIMITS, inbox_messages=3, inbox_per_client=2, intake_messages=4, auths_per_room=2, room_bytes_per_second=2_000
)
"""Limits with which something is held, paused or delayed almost all the time."""
# {action of a client: how often}; `odd` does things that a handler should not do.
ACTS = {"join-room": 60, "leave-room": 12, "say": 60, "odd": 60, "lobby": 20, "goodbye": 2, "vanish": 2}

Said = tuple[str, int]  # action, number


@attrs.define
class Story:
    """What happens in a run, and which messages must be received."""

    draw: random.Random
    faults: list[str] = attrs.field(factory=list)
    rooms: Iterator[int] = attrs.field(factory=itertools.count)  # numbers the rooms: a name has many, one after another
    live: Counter[str] = attrs.field(factory=Counter)  # {name: rooms between on_create and the end of on_close}
    said: dict[str, dict[int, list[Said]]] = attrs.field(factory=lambda: defaultdict(lambda: defaultdict(list)))
    """{client id: {number of a room: the messages it must receive from that room, in this order}}"""
    heard: int = 0  # messages of rooms, received by clients that stayed to the end

    def expect(self, is_so: bool, fault: str) -> None:
        """Note a broken promise: an assertion in a handler would only be one more failing handler."""
        if not is_so:
            self.faults.append(fault)

    async def pause(self) -> None:
        """Sleep sometimes, and fail sometimes."""
        if self.draw.random() < 0.3:
            await trio.sleep(self.draw.choice((0, 0, 0.1, 0.5, 3)))
        if self.draw.random() < 0.06:
            raise self.draw.choice((ValueError("bug"), ActionError("no", "no")))


class Wild(Room):
    """A room in which everything allowed happens. Its members are told a new number each time."""

    story: ClassVar[Story]
    number, told = -1, 0  # the number of the room, and the newest number told to its members
    was_entered = False
    holder: trio.lowlevel.Task | None = None  # the task that holds the turn
    depth = 0  # how many hooks run inside one another

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Check that no other task is in the room's turn; a hook may run inside the handler that caused it."""
        task = trio.lowlevel.current_task()
        self.story.expect(self.depth == 0 or self.holder is task, f"two in turn in {self.name}")
        self.holder, self.depth = task, self.depth + 1
        try:
            yield
        finally:
            self.depth -= 1

    async def tell(self, exclude: Client | None = None) -> None:
        """Broadcast the next number, and note which members must receive it."""
        self.told += 1
        await self.broadcast("all", [self.number, self.told], exclude=exclude or ())
        for member in self.members.values():
            if member is not exclude:
                self.story.said[member.id][self.number].append(("all", self.told))

    async def tell_one(self, client: Client) -> None:
        """Send one client the newest number, in its place among the broadcasts."""
        body = [self.number, self.told]
        await (self.send(client, "one", body) if self.story.draw.random() < 0.5 else client.send("one", body))
        self.story.said[client.id][self.number].append(("one", self.told))

    async def stir(self) -> None:
        """Broadcast, wait and fail, in the turn."""
        with self.turn():
            await self.tell()
            await self.story.pause()

    on_leave = stir

    async def on_auth(self) -> None:
        """Do the same outside the turn."""
        await self.tell()
        await self.story.pause()

    async def on_create(self) -> None:
        self.number, self.welcome = next(self.story.rooms), set[str]()  # ids of clients whose on_join did not fail
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
        """Do something that a handler should not do; a task of the room may do it too, and crash the room."""
        draw, rooms, name = self.story.draw, self.server.rooms, self.story.draw.choice(NAMES)
        odd: list[Callable[[], Awaitable[object]]] = [
            *[lambda: client.join(name)] * 3,
            *[lambda: client.leave(name)] * 2,
            *[lambda: self.kick(draw.choice(list(self.members.values())))] * 2,
            lambda: self.close("asked"),
            lambda: rooms[name].close("asked by another"),
            lambda: self.server.open_room(name),
            lambda: client.request("what", timeout=1),  # which no client answers
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
    """A client, and its requests."""

    client: TestClient
    asked: dict[int, str] = attrs.field(factory=dict)  # {id: action and room}

    async def act(self, draw: random.Random) -> None:
        """Send a request, close the connection, or vanish."""
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
        """Check the messages received: all that are due if `is_whole`, otherwise the first of them."""
        answers = Counter(each["id"] for each in messages if each["action"] in ("reply", "error"))
        story.expect(answers.keys() <= self.asked.keys(), f"an answer to no request: {answers}")
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


def make_halls(story: Story, limits: Limits) -> Server:
    """Return a server in which every room is wild."""
    server = Server("test", limits=limits)
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
    """Check that rooms and clients agree on the members; a client that has gone may stay until the turn ends."""
    await trio.testing.wait_all_tasks_blocked()
    for name, room in server.rooms.items():
        for id, member in room.members.items():
            story.expect(member.rooms.get(name) is room, f"a member of {name} does not know of it")
            is_busy = isinstance(room, Wild) and (room.depth > 0 or not room.is_open)
            story.expect(id in server.clients or is_busy, f"a client that has gone is in {name}")
            is_in = not isinstance(room, Wild) or is_busy or id in room.welcome
            story.expect(is_in, f"a client whose join failed is in {name}")
    for id, client in server.clients.items():
        for name, room in client.rooms.items():
            story.expect(server.rooms.get(name) is room and id in room.members, f"a client is in a {name} that is gone")


def check_nothing_is_held(story: Story, server: Server) -> None:
    """Check that all that was held, paused or asked about has been handled, and is counted no more."""
    hub = server._assembly.hub
    story.expect(not len(hub.overdue), "messages are held")
    story.expect(not hub.authorizer._groups, "on_auth is asked about joins")
    for session in hub.clients.values():
        intake = session.intake
        story.expect(intake is None or not (intake.messages or intake.bytes), f"{session} counts what is held no more")
        story.expect(intake is None or not intake.is_paused, f"{session} is paused")
    for runtime in hub.runtimes.values():
        story.expect(not runtime.askings, f"{runtime} counts questions")


async def play(story: Story, server: Server, net: Net) -> list[Player]:
    """Let clients connect and act, and check the members from time to time."""
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
    """Run one story to its end, and return the broken promises."""
    server = make_halls(story := Story(random.Random(seed)), TIGHT if seed % 2 else LIMITS)
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
            check_nothing_is_held(story, server)
        for player in players:
            is_whole = not is_stopped_midway and player.client.id in server.clients
            player.check(story, await player.client.settle(), is_whole=is_whole)
        if not is_stopped_midway:
            await net.close()
            await trio.sleep(CALM)
            for name, room in server.rooms.items():
                # A room that the server's own code has opened stays until its first member has left.
                is_kept = isinstance(room, Wild) and room.creator is None and not room.was_entered
                story.expect(name == GLOBAL_ROOM or (is_kept and not room.members), f"room {name} is left")
        story.expect(not server.clients and not server.statistics()["connections"], "clients are left")
    story.expect(not server.rooms and not story.live.total(), f"rooms are left: {server.rooms} {story.live}")
    story.expect(is_stopped_midway or story.heard > 100, f"too little happened: {story.heard} messages were heard")
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
