"""What a server counts."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Request, Room
from simplysocket.errors import ERROR_CODES, CloseCode
from simplysocket.metrics import OTHER, UNKNOWN_CLOSE, Metrics
from simplysocket.testing import open_server

from .harness.admission import open_checked
from .harness.phone import dial_again, in_hall, make_server
from .harness.rooms import Hall
from .harness.servers import make


async def test_an_end_without_a_close_is_counted_as_1006(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics()["connections_closed"] == {1006: 1}


async def test_what_was_counted_can_be_read(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError):
            await ana.request("nothing", target="one")
        statistics = server.statistics()
        assert statistics["clients"] == 1
        assert statistics["rooms"] == 2
        assert statistics["messages_received"] == 2
        assert statistics["messages_refused"] == {"unknown-action": 1}
        await ana.close()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics()["connections_closed"] == {1000: 1}


def test_the_applications_codes_are_counted_by_name_up_to_a_bound() -> None:
    metrics = Metrics()
    for code in (*ERROR_CODES, "x" * 64, "x" * 65, *(f"own-{number}" for number in range(1_000))):
        for _ in range(2):
            metrics.count_refused(code)
    counted = metrics.messages_refused
    assert len(counted) == len(ERROR_CODES) + 100 + 1
    assert counted["x" * 64] == counted["own-0"] == counted["own-98"] == 2
    assert counted[OTHER] == 2 * (1 + 1_000 - 99)
    metrics.count_refused("expired")
    assert counted["expired"] == 3


def test_close_codes_that_clients_choose_are_bounded_and_leave_room_for_the_applications() -> None:
    metrics = Metrics()
    for code in range(1_000, 5_000):
        metrics.count_closed(code, is_ours=False)
    counted = metrics.connections_closed
    known = {*CloseCode, *range(1_000, 1_016)}
    assert len(counted.keys() - known) == 100
    assert min(counted.keys() - known) >= 3_000
    assert counted.total() == 4_000
    for code in range(4_000, 5_000):
        metrics.count_closed(code, is_ours=True)
    assert counted[4_000] == counted[4_099] == 1
    assert 4_100 not in counted
    assert len(counted) <= len(known) + 200
    assert counted.total() == 5_000


async def test_the_applications_close_codes_are_counted_after_those_of_clients(
    autojump_clock: MockClock,
) -> None:
    server = make()

    @server.action("close me")
    async def close_me(client: Client) -> None:
        await client.close(4_001)

    async with open_server(server) as net:
        for code in range(4_100, 4_250):
            await (await net.connect()).close(code)
        ana = await net.connect()
        await ana.send("close me")
        await ana.wait_ended()
        await trio.testing.wait_all_tasks_blocked()
        counted = server.statistics()["connections_closed"]
        assert len(counted) == 102
        assert (counted[4_001], counted[4_100], counted[UNKNOWN_CLOSE]) == (1, 1, 50)


async def test_what_waits_for_a_turn_is_counted_when_asked(autojump_clock: MockClock) -> None:
    server = make(("hall", Hall))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        for _ in range(3):
            await ana.send("wait", 1, target="hall")
        await trio.testing.wait_all_tasks_blocked()
        figures = server.statistics()
        assert figures["queued_messages"] == 2  # and one that runs
        assert figures["budget_waiting"] == 0
        await trio.sleep(4)
        assert server.statistics()["queued_messages"] == 0


async def test_what_is_held_and_who_is_not_read_is_counted_when_asked(autojump_clock: MockClock) -> None:
    server = make(("hall", Hall), inbox_messages=1, intake_messages=3)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        for held, paused in ((0, 0), (0, 0), (1, 0), (2, 0), (3, 1), (3, 1)):  # one runs, and one has its place
            await ana.send("wait", 1, target="hall")
            await trio.testing.wait_all_tasks_blocked()
            figures = server.statistics()
            assert (figures["held_messages"], figures["paused_connections"]) == (held, paused)
        await trio.sleep(10)
        figures = server.statistics()
        assert (figures["held_messages"], figures["paused_connections"]) == (0, 0)


async def test_joins_that_wait_for_on_auth_are_counted_when_asked(autojump_clock: MockClock) -> None:
    class Guarded(Room):
        async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
            await trio.sleep(1)

    server = make(("*", Guarded), auths_per_room=1)
    async with open_server(server) as net:
        for name in ("ana", "bob"):
            await (await net.connect(name)).send("join-room", {"roomname": "one"})
        for askings in (2, 1, 0):
            await trio.testing.wait_all_tasks_blocked()
            assert server.statistics()["askings"] == askings
            await trio.sleep(1)


async def test_each_connection_of_a_client_that_comes_back_is_counted(autojump_clock: MockClock) -> None:
    server = make_server()

    @server.on_resume
    async def on_resume(client: Client, request: Request) -> None:
        if "bad" in request.query:
            raise ActionError("no", "not today")

    async with open_checked(server) as net:
        phone = await in_hall(net)
        await phone.drop()
        back = await dial_again(net, phone, 1, 1)  # held
        again = await dial_again(net, back, 1, 1)  # takes over
        assert server.statistics()["connections_opened"] == 3
        assert (await back.client.wait_ended()).code == 3502
        entry = f"simplysocket.json, simplysocket.resume.{again.token}.1.1"
        refused = await net.connect(path="/ws?bad=1&x", greet=False, headers={"Sec-WebSocket-Protocol": entry})
        assert (await refused.wait_ended()).code == 1008
        await server.clients[again.id].close(4500)
        assert (await again.client.wait_ended()).code == 4500
        assert server.statistics()["connections_opened"] == 4
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics()["connections_closed"] == {1006: 1, 3502: 1, 1008: 1, 4500: 1}
