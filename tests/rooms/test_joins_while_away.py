"""Joins of clients that lose their connection meanwhile, or that are away: being away refuses no join."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client
from simplysocket.testing import open_server

from ..harness.away import Seats, log_of, lose
from ..harness.servers import make


class Asking(Seats):
    """The same, with an `on_auth` that takes its time."""

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(5)


async def test_a_drop_while_on_join_runs(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        server.rooms["one"].naps["join"] = 5  # type: ignore[attr-defined]
        log_of(server, "one")
        await ben.send("join-room", {"roomname": "one"}, id=1)
        await trio.sleep(1)
        absence = lose(server, ben.id)
        await trio.sleep(10)
        assert log_of(server, "one") == ["join ben", "join ended", "snapshot ben", "drop ben"]
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == ["resume ben"]


async def test_a_drop_and_a_resume_while_on_join_runs(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        server.rooms["one"].naps["join"] = 5  # type: ignore[attr-defined]
        log_of(server, "one")
        await ben.send("join-room", {"roomname": "one"}, id=1)
        await trio.sleep(1)
        lose(server, ben.id).back()
        await trio.sleep(10)
        assert log_of(server, "one")[3:] == ["drop ben", "resume ben"]


async def test_a_drop_while_on_join_runs_that_refuses(autojump_clock: MockClock) -> None:
    class Strict(Seats):
        async def on_join(self, client: Client) -> None:
            await super().on_join(client)
            if client.name == "ben":
                raise ActionError("forbidden")

    server = make(("*", Strict))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        server.rooms["one"].naps["join"] = 5  # type: ignore[attr-defined]
        log_of(server, "one")
        await ben.send("join-room", {"roomname": "one"}, id=1)
        await trio.sleep(1)
        absence = lose(server, ben.id)
        await trio.sleep(10)
        assert log_of(server, "one") == ["join ben", "join ended"]
        absence.end()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == []


@pytest.mark.parametrize("room_class", [Seats, Asking])
async def test_a_drop_while_the_join_waits(autojump_clock: MockClock, room_class: type[Seats]) -> None:
    """In the inbox, or for `on_auth`: being away refuses no join."""
    server = make(("*", room_class))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        server.rooms["one"].naps["message"] = 3  # type: ignore[attr-defined]
        log_of(server, "one")
        await ana.send("say", target="one")
        await ben.send("join-room", {"roomname": "one"}, id=1)
        await trio.sleep(1)
        absence = lose(server, ben.id)
        await trio.sleep(20)
        assert log_of(server, "one")[2:] == ["join ben", "snapshot ben", "drop ben"]
        assert ben.id in server.rooms["one"].members
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == ["resume ben"]


@pytest.mark.parametrize("room_class", [Seats, Asking])
async def test_a_drop_and_a_resume_while_the_join_waits(autojump_clock: MockClock, room_class: type[Seats]) -> None:
    server = make(("*", room_class))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        server.rooms["one"].naps["message"] = 3  # type: ignore[attr-defined]
        log_of(server, "one")
        await ana.send("say", target="one")
        await ben.send("join-room", {"roomname": "one"}, id=1)
        await trio.sleep(1)
        lose(server, ben.id).back()
        assert (await ben.receive())["message_body"]["total"] == 2
        assert log_of(server, "one")[2:] == ["join ben", "snapshot ben"]


async def test_server_code_may_join_a_client_that_is_away(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        absence = lose(server, ana.id)
        await server.clients[ana.id].join("one")
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == ["join ana", "snapshot ana", "drop ana"]
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == ["resume ana"]


async def test_a_client_that_is_gone_or_closed_joins_nothing(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        client = server.clients[ana.id]
        lose(server, ana.id).end()
        with pytest.raises(ActionError, match="gone"):
            await client.join("one")


async def test_a_leave_and_a_new_join_while_away_is_a_new_membership(autojump_clock: MockClock) -> None:
    """The hooks of the old membership that wait for their turns say nothing of the new one."""
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        room: Any = server.rooms["one"]
        room.naps["message"] = 5
        for _ in range(3):
            await ben.send("say", target="one")
        await trio.testing.wait_all_tasks_blocked()
        log_of(server, "one")
        absence = lose(server, ben.id)
        client = server.clients[ben.id]
        assert await client.leave("one")  # has its turn after at most one of those that wait
        assert log_of(server, "one") == ["message ended", "message ben", "message ended", "leave ben left"]
        await client.join("one")
        await trio.sleep(20)
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        log = log_of(server, "one")
        assert [line for line in log if "message" not in line] == [
            "join ben",
            "snapshot ben",
            "drop ben",
            "resume ben",
        ]
