"""A room and its channel: one a runtime, one batch a flush, and what happens when the broker fails."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Room, Server, action
from simplysocket.brokers import Batch
from simplysocket.testing import open_server

from ..harness.messages import bodies_of


@attrs.define
class RecordedChannel:
    """A channel that notes what is published to it, and brings it back at once or when told."""

    broker: "RecordingBroker"
    room: str
    deliver: Callable[[Batch], None]
    batches: list[Batch] = attrs.field(factory=list)
    is_closed: bool = False

    def publish(self, batch: Batch) -> None:
        if self.broker.fails_to_publish(self.room, batch):
            raise OSError("the broker is gone")
        assert not self.is_closed
        self.batches.append(batch)
        if not self.broker.holds:
            self.deliver(batch)

    def close(self) -> None:
        self.is_closed = True


class RecordingBroker:
    def __init__(self) -> None:
        self.channels: list[RecordedChannel] = []
        self.holds = False  # True: batches come back only when `bring_back` is called
        self.refuses: set[str] = set()  # names of rooms that it does not open
        self.fails_to_publish: Callable[[str, Batch], bool] = lambda _, __: False

    def open(self, room: str, deliver: Callable[[Batch], None]) -> RecordedChannel:
        if room in self.refuses:
            raise OSError("no such stream")
        channel = RecordedChannel(self, room, deliver)
        self.channels.append(channel)
        return channel

    def of(self, room: str) -> list[RecordedChannel]:
        return [channel for channel in self.channels if channel.room == room]

    def bring_back(self) -> None:
        for channel in self.channels:
            for batch in channel.batches:
                channel.deliver(batch)


class Hall(Room):
    @action("say")
    async def say(self, client: Client, body: list[int]) -> str:
        for number in body:
            await self.broadcast("said", number)
        return "done"

    @action("whisper")
    async def whisper(self, client: Client, body: list[int]) -> None:
        await self.broadcast("said", body[0])
        await self.send(client, "said", body[1])
        await self.broadcast("said", body[2], exclude=client)

    @action("count")
    async def count(self, client: Client) -> int:
        return len(self.members)


def make(broker: RecordingBroker) -> Server:
    server = Server("game", broker=broker)
    server.room("*")(Hall)
    return server


async def test_what_a_turn_says_is_one_batch_with_exclusions_and_addressees(autojump_clock: MockClock) -> None:
    broker = RecordingBroker()
    async with open_server(make(broker)) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for client in (ana, ben):
            await client.join("hall")
        (channel,) = broker.of("hall")
        before = len(channel.batches)
        await ana.request("whisper", [1, 2, 3], target="hall")
        assert bodies_of(await ana.settle(), "said") == [1, 2]
        assert bodies_of(await ben.settle(), "said") == [1, 3]
        (batch,) = channel.batches[before:]
        assert len(batch.frames) == 3
        assert (batch.only, batch.exclude) == ({batch.first + 1: ana.id}, {batch.first + 2: (ana.id,)})


async def test_the_places_of_a_room_go_on_without_a_gap(autojump_clock: MockClock) -> None:
    broker = RecordingBroker()
    async with open_server(make(broker)) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        for numbers in ([1], [2, 3], [4, 5, 6]):
            await ana.request("say", numbers, target="hall")
        (channel,) = broker.of("hall")
        place = 0
        for batch in channel.batches:
            assert batch.first == place
            place += len(batch.frames)
        assert place == 6


async def test_a_room_and_its_successor_have_channels_of_their_own(autojump_clock: MockClock) -> None:
    broker = RecordingBroker()
    server = make(broker)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        await server.rooms["hall"].close()
        await ana.join("hall")
        await ana.request("say", [1], target="hall")
        first, second = broker.of("hall")
        assert (first.is_closed, second.is_closed) == (True, False)
        assert [batch.first for batch in second.batches] == [0]
        assert bodies_of(await ana.settle(), "said") == [1]


async def test_a_room_says_goodbye_through_its_channel_and_then_closes_it(autojump_clock: MockClock) -> None:
    broker = RecordingBroker()
    server = make(broker)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        await server.rooms["hall"].close("over")
        (channel,) = broker.of("hall")
        assert b'"room-closed"' in channel.batches[-1].frames[-1]
        assert channel.is_closed


async def test_a_broker_may_bring_batches_back_later(autojump_clock: MockClock) -> None:
    broker = RecordingBroker()
    async with open_server(make(broker)) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for client in (ana, ben):
            await client.join("hall")
        broker.holds = True
        assert await ana.request("say", [1, 2], target="hall") == "done"
        assert bodies_of(await ana.settle(), "said") == [1, 2]  # before the reply, as always
        assert bodies_of(await ben.settle(), "said") == []
        late = await net.connect("late")
        await late.join("hall")
        broker.bring_back()
        assert bodies_of(await ben.settle(), "said") == [1, 2]
        assert bodies_of(await ana.settle(), "said") == []
        assert bodies_of(await late.settle(), "said") == []


async def test_a_room_that_the_broker_does_not_open_is_refused_and_no_other(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    broker = RecordingBroker()
    broker.refuses.add("hall")
    server = make(broker)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for _ in range(2):
            with pytest.raises(ActionError, match="internal: the room could not be created"):
                await ana.join("hall")
        assert "the broker did not open room 'hall'" in caplog.text
        await ana.join("other")
        assert set(server.rooms) == {"mesh-global", "other"}
        broker.refuses.clear()
        await ana.join("hall")


async def test_a_server_does_not_start_without_its_global_room(autojump_clock: MockClock) -> None:
    broker = RecordingBroker()
    broker.refuses.add("mesh-global")
    with pytest.raises(ExceptionGroup) as caught:
        async with open_server(make(broker)):
            pytest.fail("it serves")  # pragma: no cover
    assert caught.group_contains(OSError, match="no such stream")


async def test_a_room_whose_batch_is_refused_tells_its_members_and_closes(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    broker = RecordingBroker()
    server = make(broker)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for client in (ana, ben):
            await client.join("hall")
        await ben.join("other")
        broker.fails_to_publish = lambda room, _: room == "hall"
        assert await ana.request("say", [1], target="hall") == "done"
        heard = await ben.settle()
        assert bodies_of(heard, "said") == [1]
        assert bodies_of(heard, "room-closed") == [{"roomname": "hall", "reason": "crashed"}]
        assert "the broker did not take 1 frames of room 'hall'" in caplog.text
        assert await ben.request("count", target="other") == 1
        assert server.statistics()["rooms_crashed"] >= 1


async def test_the_global_room_stays_when_a_batch_of_it_is_refused(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    broker = RecordingBroker()
    server = make(broker)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        broker.fails_to_publish = lambda *_: True
        await server.broadcast("news", 1)
        assert bodies_of(await ana.settle(), "news") == [1]
        assert "the broker did not take" in caplog.text
        broker.fails_to_publish = lambda *_: False
        await server.broadcast("news", 2)
        assert bodies_of(await ana.settle(), "news") == [2]


# --- very large rooms


class Pass(trio.abc.Instrument):
    """Counts the passes of the scheduler: between two of them trio waits for I/O."""

    def __init__(self) -> None:
        self.number = 0

    def after_io_wait(self, timeout: float) -> None:
        self.number += 1


async def test_a_very_large_room_is_served_one_slice_a_pass_whatever_is_said(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplysocket._rooms.fanout.SLICE", 4)
    passes, server = Pass(), make(RecordingBroker())
    async with open_server(server) as net:
        clients = [await net.connect(str(number)) for number in range(20)]
        for client in clients:
            await client.join("hall")
        served: dict[int, set[str]] = {}  # {pass: the members that were served in it}
        for session in server._assembly.hub.clients.values():
            watch_deliveries(session, passes, served)
        trio.lowlevel.add_instrument(passes)
        for client in clients[:10]:
            for number in range(10):
                await client.send("say", [number, number], target="hall")
        heard = await clients[-1].settle()
        trio.lowlevel.remove_instrument(passes)
        assert len(bodies_of(heard, "said")) == 200
        assert max(map(len, served.values())) <= 4


def watch_deliveries(session: Any, passes: Pass, served: dict[int, set[str]]) -> None:
    deliver = session.deliver

    def deliver_noted(data: bytes, frames: list[bytes], start: int = 0, /) -> None:
        if any(b'"said"' in frame for frame in frames[start:]):
            served.setdefault(passes.number, set()).add(session.id)
        deliver(data, frames, start)

    session.deliver = deliver_noted
