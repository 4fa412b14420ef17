"""The ring against a plain list: what a client lacks is sent again, once and in order, or a gap is told."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplysocket import Limits
from simplysocket._protocol.delivery_classes import CoalescedFrame, UncountedFrame, VolatileFrame
from simplysocket._wire.outboxes import Outboxes
from simplysocket._wire.ring import Ring
from simplysocket.metrics import Metrics


def make_ring(**limits: Any) -> tuple[Ring, Outboxes]:
    bounds = Limits(**limits)
    outboxes = Outboxes(bounds)
    return Ring(bounds, outboxes, Metrics()), outboxes


def test_what_is_not_acknowledged_is_sent_again() -> None:
    ring, outboxes = make_ring()
    ring.add([b"1", b"2"])
    ring.add([b"3"])
    assert (ring.sent, ring.frames, ring.bytes) == (3, 3, 3)
    assert ring.acknowledge(1)
    assert ring.rewind(1) == [b"2", b"3"]
    assert (ring.sent, ring.frames, ring.bytes, outboxes.bytes) == (1, 0, 0, 0)


@pytest.mark.parametrize("number", [-1, 4, 2**60])
def test_an_acknowledgement_of_what_was_not_sent_is_refused(number: int) -> None:
    ring, _ = make_ring()
    ring.add([b"1", b"2", b"3"])
    assert not ring.acknowledge(number)
    assert ring.frames == 3


def test_an_old_acknowledgement_changes_nothing() -> None:
    ring, _ = make_ring()
    ring.add([b"1", b"2", b"3"])
    assert ring.acknowledge(2)
    assert ring.acknowledge(1)
    assert ring.acknowledged == 2
    assert ring.rewind(1) is None
    assert ring.rewind(2) == [b"3"]


def test_volatile_frames_have_numbers_and_evict_nothing() -> None:
    ring, outboxes = make_ring(resume_frames=2)
    ring.add([b"1"])
    for _ in range(5_000):
        ring.add([VolatileFrame(b"v")])
    ring.add([VolatileFrame(b"v"), b"2", VolatileFrame(b"v")])
    assert (ring.sent, ring.frames) == (5_004, 2)
    assert sum(len(part.stretch.frames) for part in ring._parts) < 100
    assert ring.rewind(0) == [b"1", b"2"]
    assert outboxes.bytes == 0


def test_uncounted_frames_leave_no_trace() -> None:
    ring, _ = make_ring()
    ring.add([UncountedFrame(b"welcome"), b"1"])
    ring.wait(b"", [UncountedFrame(b"pong"), b"2"])
    assert ring.sent == 1
    assert ring.rewind(0) == [b"1", b"2"]


def test_of_coalesced_frames_the_newest_is_sent_again() -> None:
    ring, _ = make_ring()
    ring.add([CoalescedFrame.of(b"a1", "a"), b"1", CoalescedFrame.of(b"b1", "b")])
    ring.wait(b"", [CoalescedFrame.of(b"a2", "a"), CoalescedFrame.of(b"a3", "a"), VolatileFrame(b"v")])
    assert ring.rewind(0) == [b"1", b"b1", b"a3"]


def test_beyond_its_bounds_the_oldest_go_first() -> None:
    ring, outboxes = make_ring(resume_frames=1_024)
    for number in range(1_025):
        ring.add([b"%d" % number])
    assert ring.frames == 1_024
    assert ring.rewind(0) is None
    assert ring.gap is None  # a client that has the first one lacks nothing
    assert len(ring.rewind(1) or []) == 1_024
    assert outboxes.bytes == 0


def test_a_frame_larger_than_the_bound_is_not_kept() -> None:
    ring, outboxes = make_ring(resume_bytes=10)
    ring.add([b"x" * 11])
    assert (ring.frames, ring.bytes, outboxes.bytes) == (0, 0, 0)
    assert ring.rewind(0) is None
    assert ring.rewind(1) == []


def test_what_waits_and_has_no_place_is_a_gap() -> None:
    ring, outboxes = make_ring(resume_frames=2)
    ring.add([b"1"])
    ring.wait(b"", [b"2", b"3"])
    assert ring.frames == 2  # the one that went to the wire made place
    ring.wait(b"", [b"4"])
    assert (ring.gap, ring.frames, outboxes.bytes) == ("overflow", 0, 0)
    ring.wait(b"", [b"5"])
    assert (ring.frames, ring.rewind(1)) == (0, None)
    ring.clear(1)
    ring.add([b"6"])
    assert ring.rewind(1) == [b"6"]


def test_all_rings_together_have_a_bound() -> None:
    limits = Limits(outboxes_bytes=100_000)
    outboxes = Outboxes(limits)
    rings = [Ring(limits, outboxes, Metrics()) for _ in range(50)]
    for number, ring in enumerate(rings):
        for _ in range(number + 1):
            ring.add([b"x" * 400])
            assert outboxes.bytes <= 100_000
    emptied = [ring for ring in rings if not ring.frames]
    assert emptied
    assert max(len(rings) - rings.index(ring) for ring in emptied) < len(rings)  # the small ones were left alone
    for ring in rings:
        ring.end()
    assert outboxes.bytes == 0
    assert not outboxes._holders


def test_a_ring_that_has_ended_keeps_nothing_and_counts_what_is_dropped() -> None:
    metrics = Metrics()
    outboxes = Outboxes(Limits())
    ring = Ring(Limits(), outboxes, metrics)
    ring.add([b"1"])
    ring.wait(b"", [b"2", VolatileFrame(b"v")])
    ring.end()
    assert metrics.frames_dropped == 2
    ring.add([b"3"])
    ring.wait(b"", [b"4"])
    assert (ring.frames, ring.bytes, outboxes.bytes, metrics.frames_dropped) == (0, 0, 0, 3)


class Model:
    """The ring as a specification: lists, without bounds."""

    def __init__(self) -> None:
        self.on_wire: list[bytes] = []  # all frames with numbers
        self.base = 0
        self.waiting: list[bytes] = []

    def wait(self, frames: Sequence[bytes]) -> None:
        self.waiting += [each for each in frames if type(each) not in (VolatileFrame, UncountedFrame)]

    def rewind(self, received: int) -> list[bytes]:
        kept = [each for each in self.on_wire[received - self.base :] if type(each) is not VolatileFrame]
        lacking = kept + self.waiting
        keys = [getattr(each, "key", None) for each in lacking]
        newest = [each for at, each in enumerate(lacking) if keys[at] is None or keys[at] not in keys[at + 1 :]]
        self.base, self.on_wire, self.waiting = received, [], []
        return newest


frame = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.builds(VolatileFrame, st.just(b"v")),
    st.builds(UncountedFrame, st.just(b"u")),
    st.builds(CoalescedFrame.of, st.binary(min_size=1, max_size=2), st.sampled_from(["a", "b"])),
)
step = st.one_of(
    st.tuples(st.just("add"), st.lists(frame, max_size=4)),
    st.tuples(st.just("wait"), st.lists(frame, max_size=4)),
    st.tuples(st.just("acknowledge"), st.floats(0, 1)),
    st.tuples(st.just("rewind"), st.floats(0, 1)),
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(step, max_size=30))
def test_the_ring_does_what_a_list_would(steps: list[tuple[str, Any]]) -> None:
    ring, outboxes = make_ring(resume_frames=None, resume_bytes=None)
    model, acknowledged = Model(), 0
    for what, value in steps:
        if what == "add" and not model.waiting:  # what waits goes to the wire before anything new
            ring.add(value)
            model.on_wire += [each for each in value if type(each) is not UncountedFrame]
        elif what == "wait":
            ring.wait(b"", value)
            model.wait(value)
        elif what == "acknowledge":
            acknowledged += int(value * (ring.sent - acknowledged))
            assert ring.acknowledge(acknowledged)
        elif what == "rewind":
            received = acknowledged + int(value * (ring.sent - acknowledged))
            assert ring.rewind(received) == model.rewind(received)
            acknowledged = received
        assert ring.sent == model.base + len(model.on_wire)
    ring.end()
    assert outboxes.bytes == 0


groups = st.lists(
    st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.builds(VolatileFrame, st.just(b"v"))), max_size=4),
    max_size=12,
)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(groups, groups, st.floats(0, 1), st.floats(0, 1), st.integers(1, 8), st.integers(1, 40))
def test_a_client_is_told_of_a_gap_only_if_what_it_lacks_did_not_fit(
    sent: list[list[bytes]],
    waiting: list[list[bytes]],
    acknowledged: float,
    received: float,
    most_frames: int,
    most_bytes: int,
) -> None:
    ring, outboxes = make_ring(resume_frames=most_frames, resume_bytes=most_bytes)
    model, lacked, number = Model(), [], 0
    total = sum(map(len, sent))
    least = int(acknowledged * total)
    position = least + int(received * (total - least))
    for group in sent:
        ring.add(group)
        model.on_wire += group
        number += len(group)
        places = enumerate(group, number - len(group) + 1)
        lacked += [frame for at, frame in places if at > position and type(frame) is not VolatileFrame]
        assert (ring.frames <= most_frames, ring.bytes <= most_bytes) == (True, True)
    assert ring.acknowledge(least)
    for group in waiting:
        ring.wait(b"", group)
        model.wait(group)
        assert (ring.frames <= most_frames, ring.bytes <= most_bytes) == (True, True)
    lacked += model.waiting
    fits = len(lacked) <= most_frames and sum(map(len, lacked)) <= most_bytes
    replay = ring.rewind(position)
    assert replay == (model.rewind(position) if fits else None)
    ring.clear(position)
    assert outboxes.bytes == 0
