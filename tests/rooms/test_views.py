"""Views: each member gets a body of its own, in order with the broadcasts, and never another's."""

import random
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, EncodeError, Message, Room, RoomClosed, action
from simplysocket.brokers import Batch, Broker, MemoryBroker
from simplysocket.testing import open_server

from ..harness.messages import actions_of, bodies_of
from ..harness.servers import make


class Cards(Room):
    """A room in which every member has a hand that the others must not see."""

    async def on_create(self) -> None:
        self.version = 0
        self.errors: list[str] = []

    def hand(self, client: Client) -> object:
        return {"owner": client.id, "version": self.version}

    @action("deal")
    async def deal(self) -> None:
        self.version += 1
        await self.broadcast("before", self.version)
        await self.send_view(self.hand)
        await self.broadcast("after", self.version)

    async def on_error(self, error: BaseException, client: Client | None) -> None:
        self.errors.append(f"{type(error).__name__} for {client.name if client else None}")


async def test_each_member_gets_its_own_body_in_order_with_the_broadcasts(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Cards))) as net:
        clients = [await net.connect(name) for name in ("ana", "ben", "eve")]
        for client in clients:
            await client.join("one")
        for _ in range(2):
            await clients[0].send("deal", target="one")
        for client in clients:
            heard = await client.settle()
            assert actions_of(heard) == ["before", "view", "after"] * 2
            assert bodies_of(heard, "view") == [{"owner": client.id, "version": version} for version in (1, 2)]
            assert heard[1]["room"] == "one"
            assert heard[1]["target"] == client.id


async def test_a_member_for_which_it_returns_none_gets_no_message(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Cards))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        room = net.server.rooms["one"]
        await room.send_view(lambda client: None if client.name == "ben" else [], "seen")
        assert bodies_of(await ana.settle(), "seen") == [[]]
        assert await ben.settle() == []


@pytest.mark.parametrize("wrong", [lambda: 1 / 0, lambda: object(), lambda: float("nan"), lambda: _later()])
async def test_one_body_that_cannot_be_made_stops_all(autojump_clock: MockClock, wrong: Callable[[], Any]) -> None:
    async with open_server(make(("*", Cards))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        room = net.server.rooms["one"]
        with pytest.raises((ZeroDivisionError, EncodeError, TypeError)):
            await room.send_view(lambda client: wrong() if client.name == "ben" else "seen")
        assert await ana.settle() == await ben.settle() == []


async def _later() -> None: ...


async def test_what_is_no_view_is_refused(autojump_clock: MockClock) -> None:
    async def coroutine(client: Client) -> None: ...

    async with open_server(make(("*", Cards))) as net:
        await (await net.connect("ana")).join("one")
        room: Any = net.server.rooms["one"]
        for wrong in (coroutine, {"a": 1}):
            with pytest.raises(TypeError, match="give a plain `def"):
                await room.send_view(wrong)
        with pytest.raises(ValueError, match="reserved"):
            await room.send_view(room.hand, "room-closed")
        await room.close()
        with pytest.raises(RoomClosed):
            await room.send_view(room.hand)


async def test_who_is_away_gets_its_views_when_it_is_back(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Cards))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben", resume=True)
        await ana.join("one")
        await ben.join("one")
        ben.drop()
        await ana.settle()
        await ana.request("deal", target="one")
        await ana.request("deal", target="one")
        assert (await ben.come_back())["outcome"] == "resumed"
        heard = await ben.settle()
        assert actions_of(heard) == ["before", "view", "after"] * 2
        assert [each["version"] for each in bodies_of(heard, "view")] == [1, 2]
        assert {each["owner"] for each in bodies_of(heard, "view")} == {ben.id}


async def test_after_a_gap_the_newest_views_are_made_anew(autojump_clock: MockClock) -> None:
    asked: list[str] = []

    class Noted(Cards):
        async def on_snapshot(self, client: Client) -> None:
            await self.send(client, "snapshot")

        def board(self, client: Client) -> object:
            asked.append(client.name)
            return self.version if client.name != "eve" else None

    async with open_server(make(("*", Noted), resume_frames=5)) as net:
        ana, ben, late = await net.connect("ana"), *[await net.connect(name, resume=True) for name in ("ben", "late")]
        await ana.join("one")
        await ben.join("one")
        room: Any = net.server.rooms["one"]
        await room.send_view(room.board, "board")
        await late.join("one")
        await ben.settle()
        await late.settle()
        ben.drop()
        late.drop()
        await ana.settle()
        for _ in range(6):
            await room.broadcast("noise")
        room.version = 7
        asked.clear()
        for client, expected in ((ben, ["snapshot", "board"]), (late, ["snapshot"])):
            assert (await client.come_back())["outcome"] == "gap"
            assert [each for each in actions_of(await client.settle()) if each in ("snapshot", "board")] == expected
        assert asked == ["ben"]  # who joined later is served by on_join and on_snapshot


async def test_a_view_that_fails_for_who_comes_back_is_a_bug_and_the_others_are_made(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Cards), resume_frames=5)) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben", resume=True)
        await ana.join("one")
        await ben.join("one")
        room: Any = net.server.rooms["one"]
        hands = {ana.id: 1, ben.id: 2}
        await room.send_view(lambda client: hands[client.id], "first")
        await room.send_view(room.hand, "second")
        ben.drop()
        await ana.settle()
        await ben.settle()
        for _ in range(6):
            await room.broadcast("noise")
        del hands[ben.id]
        assert (await ben.come_back())["outcome"] == "gap"
        heard = await ben.settle()
        assert "first" not in actions_of(heard)
        assert bodies_of(heard, "second") == [{"owner": ben.id, "version": 0}]
        assert room.errors == ["KeyError for ben"]


async def test_a_room_made_anew_makes_no_old_view_again(autojump_clock: MockClock) -> None:
    class Fragile(Cards):
        on_crash = "restart"

        async def crash(self) -> None:
            raise RuntimeError("a crash")

    async with open_server(make(("*", Fragile), resume_frames=5)) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben", resume=True)
        await ana.join("one")
        await ben.join("one")
        room: Any = net.server.rooms["one"]
        await room.send_view(room.hand)
        ben.drop()
        room.start_soon(room.crash)
        await ana.settle()
        await ben.settle()
        for _ in range(6):
            await net.server.rooms["one"].broadcast("noise")
        assert (await ben.come_back())["outcome"] == "gap"
        assert "view" not in actions_of(await ben.settle())


async def test_views_of_a_large_room_are_sent_to_all(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Cards))) as net:
        watched = [await net.connect(f"c{number}") for number in range(20)]
        for number in range(600):
            await net.connect(f"x{number}", reads=False)
        for client in list(net.server.clients.values()):
            await client.join("one")
        room = net.server.rooms["one"]
        for _ in range(3):
            await room.send_view(lambda client: {"owner": client.id, "text": "x" * 2_000})
        await trio.testing.wait_all_tasks_blocked()
        for client in watched:
            assert [each["owner"] for each in bodies_of(await client.settle(), "view")] == [client.id] * 3


# --- nothing leaks


@attrs.define
class LateChannel:
    """A channel that brings copies of its batches back later, as a broker between machines does."""

    broker: "LateBroker"
    deliver: Callable[[Batch], None]
    waiting: list[bytes] = attrs.field(factory=list)

    def publish(self, batch: Batch) -> None:
        self.waiting.append(batch.to_bytes())

    def close(self) -> None: ...


class LateBroker:
    def __init__(self) -> None:
        self.channels: list[LateChannel] = []

    def open(self, room: str, deliver: Callable[[Batch], None]) -> LateChannel:
        self.channels.append(LateChannel(self, deliver))
        return self.channels[-1]

    async def run(self) -> None:
        """Bring back what was published, a tenth of a second later."""
        while True:
            await trio.sleep(0.1)
            for channel in self.channels:
                waiting, channel.waiting = channel.waiting, []
                for data in waiting:
                    channel.deliver(Batch.from_bytes(data))


def stamp(message: Message) -> Message:
    """Change every body, as an outbound hook may."""
    return attrs.evolve(message, body={"was": message.body, "for": message.target})


@pytest.mark.parametrize("has_hook", [False, True])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("make_broker", [MemoryBroker, LateBroker])
async def test_no_member_ever_gets_a_body_of_another(
    autojump_clock: MockClock, make_broker: Callable[[], Broker], seed: int, has_hook: bool
) -> None:
    draw, broker = random.Random(seed), make_broker()
    server = make(("*", Cards), broker=broker, resume_frames=40, outbox_frames=1_000)
    if has_hook:
        server.outbound(stamp)
    async with open_server(server) as net, trio.open_nursery() as nursery:
        if isinstance(broker, LateBroker):
            nursery.start_soon(broker.run)
        clients = [await net.connect(f"c{n}", resume=n % 2 == 0, reads=n % 5 != 1) for n in range(50)]
        owners = {client.id: client for client in clients}
        heard: dict[str, list[Any]] = {client.id: [] for client in clients}
        inside, away = set[str](), set[str]()
        await server.open_room("one")
        room: Any = server.rooms["one"]
        room.empty_ttl = None
        for client in list(server.clients.values()):
            await client.join("one")
            inside.add(client.id)
        for _ in range(150):
            client = owners[draw.choice(list(owners))]
            act = draw.random()
            if act < 0.35:
                room.version += 1
                await room.send_view(room.hand)
            elif act < 0.55:
                excluded = [server.clients[id] for id in draw.sample(sorted(inside - away), min(5, len(inside - away)))]
                coalesce = draw.choice([None, "key"])
                await room.broadcast(
                    "said", {"not": [each.id for each in excluded]}, exclude=excluded, coalesce=coalesce
                )
            elif act < 0.65 and client.id in server.clients and client.id in inside:
                await room.send(server.clients[client.id], "told", {"owner": client.id})
            elif act < 0.75 and client.id not in away:
                is_in = client.id in inside
                handle = server.clients[client.id]
                await (handle.leave("one") if is_in else handle.join("one"))
                inside ^= {client.id}
            elif act < 0.9 and client.resume is not None:
                if client.id in away:
                    assert (await client.come_back())["outcome"] in ("resumed", "gap")
                    away.discard(client.id)
                else:
                    client.drop()
                    away.add(client.id)
                    await trio.testing.wait_all_tasks_blocked()
            elif act < 0.95:
                await trio.sleep(draw.choice([0, 0.05, 0.3]))
            else:
                heard[client.id] += await client.settle() if client.id not in away else []
        for id in list(away):
            await owners[id].come_back()
        await room.broadcast("end", "end")
        await trio.sleep(5)
        count = 0
        for id, client in owners.items():
            if id in inside:
                while not heard[id] or heard[id][-1]["action"] != "end":
                    heard[id].append(await client.receive())
            last = 0
            for message in heard[id]:
                body = message["message_body"]
                if has_hook and message["action"] in ("view", "told", "said"):
                    assert body["for"] == (id if message["action"] != "said" else "one")
                    body = body["was"]
                if message["action"] in ("view", "told"):
                    assert (message["target"], body["owner"]) == (id, id)
                if message["action"] == "view":
                    assert body["version"] >= last
                    last, count = body["version"], count + 1
                if message["action"] == "said":
                    assert id not in body["not"]
        assert count > 500
        nursery.cancel_scope.cancel()


async def test_not_a_member_gets_no_view(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Cards))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        with pytest.raises(ActionError, match="not-a-member"):
            await ben.request("deal", target="one")
        await ana.request("deal", target="one")
        assert await ben.settle() == []
