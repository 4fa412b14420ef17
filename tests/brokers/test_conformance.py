"""What every broker promises; a broker of your own passes these, too."""

from collections.abc import Callable

import pytest

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
