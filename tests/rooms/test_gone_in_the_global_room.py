"""In the global room what a client has begun ends `close_seconds` after the client is gone."""

from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, Client, Room, action
from simplysocket.testing import open_server

from ..harness.error_log import errors_of
from ..harness.servers import make


class Lobby(Room):
    """The global room, which notes how its handlers end."""

    noted: ClassVar[list[str]] = []

    async def on_create(self) -> None:
        self.noted.clear()

    @action("nap")
    async def nap(self, body: float) -> None:
        try:
            await trio.sleep(body)
            self.noted.append("slept")
        except trio.Cancelled:
            self.noted.append(f"ended after {trio.current_time():.1f} s")
            raise

    @action("note")
    async def note(self) -> None:
        self.noted.append("noted")

    async def on_leave(self, client: Client, reason: str) -> None:
        await trio.sleep(1.5)
        self.noted.append(f"left after {trio.current_time():.1f} s")


async def test_a_handler_that_waits_for_ever_is_ended_and_shown_until_then(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make((GLOBAL_ROOM, Lobby), close_seconds=2)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for name in ("nap", "note", "nap"):
            await ana.send(name, 1_000)
        await trio.sleep(1)
        await ana.stream.aclose()
        await trio.sleep(1)
        shown = str(server.tree())
        assert f"the handler of 'nap' for {ana.id}" in shown
        assert server.statistics()["queued_messages"] == 2
        await trio.sleep(5)
        assert Lobby.noted == ["ended after 3.0 s", "noted", "ended after 3.0 s", "left after 4.5 s"]
        assert ana.id not in str(server.tree())
        assert server.statistics()["queued_messages"] == 0
        assert await ben.request("list-rooms")
    assert [each.message for each in caplog.records if "nap" in each.message] == [
        "the handler of 'nap' in room 'mesh-global' was ended: its client has been gone for 2 s"
    ] * 2
    assert not errors_of(caplog)


async def test_what_it_sent_before_is_handled_and_no_time_of_it_is_taken_from_on_leave(
    autojump_clock: MockClock,
) -> None:
    async with open_server(make((GLOBAL_ROOM, Lobby), close_seconds=2)) as net:
        ana = await net.connect("ana")
        await ana.send("nap", 0.9)
        await ana.send("nap", 0.9)
        await ana.stream.aclose()
        await trio.sleep(5)
        assert Lobby.noted == ["slept", "slept", "left after 3.3 s"]


async def test_an_on_leave_that_waits_for_ever_is_ended(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow(Lobby):
        async def on_leave(self, client: Client, reason: str) -> None:
            await self.nap(1_000)

    async with open_server(make((GLOBAL_ROOM, Slow), close_seconds=2)) as net:
        ana = await net.connect("ana")
        await ana.stream.aclose()
        await trio.sleep(5)
        assert Lobby.noted == ["ended after 2.0 s"]
    assert any("on_leave" in each and "took over 2 s" in each for each in errors_of(caplog))


async def test_in_another_room_a_handler_runs_to_its_end(autojump_clock: MockClock) -> None:
    async with open_server(make(("one", Lobby), close_seconds=2)) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ana.send("nap", 100, target="one")
        await ana.stream.aclose()
        await trio.sleep(120)
        assert Lobby.noted == ["slept", "left after 101.5 s"]


async def test_a_handler_of_a_gone_client_may_stop_the_server(autojump_clock: MockClock) -> None:
    server, ended = make(close_seconds=20), list[str]()

    @server.action("stop")
    async def stop(client: Client) -> None:
        await trio.sleep(5)
        await server.stop(60)
        await trio.sleep(5)
        ended.append("the handler")

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("stop")
        await trio.sleep(1)
        await ana.stream.aclose()
        await trio.sleep(30)
        assert ended == ["the handler"]
