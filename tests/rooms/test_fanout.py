"""The fan-out: every member sees one order, in as few pieces as possible."""

import pytest

from simplysocket._rooms import fanout
from simplysocket.brokers import Batch

from ..harness.fanout import FanoutRoom, copy_of

# --- pieces


def test_all_frames_of_a_flush_go_to_a_member_in_one_piece() -> None:
    room = FanoutRoom("ana", "ben")
    for frame in (b"a", b"b", b"c"):
        room.fanout.add(frame)
    assert room.fanout.is_pending
    assert not room.flush()
    assert [member.pieces for member in room.members.values()] == [[[b"a", b"b", b"c"]]] * 2


def test_the_frames_of_a_flush_are_joined_once_for_all() -> None:
    seen: list[bytes] = []
    room = FanoutRoom("ana", "ben", "cem")
    for member in room.members.values():
        member.deliver = lambda data, frames, start=0, /: seen.append(data)  # type: ignore[method-assign]
    room.fanout.add(b"a")
    room.fanout.add(b"b")
    room.flush()
    assert seen[0] == b"ab"
    assert all(data is seen[0] for data in seen)


def test_replies_to_one_do_not_break_the_batch_of_the_others() -> None:
    room = FanoutRoom("asker", "ana", "ben", "cem")
    asker, *others = room.members.values()
    for at in range(10):
        room.fanout.add(b"said %d" % at)
        room.reply(asker, b"reply")
    room.flush()
    assert [len(member.pieces) for member in others] == [1] * 3
    assert [len(member.got) for member in others] == [10] * 3
    assert asker.got == [frame for at in range(10) for frame in (b"said %d" % at, b"reply")]


def test_a_member_that_is_left_out_keeps_the_order_of_the_rest_in_one_piece() -> None:
    room = FanoutRoom("left-out", "other")
    room.fanout.add(b"a")
    room.fanout.add(b"b", ("left-out",))
    room.fanout.add(b"c")
    room.flush()
    assert [member.pieces for member in room.members.values()] == [[[b"a", b"c"]], [[b"a", b"b", b"c"]]]


def test_a_message_for_one_member_has_its_place_among_the_others() -> None:
    room = FanoutRoom("ana", "ben")
    room.fanout.add(b"a")
    room.fanout.add(b"for ana", only="ana")
    room.fanout.add(b"b")
    room.fanout.add(b"for ben", only="ben")
    room.flush()
    assert [member.pieces for member in room.members.values()] == [
        [[b"a", b"for ana", b"b"]],
        [[b"a", b"b", b"for ben"]],
    ]


def test_a_message_for_one_member_wakes_no_other() -> None:
    room = FanoutRoom("ana", "ben")
    room.fanout.add(b"for ana", only="ana")
    room.flush()
    assert room.got == [[b"for ana"], []]


def test_a_frame_that_is_for_no_member_is_delivered_to_none() -> None:
    room = FanoutRoom("ana")
    room.fanout.add(b"a", ("ana",))
    room.flush()
    assert room.got == [[]]


def test_a_new_member_gets_only_what_is_said_after_its_join() -> None:
    room = FanoutRoom("early")
    room.fanout.add(b"a")
    room.join("late")
    room.fanout.add(b"b")
    room.flush()
    assert room.got == [[b"a", b"b"], [b"b"]]


def test_a_member_that_leaves_has_had_all_that_was_said_before() -> None:
    room = FanoutRoom("leaver")
    room.fanout.add(b"a")
    leaver = room.leave("leaver")
    room.fanout.add(b"b")
    room.flush()
    assert leaver.got == [b"a"]


def test_frames_that_were_taken_count_as_delivered() -> None:
    room = FanoutRoom("ana")
    room.fanout.add(b"a")
    assert room.fanout.take(room.members["ana"]) == [b"a"]
    assert room.fanout.take(room.members["ana"]) == []
    room.flush()
    assert room.got == [[]]
    assert room.metrics.deliveries == 1


def test_a_room_that_says_nothing_publishes_nothing() -> None:
    room = FanoutRoom("ana")
    room.fanout.publish = lambda batch: pytest.fail("there is nothing to publish")
    room.leave("ana")
    assert not room.fanout.is_pending
    assert not room.flush()


# --- the channel


def test_a_flush_publishes_one_batch_with_places_exclusions_and_addressees() -> None:
    room, batches = FanoutRoom("ana", "ben"), []
    room.fanout.publish = batches.append
    room.fanout.add(b"a")
    room.fanout.add(b"b", ("ana",))
    room.fanout.add(b"c", only="ben")
    room.flush()
    room.fanout.add(b"d")
    room.flush()
    assert batches == [
        Batch(0, [b"a", b"b", b"c"], {1: ("ana",)}, {2: "ben"}),
        Batch(3, [b"d"], {}, {}),
    ]


def test_a_batch_that_comes_back_later_is_delivered_then_and_once() -> None:
    room, batches = FanoutRoom("ana"), []
    room.fanout.publish = batches.append
    room.fanout.add(b"a")
    room.flush()
    late = room.join("late")
    assert room.got == [[], []]
    room.fanout.deliver(batches[0])
    room.fanout.deliver(copy_of(batches[0]))
    assert (room.members["ana"].got, late.got) == ([b"a"], [])


def test_a_reply_does_not_overtake_a_batch_that_is_on_its_way() -> None:
    room, batches = FanoutRoom("ana", "ben"), []
    room.fanout.publish = batches.append
    room.fanout.add(b"a")
    room.flush()
    room.fanout.add(b"b")
    room.reply(room.members["ana"], b"reply")
    room.flush()
    for batch in batches:
        room.fanout.deliver(batch)
    assert room.got == [[b"a", b"b", b"reply"], [b"a", b"b"]]


# --- turns and marks


def test_a_flush_is_asked_for_once_until_it_comes() -> None:
    room = FanoutRoom("ana")
    for _ in range(3):
        room.fanout.add(b"a")
    assert room.marks == 1
    room.flush()
    room.fanout.add(b"b")
    assert room.marks == 2


def test_what_is_said_in_a_turn_goes_out_at_its_end_without_a_mark() -> None:
    room = FanoutRoom("ana")
    room.fanout.hold()
    room.fanout.add(b"a")
    assert (room.marks, room.got) == (0, [[]])
    room.fanout.release()
    assert (room.marks, room.got) == (0, [[b"a"]])


def test_what_was_said_before_a_handler_waits_is_flushed_meanwhile() -> None:
    room = FanoutRoom("ana")
    room.fanout.hold()
    room.fanout.add(b"a")
    room.fanout.pause()
    assert room.marks == 1


# --- very large rooms


def large(monkeypatch: pytest.MonkeyPatch, slice_size: int, members: int) -> FanoutRoom:
    monkeypatch.setattr(fanout, "SLICE", slice_size)
    return FanoutRoom(*(str(number) for number in range(members)))


def test_a_very_large_room_is_served_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    room = large(monkeypatch, 3, 8)
    room.fanout.add(b"a")
    served = []
    while room.flush():
        served.append(sum(map(bool, room.got)))
    assert served == [3, 6]
    assert [member.pieces for member in room.members.values()] == [[[b"a"]]] * 8


def test_a_very_large_room_is_not_served_at_the_end_of_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    room = large(monkeypatch, 3, 8)
    for _ in range(5):
        room.fanout.hold()
        room.fanout.add(b"a")
        room.fanout.release()
    assert (room.marks, sum(map(bool, room.got))) == (1, 0)


def test_a_room_of_one_slice_is_served_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    room = large(monkeypatch, 3, 3)
    room.fanout.add(b"a")
    assert not room.flush()
    assert room.got == [[b"a"]] * 3


def test_the_next_frames_wait_for_the_last_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    room = large(monkeypatch, 3, 5)
    room.fanout.add(b"a")
    assert room.flush()
    room.fanout.add(b"b")
    assert room.flush()  # the last slice of "a"; "b" still waits
    assert room.got == [[b"a"]] * 5
    room.flush_all()
    assert room.got == [[b"a", b"b"]] * 5


# --- much at once


def served_bytes(room: FanoutRoom) -> int:
    return sum(len(frame) for got in room.got for frame in got)


def test_what_a_room_says_at_once_reaches_a_member_a_quarter_of_its_outbox_a_flush() -> None:
    room = FanoutRoom("ana", "ben")
    frames = [bytes([at]) * 65_000 for at in range(20)]
    for frame in frames:
        room.fanout.add(frame)
    while room.flush():
        pass
    for member in room.members.values():
        assert member.got == frames
        assert [len(piece) for piece in member.pieces] == [4] * 5  # 4 * 65,000 <= 262,144


def test_a_flush_is_bounded_in_bytes_times_members() -> None:
    room = FanoutRoom(*(str(number) for number in range(300)))
    frames = [b"x" * 100_000, b"y" * 100_000]
    for frame in frames:
        room.fanout.add(frame)
    before, more = 0, True
    while more:
        more = room.flush()
        assert 0 < served_bytes(room) - before <= fanout.SLICE_BYTES
        before = served_bytes(room)
    assert room.got == [frames] * 300
    assert [len(member.pieces) for member in room.members.values()] == [1] * 300


def test_a_frame_larger_than_the_bounds_is_delivered_to_one_member_a_flush() -> None:
    room = FanoutRoom("ana", "ben")
    frame = b"x" * (fanout.SLICE_BYTES + 1)
    room.fanout.add(b"a")
    room.fanout.add(frame)
    room.fanout.add(b"b")
    room.flush_all()
    assert room.got == [[b"a", frame, b"b"]] * 2


def test_much_that_is_said_in_a_turn_asks_for_a_flush_once() -> None:
    room = FanoutRoom("ana")
    for _ in range(3):
        room.fanout.hold()
        room.fanout.add(b"x" * 200_000)
        room.fanout.add(b"y" * 200_000)
        room.fanout.release()
    assert room.marks == 1
    assert len(room.members["ana"].pieces) == 1
    room.flush_all()
    assert room.members["ana"].got == [b"x" * 200_000, b"y" * 200_000] * 3


def test_much_for_some_members_keeps_its_order_in_pieces() -> None:
    room = FanoutRoom("ana", "ben", "cem", piece_bytes=30_000)
    expected: dict[str, list[bytes]] = {"ana": [], "ben": [], "cem": []}
    for at in range(12):
        frame = bytes([at]) * 9_000
        excluded, only = [((), None), (("ana",), None), ((), "ben")][at % 3]
        room.fanout.add(frame, excluded, only)
        for id, frames in expected.items():
            if only == id or (only is None and id not in excluded):
                frames.append(frame)
        if at == 7:
            room.join("dan")
            expected["dan"] = []
    room.flush_all()
    assert {member.id: member.got for member in room.members.values()} == expected


def test_who_joins_or_leaves_while_much_is_delivered_gets_what_is_its_own() -> None:
    room = FanoutRoom("ana", "ben")
    frames = [bytes([at]) * 200_000 for at in range(4)]
    for frame in frames:
        room.fanout.add(frame)
    assert room.flush()
    late = room.join("late")
    ben = room.leave("ben")
    room.fanout.add(b"next")
    assert room.fanout.take(room.members["ana"]) == [*frames[1:], b"next"]
    room.flush_all()
    assert (ben.got, late.got) == (frames, [b"next"])
    assert not room.fanout.is_pending


def test_what_a_member_lacks_of_a_slice_goes_before_its_direct_message(monkeypatch: pytest.MonkeyPatch) -> None:
    room = large(monkeypatch, 1, 2)
    room.fanout.add(b"a")
    room.flush()
    room.fanout.add(b"b")
    room.reply(room.members["1"], b"reply")
    assert room.members["1"].pieces == [[b"a", b"b", b"reply"]]
    room.flush_all()
    assert room.members["1"].got == [b"a", b"b", b"reply"]
