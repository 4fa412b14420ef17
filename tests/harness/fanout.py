"""A fan-out with members that note what they are given."""

import msgspec

from simplysocket import Limits
from simplysocket._rooms.charges import Cause
from simplysocket._rooms.fanout import PIECE_BYTES, Fanout
from simplysocket._rooms.pace import Pace
from simplysocket.brokers import Batch
from simplysocket.metrics import Metrics


class Member:
    """Collects what is delivered, and counts the pieces."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.line = None
        self.got: list[bytes] = []
        self.pieces: list[list[bytes]] = []

    def deliver(self, data: bytes, frames: list[bytes], start: int = 0, _: object = None, /) -> None:
        piece = frames[start:]
        assert data == b"".join(piece), "the joined bytes and the frames are the same"
        assert piece, "nothing is delivered in vain"
        self.pieces.append(piece)
        self.got += piece

    def __repr__(self) -> str:
        return f"Member({self.id})"


class FanoutRoom:
    """A fan-out with its members; it counts how often a flush was asked for."""

    def __init__(self, *names: str, piece_bytes: int | None = None) -> None:
        self.members = {name: Member(name) for name in names}
        self.marks = 0
        self.metrics = Metrics()
        self.fanout = Fanout(
            self.members,
            self.metrics,
            mark=self.mark,
            failed=self.fail,
            pace=Pace(Limits()),
            cause=Cause(),
            piece_bytes=piece_bytes or PIECE_BYTES,
        )

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
