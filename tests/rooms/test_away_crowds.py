"""Thousands that lose their connections in the same moment: what their rooms do about it leaves time for others."""

from typing import Any

import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Room
from simplysocket.testing import open_server

from ..harness.away import lose
from ..harness.limits import UNBOUNDED
from ..harness.passes import Passes
from ..harness.rooms import Talk
from ..harness.servers import make
from ..harness.socketless import Socketless, enter_many

CROWD = 5_000


class Counting(Room):
    """A room that counts what becomes of its members."""

    hold_seconds = 10
    empty_ttl = None

    async def on_create(self) -> None:
        self.drops = self.resumes = self.leaves = 0

    async def on_drop(self, client: Client) -> None:
        self.drops += 1

    async def on_resume(self, client: Client) -> None:
        self.resumes += 1

    async def on_leave(self, client: Client) -> None:
        self.leaves += 1


async def passes_until_answered(bystander: Socketless) -> int:
    """Return how many passes of the scheduler a message to another room takes."""
    passes = Passes()
    trio.lowlevel.add_instrument(passes)
    bystander.send("who", {"roomname": "other"}, id=1)
    while not bystander.answers():
        await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(passes)
    return passes.count


async def test_a_crowd_that_is_away_or_back_or_given_up_in_one_moment_holds_up_nobody(
    autojump_clock: MockClock,
) -> None:
    server = make(("crowd", Counting), ("*", Talk), **UNBOUNDED)
    async with open_server(server):
        crowd, bystander = enter_many(server, CROWD), Socketless(server, "bystander")
        bystander.send("join-room", {"roomname": "other"})
        for client in crowd:
            client.send("join-room", {"roomname": "crowd"})
        await trio.testing.wait_all_tasks_blocked()
        bystander.take()
        room: Any = server.rooms["crowd"]
        holds = server._assembly.hub.holds

        absences = [lose(server, client.id) for client in crowd]
        while not room.drops:  # else the bystander may be answered before the room has begun
            await trio.lowlevel.checkpoint()
        assert await passes_until_answered(bystander) <= 5
        assert room.drops < CROWD  # the room is not through with them
        await trio.testing.wait_all_tasks_blocked()
        assert (room.drops, len(holds)) == (CROWD, CROWD)

        for absence in absences[::2]:
            absence.back()
        assert await passes_until_answered(bystander) <= 5
        await trio.testing.wait_all_tasks_blocked()
        assert room.resumes == CROWD // 2

        await trio.sleep(11)
        assert (room.leaves, len(room.members), len(holds)) == (CROWD // 2, CROWD // 2, 0)
        assert (room.drops, room.resumes) == (CROWD, CROWD // 2)


async def test_what_waits_for_a_member_that_goes_and_comes_back_has_a_bound(autojump_clock: MockClock) -> None:
    """Also where the room does not keep up, and each absence is longer than the hold."""

    class Stuck(Counting):
        hold_seconds = 1

        async def on_snapshot(self, client: Client) -> None: ...

        async def on_message(self, client: Client) -> None:
            await trio.sleep(3_600)

    server = make(("*", Stuck), inbox_seconds=None)
    async with open_server(server):
        crowd = enter_many(server, 20)
        for client in crowd:
            client.send("join-room", {"roomname": "one"})
        await trio.testing.wait_all_tasks_blocked()
        crowd[0].send("hold-the-turn", target="one")
        for _ in range(50):
            absences = [lose(server, client.id) for client in crowd]
            await trio.sleep(2)
            for absence in absences:
                absence.back(gap=True)
        assert server.rooms["one"]._runtime.turns.waiting <= 6 * len(crowd)  # 4 of both, a snapshot, a leave
        assert len(server._assembly.hub.holds) <= 64 + len(crowd)
