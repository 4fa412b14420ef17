"""`on_message`: messages whose action nothing has registered, before they go to the relay."""

from typing import Any

import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Call, Client, Message, Next, RegistrationError, Room, action
from simplysocket.testing import open_server

from ..harness.messages import bodies_of, code_of
from ..harness.servers import make


class Heard(Room):
    async def on_message(self, client: Client, message: Message) -> Any:
        return ["class", message.action, message.body]

    @action("known")
    async def known(self) -> str:
        return "class action"


async def test_a_message_without_an_action_goes_to_the_class_then_the_server_then_the_relay(
    autojump_clock: MockClock,
) -> None:
    class Quiet(Room):
        relay = False

    class Loud(Room):
        relay = True

    server = make(("heard", Heard), ("quiet", Quiet), ("loud", Loud))

    @server.action("shared")
    async def shared() -> str:
        return "server action"

    @server.action("only-heard")
    async def only_heard(room: Heard) -> str:
        return "in heard"

    async with open_server(server) as net:
        ana = await net.connect()
        for room in ("heard", "quiet", "loud", "plain"):
            await ana.join(room)
        assert await ana.request("known", target="heard") == "class action"
        assert await ana.request("shared", target="heard") == "server action"
        assert await ana.request("only-heard", target="heard") == "in heard"
        assert await ana.request("new", [1], target="heard") == ["class", "new", [1]]
        assert await code_of(ana, "new", target="quiet") == "unknown-action"
        assert await code_of(ana, "only-heard", target="quiet") == "unknown-action"
        assert await code_of(ana, "new", target="plain") == "unknown-action"
        assert await ana.request("new", [1], target="loud") is None
        assert bodies_of(await ana.settle(), "new") == [[1]]
        assert await code_of(ana, "new", target="mesh-global") == "unknown-action"

    server = make(("heard", Heard), ("quiet", Quiet), ("loud", Loud), relay=True)

    @server.on_message
    async def other(call: Call, body: Any, room: Room) -> Any:
        return ["server", call.action, body, room.name]

    async with open_server(server) as net:
        ana = await net.connect()
        for room in ("heard", "quiet", "loud"):
            await ana.join(room)
        assert await ana.request("new", 1, target="heard") == ["class", "new", 1]
        assert await ana.request("new", 1, target="quiet") == ["server", "new", 1, "quiet"]
        assert await ana.request("new", 1, target="loud") == ["server", "new", 1, "loud"]
        assert await ana.request("new", 1) == ["server", "new", 1, "mesh-global"]
        assert await ana.settle() == []


async def test_on_message_for_one_room_class_leaves_other_rooms_to_the_relay(autojump_clock: MockClock) -> None:
    class Loud(Room):
        relay = True

    server = make(("heard", Heard), ("loud", Loud))

    @server.on_message
    async def other(room: Heard) -> str:
        return "never"

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("loud")
        assert await ana.request("new", 1, target="loud") is None
        assert bodies_of(await ana.settle(), "new") == [1]


async def test_on_message_may_refuse_fail_and_be_inherited(autojump_clock: MockClock) -> None:
    class Below(Heard):
        async def on_message(self, message: Message) -> Any:
            if message.action == "refuse":
                raise ActionError("my-code")
            if message.action == "bug":
                raise KeyError("a bug")
            return ["below", message.action]

    class Lowest(Below):
        pass

    server = make(("one", Lowest))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        assert await ana.request("x", target="one") == ["below", "x"]
        assert await code_of(ana, "refuse", target="one") == "my-code"
        assert await code_of(ana, "bug", target="one") == "internal"
        assert await ana.request("x", target="one") == ["below", "x"]
        await ana.send("x", target="one")  # not a request
        assert await ana.settle() == []


async def test_reserved_actions_and_messages_of_non_members_never_reach_on_message(autojump_clock: MockClock) -> None:
    seen: list[str] = []
    server = make(relay=True)

    @server.on_message
    async def other(message: Message) -> None:
        seen.append(message.action)

    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await bob.join("one")
        for name in ("welcome", "room-closed", "part", "credit", "resume", "client-joined-room", "client-left-room"):
            assert await code_of(ana, name, {}) == "forbidden"
        for name in ("reply", "error", "cancel"):
            await ana.send(name, {}, id="none")
        for name in ("ping", "list-rooms"):
            await ana.request(name, {})
        await ana.settle()
        assert await code_of(ana, "x", target="one") == "not-a-member"
        assert await code_of(ana, "x", target="nowhere") == "unknown-target"
        assert seen == []


async def test_memory_does_not_grow_with_the_names_that_clients_invent(autojump_clock: MockClock) -> None:
    class Loud(Room):
        relay = True

    server = make(("heard", Heard), ("loud", Loud))

    @server.middleware
    async def through(call: Call, next: Next) -> object:
        return await next(call)

    async with open_server(server) as net:
        ana = await net.connect()
        for room in ("heard", "loud", "plain"):
            await ana.join(room)
        sizes = []
        for round in range(3):
            for at in range(40):
                for room in ("heard", "loud", "plain", "mesh-global"):
                    await ana.send(f"invented-{round}-{at}", target=room, id=1)
                await ana.settle()
            sizes.append({name: len(life.calls) for name, life in server._assembly.hub.runtimes.items()})
            assert set(server.metrics.messages_refused) == {"unknown-action"}
        assert sizes == [{"heard": 1, "loud": 1, "plain": 0, "mesh-global": 0}] * 3


async def test_an_on_message_registered_while_the_server_runs_is_refused(
    autojump_clock: MockClock,
) -> None:
    server = make(relay=True)

    async def other() -> str:
        return "heard"

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.request("x")
        with pytest.raises(RegistrationError, match="before the server runs"):
            server.on_message(other)
        assert await ana.request("x") is None


async def test_on_message_needs_no_annotations(autojump_clock: MockClock) -> None:
    class Hall(Room):
        async def on_message(self, client, message):  # type: ignore[no-untyped-def]
            return [client.name, message.action, message.body]

    server = make(("hall", Hall))

    @server.on_message
    async def anything(message, client):  # type: ignore[no-untyped-def]
        return [message.action, client.name]

    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        assert await ana.request("wave", 1, target="hall") == ["Ana", "wave", 1]
        assert await ana.request("wave") == ["wave", "Ana"]
