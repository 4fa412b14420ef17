"""The fan-out under random use: joins, leaves, replies, slices, and brokers that bring batches back late."""

import random
from collections import deque
from collections.abc import Callable

import pytest

from simplysocket._rooms import fanout
from simplysocket.brokers import Batch

from ..harness.fanout import FanoutRoom, Member, copy_of


class Schedule:
    """Random uses of a room, and next to them what each member should have seen."""

    def __init__(self, rng: random.Random, size: int) -> None:
        self.rng = rng
        self.room = FanoutRoom(*(str(number) for number in range(size)))
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


@pytest.mark.parametrize("slice_bytes", [fanout.SLICE_BYTES, 30])
def test_in_4000_random_schedules_every_member_sees_the_order_of_sending(
    slice_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SLICE", 3)
    monkeypatch.setattr(fanout, "SLICE_BYTES", slice_bytes)
    monkeypatch.setattr(fanout, "_LIGHT", slice_bytes // 3)
    monkeypatch.setattr("tests.harness.fanout.PIECE_BYTES", slice_bytes // 2)
    steps = [Schedule.add, Schedule.add, Schedule.tell, Schedule.reply, Schedule.join, Schedule.come_back]
    steps += [Schedule.leave, Schedule.flush, Schedule.flush, Schedule.arrive]
    for seed in range(4_000):
        rng = random.Random(seed)
        schedule = Schedule(rng, rng.choice([0, 1, 2, 3, 4, 7, 10]))
        for _ in range(rng.randrange(5, 40)):
            rng.choice(steps)(schedule)
        schedule.finish()
