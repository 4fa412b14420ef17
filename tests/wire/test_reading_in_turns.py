"""Reading in turns: who sends much is read in parts, and everyone else is read in between."""

import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket._pass_budget import SECONDS, PassBudget
from simplysocket._protocol.frames import FRAMES_A_CALL, PING, PONG, Odd, Splitter
from simplysocket._wakeup import Wakeup
from simplysocket._wire.consumer import OWNER, READ, TURN, Next, read_alone
from simplysocket._wire.epoll import HAS_EPOLL, EpollReader

from ..harness.attack import under_attack, until
from ..harness.frames import frame, message

pytestmark = pytest.mark.skipif(not HAS_EPOLL, reason="epoll is Linux's")
Pair = tuple[socket.socket, socket.socket]
PEERS = 100


class Greedy:
    """A consumer that takes long for each byte that it has: by default more than the budget of a pass."""

    def __init__(
        self, name: str, log: list[str], clock: MockClock, budget: PassBudget, seconds: float = SECONDS * 2
    ) -> None:
        self.budget = budget
        self.is_paused = False
        self._name = name
        self._log = log
        self._clock = clock
        self._seconds = seconds  # for each byte
        self._bytes = b""

    @property
    def has_rest(self) -> bool:
        return bool(self._bytes)

    def take(self, data: bytes, now: float) -> Next:
        assert not self._bytes, "it is not read while it has a rest"
        self._bytes = data
        return self.go_on(now) if data else OWNER

    def go_on(self, now: float) -> Next:
        self._log.append(self._name + chr(self._bytes[0]))
        self._bytes = self._bytes[1:]
        self._clock.jump(self._seconds)
        return TURN if self._bytes else READ


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Return connected pairs of sockets: bytes sent into the second arrive at the first."""
    found = [socket.socketpair() for _ in range(5)]
    for ours, _ in found:
        ours.setblocking(False)
    yield found
    for ours, theirs in found:
        ours.close()
        theirs.close()


def run_greedy(pairs: list[Pair], test: Callable[[list[str]], Awaitable[None]]) -> None:
    """Run a test with a greedy consumer on each socket, and a clock that only they move."""
    clock, budget, log = MockClock(), PassBudget(), []  # type: tuple[MockClock, PassBudget, list[str]]

    async def main() -> None:
        reader = EpollReader(budget)
        with trio.fail_after(10_000):
            async with trio.open_nursery() as nursery:
                await nursery.start(budget.run)
                await nursery.start(reader.run)
                for number, (ours, _) in enumerate(pairs):
                    consumer = Greedy("abcde"[number], log, clock, budget)
                    nursery.start_soon(reader.wait, ours.fileno(), ours.recv, consumer)
                await trio.testing.wait_all_tasks_blocked()
                await test(log)
                nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)


async def passes(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


def test_each_gets_its_turn_and_nothing_is_lost_or_reordered(pairs: list[Pair]) -> None:
    async def test(log: list[str]) -> None:
        for _, theirs in pairs:
            theirs.send(b"0123456789")
        await passes(100)
        assert len(log) == 50
        for name in "abcde":
            assert [entry[1] for entry in log if entry[0] == name] == list("0123456789")
        for at in range(1, 46, 5):  # after the first, which was read when nobody stood in line
            assert Counter(entry[0] for entry in log[at : at + 5]) == Counter("abcde"), log

    run_greedy(pairs, test)


def test_who_comes_later_is_served_after_one_turn_of_each_that_waits(pairs: list[Pair]) -> None:
    async def test(log: list[str]) -> None:
        for _, theirs in pairs[:4]:
            theirs.send(b"x" * 100)
        await passes(20)
        pairs[4][1].send(b"!")
        before = len(log)
        await passes(12)
        assert "e!" in log[before : before + 8], log[before:]  # four before it, and until it is found to have data
        assert len(log) < before + 16, "a pass whose budget is spent serves one"

    run_greedy(pairs, test)


def test_who_reads_alone_is_served_after_one_turn_of_each_that_waits() -> None:
    clock, budget, log = MockClock(), PassBudget(), []  # type: tuple[MockClock, PassBudget, list[str]]
    most = 0

    async def read(name: str, data: bytes) -> None:
        pieces = iter([data, b""])

        async def receive() -> bytes:
            await trio.lowlevel.checkpoint()
            return next(pieces)

        # Four turns are a pass: so many could begin each pass and leave nothing of it to those who wait.
        await read_alone(receive, Greedy(name, log, clock, budget, SECONDS / 4), Wakeup())

    async def main() -> None:
        nonlocal most
        async with trio.open_nursery() as nursery:
            await nursery.start(budget.run)
            for _ in range(PEERS):
                nursery.start_soon(read, "x", b"!" * 10_000)
            await passes(PEERS)
            for _ in range(10):
                before = len(log)
                await read("e", b"!")
                most = max(most, len(log) - before)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)
    # Its byte waits for one turn of each of the others and its end for another; of those of one pass any goes first.
    assert most < 2.5 * PEERS


FLOODS = {
    "empty pings": frame(b"", PING) * 10_000,
    "empty pongs": frame(b"", PONG) * 10_000,
    "fragments of one byte": frame(b"", final=False) + frame(b"x", 0, final=False) * 9_000,
    "empty messages": frame(b"") * 10_000,
    "messages over the rate": b"".join(message("ping", id=number) for number in range(1_100)),
    "joins without a name": b"".join(message("join-room", {}, id=number) for number in range(900)),
    "bad JSON": frame(b"{") * 9_000,
}


class FramesAPass(trio.abc.Instrument):
    """Counts the frames that are split between two waits for I/O; `most` of any pass."""

    def __init__(self) -> None:
        self.frames = self.most = self.total = 0

    def before_io_wait(self, timeout: float) -> None:
        self.most = max(self.most, self.frames)
        self.frames = 0


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_a_pass_splits_a_bounded_number_of_frames_whatever_a_hundred_clients_send(
    flood: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, feed = FramesAPass(), Splitter.feed

    def counting(self: Splitter, data: bytes) -> list[bytes | Odd]:
        items = feed(self, data)
        counted.frames += len(items)
        counted.total += len(items)
        return items

    monkeypatch.setattr(Splitter, "feed", counting)
    async with under_attack() as attack:
        peers = [await attack.connect() for _ in range(PEERS - 1)]  # with the bystander as many as one address may have
        trio.lowlevel.add_instrument(counted)
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(peer.send, flood)
        assert attack.bystander is not None
        await attack.bystander.hear(5)
        await until(lambda: attack.server.statistics()["connections"] <= 1 or counted.frames == 0)
        trio.lowlevel.remove_instrument(counted)
    # In one pass each is read once, and has one turn in the line.
    assert counted.most <= 2 * (PEERS + 1) * FRAMES_A_CALL
    assert counted.total > PEERS
