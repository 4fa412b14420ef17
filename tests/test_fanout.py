"""The fan-out: every member sees one order, in as few pieces as possible."""

import random
from collections import deque
from collections.abc import Callable

import msgspec
import pytest

from simplysocket._rooms import fanout
from simplysocket._rooms.fanout import Fanout
from simplysocket.brokers import Batch
from simplysocket.metrics import Metrics


class Member:
    """Collects what is delivered, and counts the pieces."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.got: list[bytes] = []
        self.pieces: list[list[bytes]] = []

    def deliver(self, data: bytes, frames: list[bytes], start: int = 0, /) -> None:
        piece = frames[start:]
        assert data == b"".join(piece), "the joined bytes and the frames are the same"
        assert piece, "nothing is delivered in vain"
        self.pieces.append(piece)
        self.got += piece

    def __repr__(self) -> str:
        return f"Member({self.id})"


class Room:
    """A fan-out with its members; it counts how often a flush was asked for."""

    def __init__(self, *names: str) -> None:
        self.members = {name: Member(name) for name in names}
        self.marks = 0
        self.metrics = Metrics()
        self.fanout = Fanout(self.members, self.metrics, mark=self.mark, failed=self.fail)

    def mark(self, _: Fanout) -> None:
        self.marks += 1

    def fail(self, group: BaseExceptionGroup[Exception], batch: Batch) -> None:
        raise group

    def flush(self) -> bool:
        self.fanout.is_marked = False
        return self.fanout.flush()

    def flush_all(self) -> None:
        while self.flush():
            pass

    def join(self, name: str) -> Member:
        member = self.members[name] = Member(name)
        self.fanout.joined(member)
        return member

    def leave(self, name: str) -> Member:
        member = self.members.pop(name)
        self.fanout.left(member)
        return member

    def reply(self, member: Member, frame: bytes) -> None:
        frames = [*self.fanout.take(member), frame]
        member.deliver(b"".join(frames), frames)

    @property
    def got(self) -> list[list[bytes]]:
        return [member.got for member in self.members.values()]


def copy_of(batch: Batch) -> Batch:
    """Return the batch as a broker between machines hands it on: as it was written and read."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch)


class Schedule:
    """Random uses of a room, and next to them what each member should have seen."""

    def __init__(self, rng: random.Random, size: int) -> None:
        self.rng = rng
        self.room = Room(*(str(number) for number in range(size)))
        self.expected: dict[Member, list[bytes]] = {member: [] for member in self.room.members.values()}
        self.on_its_way: deque[Batch] = deque()
        self.count = size
        kind = rng.randrange(3)
        if kind:  # a broker that brings the batches back later, the same ones or copies
            change: Callable[[Batch], Batch] = copy_of if kind == 2 else lambda batch: batch
            self.room.fanout.publish = lambda batch: self.on_its_way.append(change(batch))

    def frame(self) -> bytes:
        self.count += 1
        return b"<%d>" % self.count

    def some(self) -> Member | None:
        return self.rng.choice(list(self.room.members.values())) if self.room.members else None

    def add(self) -> None:
        frame = self.frame()
        left_out: list[Member] = []
        if self.room.members and self.rng.random() < 0.4:
            left_out = self.rng.choices(list(self.room.members.values()), k=self.rng.randrange(1, 3))  # even one twice
        self.room.fanout.add(frame, tuple(member.id for member in left_out))
        for member in self.room.members.values():
            if member not in left_out:
                self.expected[member].append(frame)

    def tell(self) -> None:
        """Say something to one member, in the room's sequence."""
        member = self.some()
        if member is not None:
            frame = self.frame()
            self.room.fanout.add(frame, only=member.id)
            self.expected[member].append(frame)

    def reply(self) -> None:
        """Say something to one member directly, after what the room has said to it."""
        member = self.some()
        if member is not None:
            frame = self.frame()
            self.room.reply(member, frame)
            self.expected[member].append(frame)
            assert member.got == self.expected[member], "a direct message arrives after all that was said before it"

    def join(self) -> None:
        self.count += 1
        member = self.room.join(f"joined {self.count}")
        self.expected[member] = []

    def come_back(self) -> None:
        gone = [each for each in self.expected if each not in self.room.members.values()]
        if gone:
            member = self.rng.choice(gone)
            self.room.members[member.id] = member
            self.room.fanout.joined(member)

    def leave(self) -> None:
        member = self.some()
        if member is not None:
            self.room.leave(member.id)
            assert member.got == self.expected[member], "a member that leaves has had all that was said before"

    def flush(self) -> None:
        self.room.flush()

    def arrive(self) -> None:
        if self.on_its_way:
            batch = self.on_its_way.popleft()
            self.room.fanout.deliver(batch)
            if self.rng.random() < 0.2:
                self.room.fanout.deliver(batch)  # once more: it is dropped

    def finish(self) -> None:
        while self.room.flush() or self.on_its_way:
            self.arrive()
        assert not self.room.fanout.is_pending
        for member, expected in self.expected.items():
            assert member.got == expected, member
        assert self.room.metrics.deliveries <= sum(map(len, self.expected.values()))


def test_in_4000_random_schedules_every_member_sees_the_order_of_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 3)
    steps = [Schedule.add, Schedule.add, Schedule.tell, Schedule.reply, Schedule.join, Schedule.come_back]
    steps += [Schedule.leave, Schedule.flush, Schedule.flush, Schedule.arrive]
    for seed in range(4_000):
        rng = random.Random(seed)
        schedule = Schedule(rng, rng.choice([0, 1, 2, 3, 4, 7, 10]))
        for _ in range(rng.randrange(5, 40)):
            rng.choice(steps)(schedule)
        schedule.finish()


# --- pieces


def test_all_frames_of_a_flush_go_to_a_member_in_one_piece() -> None:
    room = Room("ana", "ben")
    for frame in (b"a", b"b", b"c"):
        room.fanout.add(frame)
    assert room.fanout.is_pending
    assert not room.flush()
    assert [member.pieces for member in room.members.values()] == [[[b"a", b"b", b"c"]]] * 2


def test_the_frames_of_a_flush_are_joined_once_for_all() -> None:
    seen: list[bytes] = []
    room = Room("ana", "ben", "cem")
    for member in room.members.values():
        member.deliver = lambda data, frames, start=0, /: seen.append(data)  # type: ignore[method-assign]
    room.fanout.add(b"a")
    room.fanout.add(b"b")
    room.flush()
    assert seen[0] == b"ab"
    assert all(data is seen[0] for data in seen)


def test_replies_to_one_do_not_break_the_batch_of_the_others() -> None:
    room = Room("asker", "ana", "ben", "cem")
    asker, *others = room.members.values()
    for at in range(10):
        room.fanout.add(b"said %d" % at)
        room.reply(asker, b"reply")
    room.flush()
    assert [len(member.pieces) for member in others] == [1] * 3
    assert [len(member.got) for member in others] == [10] * 3
    assert asker.got == [frame for at in range(10) for frame in (b"said %d" % at, b"reply")]


def test_a_member_that_is_left_out_keeps_the_order_of_the_rest_in_one_piece() -> None:
    room = Room("left-out", "other")
    room.fanout.add(b"a")
    room.fanout.add(b"b", ("left-out",))
    room.fanout.add(b"c")
    room.flush()
    assert [member.pieces for member in room.members.values()] == [[[b"a", b"c"]], [[b"a", b"b", b"c"]]]


def test_a_message_for_one_member_has_its_place_among_the_others() -> None:
    room = Room("ana", "ben")
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
    room = Room("ana", "ben")
    room.fanout.add(b"for ana", only="ana")
    room.flush()
    assert room.got == [[b"for ana"], []]


def test_a_frame_that_is_for_no_member_is_delivered_to_none() -> None:
    room = Room("ana")
    room.fanout.add(b"a", ("ana",))
    room.flush()
    assert room.got == [[]]


def test_a_new_member_gets_only_what_is_said_after_its_join() -> None:
    room = Room("early")
    room.fanout.add(b"a")
    room.join("late")
    room.fanout.add(b"b")
    room.flush()
    assert room.got == [[b"a", b"b"], [b"b"]]


def test_a_member_that_leaves_has_had_all_that_was_said_before() -> None:
    room = Room("leaver")
    room.fanout.add(b"a")
    leaver = room.leave("leaver")
    room.fanout.add(b"b")
    room.flush()
    assert leaver.got == [b"a"]


def test_frames_that_were_taken_count_as_delivered() -> None:
    room = Room("ana")
    room.fanout.add(b"a")
    assert room.fanout.take(room.members["ana"]) == [b"a"]
    assert room.fanout.take(room.members["ana"]) == []
    room.flush()
    assert room.got == [[]]
    assert room.metrics.deliveries == 1


def test_a_room_that_says_nothing_publishes_nothing() -> None:
    room = Room("ana")
    room.fanout.publish = lambda batch: pytest.fail("there is nothing to publish")
    room.leave("ana")
    assert not room.fanout.is_pending
    assert not room.flush()


# --- the channel


def test_a_flush_publishes_one_batch_with_places_exclusions_and_addressees() -> None:
    room, batches = Room("ana", "ben"), []
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
    room, batches = Room("ana"), []
    room.fanout.publish = batches.append
    room.fanout.add(b"a")
    room.flush()
    late = room.join("late")
    assert room.got == [[], []]
    room.fanout.deliver(batches[0])
    room.fanout.deliver(copy_of(batches[0]))
    assert (room.members["ana"].got, late.got) == ([b"a"], [])


def test_a_reply_does_not_overtake_a_batch_that_is_on_its_way() -> None:
    room, batches = Room("ana", "ben"), []
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
    room = Room("ana")
    for _ in range(3):
        room.fanout.add(b"a")
    assert room.marks == 1
    room.flush()
    room.fanout.add(b"b")
    assert room.marks == 2


def test_what_is_said_in_a_turn_goes_out_at_its_end_without_a_mark() -> None:
    room = Room("ana")
    room.fanout.hold()
    room.fanout.add(b"a")
    assert (room.marks, room.got) == (0, [[]])
    room.fanout.release()
    assert (room.marks, room.got) == (0, [[b"a"]])


def test_what_was_said_before_a_handler_waits_is_flushed_meanwhile() -> None:
    room = Room("ana")
    room.fanout.hold()
    room.fanout.add(b"a")
    room.fanout.pause()
    assert room.marks == 1


# --- very large rooms


def large(monkeypatch: pytest.MonkeyPatch, slice_size: int, members: int) -> Room:
    monkeypatch.setattr(fanout, "SLICE", slice_size)
    return Room(*(str(number) for number in range(members)))


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


def test_what_a_member_lacks_of_a_slice_goes_before_its_direct_message(monkeypatch: pytest.MonkeyPatch) -> None:
    room = large(monkeypatch, 1, 2)
    room.fanout.add(b"a")
    room.flush()
    room.fanout.add(b"b")
    room.reply(room.members["1"], b"reply")
    assert room.members["1"].pieces == [[b"a", b"b", b"reply"]]
    room.flush_all()
    assert room.members["1"].got == [b"a", b"b", b"reply"]
