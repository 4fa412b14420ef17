"""The outbox: order, bounds and delivery classes of the frames that wait for one client."""

import random

import pytest

from simplysocket import Limits
from simplysocket._protocol.delivery_classes import CoalescedFrame, VolatileFrame
from simplysocket._wire.outbox import PLACE_BYTES, Outbox
from simplysocket._wire.outboxes import FRAME_BYTES, Outboxes

COST = FRAME_BYTES + PLACE_BYTES  # of a frame that waits in one place, in addition to its bytes


def make(max_frames: int | None, max_bytes: int | None, outboxes: Outboxes | None = None) -> Outbox:
    return Outbox(max_frames, max_bytes, outboxes or Outboxes(Limits()))


def drain(outbox: Outbox, most: int = 65_536, step: int | None = None) -> bytes:
    """Write everything, as to a socket that takes at most `step` bytes at a time."""
    written = b""
    while outbox.size:
        taken = outbox.next_bytes(most)[:step]
        assert taken, "bytes that count as waiting can be written"
        written += taken
        outbox.sent(len(taken))
    return written


def score(data: bytes, key: str = "score") -> CoalescedFrame:
    return CoalescedFrame.of(data, key)


def test_what_waits_goes_out_in_order() -> None:
    outbox = make(10, 100)
    outbox.put([b"a", b"bb"])
    outbox.put([b"ccc"])
    assert outbox.size == 6
    assert drain(outbox, step=1) == b"abbccc"


def test_only_frames_from_the_start_on_are_kept() -> None:
    outbox = make(10, 100)
    outbox.put([b"a", b"b", b"c"], 2)
    assert drain(outbox) == b"c"


def test_a_frame_that_was_begun_is_finished_first() -> None:
    outbox = make(10, 100)
    outbox.begin(b"rest")
    outbox.put([b"next"])
    assert outbox.size == 8
    assert outbox.next_bytes() == b"rest"
    outbox.sent(3)
    assert outbox.next_bytes() == b"t"
    assert drain(outbox) == b"tnext"


def test_a_coalesced_frame_that_was_begun_is_not_replaced() -> None:
    outbox = make(10, 100)
    outbox.put([score(b"1111")])
    outbox.sent(len(outbox.next_bytes()) - 2)
    outbox.put([score(b"2222")])
    assert drain(outbox) == b"112222"
    assert outbox.dropped == 0


def test_a_write_takes_whole_frames_of_about_the_size_asked_for() -> None:
    outbox = make(None, None)
    outbox.put([b"x" * 30] * 10)
    assert len(outbox.next_bytes(50)) == 60
    assert len(drain(outbox, 50)) == 300


def test_a_volatile_frame_never_waits() -> None:
    outbox = make(10, 100)
    outbox.put([b"a", VolatileFrame(b"position"), b"b"])
    assert (outbox.size, outbox.dropped) == (2, 1)
    assert drain(outbox) == b"ab"


def test_a_volatile_frame_counts_towards_no_bound() -> None:
    outbox = make(1, 100)
    outbox.put([b"a"])
    outbox.put([VolatileFrame(b"v" * 1_000)])
    assert not outbox.is_above


def test_of_coalesced_frames_with_one_key_only_the_newest_waits() -> None:
    outbox = make(10, 100)
    outbox.put([score(b"1"), b"a", score(b"x", "other"), score(b"22"), b"b", score(b"333")])
    assert (outbox.size, outbox.dropped) == (6, 2)
    assert drain(outbox) == b"axb333"


def test_the_same_coalesced_frame_twice_goes_out_once() -> None:
    outbox, frame = make(10, 100), score(b"1")
    outbox.put([frame, frame])
    assert drain(outbox) == b"1"
    assert (outbox.size, outbox.dropped) == (0, 1)


def test_more_frames_than_the_bound_are_kept_and_noted() -> None:
    outbox = make(2, None)
    outbox.put([b"a", b"b"])
    assert not outbox.is_above
    outbox.put([b"c"])
    assert outbox.is_above
    assert drain(outbox) == b"abc"
    assert not outbox.is_above


def test_more_bytes_than_the_bound_are_kept_and_noted() -> None:
    outbox = make(None, 4)
    outbox.put([b"aa", b"bb"])
    assert not outbox.is_above
    outbox.put([b"c"])
    assert outbox.is_above
    assert drain(outbox) == b"aabbc"


def test_the_begun_frame_counts_towards_the_bytes() -> None:
    outbox = make(None, 4)
    outbox.begin(b"xabc", 1)
    outbox.put([b"d"])
    assert not outbox.is_above
    outbox.put([b"e"])
    assert outbox.is_above
    outbox.sent(1)
    assert not outbox.is_above


def test_a_large_frame_that_is_being_sent_does_not_count() -> None:
    outbox = make(1, 4)
    outbox.put([b"large frame"])
    assert outbox.is_above
    outbox.next_bytes()
    assert not outbox.is_above
    outbox.put([b"b"])
    assert not outbox.is_above
    outbox.put([b"cccc"])
    assert outbox.is_above
    assert drain(outbox) == b"large framebcccc"


def test_what_is_being_sent_is_one_chunk_and_counts_towards_the_bytes_only() -> None:
    outbox = make(1, 4)
    outbox.put([b"a", b"b"])
    assert outbox.is_above
    assert outbox.next_bytes() == b"ab"
    assert not outbox.is_above


def test_a_replaced_frame_makes_room_for_the_newer_one() -> None:
    outbox = make(1, 4)
    outbox.put([score(b"1111")])
    outbox.put([score(b"2222")])
    assert not outbox.is_above
    assert drain(outbox) == b"2222"


def test_a_coalesced_frame_beyond_the_bound_replaces_the_older_one() -> None:
    outbox = make(10, 10)
    outbox.put([b"a", score(b"1"), b"b"])
    outbox.put([score(b"x" * 20)])
    assert outbox.is_above
    assert (outbox.size, outbox.dropped) == (22, 1)
    assert drain(outbox) == b"ab" + b"x" * 20


def test_the_close_is_kept_whatever_the_bounds_say() -> None:
    outbox = make(1, 2)
    outbox.put([b"aa"])
    outbox.append(b"close")
    assert outbox.size == 7
    assert drain(outbox) == b"aaclose"


@pytest.mark.parametrize("bounds", [(None, 1_000_000), (1_000_000, None), (None, None)])
def test_without_a_bound_nothing_is_too_much(bounds: tuple[int | None, int | None]) -> None:
    outbox = make(*bounds)
    outbox.put([b"x"] * 5_000)
    assert not outbox.is_above


def test_after_being_written_it_takes_as_much_again() -> None:
    outbox = make(2, 4)
    for _ in range(3):
        outbox.put([b"aa", b"bb"])
        assert not outbox.is_above
        assert drain(outbox, step=3) == b"aabb"


def test_replaced_frames_take_no_memory_for_long() -> None:
    outboxes = Outboxes(Limits())
    outbox = make(10, 100, outboxes)
    for at in range(5_000):
        outbox.put([score(b"%d" % at)])
    assert len(outbox._frames) < 100
    assert outboxes.bytes < 100 * (4 + COST)
    assert (drain(outbox), outbox.dropped) == (b"4999", 4_999)
    assert outboxes.bytes == 0


def test_a_cleared_outbox_is_empty() -> None:
    outboxes = Outboxes(Limits())
    outbox = make(2, 4, outboxes)
    outbox.begin(b"x")
    outbox.put([score(b"1"), b"b"])
    outbox.clear()
    assert (outbox.size, outbox.next_bytes(), outboxes.bytes) == (0, b"", 0)
    outbox.sent(1)  # of the frame that was begun: its write ends after the outbox was cleared
    assert outbox.size == 0
    outbox.put([score(b"2"), b"c"])
    assert not outbox.is_above
    assert drain(outbox) == b"2c"


def test_dropping_what_waits_leaves_the_frame_that_is_being_sent() -> None:
    outboxes = Outboxes(Limits())
    outbox = make(10, 100, outboxes)
    outbox.begin(b"xrest", 1)
    outbox.put([b"a", score(b"1"), score(b"2"), b"b"])
    assert outbox.drop_waiting() == 3
    assert (outbox.size, outboxes.bytes) == (4, 5 + COST)
    outbox.append(b"close")
    assert drain(outbox) == b"restclose"
    assert outboxes.bytes == 0


def test_a_large_frame_is_not_copied_while_it_is_sent_to_many() -> None:
    outboxes, frame = Outboxes(Limits()), b"x" * 1_000_000
    all = [make(None, None, outboxes) for _ in range(100)]
    for number, outbox in enumerate(all):
        if number % 2:
            outbox.begin(frame, number)
        else:
            outbox.put([frame])
            assert outbox.next_bytes() is frame
    assert outboxes.bytes == len(frame) + FRAME_BYTES + 100 * PLACE_BYTES
    for outbox in all:
        outbox.sent(500_000)
        rest = outbox.next_bytes()
        assert isinstance(rest, memoryview)
        assert rest.obj is frame
        outbox.sent(len(rest))
    assert outboxes.bytes == 0


def test_size_is_what_goes_out_whatever_was_put() -> None:
    rng = random.Random(9)
    for _ in range(300):
        outboxes = Outboxes(Limits())
        outbox, begun, waiting, lost = make(None, None, outboxes), b"", [], 0
        for at in range(rng.randrange(60)):
            data = b"<%d>" % at
            chance = rng.random()
            if chance < 0.2:
                outbox.put([VolatileFrame(data)])
                lost += 1
            elif chance < 0.6:
                key = rng.choice("ab")
                kept = [each for each in waiting if each[0] != key]
                lost += len(waiting) - len(kept)
                waiting = [*kept, (key, data)]
                outbox.put([score(data, key)])
            elif chance < 0.9:
                waiting.append((None, data))
                outbox.put([data])
            else:  # a write takes all waiting frames, unless a piece of the last write is left
                begun, waiting = (begun, waiting) if begun else (b"".join(data for _, data in waiting), [])
                assert outbox.next_bytes() == begun
                taken = rng.randrange(len(begun) + 1)
                outbox.sent(taken)
                begun = begun[taken:]
            assert outbox.size == len(begun) + sum(len(data) for _, data in waiting)
        assert drain(outbox) == begun + b"".join(data for _, data in waiting)
        assert outbox.dropped == lost
        assert outboxes.bytes == 0
