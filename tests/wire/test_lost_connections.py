"""How a connection ends: whether its client may come back, and what then is kept, over real sockets and streams."""

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import CloseCode, Limits
from simplysocket._pass_budget import PassBudget
from simplysocket._protocol.delivery_classes import UncountedFrame
from simplysocket._protocol.frames import text_frame
from simplysocket._wire.connection import Connection
from simplysocket._wire.epoll import EpollReader
from simplysocket._wire.outboxes import Outboxes
from simplysocket._wire.ring import Ring
from simplysocket._wire.transport import SocketTransport, StreamTransport
from simplysocket.metrics import Metrics

from ..harness.attack import under_attack
from ..harness.attacker import Peer
from ..harness.frames import close, frame, head

End = Callable[["Lost"], Awaitable[None]]


class Lost:
    """A connection whose frames count, and its peer."""

    def __init__(self, nursery: trio.Nursery, transport: Any, peer: Peer, limits: Limits) -> None:
        self.nursery = nursery
        self.transport = transport
        self.peer = peer
        self.outboxes = Outboxes(limits)
        self.ring = Ring(limits, self.outboxes, Metrics())
        self.connection = Connection(transport, limits, Metrics(), self.outboxes, PassBudget())
        self.handed_on: list[bytes] = []
        self.ended = trio.Event()
        self.scope = trio.CancelScope()
        self.then: Callable[[], object] = bool  # is called with each message

    async def run(self) -> None:
        with self.scope:
            await self.connection.run(head(), None, self._opened)
        self.ended.set()

    async def _opened(self) -> Callable[[bytes, float], None]:
        self.connection.count_in(self.ring)
        self.connection.deliver(b"", [UncountedFrame(b"")])
        return self._receive

    def _receive(self, data: bytes, now: float) -> None:
        self.handed_on.append(data)
        self.then()

    def say(self, *texts: bytes) -> None:
        frames = [text_frame(each) for each in texts]
        self.connection.deliver(b"".join(frames), frames)

    def lacks(self, received: int) -> list[bytes] | None:
        frames = self.ring.rewind(received)
        return None if frames is None else [each[-1:] for each in frames]


@contextlib.asynccontextmanager
async def connected(*, over_socket: bool = False, **limits: Any) -> AsyncIterator[Lost]:
    bounds = Limits(**limits)
    async with trio.open_nursery() as nursery:
        if over_socket:
            ours, theirs = socket.socketpair()
            transport: Any = SocketTransport(ours, 4_096, EpollReader(PassBudget()))
            peer = Peer(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
        else:
            stream, other = trio.testing.lockstep_stream_pair()
            transport, peer = StreamTransport(stream, PassBudget()), Peer(other)
        lost = Lost(nursery, transport, peer, bounds)
        nursery.start_soon(lost.run)
        await peer.read_answer()
        await wait_all_tasks_blocked()
        yield lost
        await peer.close()
        with trio.fail_after(30):
            await lost.ended.wait()
        nursery.cancel_scope.cancel()


def says(code: int | None) -> End:
    async def end(lost: Lost) -> None:
        await lost.peer.send(close(code))

    return end


def closes(code: int) -> End:
    async def end(lost: Lost) -> None:
        lost.connection.close(code, "because")
        assert await lost.peer.end() == code

    return end


async def vanishes(lost: Lost) -> None:
    await lost.peer.close()


async def fails(lost: Lost) -> None:
    lost.then = lambda: 1 // 0
    await lost.peer.send(frame("x"))


async def breaks_the_protocol(lost: Lost) -> None:
    await lost.peer.send(frame("x", 0x3))


async def is_cancelled(lost: Lost) -> None:
    lost.scope.cancel()


async def is_silent(lost: Lost) -> None:
    for _ in range(10):
        lost.connection.beat(10)


async def is_slow(lost: Lost) -> None:
    lost.say(b"x" * 60)  # begun, so it does not count
    lost.say(b"x" * 60)
    lost.outboxes.close_slow(trio.current_time() + 100)


async def does_not_read(lost: Lost) -> None:
    lost.say(b"x")
    await trio.sleep(11)


async def is_taken_over(lost: Lost) -> None:
    lost.connection.take_over()
    assert await lost.peer.end() == 3502


@pytest.mark.parametrize(
    ("end", "code", "is_held"),
    [
        pytest.param(vanishes, 1006, True, id="vanishes"),
        pytest.param(does_not_read, 3008, True, id="does not read"),
        pytest.param(fails, 3004, True, id="fails"),
        pytest.param(is_silent, 3012, True, id="is silent"),
        pytest.param(is_slow, 3008, True, id="is slow"),
        pytest.param(is_cancelled, 3001, False, id="is cancelled"),
        pytest.param(is_taken_over, 3502, False, id="is taken over"),
        pytest.param(breaks_the_protocol, 1002, False, id="breaks the protocol"),
        *(
            pytest.param(says(code), code or 1000, code == 1001, id=f"says {code}")
            for code in (None, 1000, 1001, 1011, 3001, 3004, 3005, 3008, 3012, 4000)
        ),
        *(
            pytest.param(closes(code), code, code in (3004, 3005, 3008, 3012), id=f"is closed with {code}")
            for code in (1000, 1001, 3000, 3001, 3004, 3005, 3008, 3012, 3013, 3500, 3501, 3503, 4000)
        ),
    ],
)
async def test_how_a_connection_ends_decides_whether_its_client_may_come_back(
    end: End, code: int, is_held: bool, autojump_clock: MockClock
) -> None:
    async with connected(outbox_bytes=50) as lost:
        assert lost.connection.is_held  # while it lives
        await end(lost)
        await wait_all_tasks_blocked()
        assert not lost.connection.is_open
        assert (lost.connection.close_code, lost.connection.is_held) == (code, is_held)
    assert (lost.connection.close_code, lost.connection.is_held) == (code, is_held)


async def test_a_client_that_does_not_read_lacks_nothing_when_it_is_cut(autojump_clock: MockClock) -> None:
    async with connected() as lost:
        for text in (b"1", b"2", b"3"):
            lost.say(text)
        await does_not_read(lost)
        lost.say(b"4")
        assert lost.ring.sent == 1  # it was begun
        assert lost.lacks(0) == [b"1", b"2", b"3", b"x", b"4"]


async def test_a_client_that_is_too_slow_is_told_of_a_gap(autojump_clock: MockClock) -> None:
    async with connected(outbox_bytes=50) as lost:
        lost.say(b"1")
        await is_slow(lost)
        lost.say(b"2")
        assert lost.ring.gap == "slow"
        assert lost.lacks(1) is None


async def test_what_a_failed_connection_said_at_last_counts(autojump_clock: MockClock) -> None:
    async with connected(over_socket=True) as lost:
        lost.say(b"1")
        assert len(await lost.peer.next_frame() or ()) == 2
        await fails(lost)
        assert await lost.peer.end() == CloseCode.INTERNAL
        lost.say(b"2")
        assert lost.ring.sent == 1  # the Close does not count
        assert lost.lacks(1) == [b"2"]


async def test_pings_and_pongs_do_not_count(autojump_clock: MockClock) -> None:
    async with connected(over_socket=True) as lost:
        await lost.peer.send(frame(b"!", 0x9))
        assert await lost.peer.next_frame() == (0x8A, b"!")
        await is_silent(lost)
        assert lost.ring.sent == 0
        lost.say(b"1")
        assert lost.lacks(0) == [b"1"]


async def test_nothing_is_handed_on_after_a_takeover(autojump_clock: MockClock) -> None:
    async with connected() as lost:
        lost.connection.pause()
        lost.nursery.start_soon(lost.peer.send, frame("1") + frame("2") + frame("3"))
        await wait_all_tasks_blocked()
        lost.connection.resume()
        lost.connection.take_over()
        await wait_all_tasks_blocked()
        assert lost.handed_on == []
        assert await lost.peer.end() == 3502


async def test_what_was_read_together_is_handed_on_up_to_a_takeover(autojump_clock: MockClock) -> None:
    async with connected() as lost:
        lost.then = lost.connection.take_over
        lost.nursery.start_soon(lost.peer.send, frame("1") + frame("2"))
        assert await lost.peer.end() == 3502
        assert lost.handed_on == [b"1"]


async def test_a_connection_that_closes_already_is_taken_over_with_what_it_has_not_sent(
    autojump_clock: MockClock,
) -> None:
    async with connected() as lost:
        for text in (b"1", b"2"):
            lost.say(text)
        await wait_all_tasks_blocked()
        lost.connection.close(CloseCode.EXPIRED, "expired")
        lost.say(b"3")
        lost.connection.take_over()
        lost.connection.take_over()
        assert lost.lacks(0) == [b"1", b"2", b"3"]
        assert await lost.peer.end() == CloseCode.EXPIRED
        assert [payload for _, payload in lost.peer.heard] == [b"1"]
    assert lost.outboxes.bytes == 0


async def test_a_takeover_does_not_wait_for_a_peer_that_reads_nothing() -> None:
    async with connected(over_socket=True, close_seconds=0.05, resume_bytes=None) as lost:
        for _ in range(200):
            lost.say(b"x" * 9_999 + b"1")
        await wait_all_tasks_blocked()
        sent = lost.ring.sent
        assert 0 < sent < 200
        lost.connection.take_over()
        assert lost.ring.frames == 200
        assert len(lost.lacks(0) or ()) == 200
        with trio.fail_after(10):
            await lost.ended.wait()
    assert lost.outboxes.bytes == 0


async def test_what_is_said_after_the_end_is_kept_until_the_session_knows(autojump_clock: MockClock) -> None:
    async with connected() as lost:
        await vanishes(lost)
        await lost.ended.wait()
        lost.say(b"1", b"2")
        lost.say(b"3")
        assert lost.lacks(0) == [b"1", b"2", b"3"]


async def test_clients_that_acknowledge_nothing_cost_nobody_its_connection() -> None:
    limits: dict[str, Any] = {"bytes_per_second": None, "connects_per_second": None, "resume_bytes": 1_000_000}
    async with under_attack(outboxes_bytes=1_000_000, **limits) as attack:
        entries = "simplysocket.json, simplysocket.resume"
        peers = [await attack.connect(head(sec_websocket_protocol=entries)) for _ in range(20)]
        tokens = [(await peer.receive())["message_body"]["resume"]["token"] for peer in peers]
        outboxes = attack.server._assembly.outboxes
        for number in range(20):
            for peer in peers:
                answer = await peer.request("echo", "x" * 5_000, id=number)
                assert len(answer["message_body"]) == 5_000
                assert outboxes.bytes <= 1_000_000
        assert attack.server.metrics.connections_closed.total() == 0
        outcomes = []
        for peer, token in zip(peers, tokens, strict=True):
            await peer.close()
            again = await attack.connect(head(sec_websocket_protocol=f"{entries}.{token}.0.20"))
            outcomes.append((await again.receive())["message_body"]["resume"]["outcome"])
            await again.send(close())
            assert await again.end() == 1000
        assert set(outcomes) == {"resumed", "gap"}
