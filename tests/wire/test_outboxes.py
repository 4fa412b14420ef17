"""The outboxes of a server together: frames that many share, slow clients, and who goes when memory is short."""

import random
from functools import partial

import pytest

from simplysocket import Limits
from simplysocket._protocol.delivery_classes import CoalescedFrame, VolatileFrame
from simplysocket._wire.outbox import PLACE_BYTES, Outbox
from simplysocket._wire.outboxes import FRAME_BYTES, Outboxes
from simplysocket._wire.part import PART_BYTES
from simplysocket._wire.ring import Ring
from simplysocket._wire.stretch import FRAME_BYTES as KEPT_BYTES
from simplysocket._wire.stretch import LARGE, STRETCH_BYTES
from simplysocket.metrics import Metrics

COST = FRAME_BYTES + PLACE_BYTES  # of a frame that waits in one place, in addition to its bytes


class Reader:
    """A client for which frames wait."""

    def __init__(self, outboxes: Outboxes, *, frames: int | None = None, most: int | None = None) -> None:
        self.outboxes = outboxes
        self.outbox = Outbox(frames, most, outboxes)
        self.closed = ""

    @property
    def waiting_bytes(self) -> int:
        return self.outbox.size

    @property
    def is_above(self) -> bool:
        return self.outbox.is_above

    def too_slow(self) -> None:
        self.closed = "too slow"

    def give_way(self) -> None:
        if self.closed:
            self.closed = "cut"
            self.outbox.clear()
            self.outboxes.forget(self)
        else:
            self.closed = "gave way"
            self.outbox.drop_waiting()
            self.outbox.append(b"close")

    def put(self, *frames: bytes, now: float = 0.0) -> None:
        self.outbox.put(frames)
        self.outboxes.grown(self, now)

    def read(self, most: int, now: float) -> None:
        self.outbox.sent(min(most, len(self.outbox.next_bytes(1))))
        self.outboxes.progressed(self, now)


def test_a_frame_that_waits_for_many_counts_once() -> None:
    outboxes, frame = Outboxes(Limits()), b"x" * 10_000
    readers = [Reader(outboxes) for _ in range(1_000)]
    for reader in readers:
        reader.put(frame)
    assert outboxes.bytes == 10_000 + FRAME_BYTES + 1_000 * PLACE_BYTES
    readers[0].put(b"y" * 50)
    assert outboxes.bytes == 10_050 + 2 * FRAME_BYTES + 1_001 * PLACE_BYTES


def test_what_was_read_or_dropped_counts_no_more() -> None:
    outboxes, frame = Outboxes(Limits()), b"x" * 10_000
    reading, gone = Reader(outboxes), Reader(outboxes)
    for reader in (reading, gone):
        reader.put(frame, b"y" * 50)
    gone.outbox.clear()
    outboxes.forget(gone)
    while reading.waiting_bytes:
        reading.read(3_000, 0)
    assert outboxes.bytes == 0


def test_a_client_is_slow_after_the_seconds_above_a_bound_and_not_before() -> None:
    outboxes = Outboxes(Limits(slow_seconds=5))
    slow = Reader(outboxes, most=100)
    slow.put(b"x" * 101, now=10)
    outboxes.close_slow(14.9)
    assert not slow.closed
    outboxes.close_slow(15)
    assert slow.closed == "too slow"


def test_progress_above_the_bound_does_not_make_a_client_fast() -> None:
    outboxes = Outboxes(Limits(slow_seconds=5))
    slow = Reader(outboxes, most=100)
    slow.put(*[b"x"] * 200)
    for second in range(5):
        slow.read(10, second)
    outboxes.close_slow(5)
    assert slow.closed == "too slow"


@pytest.mark.parametrize("bounds", [{"most": 100}, {"frames": 100}])
def test_an_interruption_below_the_bounds_begins_the_time_anew(bounds: dict[str, int]) -> None:
    outboxes = Outboxes(Limits(slow_seconds=5))
    reader = Reader(outboxes, **bounds)
    reader.put(*[b"x"] * 101, now=0)
    reader.read(1, 4)
    reader.put(b"y", now=4.5)
    outboxes.close_slow(9.4)
    assert not reader.closed
    outboxes.close_slow(9.5)
    assert reader.closed == "too slow"


def test_a_client_that_catches_up_or_goes_is_not_slow() -> None:
    outboxes = Outboxes(Limits(slow_seconds=5))
    fast, gone, slow = (Reader(outboxes, most=10) for _ in range(3))
    for reader in (fast, gone, slow):
        reader.put(b"x" * 11)
    fast.read(11, 1)
    gone.outbox.clear()
    outboxes.forget(gone)
    outboxes.close_slow(100)
    assert [reader.closed for reader in (fast, gone, slow)] == ["", "", "too slow"]


def test_of_those_without_progress_the_longest_goes_first() -> None:
    outboxes = Outboxes(Limits(outboxes_bytes=10_000))
    readers = [Reader(outboxes) for _ in range(4)]
    for number, reader in enumerate(readers):
        reader.put(bytes(1_000), bytes(1_000), now=number)
    readers[0].read(10, 4)
    readers[2].put(bytes(2_000), now=10)
    assert [reader.closed for reader in readers] == ["", "gave way", "", ""]
    assert outboxes.bytes <= 10_000


def test_if_all_make_progress_the_largest_goes_first() -> None:
    outboxes = Outboxes(Limits(outboxes_bytes=20_000))
    readers = [Reader(outboxes) for _ in range(20)]
    for number, reader in enumerate(readers):
        reader.put(bytes(8_000) if number == 7 else bytes(300 + number))
    readers[0].put(bytes(5_000))
    assert [number for number, reader in enumerate(readers) if reader.closed] == [7]
    assert outboxes.bytes <= 20_000


def test_a_client_that_sends_nothing_of_its_close_is_cut_when_others_are_closed_and_it_is_not_enough() -> None:
    outboxes = Outboxes(Limits(outboxes_bytes=10_000))
    first, second = Reader(outboxes), Reader(outboxes)
    first.outbox.begin(bytes(6_000))
    outboxes.grown(first, 0)
    second.outbox.begin(bytes(2_000))
    second.put(bytes(7_000), now=1)
    assert [first.closed, second.closed] == ["gave way", "gave way"] or first.closed == "cut"
    assert outboxes.bytes <= 10_000


@pytest.mark.parametrize("shared", [True, False])
def test_closing_for_memory_is_bounded_work_a_call(shared: bool) -> None:
    outboxes = Outboxes(Limits(outboxes_bytes=1_000_000))
    frame = bytes(400_000)
    readers = [Reader(outboxes) for _ in range(1_000)]
    for number, reader in enumerate(readers):
        reader.put(frame if shared else bytes(100 + number % 7), now=number / 1_000)
    closed = 0
    for round in range(100):
        readers[-1].put(bytes(100_000), now=2 + round)
        now_closed = sum(bool(reader.closed) for reader in readers)
        assert now_closed - closed <= 64
        closed = now_closed
    assert outboxes.bytes <= 1_000_000


def test_without_a_bound_nobody_is_closed_for_memory() -> None:
    outboxes = Outboxes(Limits(outboxes_bytes=None))
    reader = Reader(outboxes)
    for second in range(100):
        reader.put(bytes(10_000_000), now=second)
    assert not reader.closed


def make_rings(count: int, limits: Limits) -> tuple[Outboxes, list[Ring]]:
    outboxes = Outboxes(limits)
    return outboxes, [Ring(limits, outboxes, Metrics()) for _ in range(count)]


def test_what_is_kept_is_dropped_before_a_client_is_closed_and_the_largest_first() -> None:
    outboxes, (large, small) = make_rings(2, Limits(outboxes_bytes=20_000))
    for number in range(10):
        large.add([bytes(1_000)])
        small.add([bytes(number)])
    slow = Reader(outboxes)
    slow.put(bytes(9_000))
    assert (slow.closed, large.frames, small.frames) == ("", 0, 10)
    slow.put(bytes(10_000))
    assert (slow.closed, small.frames) == ("", 0)
    slow.put(bytes(6_000))
    assert slow.closed == "gave way"


def test_the_bound_holds_for_clients_that_are_away_and_each_is_told_of_a_gap() -> None:
    outboxes, rings = make_rings(100, Limits(outboxes_bytes=1_000_000, resume_bytes=None, resume_frames=None))
    for number in range(200):
        for at, ring in enumerate(rings):
            ring.wait(b"", [b"%d" % number + bytes(at)])
            assert outboxes.bytes <= 1_000_000
    lost = [ring for ring in rings if ring.gap]
    assert 0 < len(lost) < 100
    assert all(ring.gap == "overflow" and ring.rewind(0) is None for ring in lost)
    assert all(len(ring.rewind(0) or ()) == 200 for ring in rings if not ring.gap)
    assert outboxes.bytes == 0


def test_dropping_what_is_kept_is_bounded_work_a_call() -> None:
    limits = Limits(outboxes_bytes=5_000_000, resume_frames=100)
    outboxes, rings = make_rings(1_000, limits)
    for _ in range(100):
        shared = [bytes(100)]
        for ring in rings:
            ring.add(shared)
    before = sum(ring.frames for ring in rings)
    slow = Reader(outboxes)
    for second in range(20):
        slow.put(bytes(900_000), now=float(second))
        slow.read(10, float(second))
        frames = sum(ring.frames for ring in rings)
        assert before - frames < 5_000
        before = frames
    assert outboxes.bytes <= 5_000_000


def test_a_ring_that_holds_nothing_is_not_looked_at() -> None:
    outboxes, rings = make_rings(4, Limits())
    frames = [b"a", VolatileFrame(b"v")]
    for ring in rings:
        ring.add(frames)
    rings[0].acknowledge(1)
    assert rings[1].rewind(1) == []
    rings[2].end()
    rings[3].lose("slow")
    for ring in rings:
        ring.add([VolatileFrame(b"v")])
    assert not outboxes._holders
    rings[2].add(frames)
    rings[2].wait(b"", frames)
    assert not outboxes._holders
    assert outboxes.bytes == 0


def test_the_count_is_what_the_outboxes_hold_whatever_happens() -> None:
    rng = random.Random(3)
    for _ in range(50):
        limits = Limits(outboxes_bytes=30_000, slow_seconds=5, resume_frames=6)
        outboxes, rings = make_rings(8, limits)
        readers = [Reader(outboxes, most=2_000) for _ in range(8)]
        for now in range(200):
            open = [reader for reader in readers if not reader.closed]
            frame = bytes(rng.randrange(1, 3_000))
            for reader in rng.sample(open, rng.randrange(len(open) + 1)):
                if not reader.closed:
                    reader.put(frame, now=now / 10)
            for reader in rng.sample(readers, 3):
                if reader.waiting_bytes:
                    reader.read(rng.randrange(1, 4_000), now / 10)
            frames = [rng.choice((frame, VolatileFrame(b"v"), CoalescedFrame.of(frame, "a"))) for _ in range(2)]
            for ring in rng.sample(rings, 4):
                rng.choice((ring.add, partial(ring.wait, b"")))(frames)
            for ring in rng.sample(rings, 2):
                if rng.random() < 0.8:
                    ring.acknowledge(ring.sent - rng.randrange(3))
                elif ring.rewind(ring.sent - rng.randrange(4)) is None:
                    ring.clear()
            outboxes.close_slow(now / 10)
            held: dict[int, bytes] = {}
            places = 0
            for reader in readers:
                for each in (*reader.outbox._frames, *filter(None, [reader.outbox._begun])):
                    held[id(each)] = each
                    places += 1
            kept = 0
            for ring in rings:
                assert (ring in outboxes._holders) == bool(ring.frames)
                for part in ring._parts:
                    frames = list(filter(None, part.stretch.frames))
                    large = [each for each in frames if len(each) > LARGE]
                    kept += PART_BYTES + STRETCH_BYTES + KEPT_BYTES * len(frames)
                    kept += sum(map(len, frames)) - sum(map(len, large))
                    held.update((id(each), each) for each in large)
                    places += len(large)
                waiting = () if ring._waiting is None else ring._waiting._frames
                held.update((id(each), each) for each in waiting)
                places += len(waiting)
            expected = kept + sum(len(each) + FRAME_BYTES for each in held.values()) + places * PLACE_BYTES
            assert outboxes.bytes == expected
            assert set(outboxes._progress) == {reader for reader in readers if reader.waiting_bytes}
            assert sum(map(len, outboxes._classes.values())) == len(outboxes._class_of)
        for reader in readers:
            reader.outbox.clear()
            outboxes.forget(reader)
        for ring in rings:
            ring.end()
        assert outboxes.bytes == 0
        assert not any((outboxes._holders, outboxes._places, outboxes._above, outboxes._progress, outboxes._classes))
