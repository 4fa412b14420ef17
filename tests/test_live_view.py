"""Live views: `server.rooms`, `server.clients` and `room.members` copy nothing until they are iterated."""

from collections.abc import Callable, Collection, Mapping
from operator import attrgetter

import pytest
from trio.testing import MockClock

from simplysocket import Room, Server
from simplysocket._live_view import LiveView
from simplysocket.testing import open_server

from .harness.rooms import Talk
from .harness.servers import make


class Held:
    """An object that counts how often it is shown."""

    looks = 0

    @property
    def shown(self) -> str:
        Held.looks += 1
        return "shown"


def test_a_look_up_shows_one_object_and_copies_none() -> None:
    held = {f"r{number}": Held() for number in range(10_000)}
    view = LiveView[Held, str](held, attrgetter("shown"))
    Held.looks = 0
    assert view["r5"] == "shown"
    assert "r6" in view
    assert "other" not in view
    assert view.get("other") is None
    assert len(view) == 10_000
    assert Held.looks == 1


def test_a_view_is_live_and_an_iteration_goes_over_a_snapshot() -> None:
    held = {"a": Held(), "b": Held()}
    view = LiveView[Held, str](held, attrgetter("shown"))
    for _ in view:
        held.pop("b", None)
    for _ in view.values():
        held["c"] = Held()
    assert list(view.items()) == [("a", "shown"), ("c", "shown")]
    assert view == {"a": "shown", "c": "shown"}
    assert repr(view) == "{'a': 'shown', 'c': 'shown'}"
    assert ("a", "shown") in view.items()
    assert "shown" in view.values()


async def test_the_rooms_of_a_server_are_a_live_view(autojump_clock: MockClock) -> None:
    server: Server = make(("*", Talk))
    rooms = server.rooms
    assert not rooms
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert list(rooms) == ["mesh-global", "one"]
        assert rooms["one"].name == "one"
        assert all(isinstance(room, Room) for room in rooms.values())
        with pytest.raises(KeyError):
            rooms["two"]
        for name in rooms:
            await server.open_room(f"{name}-more")
        assert set(rooms) == {"mesh-global", "one", "mesh-global-more", "one-more"}


async def test_who_comes_or_goes_while_a_loop_waits_does_not_end_it(autojump_clock: MockClock) -> None:
    server: Server = make(("*", Talk))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for room in ("one", "two"):
            await ana.join(room)
        client = server.clients[ana.id]
        views: dict[str, Callable[[], Mapping[str, object]]] = {
            "members": lambda: server.rooms["one"].members,
            "clients": lambda: server.clients,
            "rooms of the server": lambda: server.rooms,
            "rooms of a client": lambda: client.rooms,
        }
        for name, view in views.items():
            loops: list[Collection[object]] = [view(), view().keys(), view().values(), view().items()]
            for number, loop in enumerate(loops):
                other = await net.connect("other")
                await other.join("one")
                await client.join(f"{name} {number}")
                expected, seen = len(loop), 0
                for _ in loop:
                    seen += 1
                    if seen == 1:
                        await other.close()
                        await (await net.connect("new")).join("one")
                        await client.join(f"{name} {number} more")
                        await client.leave(f"{name} {number}")
                assert seen == expected, name
