"""Members that lose their connection and come back: `on_drop`, then exactly one of `on_resume` and `on_leave`."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, Client, Reason, ReasonKind, action
from simplysocket.testing import open_server

from ..harness.away import Seats, log_of, lose, session_of
from ..harness.rooms import Talk
from ..harness.servers import make


async def test_a_member_that_is_away_keeps_its_place_and_is_told_of_both(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        client = server.clients[ana.id]
        assert log_of(server, "one") == ["join ana", "snapshot ana"]
        absence = lose(server, ana.id)
        await trio.sleep(10)
        assert log_of(server, "one") == ["drop ana"]
        assert ana.id in server.rooms["one"].members
        assert (client.is_connected, client.is_gone) == (False, False)
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == ["resume ana"]
        assert client.is_connected


async def test_a_gap_is_followed_by_a_snapshot_in_each_room(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.join("two")
        log_of(server, "one"), log_of(server, "two")
        absence = lose(server, ana.id)
        absence.back(gap=True)
        session_of(server, ana.id).home.joins.snapshot(session_of(server, ana.id))  # before the first had its turn
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == log_of(server, "two") == ["drop ana", "resume ana", "snapshot ana"]


async def test_a_gap_after_a_takeover_calls_only_the_snapshot(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        log_of(server, "one")
        session_of(server, ana.id).home.joins.snapshot(session_of(server, ana.id))
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == ["snapshot ana"]


async def test_a_member_that_does_not_come_back_leaves_with_the_reason_of_its_loss(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        server.rooms["one"].empty_ttl = None  # type: ignore[misc]
        lose(server, ana.id, Reason("silent", ReasonKind.SILENT, 3012)).end(Reason("silent", ReasonKind.SILENT, 3012))
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one")[2:] == ["drop ana", "leave ana silent"]


async def test_the_drop_comes_after_all_that_the_client_has_sent(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        log_of(server, "one")
        server.rooms["one"].naps["message"] = 1  # type: ignore[attr-defined]
        for _ in range(3):
            await ana.send("say", target="one")
        await trio.testing.wait_all_tasks_blocked()
        lose(server, ana.id)
        await trio.sleep(10)
        assert log_of(server, "one") == [*["message ana", "message ended"] * 3, "drop ana"]


async def test_a_client_that_is_back_before_on_drop_had_its_turn(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        log_of(server, "one")
        server.rooms["one"].naps["message"] = 5  # type: ignore[attr-defined]
        await ana.send("say", target="one")
        await trio.testing.wait_all_tasks_blocked()
        lose(server, ana.id).back()
        await trio.sleep(10)
        assert log_of(server, "one")[2:] == ["drop ana", "resume ana"]


@pytest.mark.parametrize("times", [2, 3, 50])
async def test_however_often_a_client_goes_and_comes_back_a_few_hooks_wait(
    autojump_clock: MockClock, times: int
) -> None:
    """Twice is told in full; of more, as much as keeps the order and the end right."""
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        log_of(server, "one")
        room: Any = server.rooms["one"]
        room.naps["message"] = 60
        await ana.send("say", target="one")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(times):
            lose(server, ana.id).back(gap=True)
        assert room._runtime.turns.waiting <= 5
        await trio.sleep(100)
        log = log_of(server, "one")[2:]
        assert [line for line in log if "snapshot" not in line] == ["drop ana", "resume ana"] * 2
        await ana.send("say", target="one")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(times):
            lose(server, ana.id).back()
        lose(server, ana.id)
        await trio.sleep(100)
        assert log_of(server, "one")[2:] == ["drop ana", "resume ana", "drop ana"]


async def test_the_end_while_on_drop_runs(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        server.rooms["one"].naps["drop"] = 5  # type: ignore[attr-defined]
        log_of(server, "one")
        absence = lose(server, ben.id)
        await trio.sleep(1)
        absence.end()
        await trio.sleep(10)
        assert log_of(server, "one") == ["drop ben", "drop ended", "leave ben lost"]


async def test_a_kick_of_a_member_that_is_away(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        log_of(server, "one")
        absence = lose(server, ben.id)
        await trio.testing.wait_all_tasks_blocked()
        assert await server.rooms["one"].kick(server.clients[ben.id], "asleep")
        absence.back()
        await trio.testing.wait_all_tasks_blocked()
        assert log_of(server, "one") == ["drop ben", "leave ben kicked"]


async def test_neither_hook_follows_when_the_room_closes(autojump_clock: MockClock) -> None:
    class Closing(Seats):
        @action("end")
        async def end(self) -> None:
            await self.close("over")

    server = make(("*", Closing))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        room: Any = server.rooms["one"]
        log = room.log
        del log[:]
        room.naps["message"] = 1
        absence = lose(server, ben.id)
        await trio.testing.wait_all_tasks_blocked()
        await ana.send("say", target="one")
        await ana.send("end", target="one")
        await trio.testing.wait_all_tasks_blocked()
        absence.back()  # its `on_resume` waits when the room closes
        await trio.sleep(10)
        assert "one" not in server.rooms
        assert log == ["drop ben", "message ana", "message ended"]
        assert len(server._assembly.hub.holds) == 0
        assert list(server.clients[ben.id].rooms) == [GLOBAL_ROOM]


@pytest.mark.parametrize("hook", ["drop", "resume", "snapshot"])
async def test_a_hook_that_raises_changes_nothing(
    autojump_clock: MockClock, hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Seats):
        async def note(self, name: str, client: Client, more: str = "") -> None:
            await super().note(name, client, more)
            if name == hook:
                raise KeyError("bug")

        async def on_error(self, error: BaseException, client: Client | None) -> None:
            self.log.append(f"error {error!r} {client and client.name}")

    server = make(("*", Failing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        log_of(server, "one")
        lose(server, ana.id).back(gap=True)
        await trio.testing.wait_all_tasks_blocked()
        log = log_of(server, "one")
        assert log.pop(log.index(f"{hook} ana") + 1) == "error KeyError('bug') ana"
        assert log == ["drop ana", "resume ana", "snapshot ana"]
        assert ana.id in server.rooms["one"].members
        assert f"on_{hook} of room 'one' failed" in caplog.text


async def test_a_hook_that_hangs_is_cancelled_at_its_bound(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(("*", Seats), handler_seconds=3)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        server.rooms["one"].naps["drop"] = 1_000_000  # type: ignore[attr-defined]
        lose(server, ana.id).back()
        await trio.sleep(5)
        assert log_of(server, "one")[2:] == ["drop ana", "resume ana"]
        assert "on_drop in room 'one' took over 3 s and was cancelled" in caplog.text


async def test_the_global_room_is_told_in_the_turns_of_the_client(autojump_clock: MockClock) -> None:
    server = make((GLOBAL_ROOM, Seats))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(log_of(server, GLOBAL_ROOM)) == ["join ana", "join ben", "snapshot ana", "snapshot ben"]
        server.rooms[GLOBAL_ROOM].naps["message"] = 5  # type: ignore[attr-defined]
        await ana.send("say")
        await trio.testing.wait_all_tasks_blocked()
        absences = [lose(server, each.id) for each in (ana, ben)]
        absences[1].back()
        await trio.sleep(1)
        assert log_of(server, GLOBAL_ROOM) == ["message ana", "drop ben", "resume ben"]
        await trio.sleep(10)
        assert log_of(server, GLOBAL_ROOM) == ["message ended", "drop ana"]
        absences[0].end(Reason("bye", ReasonKind.CLOSED, 4_001))
        await trio.sleep(10)
        assert log_of(server, GLOBAL_ROOM) == ["leave ana closed"]


async def test_an_on_drop_of_the_global_room_that_hangs_ends_with_the_client(autojump_clock: MockClock) -> None:
    server = make((GLOBAL_ROOM, Seats), close_seconds=2)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        server.rooms[GLOBAL_ROOM].naps["drop"] = 1_000_000  # type: ignore[attr-defined]
        absence = lose(server, ana.id)
        await ben.send("say")
        await trio.sleep(30)
        assert log_of(server, GLOBAL_ROOM)[-2:] == ["drop ana", "message ben"]
        absence.end()
        await trio.sleep(3)
        assert log_of(server, GLOBAL_ROOM) == ["leave ana lost"]


async def test_a_room_that_has_none_of_these_hooks_waits_for_no_turn(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        absence = lose(server, ana.id)
        absence.back(gap=True)
        assert server.rooms["one"]._runtime.turns.waiting == 0
        assert session_of(server, ana.id).global_turns is None


async def test_the_tree_shows_who_is_away(autojump_clock: MockClock) -> None:
    server = make(("*", Seats))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        absence = lose(server, ben.id)
        everyone, one = server.tree().rooms
        assert (everyone.away, one.away) == (1, 1)
        assert "2 members, 1 of them away" in str(one)
        absence.back()
        assert [room.away for room in server.tree().rooms] == [0, 0]
