"""Outbound hooks change neither the order of messages, nor their receivers, nor their delivery class."""

from __future__ import annotations

import json

import attrs
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import (
    Client,
    Message,
    Room,
)
from simplysocket.testing import open_server

from ..harness.messages import actions_of
from ..harness.outbound import Noting
from ..harness.servers import make


async def test_who_is_left_out_stays_left_out(autojump_clock: MockClock) -> None:
    server = make()
    noting = Noting()
    server.outbound(noting)
    async with open_server(server) as net:
        ana, bob, eve = [await net.connect() for _ in range(3)]
        for client in (ana, bob, eve):
            await client.join("one")
        for client in (ana, bob, eve):
            await client.settle()
        noting.take()
        room = server.rooms["one"]
        await room.broadcast("a", exclude=server.clients[ana.id])
        await room.broadcast("b", exclude=[server.clients[ana.id], server.clients[bob.id]])
        assert noting.take() == ["a", "b"]
        assert [actions_of(await client.settle()) for client in (ana, bob, eve)] == [[], ["a"], ["a", "b"]]


async def test_volatile_and_coalesced_messages_stay_what_they_are(autojump_clock: MockClock) -> None:
    server = make()

    @server.outbound
    def count(message: Message) -> Message:
        return attrs.evolve(message, body={**message.body, "hook": True}) if message.body else message

    async with open_server(server) as net:
        # A client that does not read: what waits for it is in the outbox.
        slow = await net.connect("slow", reads=False, pipe_bytes=500)
        await slow.send("join-room", {"roomname": "one"}, id=1)
        await trio.testing.wait_all_tasks_blocked()
        room = server.rooms["one"]
        for at in range(6):
            await room.broadcast("plain", {"at": at, "filling": "x" * 200})
            await room.broadcast("position", {"at": at}, volatile=True)
            await room.broadcast("score", {"at": at}, coalesce="score")
            await trio.testing.wait_all_tasks_blocked()
        heard: list[tuple[str, int]] = []
        with trio.move_on_after(5):
            while True:
                _, payload = await slow.receive_frame()
                message = json.loads(payload)
                if message["action"] in ("plain", "position", "score"):
                    assert message["message_body"]["hook"] is True
                    heard.append((message["action"], message["message_body"]["at"]))
        assert [at for name, at in heard if name == "plain"] == list(range(6))
        assert len([at for name, at in heard if name == "position"]) < 6
        scores = [at for name, at in heard if name == "score"]
        assert scores[-1] == 5
        assert len(scores) < 6


async def test_what_a_hook_changes_keeps_its_place_in_the_order(autojump_clock: MockClock) -> None:
    server = make()

    @server.outbound
    def odd_only(message: Message) -> Message | None:
        if isinstance(message.body, int):
            return attrs.evolve(message, body=message.body * 10) if message.body % 2 else None
        return message

    @server.action("count")
    async def count(client: Client, room: Room) -> None:
        for at in range(0, 12, 3):
            await room.broadcast("a", at)
            await room.send(client, "b", at + 1)
            await client.send("c", at + 2)

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.settle()
        await ana.send("count", target="one", id=1)
        heard = await ana.settle()
        assert [each["message_body"] for each in heard] == [10, 30, 50, 70, 90, 110, None]
        assert server.statistics()["messages_stopped"] == 6
