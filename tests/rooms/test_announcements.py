"""Joins and leaves in a room that announces them: one by one in a small room, together in a large one."""

from typing import Any

import pytest
from trio.testing import MockClock

from simplysocket import Client, Message, Room, action
from simplysocket.testing import Net, TestClient, open_server

from ..harness.crowd import connect_many
from ..harness.messages import actions_of, bodies_of
from ..harness.rooms import Talk
from ..harness.servers import make
from ..harness.socketless import enter_many


class Announcing(Talk):
    """A room that announces joins and leaves."""

    announce = True


SINGLE = 100  # members up to which each join and each leave is a message of its own


async def fill(net: Net, count: int) -> list[TestClient]:
    """Let so many clients join the room "big"; the first of them is the one that a test looks at."""
    clients = await connect_many(net, count, room="big")
    await clients[0].settle()
    return clients


def changes_in(messages: list[dict[str, Any]]) -> list[Any]:
    return bodies_of(messages, "members-changed")


async def test_up_to_a_hundred_members_are_told_of_each_join_and_leave(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Announcing))) as net:
        clients = await fill(net, SINGLE - 2)
        late = [await net.connect(f"late{n}") for n in range(2)]
        for client in late:
            await client.join("big")
        await late[0].request("leave-room", {"roomname": "big"})
        heard = await clients[0].settle()
        assert actions_of(heard) == ["client-joined-room", "client-joined-room", "client-left-room"]
        assert heard[2]["message_body"] == {"client": late[0].id, "name": "late0", "reason": "left"}


async def test_more_members_are_told_of_joins_and_leaves_together(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Announcing))) as net:
        clients = await fill(net, SINGLE)
        late = await net.connect("late")
        await late.join("big")
        (heard,) = await clients[0].settle()
        assert (heard["action"], heard["target"], heard["sender"]) == ("members-changed", "big", "test")
        assert heard["message_body"] == {
            "joined": [{"client": late.id, "name": "late"}],
            "left": [],
            "total": SINGLE + 1,
        }
        await clients[1].send("leave-room", {"roomname": "big"})
        # One more than a hundred heard of the join together; those that remain hear of the leave by itself.
        (heard,) = await clients[0].settle()
        assert heard["action"] == "client-left-room"


async def test_a_crowd_is_a_few_messages_whose_lists_have_a_hundred_entries_at_most(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Announcing), inbox_messages=None)) as net:
        clients = await fill(net, SINGLE)
        crowd = enter_many(net.server, 300)
        for client in crowd:
            client.send("join-room", {"roomname": "big"})
        heard = await clients[0].settle()
        assert set(actions_of(heard)) == {"members-changed"}
        assert len(heard) < 10
        joined = [each["client"] for body in changes_in(heard) for each in body["joined"]]
        assert joined == [client.id for client in crowd if client.id in joined]  # those beyond a hundred are not named
        assert max(len(body["joined"]) for body in changes_in(heard)) in range(50, 101)
        assert changes_in(heard)[-1]["total"] == SINGLE + 300

        for client in crowd:
            client.disconnect()
        heard = await clients[0].settle()
        assert set(actions_of(heard)) == {"members-changed"}
        assert len(heard) < 10
        assert changes_in(heard)[0]["joined"] == []
        assert changes_in(heard)[0]["left"][0] == {"client": crowd[0].id, "name": "c0", "reason": "disconnected"}


@pytest.mark.parametrize("is_mixed", [False, True])
async def test_joined_members_are_named_before_anything_that_they_say(
    autojump_clock: MockClock, is_mixed: bool
) -> None:
    async with open_server(make(("*", Announcing), inbox_messages=None)) as net:
        clients = await fill(net, SINGLE)
        crowd = enter_many(net.server, 60)
        for client in crowd:
            client.send("join-room", {"roomname": "big"})
            if is_mixed:
                client.send("say", {}, target="big")
        for client in crowd:
            client.send("say", {}, target="big")
        for client in crowd[30:]:
            client.send("leave-room", {"roomname": "big"})
        members = {client.id for client in clients}
        heard = await clients[0].settle()
        for message in heard:
            if message["action"] == "members-changed":
                body = message["message_body"]
                members |= {each["client"] for each in body["joined"]}
                members -= {each["client"] for each in body["left"]}
                assert len(members) == body["total"]
            else:
                assert message["sender"] in members
        assert members == set(net.server.rooms["big"].members)
        said = len(bodies_of(heard, "said"))
        assert said == (120 if is_mixed else 60)
        assert len(changes_in(heard)) <= (60 if is_mixed else 0) + 6


async def test_joined_members_are_named_before_what_the_rooms_own_code_says_of_them(autojump_clock: MockClock) -> None:
    class Game(Announcing):
        @action("move")
        async def move(self, client: Client) -> None:
            await self.broadcast("moved", {"player": client.id})

    async with open_server(make(("*", Game))) as net:
        clients = await fill(net, SINGLE)
        late = enter_many(net.server, 10)
        for client in late:
            client.send("join-room", {"roomname": "big"})
        late[0].send("move", target="big")
        heard = await clients[0].settle()
        assert actions_of(heard) == ["members-changed", "moved"]
        assert [each["client"] for each in heard[0]["message_body"]["joined"]] == [client.id for client in late]


async def test_a_client_that_joins_or_leaves_several_times_in_a_pass_is_named_as_it_is_at_the_end(
    autojump_clock: MockClock,
) -> None:
    async with open_server(make(("*", Announcing))) as net:
        clients = await fill(net, SINGLE + 5)
        late, other = enter_many(net.server, 2)
        other.send("join-room", {"roomname": "big"})
        members = {client.id for client in clients} | {other.id}
        await clients[0].settle()
        for name in ("join-room", "leave-room", "join-room"):
            late.send(name, {"roomname": "big"})
        for name in ("leave-room", "join-room", "leave-room"):
            other.send(name, {"roomname": "big"})
        (body,) = changes_in(await clients[0].settle())
        assert body["joined"] == [{"client": late.id, "name": "c0"}]
        assert body["left"] == [{"client": other.id, "name": "c1", "reason": "left"}]
        assert (members | {late.id}) - {other.id} == set(net.server.rooms["big"].members)


async def test_the_lists_are_cut_at_a_hundred_and_the_total_is_exact(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Announcing))) as net:
        clients = await fill(net, SINGLE + 1)
        runtime = net.server._assembly.hub.runtimes["big"]
        announcements = runtime.announcements
        assert announcements is not None
        crowd = enter_many(net.server, 150)
        for client in crowd:
            announcements.joined(client.session)
        (body,) = changes_in(await clients[0].settle())
        assert [each["client"] for each in body["joined"]] == [client.id for client in crowd[:100]]
        assert body["total"] == SINGLE + 1


async def test_a_room_that_has_closed_names_nobody(autojump_clock: MockClock) -> None:
    class Ending(Announcing):
        @action("end")
        async def end(self) -> None:
            await self.close()

    async with open_server(make(("*", Ending), inbox_messages=None)) as net:
        clients = await fill(net, SINGLE)
        (late,) = enter_many(net.server, 1)
        late.send("join-room", {"roomname": "big"})
        late.send("end", target="big")
        heard = await clients[0].settle()
        assert actions_of(heard)[-1] == "room-closed"
        assert late.id not in net.server.rooms.get("big", {})


async def test_an_outbound_hook_sees_members_changed_and_may_stop_it(autojump_clock: MockClock) -> None:
    server = make(("*", Announcing))
    seen: list[Any] = []

    @server.outbound
    def note(message: Message) -> Message | None:
        if message.action == "members-changed":
            seen.append(message.body)
            return None
        return message

    async with open_server(server) as net:
        clients = await fill(net, SINGLE)
        late = await net.connect("late")
        await late.join("big")
        assert await clients[0].settle() == []
        assert seen == [{"joined": [{"client": late.id, "name": "late"}], "left": [], "total": SINGLE + 1}]


async def test_an_outbound_hook_that_breaks_members_changed_does_not_end_the_server(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(("*", Announcing))

    @server.outbound
    def breaking(message: Message) -> Message:
        if message.action == "members-changed":
            return Message("\ud800", message.body, message.target, False, message.sender)
        return message

    async with open_server(server) as net:
        clients = await fill(net, SINGLE)
        await (await net.connect("late")).join("big")
        assert await clients[0].settle() == []
        assert "the message 'members-changed' is stopped" in caplog.text
        assert (await clients[0].request("ping")).keys() == {"now"}


async def test_clients_cannot_send_members_changed(autojump_clock: MockClock) -> None:
    class Relaying(Room):
        relay = True

        async def on_join(self, client: Client) -> None:
            with pytest.raises(ValueError, match="reserved"):
                await self.broadcast("members-changed")

    async with open_server(make(("*", Relaying))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("members-changed", {"joined": []}, target="one", id=1)
        (answer,) = await ana.settle()
        assert answer["message_body"]["code"] == "forbidden"
