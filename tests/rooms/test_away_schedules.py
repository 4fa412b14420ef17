"""Clients that go, come back, join, leave and are thrown out in random order, in rooms whose hooks take time."""

import contextlib
import random
import re
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Reason, Room
from simplysocket.testing import open_server

from ..harness.away import Absence, lose
from ..harness.servers import make

MEMBERSHIPS = re.compile(r"(J(DR)*D?L)*(J(DR)*D?)?")
"""J join, D drop, R resume, L leave."""


class Told(Room):
    """A room that notes which hooks were called for each client, and takes its time in each."""

    hold_seconds = 4
    empty_ttl = None

    async def on_create(self) -> None:
        self.told: dict[str, str] = {}  # {name of a client: the letters of its hooks}
        self.random = random.Random(self.options["seed"])

    async def note(self, client: Client, hook: str) -> None:
        """Note a hook, and wait for a while in some."""
        self.told[client.name] = self.told.get(client.name, "") + hook
        if self.random.random() < 0.4:
            await trio.sleep(self.random.choice((0.1, 1, 3)))

    async def on_join(self, client: Client) -> None:
        await self.note(client, "J")

    async def on_drop(self, client: Client) -> None:
        await self.note(client, "D")

    async def on_resume(self, client: Client) -> None:
        await self.note(client, "R")

    async def on_leave(self, client: Client, reason: Reason) -> None:
        await self.note(client, "L")

    async def on_message(self, client: Client) -> None:
        await trio.sleep(self.random.choice((0, 0.5, 2)))


@pytest.mark.parametrize("seed", range(60))
async def test_each_drop_is_followed_by_exactly_one_resume_or_leave(autojump_clock: MockClock, seed: int) -> None:
    server, chance = make(("*", Told)), random.Random(seed)
    async with open_server(server) as net:
        room = await server.open_room("one", {"seed": seed})
        assert isinstance(room, Told)
        peers = [await net.connect(name) for name in ("ana", "ben", "cat")]
        clients = [server.clients[peer.id] for peer in peers]
        away: dict[int, Absence] = {}

        async def attempt(act: Callable[[], Awaitable[object]]) -> None:
            with contextlib.suppress(ActionError):
                await act()

        async with trio.open_nursery() as nursery:
            for _ in range(60):
                who = chance.randrange(3)
                client, absence = clients[who], away.get(who)
                match chance.choice(("lose", "lose", "say", "join", "join", "leave", "kick", "release", "nothing")):
                    case "lose" if absence is None:
                        away[who] = lose(server, client.id)
                    case "lose":
                        away.pop(who)
                        assert absence is not None
                        absence.back(gap=chance.random() < 0.3)
                    case "say" if absence is None:
                        await peers[who].send("say", target="one")
                    case "join":
                        nursery.start_soon(attempt, lambda client=client: client.join("one"))
                    case "leave":
                        nursery.start_soon(attempt, lambda client=client: client.leave("one"))
                    case "kick":
                        nursery.start_soon(attempt, lambda client=client: room.kick(client))
                    case "release":
                        nursery.start_soon(attempt, lambda client=client: room.release(client))
                    case _:
                        await trio.sleep(chance.choice((0.1, 1, 5)))
        for absence in away.values():
            (absence.end if chance.random() < 0.5 else absence.back)()
        await trio.sleep(500)
        for client in clients:
            told = room.told.get(client.name, "")
            assert MEMBERSHIPS.fullmatch(told), told
            is_member = client.id in room.members
            assert is_member is (told[-1:] in ("J", "R")), told
        places = room._runtime.members.places
        assert not [place for place in places.values() if place.pending or place.hold or place.is_leaving]
        assert places.keys() <= room.members.keys()
