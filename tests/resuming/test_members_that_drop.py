"""Members of rooms lose their connections at random, and each is given all that was said to it, once and in order.

The rooms speak in all ways: to everyone, to everyone but one, to one member, in replies; in small rooms, in slices, in
pieces, to members that read slowly.
"""

import random
from collections import defaultdict
from typing import Any

import pytest
import trio
import trio.testing

from simplysocket import Client, Limits, Room, Server, action
from simplysocket._rooms import fanout
from simplysocket.testing import TestClient, open_server

MEMBERS = 6
ROOMS = ("hall-1", "hall-2")
STEPS = 150


class Hall(Room):
    """A room that notes who was to get what."""

    expected: dict[tuple[str, str], list[int]]  # {(client id, room): numbers}
    announce = False

    def note(self, number: int, *members: Client) -> None:
        for each in members:
            self.expected[each.id, self.name].append(number)

    @action("say")
    async def say(self, client: Client, body: dict[str, Any]) -> None:
        self.note(body["n"], *self.members.values())
        await self.broadcast("said", body)

    @action("flash")
    async def flash(self, client: Client, body: dict[str, Any]) -> None:
        await self.broadcast("flashed", body, volatile=True)

    @action("others")
    async def others(self, client: Client, body: dict[str, Any]) -> None:
        self.note(body["n"], *(each for each in self.members.values() if each is not client))
        await self.broadcast("said", body, exclude=client)

    @action("whisper")
    async def whisper(self, client: Client, body: dict[str, Any]) -> None:
        for each in self.members.values():
            if each.id == body["to"]:
                self.note(body["n"], each)
                await each.send("said", body)

    @action("ask")
    async def ask(self, client: Client, body: dict[str, Any]) -> str:
        self.note(body["n"], *self.members.values())
        await self.broadcast("said", body)
        return "done"


async def run(seed: int, **options: Any) -> tuple[int, int]:
    """Let members say, drop and come back; compare what each was given with what was said to it."""
    choose, expected = random.Random(seed), defaultdict[tuple[str, str], list[int]](list)
    limits = Limits(
        resume_seconds=1_000,
        resume_bytes=None,
        resumes_per_second=None,
        connects_per_second=None,
        http_requests_per_second=None,
        messages_per_second=1_000,
    )
    server = Server("house", limits=limits)
    server.room("hall-*")(type("Hall", (Hall,), {"expected": expected}))
    got: dict[tuple[str, str], list[int]] = defaultdict(list)
    resumed = 0
    async with open_server(server) as net:
        clients = [await net.connect(str(at), resume=True, **options) for at in range(MEMBERS)]
        away: set[TestClient] = set()
        for each in clients:
            for room in ROOMS:
                await each.join(room)
        for number in range(STEPS):
            client = choose.choice(clients)
            what = choose.choice(("say", "say", "others", "whisper", "ask", "flash", "drop", "return", "wait", "leave"))
            room = choose.choice(ROOMS)
            body = {
                "n": number,
                "room": room,
                "to": choose.choice(clients).id,
                "pad": "." * choose.choice((0, 50, 5_000, 20_000)),
            }
            if what == "wait":
                await trio.sleep(choose.choice((0.1, 1, 3)))
            elif what == "drop":
                client.drop()
                away.add(client)
            elif what == "return":  # also one that has a connection: it takes over
                resumed += (await client.come_back())["outcome"] == "resumed"
                away.discard(client)
            elif client in away:
                continue
            elif what == "leave":
                await client.request("leave-room", {"roomname": room}, target=room)
                await client.join(room)
            else:
                for _ in range(choose.choice((1, 1, 3))):
                    await client.send(what, body, target=room, id=number if what == "ask" else None)
        for each in away:
            resumed += (await each.come_back())["outcome"] == "resumed"
        await trio.sleep(10)
        for each in clients:
            for message in await each.settle():
                if message["action"] == "said":
                    got[each.id, message["message_body"]["room"]].append(message["message_body"]["n"])
        assert got == expected  # between rooms there is no order
        assert len(expected) == MEMBERS * len(ROOMS)
        for each in clients:
            await each.close()
        await trio.sleep(1)
        outboxes = server._assembly.outboxes
        assert (outboxes.bytes, len(outboxes._holders)) == (0, 0)
    return resumed, sum(map(len, expected.values()))


@pytest.mark.parametrize("seed", range(12))
async def test_each_member_is_given_all_that_was_said_to_it(autojump_clock: trio.testing.MockClock, seed: int) -> None:
    resumed, said = await run(seed)
    assert resumed > 10
    assert said > 100


@pytest.mark.parametrize("seed", range(6))
async def test_in_slices_and_pieces_too(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(fanout, "SLICE", 2)
    monkeypatch.setattr(fanout, "_LIGHT", 4_000)
    monkeypatch.setattr(fanout, "SLICE_BYTES", 12_000)
    await run(seed)


@pytest.mark.parametrize("seed", range(6))
async def test_to_members_that_take_little_at_once_too(autojump_clock: trio.testing.MockClock, seed: int) -> None:
    await run(seed, pipe_bytes=2_000)
