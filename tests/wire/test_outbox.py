"""The outbox: order, bounds and delivery classes of the frames that wait for one client."""

import random

import pytest

from simplysocket._protocol.delivery_classes import CoalescedFrame, VolatileFrame
from simplysocket._wire.outbox import Outbox


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
    outbox = Outbox(10, 100)
    assert outbox.put([b"a", b"bb"])
    assert outbox.put([b"ccc"])
    assert outbox.size == 6
    assert drain(outbox, step=1) == b"abbccc"


def test_only_frames_from_the_start_on_are_kept() -> None:
    outbox = Outbox(10, 100)
    assert outbox.put([b"a", b"b", b"c"], 2)
    assert drain(outbox) == b"c"


def test_a_frame_that_was_begun_is_finished_first() -> None:
    outbox = Outbox(10, 100)
    outbox.begin(b"rest")
    assert outbox.put([b"next"])
    assert outbox.size == 8
    assert outbox.next_bytes() == b"rest"
    outbox.sent(3)
    assert outbox.next_bytes() == b"t"
    assert drain(outbox) == b"tnext"


def test_a_coalesced_frame_that_was_begun_is_not_replaced() -> None:
    outbox = Outbox(10, 100)
    outbox.put([score(b"1111")])
    outbox.sent(len(outbox.next_bytes()) - 2)
    outbox.put([score(b"2222")])
    assert drain(outbox) == b"112222"
    assert outbox.dropped == 0


def test_a_write_takes_whole_frames_of_about_the_size_asked_for() -> None:
    outbox = Outbox(None, None)
    outbox.put([b"x" * 30] * 10)
    assert len(outbox.next_bytes(50)) == 60
    assert len(drain(outbox, 50)) == 300


def test_a_volatile_frame_never_waits() -> None:
    outbox = Outbox(10, 100)
    assert outbox.put([b"a", VolatileFrame(b"position"), b"b"])
    assert (outbox.size, outbox.dropped) == (2, 1)
    assert drain(outbox) == b"ab"


def test_a_volatile_frame_is_not_refused_by_a_full_outbox() -> None:
    outbox = Outbox(1, 100)
    outbox.put([b"a"])
    assert outbox.put([VolatileFrame(b"v")])


def test_of_coalesced_frames_with_one_key_only_the_newest_waits() -> None:
    outbox = Outbox(10, 100)
    assert outbox.put([score(b"1"), b"a", score(b"x", "other"), score(b"22"), b"b", score(b"333")])
    assert (outbox.size, outbox.dropped) == (6, 2)
    assert drain(outbox) == b"axb333"


def test_the_same_coalesced_frame_twice_goes_out_once() -> None:
    outbox, frame = Outbox(10, 100), score(b"1")
    assert outbox.put([frame, frame])
    assert drain(outbox) == b"1"
    assert (outbox.size, outbox.dropped) == (0, 1)


def test_a_frame_beyond_the_number_is_refused() -> None:
    outbox = Outbox(2, None)
    assert outbox.put([b"a", b"b"])
    assert not outbox.put([b"c"])
    assert drain(outbox) == b"ab"


def test_a_frame_beyond_the_bytes_is_refused() -> None:
    outbox = Outbox(None, 4)
    assert outbox.put([b"aa", b"bb"])
    assert not outbox.put([b"c"])
    assert drain(outbox) == b"aabb"


def test_the_begun_frame_counts_towards_the_bytes() -> None:
    outbox = Outbox(None, 4)
    outbox.begin(b"abc")
    assert outbox.put([b"d"])
    assert not outbox.put([b"e"])


def test_behind_a_refused_frame_nothing_is_kept() -> None:
    outbox = Outbox(None, 4)
    assert not outbox.put([b"aa", b"bbb", b"c"])
    assert drain(outbox) == b"aa"


def test_one_frame_alone_may_be_larger_than_the_bound() -> None:
    outbox = Outbox(1, 4)
    assert outbox.put([b"large frame"])
    assert not outbox.put([b"b"])


def test_a_replaced_frame_makes_room_for_the_newer_one() -> None:
    outbox = Outbox(1, 4)
    assert outbox.put([score(b"1111")])
    assert outbox.put([score(b"2222")])
    assert drain(outbox) == b"2222"


def test_a_refused_coalesced_frame_leaves_the_older_one_in_its_place() -> None:
    outbox = Outbox(10, 10)
    assert outbox.put([b"a", score(b"1"), b"b"])
    assert not outbox.put([score(b"x" * 20)])
    assert outbox.size == 3
    assert drain(outbox) == b"a1b"


def test_the_close_is_kept_whatever_the_bounds_say() -> None:
    outbox = Outbox(1, 2)
    outbox.put([b"aa"])
    assert not outbox.put([b"b"])
    outbox.append(b"close")
    assert outbox.size == 7
    assert drain(outbox) == b"aaclose"


@pytest.mark.parametrize("bounds", [(None, 1_000_000), (1_000_000, None), (None, None)])
def test_without_a_bound_nothing_is_refused(bounds: tuple[int | None, int | None]) -> None:
    assert Outbox(*bounds).put([b"x"] * 5_000)


def test_after_being_written_it_takes_as_much_again() -> None:
    outbox = Outbox(2, 4)
    for _ in range(3):
        assert outbox.put([b"aa", b"bb"])
        assert drain(outbox, step=3) == b"aabb"


def test_replaced_frames_take_no_memory_for_long() -> None:
    outbox = Outbox(10, 100)
    for at in range(5_000):
        assert outbox.put([score(b"%d" % at)])
    assert len(outbox._frames) < 100
    assert (drain(outbox), outbox.dropped) == (b"4999", 4_999)


def test_a_cleared_outbox_is_empty() -> None:
    outbox = Outbox(2, 4)
    outbox.begin(b"x")
    outbox.put([score(b"1"), b"b"])
    outbox.clear()
    assert (outbox.size, outbox.next_bytes()) == (0, b"")
    assert outbox.put([score(b"2"), b"c"])
    assert drain(outbox) == b"2c"


def test_size_is_what_goes_out_whatever_was_put() -> None:
    rng = random.Random(9)
    for _ in range(300):
        outbox, begun, waiting, lost = Outbox(None, None), b"", [], 0
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
