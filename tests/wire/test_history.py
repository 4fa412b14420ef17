"""The history of a room, and the rings that follow it, against plain lists: what a client lacks is sent again."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from simplysocket import Limits
from simplysocket._protocol.delivery_classes import UncountedFrame, VolatileFrame
from simplysocket._wire.history import NO_HISTORY, History
from simplysocket._wire.outboxes import Outboxes
from simplysocket._wire.ring import Ring
from simplysocket._wire.stretch import FRAME_BYTES, LARGE, MOST_FRAMES, STRETCH_BYTES
from simplysocket.metrics import Metrics


class Hall:
    """A room of clients that may come back: gives them frames as the fan-out and their writers do."""

    def __init__(self, members: int, **limits: Any) -> None:
        bounds = Limits(**limits)
        self.outboxes = Outboxes(bounds)
        self.rings = [Ring(bounds, self.outboxes, Metrics()) for _ in range(members)]
        self.history = self.rings[0].new_history() if members else History(bounds, self.outboxes)

    def give(self, *frames: bytes, without: Sequence[Ring] = (), blocked: Sequence[Ring] = ()) -> None:
        """Give members a pass. It does not reach the wire of those that are blocked."""
        for ring in without:
            ring.break_off()
        self.history.begin(frames, sum(map(len, frames)))
        for ring in self.rings:
            if ring in blocked:
                if ring.history is self.history:
                    ring.break_off(self.history.last)
            elif ring not in without and ring.history is not self.history:
                ring.add(frames, 0, self.history)
        self.history.done()

    def end(self) -> None:
        """End all sessions; nothing is left."""
        for ring in self.rings:
            ring.end()
        assert self.outboxes.bytes == 0
        assert not self.outboxes._holders
        assert not self.history.followers


def test_a_pass_is_kept_once_and_costs_a_follower_nothing() -> None:
    hall = Hall(100)
    for number in range(10):
        hall.give(b"%d" % number)
    assert hall.history.frames == 10
    assert [ring.frames for ring in hall.rings] == [0] * 100
    assert [ring.sent for ring in hall.rings] == [10] * 100
    assert hall.outboxes.bytes == STRETCH_BYTES + 10 * (FRAME_BYTES + 1)
    assert all(ring.rewind(7) == [b"7", b"8", b"9"] for ring in hall.rings)
    hall.end()


def test_what_all_have_acknowledged_is_dropped() -> None:
    hall = Hall(3)
    for number in range(3 * MOST_FRAMES):
        hall.give(b"%d" % number)
    for _ in range(2):
        for ring in hall.rings[1:]:
            assert ring.acknowledge(ring.sent)
    assert hall.history.frames == 3 * MOST_FRAMES  # one has not
    slow = hall.rings[0]
    assert slow.acknowledge(MOST_FRAMES)
    for ring in hall.rings[1:]:
        hall.give(b"more")
        assert ring.acknowledge(ring.sent)
    assert hall.history.frames == 2 * MOST_FRAMES + 2
    assert (slow.rewind(MOST_FRAMES) or [])[:1] == [b"%d" % MOST_FRAMES]
    hall.end()


@pytest.mark.parametrize("seed", range(5))
def test_when_all_have_all_nothing_is_kept_in_whatever_order_they_say_so(seed: int) -> None:
    rng = random.Random(seed)
    hall = Hall(7)
    for _ in range(20):
        for number in range(rng.randrange(1, 200)):
            hall.give(b"%d" % number)
            if rng.random() < 0.2:
                ring = rng.choice(hall.rings)
                ring.acknowledge(rng.randint(ring.acknowledged, ring.sent))
        for ring in rng.sample(hall.rings, 7):
            assert hall.history.frames or ring.acknowledged == ring.sent
            ring.acknowledge(ring.sent)
        assert (hall.history.frames, hall.outboxes.bytes) == (0, 0)
    hall.end()


def test_who_has_all_and_breaks_off_is_not_counted_any_more() -> None:
    hall = Hall(3)
    quick, other, slow = hall.rings
    hall.give(b"1")
    quick.acknowledge(1)
    quick.add([b"own"])
    other.acknowledge(1)
    assert slow.rewind(0) == [b"1"]
    assert (hall.history.frames, hall.history.bytes) == (0, 0)  # the only one that still follows has all
    hall.end()


def test_what_nobody_follows_is_not_kept() -> None:
    hall = Hall(2)
    hall.give(b"1")
    for ring in hall.rings:
        ring.add([b"reply"])
    assert (hall.history.frames, hall.history.bytes) == (0, 0)
    assert [ring.rewind(0) for ring in hall.rings] == [[b"1", b"reply"]] * 2
    hall.end()


def test_frames_of_ones_own_and_passes_keep_their_order() -> None:
    hall = Hall(2)
    one, other = hall.rings
    hall.give(b"1", b"2")
    one.add([b"own"])
    hall.give(b"3")
    hall.give(VolatileFrame(b"v"), b"4")
    one.add([UncountedFrame(b"pong")])
    assert one.history is hall.history  # an uncounted frame is nothing in between
    hall.give(b"5")
    assert one.rewind(1) == [b"2", b"own", b"3", b"4", b"5"]
    assert other.rewind(1) == [b"2", b"3", b"4", b"5"]
    assert (one.sent, other.sent) == (1, 1)
    hall.end()


def test_a_pass_that_is_not_sent_is_not_counted() -> None:
    hall = Hall(2)
    quick, slow = hall.rings
    hall.give(b"1")
    hall.give(b"2", blocked=[slow])
    assert (quick.sent, slow.sent) == (2, 1)
    slow.keep_back([b"2"])
    assert slow.rewind(0) == [b"1", b"2"]
    hall.end()


def test_only_volatile_passes_take_no_memory() -> None:
    hall = Hall(2)
    for _ in range(10_000):
        hall.give(VolatileFrame(b"v"))
    assert hall.outboxes.bytes == 0
    hall.give(b"1")
    for _ in range(10_000):
        hall.give(VolatileFrame(b"v"))
    assert hall.outboxes.bytes == STRETCH_BYTES + FRAME_BYTES + 1
    assert hall.rings[0].rewind(0) == [b"1"]
    assert hall.rings[1].rewind(20_001) == []
    hall.end()


def test_who_follows_too_long_lacks_the_oldest_as_by_a_ring_of_its_own() -> None:
    hall = Hall(2, resume_frames=100)
    follower, other = hall.rings
    follower.add([b"own"])
    for number in range(1_000):
        hall.give(b"%d" % number, without=[other])
        other.add([b"%d" % number])
    assert hall.history.frames < 100 + 2 * MOST_FRAMES
    assert follower.rewind(900) is None
    assert other.rewind(899) is None
    assert (follower.frames, other.frames) == (100, 100)
    assert follower.rewind(901) == other.rewind(900) == [b"%d" % number for number in range(900, 1_000)]
    hall.end()


def test_a_large_frame_counts_once_for_all_that_keep_it_and_for_whom_it_waits() -> None:
    hall = Hall(50)
    large = bytes(100 * LARGE)
    hall.give(large, without=hall.rings[:25])
    for ring in hall.rings[:20]:
        ring.add([large])
    for ring in hall.rings[20:25]:
        ring.wait(large, [large])
    assert len(large) <= hall.outboxes.bytes < 1.2 * len(large)
    hall.end()


def test_when_all_is_full_the_history_gives_way_and_each_follower_is_told_of_a_gap() -> None:
    hall = Hall(10, outboxes_bytes=100_000, resume_bytes=None, resume_frames=None)
    for number in range(1_000):
        hall.give(b"%d" % number + bytes(200))
        assert hall.outboxes.bytes <= 100_000
    assert all(ring.rewind(0) is None for ring in hall.rings)
    assert all(ring.gap is None and ring.rewind(ring.sent) == [] for ring in hall.rings)
    hall.end()


def test_nothing_is_emptied_while_a_pass_is_given() -> None:
    hall = Hall(3, outboxes_bytes=1_000)
    hall.give(bytes(500))
    hall.history.begin([bytes(900)], 900)
    hall.rings[2].add([bytes(300)])  # of a client that was closed meanwhile, say
    assert hall.history.frames == 2
    hall.history.done()
    assert hall.history.frames == 0
    assert hall.outboxes.bytes <= 1_000
    for ring in hall.rings[:2]:
        assert ring.rewind(0) is None
    hall.end()


def test_those_that_are_not_given_a_pass_break_off() -> None:
    hall = Hall(3)
    hall.give(b"1")
    hall.history.keep_only(set(hall.rings[:1]))
    assert [ring.history is NO_HISTORY for ring in hall.rings] == [False, True, True]
    hall.end()


class Client:
    """One client as a specification: all that went to its wire, and what waits."""

    def __init__(self) -> None:
        self.base = 0
        self.wire: list[bytes] = []
        self.waiting: list[bytes] = []

    @property
    def sent(self) -> int:
        return self.base + len(self.wire)

    def lacking(self, received: int) -> list[bytes]:
        kept = [each for each in self.wire[received - self.base :] if type(each) is not VolatileFrame]
        return kept + self.waiting

    def back(self, received: int) -> None:
        self.base, self.wire, self.waiting = received, [], []


def some_frames(rng: random.Random, number: int) -> list[bytes]:
    kinds = rng.choices((bytes, VolatileFrame), (4, 1), k=rng.choice((1, 1, 2, 5)))
    return [kind(b"%d.%d" % (number, at) + bytes(rng.choice((0, 9, 2_000)))) for at, kind in enumerate(kinds)]


@pytest.mark.parametrize("bounds", [{}, {"resume_frames": 20}, {"resume_bytes": 5_000}, {"outboxes_bytes": 20_000}])
def test_whatever_happens_each_client_gets_what_it_lacks_or_a_gap(bounds: dict[str, int]) -> None:
    gaps = 0
    for seed in range(40):
        rng = random.Random(seed)
        hall = Hall(5, **({"resume_frames": None, "resume_bytes": None} | bounds))
        clients = {ring: Client() for ring in hall.rings}
        for number in range(150):
            frames, ring = some_frames(rng, number), rng.choice(hall.rings)
            client = clients[ring]
            away = [each for each in hall.rings if clients[each].waiting]
            what = rng.choices(("pass", "own", "acknowledge", "lose", "return"), (60, 10, 20, 4, 6))[0]
            if what == "pass":
                others = [each for each in hall.rings if each not in away]
                without = [each for each in others if rng.random() < 0.1] + away
                blocked = [each for each in others if each not in without and rng.random() < 0.05]
                hall.give(*frames, without=without, blocked=blocked)
                for each in others:
                    if each in blocked:  # the connection is lost in this moment
                        each.keep_back(frames)
                        clients[each].waiting += [frame for frame in frames if type(frame) is not VolatileFrame]
                    elif each not in without:
                        clients[each].wire += frames
            elif what == "own" and not client.waiting:
                ring.add(frames)
                client.wire += frames
            elif what == "acknowledge":
                ring.acknowledge(rng.choice((client.sent, rng.randint(client.base, client.sent))))
            elif what == "lose":
                ring.keep_back([])
                ring.wait(b"", frames)
                client.waiting += [frame for frame in frames if type(frame) is not VolatileFrame]
            elif what == "return":
                received = rng.randint(max(client.base, ring.acknowledged), client.sent)
                lacking = client.lacking(received)
                replay = ring.rewind(received)
                if replay is None:
                    assert lacking  # a gap is told only if something is missing
                    assert bounds
                    gaps += 1
                    ring.clear(received)
                else:
                    assert replay == lacking
                client.back(received)
            assert ring.sent == client.sent
            assert ring.frames <= bounds.get("resume_frames", 10**9)
            assert ring.bytes <= bounds.get("resume_bytes", 10**9)
            assert hall.outboxes.bytes <= bounds.get("outboxes_bytes", 10**9) + 1_000  # who breaks off empties nobody
        hall.end()
    assert (gaps > 0) == bool(bounds)
