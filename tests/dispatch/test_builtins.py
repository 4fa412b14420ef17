"""The built-in actions: joining, leaving, asking for rooms and members, and which of them a room class may replace."""

import pytest
from trio.testing import MockClock

from simplysocket import ActionError, RegistrationError, Room, action
from simplysocket.testing import open_server

from ..harness.messages import actions_of
from ..harness.rooms import Talk
from ..harness.servers import make


async def test_built_in_actions_without_an_id_answer_with_their_own_action(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("join-room", {"roomname": "one"})
        await ana.send("who", {"roomname": "one"})
        await ana.send("list-rooms")
        await ana.send("ping")
        await ana.send("leave-room", {"roomname": "one"})
        assert sorted(actions_of(await ana.settle())) == ["join-room", "leave-room", "list-rooms", "ping", "who"]


async def test_list_rooms_is_cut_and_continued(autojump_clock: MockClock) -> None:
    server = make(("*", Talk), rooms_per_client=None)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for n in range(150):
            await ana.join(f"r{n:03}")
        first = await ana.request("list-rooms")
        assert first["total"] == 150
        assert [room["roomname"] for room in first["rooms"]] == [f"r{n:03}" for n in range(100)]
        second = await ana.request("list-rooms", {"after": "r099"})
        assert [room["roomname"] for room in second["rooms"]] == [f"r{n:03}" for n in range(100, 150)]
        assert second["rooms"][0] == {"roomname": "r100", "members": 1, "capacity": None}


async def test_no_built_in_answer_is_searched_for_floats(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[object] = []

    def note(body: object) -> bool:
        searched.append(body)
        return False

    monkeypatch.setattr("simplysocket._protocol.codec._has_non_finite", note)
    async with open_server(make(("*", Talk))) as net:
        ana = await net.connect("null")
        for n in range(2):
            await ana.join(f"null{n}")
        for name in ("who", "list-rooms", "ping"):
            await ana.request(name, {"roomname": "null0"})
            await ana.send(name, {"roomname": "null0"})
        await ana.join("mesh-global")
        assert "null" in str(await ana.settle())
        assert searched == []


async def test_a_join_that_names_no_room_is_told_so(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        ana = await net.connect("ana")
        for body in ({}, {"room": "one"}, {"roomname": ""}):
            with pytest.raises(ActionError, match="bad-body: which room"):
                await ana.request("join-room", body)


@pytest.mark.parametrize("name", ["who", "leave-room", "say-nothing"])
async def test_a_room_class_may_replace_a_built_in_action(autojump_clock: MockClock, name: str) -> None:
    await ask_own(name)


@pytest.mark.parametrize("name", ["list-rooms", "join-room", "renew"])
async def test_a_built_in_action_that_a_room_class_cannot_replace_is_refused(
    autojump_clock: MockClock, name: str
) -> None:
    with pytest.raises(RegistrationError):
        await ask_own(name)


async def ask_own(name: str) -> None:
    class Own(Room):
        @action(name)
        async def own(self) -> str:
            return "own"

    server = make(("one", Own))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.request("join-room", {"roomname": "one"})
        assert await ana.request(name, {"roomname": "one"}, target="one") == "own"
