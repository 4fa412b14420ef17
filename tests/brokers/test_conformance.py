"""What every broker promises; a broker of your own passes these, too."""

from collections.abc import Callable

import msgspec
import pytest

from simplysocket._protocol.delivery_classes import CoalescedFrame, VolatileFrame
from simplysocket.brokers import Batch, Broker, MemoryBroker

MakeBroker = Callable[[], Broker]


@pytest.fixture(params=[MemoryBroker])
def broker(request: pytest.FixtureRequest) -> Broker:
    make: MakeBroker = request.param
    return make()


def test_every_batch_comes_back_once_in_the_order_of_publishing(broker: Broker) -> None:
    got: list[Batch] = []
    channel = broker.open("room", got.append)
    batches = [Batch(number, [b"%d" % number]) for number in range(10)]
    for batch in batches:
        channel.publish(batch)
    assert got == batches


def test_exclusions_and_addressees_come_back_as_they_were(broker: Broker) -> None:
    got: list[Batch] = []
    channel = broker.open("room", got.append)
    channel.publish(Batch(5, [b"a", b"b"], {5: ("ana", "ben")}, {6: "ana"}))
    assert got == [Batch(5, [b"a", b"b"], {5: ("ana", "ben")}, {6: "ana"})]


def test_two_channels_of_one_name_share_nothing(broker: Broker) -> None:
    closing: list[Batch] = []
    successor: list[Batch] = []
    first, second = broker.open("room", closing.append), broker.open("room", successor.append)
    first.publish(Batch(7, [b"the last words"]))
    second.publish(Batch(0, [b"the first words"]))
    assert [batch.frames for batch in closing] == [[b"the last words"]]
    assert [batch.frames for batch in successor] == [[b"the first words"]]


def test_a_channel_that_is_closed_leaves_the_others_open(broker: Broker) -> None:
    got: list[Batch] = []
    channel, other = broker.open("room", got.append), broker.open("other", got.append)
    channel.close()
    other.publish(Batch(0, [b"a"]))
    assert got == [Batch(0, [b"a"])]


def test_a_batch_is_read_as_it_was_written_delivery_classes_included() -> None:
    frames = [b"a", VolatileFrame(b"b"), CoalescedFrame.of(b"c", ("room", "score"))]
    batch = Batch(7, frames, {7: ("ana", "ben")}, {8: "ana"})
    read = Batch.from_bytes(batch.to_bytes())
    assert read == batch
    assert [type(frame) for frame in read.frames] == [bytes, VolatileFrame, CoalescedFrame]
    assert read.frames[2].key == ("room", "score")  # type: ignore[attr-defined]


def test_bytes_that_are_no_batch_are_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        Batch.from_bytes(b"\x93\x01")
