"""The lobby's room: who is there is sent the list, and what changes in it."""

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Client, action
from simplysocket.games import LobbyRoom
from simplysocket.testing import TestClient, open_server

from ..harness.duels import make_lobby
from ..harness.messages import actions_of


async def told(client: TestClient) -> list[dict[str, list[str]]]:
    """Return what the client has been told of rooms, by name, in half a second."""
    await trio.sleep(0.5)
    bodies = [m["message_body"] for m in await client.settle() if m["action"] == "rooms-changed"]
    return [
        {
            "added": [each["roomname"] for each in body["added"]],
            "changed": [each["roomname"] for each in body["changed"]],
            "removed": body["removed"],
        }
        for body in bodies
    ]


async def test_who_joins_the_lobby_is_sent_the_first_page(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby(rooms_per_client=None)[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for n in range(120):
            await ana.join(f"duel-{n:03}")
        await ben.join("lobby")
        body = (await ben.expect("rooms"))["message_body"]
        assert [room["roomname"] for room in body["rooms"]] == [f"duel-{n:03}" for n in range(100)]
        assert body["total"] == 120
        rest = await ben.request("list-rooms", {"after": body["next"]})
        assert len(rest["rooms"]) == 20


async def test_the_lobby_is_open_from_the_start_and_not_listed(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        assert "lobby" in server.rooms
        ana = await net.connect("ana")
        assert (await ana.join("lobby"))["created"] is False
        assert await ana.request("list-rooms") == {"rooms": [], "total": 0}


async def test_members_of_the_lobby_are_told_what_comes_changes_and_goes(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("lobby")
        await ana.join("duel-1")
        assert await told(ben) == [{"added": ["duel-1"], "changed": [], "removed": []}]
        await ana.request("change", {"mode": "blitz"}, target="duel-1")
        assert await told(ben) == [{"added": [], "changed": ["duel-1"], "removed": []}]
        await ben.join("duel-1")
        assert await told(ben) == [{"added": [], "changed": ["duel-1"], "removed": []}]
        await ana.request("close", target="duel-1")
        assert await told(ben) == [{"added": [], "changed": [], "removed": ["duel-1"]}]


async def test_a_room_that_comes_and_goes_in_between_is_not_told_of(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        ben = await net.connect("ben")
        await ben.join("lobby")
        await told(ben)
        room = await server.open_room("duel-9")
        await room.close()
        assert [each for each in await told(ben) if each["added"]] == []


async def test_the_changes_of_one_pass_come_together_and_many_are_split(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        ben = await net.connect("ben")
        rooms = [await server.open_room(f"duel-{n:03}") for n in range(250)]
        await ben.join("lobby")
        await told(ben)
        for _ in range(3):
            for room in rooms:
                room.listing = room.listing
        messages = await told(ben)
        assert [len(each["changed"]) for each in messages] == [100, 100, 50]


async def test_a_client_that_comes_back_has_missed_no_change(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        ben = await net.connect("ben", resume=True)
        await ben.join("lobby")
        await told(ben)
        ben.drop()
        await server.open_room("duel-1")
        await trio.sleep(1)
        assert (await ben.come_back())["outcome"] == "resumed"
        assert (await told(ben))[-1]["added"] == ["duel-1"]


async def test_a_client_that_has_missed_changes_for_good_is_sent_the_page_anew(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(resume_frames=1)
    async with open_server(server) as net:
        ben = await net.connect("ben", resume=True)
        await ben.join("lobby")
        await told(ben)
        ben.drop()
        for n in range(5):
            await server.open_room(f"duel-{n}")
            await trio.sleep(1)
        assert (await ben.come_back())["outcome"] == "gap"
        assert len((await ben.expect("rooms"))["message_body"]["rooms"]) == 5


async def test_the_lobby_says_who_is_here(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("lobby")
        answer = await ben.join("lobby")
        assert [member["name"] for member in answer["members"]] == ["ana", "ben"]
        assert (await ana.expect("client-joined-room"))["message_body"]["name"] == "ben"


async def test_a_lobby_may_have_actions_of_its_own(autojump_clock: MockClock) -> None:
    class Foyer(LobbyRoom):
        @action("say")
        async def say(self, client: Client, body: str) -> None:
            await self.broadcast("said", body, sender=client)

    async with open_server(make_lobby(lobby={"room": "foyer", "room_class": Foyer})[0]) as net:
        ana = await net.connect("ana")
        await ana.join("foyer")
        await ana.request("say", "hello", target="foyer")
        assert (await ana.expect("said"))["message_body"] == "hello"


async def test_a_client_cannot_say_what_looks_like_a_change(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby(relay=True)[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("lobby")
        await ben.join("lobby")
        await ben.settle()
        await ana.send("rooms-changed", {"added": []}, target="lobby")
        assert actions_of(await ben.settle()) == []


async def test_a_lobby_that_was_closed_opens_again_with_a_join(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        await server.rooms["lobby"].close()
        ana = await net.connect("ana")
        await ana.join("lobby")
        await ana.expect("rooms")
        await server.open_room("duel-1")
        assert (await told(ana))[0]["added"] == ["duel-1"]


async def test_a_server_with_a_lobby_may_serve_again(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    for _ in range(2):
        async with open_server(server) as net:
            ana = await net.connect("ana")
            await ana.join("lobby")
            await ana.join("duel-1")
            assert (await ana.request("list-rooms"))["total"] == 1


@pytest.mark.parametrize("failing", [True, False])
async def test_a_room_is_listed_only_once_its_on_create_has_succeeded(autojump_clock: MockClock, failing: bool) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("lobby")
        await told(ben)
        await ana.send("join-room", {"roomname": "duel-1", "listing": {"level": "x" if failing else 3}})
        assert await told(ben) == ([] if failing else [{"added": ["duel-1"], "changed": [], "removed": []}])
