"""Identity.expires_at: the connection ends when its credentials expire."""

import time
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import Client, Identity, Request, Server
from simplysocket._pass_budget import PassBudget
from simplysocket._serving.expiry import Expiry
from simplysocket.testing import ConnectionEnded

from ..harness.admission import check_no_connections, open_checked
from ..harness.attacker import request_upgrade
from ..harness.frames import close
from ..harness.leaks import living_tasks
from ..harness.siege import LOOKS, counted_budget


def make_expiring(seconds: float | None) -> tuple[Server, list[str]]:
    """Return a server whose credentials expire after this time, and the reasons given to on_disconnect."""
    server, reasons = Server("test"), list[str]()

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        return Identity("ana", expires_at=None if seconds is None else time.time() + seconds)

    @server.on_disconnect
    async def gone(_: Client, reason: str) -> None:
        reasons.append(reason)

    return server, reasons


async def test_a_connection_ends_when_its_credentials_expire(autojump_clock: MockClock) -> None:
    server, reasons = make_expiring(100)
    async with open_checked(server) as net:
        ana, started = await net.connect("ana"), trio.current_time()
        ended = await ana.wait_ended()
        assert ended.code == 3005
        assert trio.current_time() - started == pytest.approx(100, abs=1)
        await wait_all_tasks_blocked()
        assert reasons == ["expired"]


@pytest.mark.parametrize("seconds", [0, -5])
async def test_credentials_that_have_expired_already_are_refused(seconds: float, autojump_clock: MockClock) -> None:
    server, _ = make_expiring(seconds)
    async with open_checked(server) as net:
        _, answer = await request_upgrade(net)
        assert answer.status == 401


@pytest.mark.parametrize("seconds", [None, 1e15, float("inf")])
async def test_credentials_that_do_not_expire_keep_the_connection_open(
    seconds: float | None, autojump_clock: MockClock
) -> None:
    server, reasons = make_expiring(seconds)
    async with open_checked(server) as net:
        ana = await net.connect("ana")
        await trio.sleep(1000)
        assert (await ana.request("ping")).keys() == {"now"}
        await ana.close()
        await wait_all_tasks_blocked()
        assert reasons == ["disconnected"]


async def test_messages_sent_before_the_expiry_arrive_before_the_close(autojump_clock: MockClock) -> None:
    server, reasons = make_expiring(10)
    async with open_checked(server) as net:
        slow = await net.connect("slow", reads=False, greet=False, pipe_bytes=500)
        (client,) = server.clients.values()
        await trio.sleep(9.5)
        for number in range(50):
            await client.send("tick", number)
        await trio.sleep(1)
        for number in range(50):
            assert (await slow.receive())["message_body"] == number
        with pytest.raises(ConnectionEnded) as caught:
            await slow.receive()
        assert caught.value.code == 3005
        await wait_all_tasks_blocked()
        assert reasons == ["expired"]


async def test_when_the_wall_clock_jumps_the_expired_are_closed_soon(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, reasons = make_expiring(3_000)
    async with open_checked(server) as net:
        ana = await net.connect("ana")
        await trio.sleep(60)
        assert (await ana.request("ping")).keys() == {"now"}
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3_600)  # as when the machine has slept for an hour
        started = trio.current_time()
        assert (await ana.wait_ended()).code == 3005
        assert trio.current_time() - started < 10
        await wait_all_tasks_blocked()
        assert reasons == ["expired"]


async def test_when_the_wall_clock_is_set_back_credentials_end_after_their_time(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = make_expiring(100)
    async with open_checked(server) as net:
        ana = await net.connect("ana")
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now - 3_600)
        started = trio.current_time()
        assert (await ana.wait_ended()).code == 3005
        assert trio.current_time() - started == pytest.approx(100, abs=1)


async def test_each_of_a_crowd_is_closed_in_its_time_and_few_looks_are_taken(autojump_clock: MockClock) -> None:
    ends = [0.001 * each for each in range(200, 0, -1)]  # each before all that were added before
    closed: list[float] = []
    looked = 0

    class Watched:
        def close(self, code: int, reason: str = "") -> None:
            assert code == 3005
            closed.append(trio.current_time())

    class Looking(Expiry):
        async def _close_expired(self) -> None:
            nonlocal looked
            looked += 1
            await super()._close_expired()

    expiry = Looking(PassBudget())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expiry.run)
        began = trio.current_time()
        for end in ends:
            expiry.add(Watched(), time.time() + end)
        expiry.add(gone := Watched(), time.time() + 1)
        expiry.remove(gone)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert len(closed) == len(ends)
    assert max(closed) - began == pytest.approx(0.2, abs=0.2)
    assert looked < 10


async def test_nothing_of_the_expiry_is_left_of_a_connection_that_has_ended(autojump_clock: MockClock) -> None:
    server, _ = make_expiring(1e6)
    async with open_checked(server) as net:
        await wait_all_tasks_blocked()
        tasks = living_tasks()
        for how in ("close", "break", "kick"):
            peer, _ = await request_upgrade(net)
            await wait_all_tasks_blocked()
            if how == "close":
                await peer.send(close())
                await peer.end()
            elif how == "kick":
                for client in server.clients.values():
                    await client.close(3503)
                assert await peer.end() == 3503
            await peer.close()
            await wait_all_tasks_blocked()
            assert living_tasks() == tasks, how
            assert not server._assembly.expiry._ends, how


async def test_credentials_that_expire_during_on_connect_cancel_it(autojump_clock: MockClock) -> None:
    server, reasons = make_expiring(1)
    outcome: list[str] = []

    @server.on_connect
    async def connected(_: Client) -> None:
        try:
            await trio.sleep_forever()
        finally:
            outcome.append("ended")

    async with open_checked(server) as net:
        peer, _ = await request_upgrade(net)
        assert await peer.end() == 3005
        await trio.sleep(10)
        check_no_connections(server)
    assert outcome == ["ended"]
    assert reasons == ["expired"]


class Endings(trio.abc.Instrument):
    """Notes how many connections were closed, and how many clients removed, in one pass at most."""

    def __init__(self, server: Server) -> None:
        self._clients = server._assembly.hub.clients
        self._sessions = list(self._clients.values())
        self._before = 0, 0
        self.most = 0, 0

    def after_io_wait(self, timeout: float) -> None:
        now = sum(not each.is_connected for each in self._sessions), len(self._sessions) - len(self._clients)
        self.most = max(self.most[0], now[0] - self._before[0]), max(self.most[1], now[1] - self._before[1])
        self._before = now


async def test_a_crowd_whose_credentials_expire_together_is_closed_some_a_pass(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("simplysocket._serving.authentication.time", SimpleNamespace(time=lambda: now))
    server = Server("test")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        return Identity("ana", expires_at=now + 100)

    with counted_budget():
        async with open_checked(server) as net:
            nets = [await net.connect("ana") for _ in range(100)]
            await trio.sleep_until(trio.current_time() + 50)
            endings = Endings(server)
            trio.lowlevel.add_instrument(endings)
            for client in nets:
                assert (await client.wait_ended()).code == 3005
            await trio.sleep(10)
            trio.lowlevel.remove_instrument(endings)
    assert 0 < endings.most[0] <= 2 * LOOKS
    assert 0 < endings.most[1] <= 2 * LOOKS
