"""A writer with a ring, over a wire that takes what it likes and breaks anywhere: nothing is lost, nothing comes twice.

The frames here are one byte with the length, and the payload.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from simplysocket import Limits
from simplysocket._protocol.delivery_classes import CoalescedFrame, UncountedFrame, VolatileFrame
from simplysocket._wire.outboxes import Outboxes
from simplysocket._wire.ring import Ring
from simplysocket._wire.writer import Writer
from simplysocket.metrics import Metrics

CLOSE = b"\x05close"
GAP = b"gap"


def framed(payload: bytes) -> bytes:
    return bytes((len(payload),)) + payload


def plain(number: int, *, size: int = 0) -> bytes:
    return framed(b"p%d." % number + b"x" * size)


def volatile(number: int) -> bytes:
    return VolatileFrame(framed(b"v%d." % number))


def uncounted(number: int) -> bytes:
    return UncountedFrame(framed(b"u%d." % number))


def coalesced(number: int, *, key: str = "a") -> bytes:
    return CoalescedFrame.of(framed(b"c%d.%s" % (number, key.encode())), key)


class Wire:
    """A transport that takes so many bytes as it has `room` for, until it breaks."""

    chunk = 16

    def __init__(self, *, sends_now: bool, room: int) -> None:
        self.sends_now = sends_now
        self.send_now = self._send_now
        self.room = room
        self.taken = b""
        self.is_broken = False
        self._changed = trio.Event()

    def change(self, *, room: int = 0, is_broken: bool = False) -> None:
        self.room += room
        self.is_broken = self.is_broken or is_broken
        self._changed.set()
        self._changed = trio.Event()

    def _send_now(self, data: bytes) -> int:
        if self.is_broken:
            raise ConnectionResetError
        if not self.sends_now or not self.room:
            raise BlockingIOError
        return self._take(data)

    async def send_some(self, data: bytes | memoryview) -> int:
        while not self.room and not self.is_broken:
            await self._changed.wait()
        if self.is_broken:
            raise BrokenPipeError
        return self._take(data[: self.chunk])

    def _take(self, data: bytes | memoryview) -> int:
        part = bytes(data[: self.room])
        self.taken += part
        self.room -= len(part)
        return len(part)


class Server:
    """One client's frames, as a server says them: over a connection, or without one."""

    def __init__(self, nursery: trio.Nursery, limits: Limits) -> None:
        self.nursery = nursery
        self.limits = limits
        self.outboxes = Outboxes(limits)
        self.ring = Ring(limits, self.outboxes, Metrics())
        self.wire: Wire | None = None
        self.writer: Writer | None = None
        self.is_open = False

    def connect(self, wire: Wire, replay: Sequence[bytes] = ()) -> None:
        self.wire = wire
        self.is_open = True
        self.writer = Writer(self, wire, self.limits, Metrics(), self.outboxes)  # type: ignore[arg-type]
        self.writer.count_in(self.ring)
        self.deliver(uncounted(0))  # such as `welcome`
        if replay:
            self.writer.deliver_replay(replay)

    def deliver(self, *frames: bytes) -> None:
        say = self.ring.wait if self.writer is None else self.writer.deliver_counted
        say(b"".join(frames), list(frames))

    def lose(self) -> None:
        """The connection ends."""
        if self.writer is not None:
            self.writer.stop()
        self.writer = self.wire = None

    # --- the owner of the writer

    def start_pump(self) -> None:
        assert self.writer is not None
        self.nursery.start_soon(self._pump, self.writer)

    async def _pump(self, writer: Writer) -> None:
        try:
            await writer.pump()
        except OSError:
            if self.writer is writer:
                self.broken()

    def close(self) -> None:
        if self.writer is not None and self.is_open:
            self.is_open = False
            self.writer.seal(CLOSE)

    too_slow = close

    def broken(self) -> None:
        if self.writer is not None:
            self.is_open = False
            self.writer.stop()

    stalled = broken

    def end_if_both_closed(self) -> None: ...


class Client:
    """What a client has read. `received` counts as the protocol says."""

    def __init__(self) -> None:
        self.received = 0
        self.got: list[bytes] = []

    def read(self, taken: bytes) -> None:
        """Read whole frames up to the Close."""
        while taken and len(taken) > taken[0]:
            frame, taken = taken[: taken[0] + 1], taken[taken[0] + 1 :]
            if frame == CLOSE:
                assert not taken
                return
            if frame[1:2] != b"u":
                self.received += 1
                self.got.append(frame)


async def come_back(server: Server, client: Client, wire: Wire) -> None:
    """Go on over another wire, or be told of a gap."""
    frames = server.ring.rewind(client.received)
    if frames is None:
        client.got.append(GAP)
        server.ring.clear(client.received)
    server.connect(wire, frames or ())
    await wait_all_tasks_blocked()


async def run_steps(steps: list[tuple[str, Any]], limits: Limits, *, sends_now: bool) -> list[bytes]:
    """Say numbered frames while the connection suffers what the steps say; check and return what the client got."""
    said: list[list[bytes]] = [[]]  # a list for each gap, and one more
    async with trio.open_nursery() as nursery:
        server, client, number = Server(nursery, limits), Client(), 0
        old: list[Writer] = []  # of connections that were taken over
        server.connect(Wire(sends_now=sends_now, room=100))
        for what, value in steps:
            wire, writer = server.wire, server.writer
            if what == "return":
                if wire is not None and writer is not None:  # a takeover: the client reads no more of the old wire
                    client.read(wire.taken[: value[0] * len(wire.taken) // 4])
                    writer.hand_over()
                    server.close()
                    old.append(writer)
                await come_back(server, client, Wire(sends_now=sends_now, room=value[1]))
                said += [[]] * (1 + client.got.count(GAP) - len(said))
                assert client.received <= server.ring.sent
            elif what.startswith("say"):
                frames = [kind(number + at) for at, kind in enumerate(value, 1)]
                number += len(frames)
                said[-1] = [*said[-1], *frames]
                if what == "say corked" and writer is not None:
                    writer.cork()
                    for frame in frames:
                        server.deliver(frame)
                    writer.uncork()
                elif frames:
                    server.deliver(*frames)
            elif wire is None or writer is None:
                continue
            elif what == "room":
                wire.change(room=value)
                await wait_all_tasks_blocked()
            elif what == "break":  # this is seen when something is sent the next time
                wire.change(is_broken=True)
            elif what == "close":
                server.close()
            elif what == "slow":
                writer.too_slow()
            elif what == "farewell":  # the connection is cancelled, or fails: one last write, of which a part arrives
                last_words = writer.last_bytes(CLOSE) if server.is_open else b""
                if not wire.is_broken:
                    wire.taken += last_words[: value * len(last_words) // 4]
                wire.change(is_broken=True)  # the write pump was cancelled before
                server.broken()
            elif what == "lose":
                client.read(wire.taken[: value * len(wire.taken) // 4])
                server.lose()
            assert server.ring.frames <= (limits.resume_frames or 10**9)
            assert server.ring.bytes <= (limits.resume_bytes or 10**9)
        for _ in range(3):  # with narrow bounds a replay is too much at once, and ends in a gap
            if server.wire is not None:
                client.read(server.wire.taken)
                server.lose()
            last = Wire(sends_now=sends_now, room=10**9)
            await come_back(server, client, last)
        client.read(last.taken)
        said += [[]] * (1 + client.got.count(GAP) - len(said))
        assert server.is_open
        for writer in old:
            writer.stop()
        assert server.ring.sent == client.received
        assert server.ring.acknowledge(client.received)
        assert (server.ring.frames, server.ring.bytes, server.outboxes.bytes) == (0, 0, 0)
        nursery.cancel_scope.cancel()
    check(said[-1], client.got)
    return client.got


def check(said: list[bytes], got: list[bytes]) -> None:
    """Check that each frame came once and in order, and all that were said after the last gap."""
    numbers = [int(frame[2 : frame.index(b".")]) for frame in got if frame != GAP]
    assert numbers == sorted(set(numbers))
    assert [frame for frame in said if frame[1:2] == b"p" and frame not in got] == []
    for key in (b"a", b"b"):
        newest = [frame for frame in said if frame[1:2] == b"c" and frame.endswith(key)][-1:]
        assert not newest or newest[0] in got


kinds = st.sampled_from(
    [plain, plain, partial(plain, size=40), partial(plain, size=200), volatile, coalesced, partial(coalesced, key="b")]
)
step = st.one_of(
    st.tuples(st.sampled_from(["say", "say corked"]), st.lists(st.one_of(kinds, st.just(uncounted)), max_size=5)),
    st.tuples(st.just("room"), st.integers(1, 100)),
    st.tuples(st.sampled_from(["break", "close", "slow"]), st.none()),
    st.tuples(st.sampled_from(["lose", "farewell"]), st.integers(0, 4)),
    st.tuples(st.just("return"), st.tuples(st.integers(0, 4), st.integers(0, 300))),
)


@pytest.mark.parametrize("sends_now", [True, False], ids=["socket", "stream"])
@settings(max_examples=2500, deadline=None)
@given(st.lists(step, max_size=40))
def test_whatever_happens_each_frame_comes_once_and_in_order_or_a_gap_is_told(
    sends_now: bool, steps: list[tuple[str, Any]]
) -> None:
    got = trio.run(partial(run_steps, steps, Limits(), sends_now=sends_now))
    assert GAP not in got or ("slow", None) in steps


@pytest.mark.parametrize("sends_now", [True, False], ids=["socket", "stream"])
@pytest.mark.parametrize(
    "limits",
    [
        Limits(resume_frames=5),
        Limits(resume_bytes=150),
        Limits(outboxes_bytes=1_000, slow_seconds=1),
        Limits(outbox_bytes=50),
    ],
    ids=["frames", "bytes", "all outboxes", "one outbox"],
)
@settings(max_examples=800, deadline=None)
@given(st.lists(step, max_size=40))
def test_whatever_happens_no_gap_is_silent(sends_now: bool, limits: Limits, steps: list[tuple[str, Any]]) -> None:
    trio.run(partial(run_steps, steps, limits, sends_now=sends_now))


async def test_a_replay_does_not_make_a_client_slow_but_what_comes_after_it_does() -> None:
    limits = Limits(outbox_frames=10, resume_frames=500)
    async with trio.open_nursery() as nursery:
        server, client, wire = Server(nursery, limits), Client(), Wire(sends_now=True, room=0)
        for number in range(500):
            server.deliver(plain(number))
        await come_back(server, client, wire)
        server.outboxes.close_slow(trio.current_time() + 1_000)
        assert server.is_open
        for number in range(500, 520):
            server.deliver(plain(number))
        server.outboxes.close_slow(trio.current_time() + 1_000)
        assert not server.is_open
        assert server.ring.gap == "slow"
        nursery.cancel_scope.cancel()


async def test_after_a_replay_was_sent_the_bounds_are_as_before() -> None:
    limits = Limits(outbox_frames=10, resume_frames=500)
    for room in (0, 10**9):  # the replay waits for a while, or goes out at once
        async with trio.open_nursery() as nursery:
            server, client, wire = Server(nursery, limits), Client(), Wire(sends_now=True, room=room)
            for number in range(500):
                server.deliver(plain(number))
            await come_back(server, client, wire)
            wire.change(room=10**9)
            await wait_all_tasks_blocked()
            wire.room = 0
            for number in range(500, 511):
                server.deliver(plain(number))
            assert server.writer is not None
            assert server.writer.is_above
            client.read(wire.taken)
            assert client.received == 500
            nursery.cancel_scope.cancel()


async def test_a_frame_that_was_begun_is_finished_before_the_close_of_a_takeover() -> None:
    async with trio.open_nursery() as nursery:
        server, client, wire = Server(nursery, Limits()), Client(), Wire(sends_now=True, room=100)
        server.connect(wire)
        server.deliver(plain(1, size=150), plain(2), volatile(3), plain(4))
        old = server.writer
        assert old is not None
        old.hand_over()
        server.close()
        assert server.ring.rewind(0) == [plain(1, size=150), plain(2), plain(4)]
        wire.change(room=1_000)
        await wait_all_tasks_blocked()
        assert wire.taken == uncounted(0) + plain(1, size=150) + CLOSE
        client.read(wire.taken)
        assert client.received == 1
        old.stop()
        assert server.outboxes.bytes == 0
        nursery.cancel_scope.cancel()


async def test_without_a_ring_a_client_is_sent_the_same() -> None:
    async with trio.open_nursery() as nursery:
        taken = []
        for is_counted in (False, True):
            server, wire = Server(nursery, Limits()), Wire(sends_now=True, room=50)
            server.writer = writer = Writer(server, wire, Limits(), Metrics(), server.outboxes)  # type: ignore[arg-type]
            if is_counted:
                writer.count_in(server.ring)
            deliver = writer.deliver_counted if is_counted else writer.deliver
            for number in range(20):
                frames = [plain(number, size=5), volatile(number), coalesced(number)]
                deliver(b"".join(frames), frames)
            wire.change(room=1_000)
            await wait_all_tasks_blocked()
            writer.seal(CLOSE)
            taken.append(wire.taken)
        assert taken[0] == taken[1]
        nursery.cancel_scope.cancel()
