"""A room and its channel: one a runtime, one batch a flush, and what happens when the broker fails."""

from collections.abc import Callable

import attrs
import pytest
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
        if self.broker.copies:
            batch = Batch.from_bytes(batch.to_bytes())
        self.batches.append(batch)
        if not self.broker.holds:
            self.deliver(batch)

    def close(self) -> None:
        self.is_closed = True
        if self.broker.fails_to_close:
            raise OSError("the broker is gone")


class RecordingBroker:
    def __init__(self) -> None:
        self.channels: list[RecordedChannel] = []
        self.copies = False  # True: it brings copies back, as a broker between machines does
        self.fails_to_close = False
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


async def test_copies_that_come_straight_back_are_delivered_once(autojump_clock: MockClock) -> None:
    broker = RecordingBroker()
    broker.copies = True
    server = make(broker)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for client in (ana, ben):
            await client.join("hall")
        for number in range(3):
            await ana.request("whisper", [number, number, number], target="hall")
        assert bodies_of(await ana.settle(), "said") == [0, 0, 1, 1, 2, 2]
        await server.rooms["hall"].broadcast("said", 3, volatile=True)
        await server.rooms["hall"].close()
        heard = await ben.settle()
        assert bodies_of(heard, "said") == [0, 0, 1, 1, 2, 2, 3]
        assert len(bodies_of(heard, "room-closed")) == 1
        assert server.statistics()["frames_dropped"] == 0


async def test_a_channel_that_cannot_be_closed_costs_nobody_anything(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    broker = RecordingBroker()
    broker.fails_to_close = True
    server = make(broker)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        await server.rooms["hall"].close()
        assert "the broker did not close the channel of room 'hall'" in caplog.text
        await ana.join("hall")
        assert await ana.request("count", target="hall") == 1
        broker.fails_to_close = False


async def test_a_broker_that_keeps_every_batch_is_told_from_a_slow_one(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplysocket._rooms.fanout._MOST_PUBLISHED", 5)
    broker = RecordingBroker()
    async with open_server(make(broker)) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        broker.holds = True
        for number in range(10):
            await ana.send("say", [number], target="hall")
            await ana.settle()
        assert "6 batches of the room have not come back from the broker" in caplog.text
        assert "hall" not in net.server.rooms


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
    server = make(broker)
    with pytest.raises(ExceptionGroup) as caught:
        async with open_server(server):
            pytest.fail("it serves")  # pragma: no cover
    assert caught.group_contains(OSError, match="no such stream")
    assert dict(server.rooms) == {}


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
