"""The fan-out: every member sees the same order, in as few pieces as possible."""

import random

import pytest

from simplysocket import fanout
from simplysocket.fanout import Fanout


class Member:
    """Collects what is delivered, and counts the pieces."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.got: list[bytes] = []
        self.pieces: list[list[bytes]] = []

    def deliver(self, data: bytes, frames: list[bytes], start: int = 0, /) -> None:
        piece = frames[start:]
        assert data == b"".join(piece), "the joined bytes and the frames are the same"
        assert piece, "no empty piece is delivered"
        self.pieces.append(piece)
        self.got += piece

    def __repr__(self) -> str:
        return f"Member({self.name})"


class Schedule:
    """A fan-out under random steps, and the frames that each member should have received."""

    def __init__(self, rng: random.Random, size: int) -> None:
        self.rng = rng
        self.fanout = Fanout()
        self.members = {number: Member(str(number)) for number in range(size)}
        self.expected: dict[Member, list[bytes]] = {member: [] for member in self.members.values()}
        self.count = size
        self.log: list[object] = []

    def frame(self) -> bytes:
        self.count += 1
        return b"<%d>" % self.count

    def some(self) -> Member | None:
        return self.rng.choice(list(self.members.values())) if self.members else None

    def add(self) -> None:
        frame = self.frame()
        left_out: list[Member] = []
        if self.members and self.rng.random() < 0.4:
            left_out = self.rng.choices(list(self.members.values()), k=self.rng.randrange(1, 3))  # even one twice
        self.fanout.add(frame, left_out)
        for member in self.members.values():
            if member not in left_out:
                self.expected[member].append(frame)

    def direct(self) -> None:
        """Send to one member alone, after the frames that the room has sent it."""
        member = self.some()
        if member is not None:
            frame = self.frame()
            if self.rng.random() < 0.5:
                self.fanout.catch_up(member)
                member.deliver(frame, [frame])
            else:
                frames = [*self.fanout.take(member), frame]
                member.deliver(b"".join(frames), frames)
            self.expected[member].append(frame)
            assert member.got == self.expected[member], "a direct message comes after the frames before it"

    def join(self) -> None:
        gone = [each for each in self.expected if each not in self.members.values()]
        if gone and self.rng.random() < 0.5:
            member = self.rng.choice(gone)  # the same client comes back
        else:
            member = Member(f"joined at {self.count}")
            self.expected[member] = []
        self.count += 1
        self.members[self.count] = member
        self.fanout.joined(member)

    def leave(self) -> None:
        if self.members:
            member = self.members.pop(self.rng.choice(list(self.members)))
            self.fanout.left(member)
            assert member.got == self.expected[member], "a member that leaves has received all frames before that"

    def flush(self) -> None:
        more = self.fanout.flush(self.members.values())
        assert more == self.fanout.is_pending

    def finish(self) -> None:
        while self.fanout.flush(self.members.values()):
            pass
        assert not self.fanout.is_pending
        for member, expected in self.expected.items():
            assert member.got == expected, (member, self.log)


def test_in_3000_random_schedules_every_member_sees_the_order_of_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 3)
    names = ["add", "add", "add", "direct", "join", "leave", "flush", "flush"]
    for seed in range(3_000):
        rng = random.Random(seed)
        schedule = Schedule(rng, rng.choice([0, 1, 2, 3, 4, 7, 10]))
        schedule.log.append(seed)
        for _ in range(rng.randrange(5, 40)):
            name = rng.choice(names)
            schedule.log.append(name)
            getattr(schedule, name)()
        schedule.finish()


def test_all_frames_of_a_tick_go_to_a_member_in_one_piece() -> None:
    room, members = Fanout(), [Member(), Member()]
    for frame in (b"a", b"b", b"c"):
        room.add(frame)
    assert room.is_pending
    assert not room.flush(members)
    assert [member.pieces for member in members] == [[[b"a", b"b", b"c"]]] * 2


def test_the_frames_of_a_tick_are_joined_once_for_all() -> None:
    seen: list[bytes] = []

    class Keeper(Member):
        def deliver(self, data: bytes, frames: list[bytes], start: int = 0, /) -> None:
            seen.append(data)

    room = Fanout()
    room.add(b"a")
    room.add(b"b")
    room.flush([Keeper(), Keeper(), Keeper()])
    assert seen[0] == b"ab"
    assert all(data is seen[0] for data in seen)


def test_replies_to_one_do_not_break_the_batch_of_the_others() -> None:
    room, asker, others = Fanout(), Member(), [Member() for _ in range(5)]
    for at in range(10):
        room.add(b"said %d" % at)
        room.catch_up(asker)
        asker.deliver(b"reply", [b"reply"])
    room.flush([asker, *others])
    assert [len(member.pieces) for member in others] == [1] * 5
    assert [len(member.got) for member in others] == [10] * 5
    assert asker.got == [frame for at in range(10) for frame in (b"said %d" % at, b"reply")]


def test_whoever_is_left_out_keeps_the_order_of_the_rest() -> None:
    room, left_out, other = Fanout(), Member(), Member()
    room.add(b"a")
    room.add(b"b", [left_out])
    room.add(b"c")
    room.flush([left_out, other])
    assert left_out.got == [b"a", b"c"]
    assert other.pieces == [[b"a", b"b", b"c"]]


def test_a_frame_for_nobody_wakes_nobody() -> None:
    room, member = Fanout(), Member()
    room.add(b"a", [member])
    room.flush([member])
    assert member.pieces == []


def test_whoever_joins_gets_only_what_comes_after() -> None:
    room, early, late = Fanout(), Member(), Member()
    room.add(b"a")
    room.joined(late)
    room.add(b"b")
    room.flush([early, late])
    assert (early.got, late.got) == ([b"a", b"b"], [b"b"])


def test_whoever_leaves_has_had_all_that_came_before() -> None:
    room, leaver = Fanout(), Member()
    room.add(b"a")
    room.left(leaver)
    room.add(b"b")
    room.flush([])
    assert leaver.got == [b"a"]


def test_what_was_taken_counts_as_sent() -> None:
    room, member = Fanout(), Member()
    room.add(b"a")
    assert room.take(member) == [b"a"]
    assert room.take(member) == []
    room.flush([member])
    assert member.got == []


def test_nothing_said_is_nothing_sent() -> None:
    room, member = Fanout(), Member()
    room.catch_up(member)
    assert not room.is_pending
    assert not room.flush([member])
    assert member.pieces == []


def test_a_very_large_room_is_served_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 3)
    room, members = Fanout(), [Member() for _ in range(8)]
    room.add(b"a")
    served = []
    while room.flush(members):
        served.append(sum(bool(member.got) for member in members))
    assert served == [3, 6]
    assert [member.pieces for member in members] == [[[b"a"]]] * 8


def test_a_room_of_one_slice_is_served_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 3)
    room, members = Fanout(), [Member() for _ in range(3)]
    room.add(b"a")
    assert not room.flush(members)
    assert all(member.got for member in members)


def test_the_next_frames_wait_for_the_last_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 3)
    room, members = Fanout(), [Member() for _ in range(5)]
    room.add(b"a")
    assert room.flush(members)
    room.add(b"b")
    assert room.flush(members)  # the last slice of "a"; "b" still waits
    assert [member.got for member in members] == [[b"a"]] * 5
    while room.flush(members):
        pass
    assert [member.got for member in members] == [[b"a", b"b"]] * 5


def test_what_a_member_lacks_of_a_slice_goes_before_its_direct_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 1)
    room, members = Fanout(), [Member(), Member()]
    room.add(b"a")
    room.flush(members)
    room.add(b"b")
    room.catch_up(members[1])
    assert members[1].pieces == [[b"a", b"b"]]
    while room.flush(members):
        pass
    assert members[1].got == [b"a", b"b"]
