"""The end of a client: `on_leave` in each of its rooms, then `on_disconnect`, whatever the rooms are doing."""

from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, Client, Room, Server, action
from simplysocket.testing import open_server

from ..harness.servers import in_cancel_scope, make


class Noting(Room):
    """A room that notes its leaves; `nap` holds the turn for a while."""

    noted: ClassVar[list[str]]

    async def on_leave(self, client: Client, reason: str) -> None:
        self.noted.append(f"{client.name} leaves {self.name}")
        await trio.sleep(0.5)
        self.noted.append(f"{client.name} has left {self.name}")

    @action("nap")
    async def nap(self, body: float) -> None:
        await trio.sleep(body)

    @action("kick")
    async def kick_ana(self) -> None:
        await self.kick(next(each for each in self.members.values() if each.name == "ana"))


def make_noting() -> tuple[Server, list[str]]:
    class Noted(Noting):
        noted: ClassVar[list[str]] = []

    server = make(("*", Noted), (GLOBAL_ROOM, Noted))

    @server.on_disconnect
    async def on_disconnect(client: Client) -> None:
        Noted.noted.append(f"{client.name} has disconnected")

    return server, Noted.noted


@pytest.mark.parametrize("busy", [(), ("one",), (GLOBAL_ROOM,), ("one", "two", GLOBAL_ROOM)])
@pytest.mark.parametrize("who", ["ana", "ben"])
async def test_on_disconnect_comes_after_on_leave_in_each_room(
    autojump_clock: MockClock, busy: tuple[str, ...], who: str
) -> None:
    server, noted = make_noting()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for room in ("one", "two"):
            await ana.join(room)
            await ben.join(room)
        napping = ana if who == "ana" else ben
        for room in busy:
            await napping.send("nap", 1.5 if room == GLOBAL_ROOM else 10, target=room)
        await trio.sleep(0.1)
        await ana.stream.aclose()
        await trio.sleep(20)
        of_ana = [each for each in noted if each.startswith("ana")]
        assert of_ana[-1] == "ana has disconnected"
        assert sorted(of_ana[:-1]) == sorted(
            f"ana {how} {room}" for how in ("leaves", "has left") for room in ("one", "two", GLOBAL_ROOM)
        )


@pytest.mark.parametrize("how", ["leave-room", "kick"])
async def test_an_on_leave_that_is_under_way_is_waited_for(autojump_clock: MockClock, how: str) -> None:
    server, noted = make_noting()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        if how == "kick":
            await ben.send("kick", target="one")
        else:
            await ana.send("leave-room", {"roomname": "one"})
        await trio.sleep(0.1)
        await ana.stream.aclose()
        await trio.sleep(5)
        assert noted.index("ana has left one") < noted.index("ana has disconnected")


async def test_a_client_that_waits_for_its_last_leave_is_counted_no_more(autojump_clock: MockClock) -> None:
    server, noted = make_noting()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ben.send("nap", 1_000, target="one")
        await ana.stream.aclose()
        await trio.sleep(500)
        assert noted == ["ana leaves mesh-global", "ana has left mesh-global"]
        assert list(server.clients) == [ben.id]
        assert server.statistics()["connections"] == 1
        await trio.sleep(600)
        assert noted[-1] == "ana has disconnected"


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_at_the_end_of_the_server_no_on_leave_comes_after_on_disconnect(
    autojump_clock: MockClock, is_cancelled: bool
) -> None:
    server, noted = make_noting()
    async with in_cancel_scope(server) as (net, scope):
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ben.send("nap", 1_000, target="one")
        await ana.send("nap", 1_000)
        await trio.sleep(1)
        await ana.stream.aclose()
        await trio.sleep(0.5)
        if is_cancelled:
            scope.cancel()
        else:
            await server.stop(1)
    assert noted.count("ana has disconnected") == noted.count("ben has disconnected") == 1
    for name in ("ana", "ben"):
        of_one = [each for each in noted if each.startswith(name)]
        assert of_one[-1] == f"{name} has disconnected"
