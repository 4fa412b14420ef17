"""Health and readiness, while the server runs and while it stops."""

import json
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Room
from simplysocket.testing import Net, open_server

from ..harness.attack import Attack, under_attack, until
from ..harness.attacker import Peer
from ..harness.frames import head
from ..harness.plain_http import plain_head, request_plain
from ..harness.servers import make, make_attacked
from ..harness.site import JAVASCRIPT, make_site_server


class Slow(Room):
    async def on_close(self) -> None:
        await trio.sleep(10)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_health_is_answered_over_plain_http(method: str) -> None:
    async with under_attack() as attack:
        answer = await attack.ask(f"{method} /health HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
        assert answer.status == (405 if method == "POST" else 200)
        assert method != "GET" or answer.body == b'{"status":"ok"}'
        assert method != "HEAD" or (answer.body, answer.headers["content-length"]) == (b"", "15")


async def test_a_draining_server_is_healthy_and_not_ready(autojump_clock: MockClock, site: Path) -> None:
    server = make_site_server(site, close_seconds=20)
    server.room("*")(Slow)
    async with open_server(server) as net, trio.open_nursery() as nursery:
        await (await net.connect("ana")).join("one")
        ready = await request_plain(net, "/ready")
        assert (ready.status, ready.body) == (200, b'{"status":"ready"}')
        assert ready.headers["cache-control"] == "no-store"
        nursery.start_soon(server.stop, 100)
        await trio.testing.wait_all_tasks_blocked()
        draining = await request_plain(net, "/ready")
        assert draining.status == 503
        assert json.loads(draining.body)["code"] == "stopping"
        assert "retry-after" in draining.headers
        assert (await request_plain(net, "/health")).status == 200
        assert (await request_plain(net, "/app.js")).body == JAVASCRIPT
        assert (await Peer(await net.open_stream()).ask(head())).status == 503
        await trio.sleep(15)  # longer than the room takes to close
        with pytest.raises(OSError, match="refused"):
            await net.open_stream()


async def test_a_server_that_serves_again_is_ready_again(autojump_clock: MockClock) -> None:
    server = make()
    for _ in range(2):
        async with open_server(server) as net:
            assert (await request_plain(net, "/ready")).status == 200


@pytest.mark.parametrize(
    "sends", [b"", b"GET /", plain_head("/health"), head()], ids=["nothing", "half", "HTTP", "WebSocket"]
)
async def test_a_peer_that_keeps_connecting_does_not_hold_up_a_stop(autojump_clock: MockClock, sends: bytes) -> None:
    server = make(("*", Slow), handshake_seconds=25)

    async def connect_forever(net: Net) -> None:
        while True:
            try:
                stream = await net.open_stream()
            except OSError:
                return
            await stream.send_all(sends)
            await trio.sleep(0.07)

    async with open_server(server) as net, trio.open_nursery() as nursery:
        await (await net.connect("ana")).join("one")
        nursery.start_soon(connect_forever, net)
        await trio.sleep(1)
        began = trio.current_time()
        await server.stop(30)
        assert trio.current_time() - began < 6  # 2 for on_close, 2 for the head, 1 after the answer


async def test_a_stop_keeps_to_its_grace_though_a_peer_keeps_connecting(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("work")
    async def work() -> None:
        await trio.sleep(100)

    async def connect_forever(net: Net) -> None:
        while True:
            try:
                await net.open_stream()
            except OSError:
                return
            await trio.sleep(0.07)

    async with open_server(server) as net, trio.open_nursery() as nursery:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("work", target="one")
        nursery.start_soon(connect_forever, net)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await server.stop(1)
        assert trio.current_time() - began == pytest.approx(1, abs=0.1)


async def test_a_peer_that_keeps_connecting_over_tcp_does_not_hold_up_a_stop() -> None:
    server = make_attacked()
    statuses: set[int] = set()

    class Waiting(Room):
        async def on_close(self) -> None:
            await until(lambda: {200, 503} <= statuses)  # connections are still accepted meanwhile

    server.room("waiting")(Waiting)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, "127.0.0.1", 0))
            attack = Attack(server, partial(trio.open_tcp_stream, "127.0.0.1", server.port))
            await attack.join("waiting")

            async def connect_forever() -> None:
                while True:
                    try:
                        await attack.dial()  # and send nothing
                        statuses.add((await attack.ask(plain_head("/health"))).status)
                        statuses.add((await attack.ask(head())).status)
                    except OSError:
                        return

            async with trio.open_nursery() as peers:
                peers.start_soon(server.stop, 5)
                peers.start_soon(connect_forever)
            await attack.leave()
    assert statuses - {0, 101} == {200, 503}
