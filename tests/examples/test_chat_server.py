"""The chat example's server, in memory."""

from typing import Any

import pytest
import trio

from examples.chat.server import GRACE, NAME_LENGTH, ROOMS, TEXT_LENGTH, Chat, server
from simplysocket import GLOBAL_ROOM, ActionError
from simplysocket.testing import TestClient, open_server


async def heard_in(client: TestClient, room: str) -> list[dict[str, Any]]:  # Any: JSON
    """Return the messages of one room that a client has received by now."""
    return [message for message in await client.settle() if message["target"] == room]


async def test_what_one_says_everyone_in_the_room_hears(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben, zoe = [await net.connect(name) for name in ("Ana", "Ben", "Zoë")]
        await ana.join("garden")
        await ben.join("garden")
        await zoe.join("kitchen")
        assert [message["action"] for message in await heard_in(ana, "garden")] == ["client-joined-room"]

        assert await ben.request("say", {"text": "<b>hello</b>"}, target="garden") is None

        for client in (ana, ben):
            (heard,) = await heard_in(client, "garden")
            assert (heard["action"], heard["sender"]) == ("say", ben.id)
            assert heard["message_body"] == {"text": "<b>hello</b>", "name": "Ben"}
        assert await heard_in(zoe, "garden") == []


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * (TEXT_LENGTH + 1)], ids=["empty", "blank", "too long"])
async def test_a_text_that_is_empty_or_too_long_is_refused(autojump_clock: trio.abc.Clock, text: str) -> None:
    async with open_server(server) as net:
        ana, ben = [await net.connect(name) for name in ("Ana", "Ben")]
        await ben.join("garden")
        await ana.join("garden")
        await ben.settle()

        with pytest.raises(ActionError) as refusal:
            await ana.request("say", {"text": text}, target="garden")

        assert (refusal.value.code, refusal.value.path) == ("bad-body", "$.text")
        assert await ben.settle() == []
        await ana.request("say", {"text": "x" * TEXT_LENGTH}, target="garden")
        assert len(await ben.settle()) == 1


async def test_who_takes_another_name_is_heard_under_it(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben, zoe = [await net.connect(name) for name in ("Ana", "Ben", "Zoë")]
        await ana.join("garden")
        await ben.join("garden")
        await zoe.join("kitchen")
        for client in (ana, ben, zoe):
            await client.settle()

        await ana.request("rename", {"name": "Ana María"})
        await ana.request("say", {"text": "hello"}, target="garden")

        renamed, said = await ben.settle()
        assert (renamed["action"], renamed["target"]) == ("renamed", "garden")
        assert renamed["message_body"] == {"client": ana.id, "name": "Ana María"}
        assert said["message_body"]["name"] == "Ana María"
        assert await zoe.settle() == []
        joined = await zoe.join("garden")
        assert [member["name"] for member in joined["members"]] == ["Ana María", "Ben", "Zoë"]


async def test_a_new_name_is_told_to_a_few_rooms_at_most(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        for number in range(ROOMS):
            await ana.join(f"room {number}")
        with pytest.raises(ActionError) as refusal:
            await ana.join("one more")
        assert refusal.value.code == "too-many"
        await ana.settle()
        await ana.request("rename", {"name": "Anna"})
        assert len([each for each in await ana.settle() if each["action"] == "renamed"]) == ROOMS


@pytest.mark.parametrize(
    "name", ["", " ", "Ana ", "Ana\nBen", "Ana\n", "\x1b[31mAna", "A\0na", "\x9b", "x" * (NAME_LENGTH + 1)]
)
async def test_what_is_no_name_is_refused(autojump_clock: trio.abc.Clock, name: str) -> None:
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        with pytest.raises(ActionError) as refusal:
            await ana.request("rename", {"name": name})
        assert (refusal.value.code, refusal.value.path) == ("bad-body", "$.name")
        await ana.request("rename", {"name": "x" * NAME_LENGTH})


async def test_a_new_name_comes_back_as_the_server_keeps_it(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        assert await ana.request("rename", {"name": "An\u200bna \u202eMaria"}) == {"name": "Anna Maria"}
        assert (await ana.request("rename", {"name": "\u200b"}))["name"].startswith("guest-")


async def test_everyone_is_told_of_the_rooms_there_are(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        zoe = await net.connect("Zoë")

        async def told() -> list[tuple[str, int]]:
            bodies = [each["message_body"] for each in await heard_in(zoe, GLOBAL_ROOM) if each["action"] == "room"]
            return [(body["roomname"], body["members"]) for body in bodies]

        ana, ben = await net.connect("Ana"), await net.connect("Ben")
        await ana.join("garden")
        assert await told() == [("garden", 1)]
        await ben.join("garden")
        assert await told() == [("garden", 2)]
        await ana.close()
        assert await told() == [("garden", 1)]
        await ben.request("leave-room", {"roomname": "garden"})
        assert (await told())[-1] == ("garden", 0)
        await ben.join("garden")
        assert await told() == [("garden", 1)]
        await server.rooms["garden"].close()
        assert await told() == [("garden", 0)]
        assert (await zoe.request("list-rooms"))["rooms"] == []


async def test_of_the_changes_of_a_room_only_the_newest_waits_for_a_client_that_does_not_read(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_server(server) as net:
        zoe = await net.connect("Zoë", reads=False, pipe_bytes=50)
        ana = await net.connect("Ana")
        for _ in range(8):
            await ana.join("garden")
            await ana.join("attic")
            await ana.request("leave-room", {"roomname": "garden"})
            await ana.request("leave-room", {"roomname": "attic"})
        zoe.start_reading(net.nursery)
        bodies = [each["message_body"] for each in await heard_in(zoe, GLOBAL_ROOM) if each["action"] == "room"]
        assert [(body["roomname"], body["members"]) for body in bodies[-2:]] == [("garden", 0), ("attic", 0)]
        assert len(bodies) <= 3  # the one that was being sent, and the newest of each room


async def test_everyone_knows_who_is_away_also_who_came_later(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:

        async def told(client: TestClient) -> list[list[str]]:
            return [each["message_body"]["clients"] for each in await client.settle() if each["action"] == "away"]

        ana, ben = await net.connect("Ana"), await net.connect("Ben", resume=True)
        await ana.join("garden")
        await ben.join("garden")
        assert await told(ana) == [[]]
        ben.drop()
        assert await told(ana) == [[ben.id]]
        zoe = await net.connect("Zoë")
        await zoe.join("garden")
        assert await told(zoe) == [[ben.id]]
        assert await told(ana) == []
        await ben.come_back()
        assert await told(ana) == await told(zoe) == [[]]
        ben.drop()
        await trio.sleep(GRACE + 1)
        assert await told(zoe) == [[ben.id]]
        assert list(server.rooms["garden"].members) == [ana.id, zoe.id]


async def test_a_full_room_of_the_chat_refuses_the_next_client(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        for number in range(Chat.capacity or 0):
            await (await net.connect(f"guest {number}")).join("garden")
        late = await net.connect("late")
        with pytest.raises(ActionError) as refusal:
            await late.join("garden")
        assert refusal.value.code == "room-full"
