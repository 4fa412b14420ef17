"""The pace of an answer: large files, slow peers, and a stop meanwhile."""

import random
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from trio.testing import MockClock

from simplysocket._pass_budget import SECONDS, PassBudget
from simplysocket._wire.transport import SocketTransport, send_last
from simplysocket.testing import open_server

from ..harness.attack import under_attack
from ..harness.passes import Passes
from ..harness.plain_http import plain_head
from ..harness.site import make_attacked_site, make_site_server

SEED = 20_261
LARGE = 3_000_000  # bytes, more than any kernel takes at once


async def test_a_slow_peer_gets_a_large_file_whole(autojump_clock: MockClock, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    async with open_server(make_site_server(tmp_path)) as net:
        stream = await net.open_stream(100_000)
        await stream.send_all(plain_head("/large.bin"))
        received = 0
        while data := await stream.receive_some(100_000):
            received += len(data)
            await trio.sleep(2)
        assert received > LARGE


async def test_a_peer_that_never_reads_its_answer_is_disconnected(autojump_clock: MockClock, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    server = make_site_server(tmp_path, write_seconds=10)
    async with open_server(server) as net:
        await (await net.open_stream(100_000)).send_all(plain_head("/large.bin"))
        await trio.sleep(5)
        assert server.statistics()["connections"] == 1
        await trio.sleep(10)
        assert server.statistics()["connections"] == 0


@pytest.mark.parametrize(("delay", "seconds"), [(0, 2), (101, 3)], ids=["asked before", "asks at the end"])
async def test_a_slow_peer_does_not_hold_up_a_stop(
    autojump_clock: MockClock, tmp_path: Path, delay: float, seconds: float
) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    server = make_site_server(tmp_path, close_seconds=2, handshake_seconds=200)
    async with open_server(server) as net, trio.open_nursery() as nursery:
        stream = await net.open_stream(10_000)

        async def read_slowly() -> None:
            await trio.sleep(delay)
            await stream.send_all(plain_head("/large.bin"))
            while await stream.receive_some(1_000):  # noqa: ASYNC110 - slowly is the point
                await trio.sleep(1)

        nursery.start_soon(read_slowly)
        await trio.sleep(100)
        assert server.statistics()["connections"] == 1
        began = trio.current_time()
        await server.stop(30)
        assert trio.current_time() - began == pytest.approx(seconds, abs=0.1)
        nursery.cancel_scope.cancel()


class Counted:
    """A transport in which each send takes more than the budget of a pass; `log` is the pass of each send."""

    chunk = 10

    def __init__(self, log: list[int], count: Callable[[], int], clock: MockClock) -> None:
        self._log = log
        self._count = count
        self._clock = clock

    async def send_some(self, data: bytes | memoryview) -> int:
        await trio.lowlevel.checkpoint()
        self._log.append(self._count())
        self._clock.jump(SECONDS * 2)
        return min(len(data), self.chunk)

    async def aclose(self, farewell: bytes = b"", *, linger: float | None = None) -> None:
        pass


def test_answers_to_many_are_sent_within_the_budget_of_a_pass() -> None:
    clock, budget, passes, log = MockClock(), PassBudget(), Passes(), list[int]()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(budget.run)
            async with trio.open_nursery() as answers:
                for _ in range(20):
                    transport: Any = Counted(log, lambda: passes.count, clock)
                    answers.start_soon(partial(send_last, transport, b"x" * 100, seconds=10, budget=budget))
            nursery.cancel_scope.cancel()

    trio.run(main, clock=clock, instruments=[passes])
    assert len(log) == 20 * 10
    later = Counter(log[20:])  # the first of each, which nobody has measured yet, may come in one pass
    assert max(later.values()) <= 8


async def test_a_send_is_a_bounded_piece_of_work_however_much_the_kernel_takes(tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    sent = []
    send_some = SocketTransport.send_some

    async def record(self: SocketTransport, data: bytes | memoryview) -> int:
        count = await send_some(self, data)
        sent.append(count)
        return count

    async with under_attack(make_attacked_site(tmp_path)) as attack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SocketTransport, "send_some", record)
            peer = await attack.dial(receive_bytes=LARGE)
            assert len((await peer.ask(plain_head("/large.bin"))).body) == LARGE
    assert max(sent) <= 65_536


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["TCP", "TLS"])
async def test_a_large_file_arrives_whole(tmp_path: Path, is_encrypted: bool) -> None:
    content = random.Random(SEED).randbytes(LARGE)
    (tmp_path / "large.bin").write_bytes(content)
    server = make_attacked_site(tmp_path)
    authority = trustme.CA()
    contexts = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(contexts[0])
    authority.configure_trust(contexts[1])

    async def reach() -> trio.abc.Stream:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        if not is_encrypted:
            return stream
        return trio.SSLStream(stream, contexts[1], server_hostname="127.0.0.1", https_compatible=True)

    context = contexts[0] if is_encrypted else None
    async with under_attack(
        server, serve=partial(server.serve, "127.0.0.1", 0, ssl_context=context), reach=reach
    ) as attack:
        assert (await attack.ask(plain_head("/large.bin"))).body == content
