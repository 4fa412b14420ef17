"""Direct messages: they go through the middleware, in the turn of a room that both clients are in."""

from typing import ClassVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Call, Client, Room, Server, action
from simplysocket.middleware import Next, middleware
from simplysocket.testing import TestClient, open_server

from ..harness.messages import actions_of, answers_of, bodies_of, code_of
from ..harness.servers import make


class Watched(Room):
    """A room that notes what its middleware sees, and handles `whisper` and all else."""

    seen: ClassVar[list[str]]

    @middleware
    async def note(self, call: Call, next: Next) -> object:
        self.seen.append(f"{self.name}: {call.action}")
        return await next(call)

    @action("whisper")
    async def whisper(self) -> str:
        return "the action"

    async def on_message(self) -> str:
        return "on_message"

    @action("nap")
    async def nap(self, body: float) -> None:
        await trio.sleep(body)

    @action("say")
    async def say(self, body: str) -> None:
        await self.broadcast("said", body)


def make_watched(**options: bool) -> tuple[Server, list[str]]:
    class Here(Watched):
        seen: ClassVar[list[str]] = []

    server = make(("*", Here), direct=True, **options)

    @server.action("whisper")
    async def whisper() -> str:
        return "the server's action"

    @server.on_message
    async def on_message() -> str:
        return "the server's on_message"

    @server.middleware
    async def check(call: Call, next: Next) -> object:
        Here.seen.append(f"server: {call.action} to {call.message.target} {call.message.target_client}")
        if call.client.state.get("is muted"):
            raise ActionError("forbidden", "you are muted")
        if call.action == "shout":
            return await next(call.with_body(str(call.message.body).upper()))
        if call.action == "silent":
            return "kept"
        return await next(call)

    return server, Here.seen


async def whisper(ana: TestClient, ben: TestClient, action: str = "whisper", body: object = "psst") -> object:
    return await ana.request(action, body, target=ben.id, IsTargetClient=True)


async def test_who_is_muted_whispers_to_nobody(autojump_clock: MockClock) -> None:
    server, _ = make_watched()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        assert await whisper(ana, ben) is None
        server.clients[ana.id].state["is muted"] = True
        for sent in ("whisper", "say", "anything"):
            assert await code_of(ana, sent, "psst", target=ben.id, IsTargetClient=True) == "forbidden"
        assert actions_of(await ben.settle()) == ["whisper"]


@pytest.mark.parametrize("sent", ["whisper", "anything"])
async def test_no_action_and_no_on_message_takes_it(autojump_clock: MockClock, sent: str) -> None:
    server, seen = make_watched(relay=True)
    async with open_server(server) as net:
        ana, ben, eve = [await net.connect(name) for name in ("ana", "ben", "eve")]
        for client in (ana, ben, eve):
            await client.join("one")
        assert await whisper(ana, ben, sent) is None
        (message,) = await ben.settle()
        assert (message["action"], message["message_body"], message["sender"]) == (sent, "psst", ana.id)
        assert (message["target"], message["IsTargetClient"]) == (ben.id, True)
        assert await eve.settle() == []
        assert seen == [f"server: {sent} to {ben.id} True", f"one: {sent}"]


async def test_middleware_changes_it_and_keeps_it(autojump_clock: MockClock) -> None:
    server, _ = make_watched()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        assert await whisper(ana, ben, "shout") is None
        assert await whisper(ana, ben, "silent") == "kept"
        assert bodies_of(await ben.settle(), "shout") == ["PSST"]
        assert await ben.settle() == []


async def test_an_exception_handler_answers_for_its_middleware(autojump_clock: MockClock) -> None:
    server = make(direct=True)

    @server.middleware
    async def fail(call: Call, next: Next) -> object:
        raise LookupError

    @server.exception_handler(LookupError)
    async def answer(call: Call, error: LookupError) -> str:
        return "handled"

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await whisper(ana, ana) == "handled"


async def test_it_has_its_turn_in_the_shared_room_joined_last(autojump_clock: MockClock) -> None:
    server, seen = make_watched()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for room in ("two", "one", "ana's"):
            await ana.join(room)
        for room in ("one", "two", "ben's"):
            await ben.join(room)
        await whisper(ana, ben)
        assert seen[-1] == "one: whisper"
        await ana.request("leave-room", {"roomname": "one"})
        await whisper(ana, ben)
        assert seen[-1] == "two: whisper"


async def test_it_keeps_its_place_among_what_its_sender_says_to_the_room(autojump_clock: MockClock) -> None:
    server, _ = make_watched()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ben.send("nap", 10, target="one")
        await ana.send("say", "a", target="one")
        await ana.send("whisper", "b", target=ben.id, IsTargetClient=True)
        await ana.send("say", "c", target="one")
        await trio.sleep(5)
        assert await ben.settle() == []
        await trio.sleep(6)
        assert [each["message_body"] for each in await ben.settle()] == ["a", "b", "c"]


@pytest.mark.parametrize("who", ["ana", "ben"])
@pytest.mark.parametrize("how", ["leave", "kick", "close", "disconnect"])
async def test_who_shares_no_room_any_more_when_its_turn_comes_gets_none(
    autojump_clock: MockClock, who: str, how: str
) -> None:
    server, _ = make_watched()
    async with open_server(server) as net:
        ana, ben, eve = [await net.connect(name) for name in ("ana", "ben", "eve")]
        for client in (ana, ben, eve):
            await client.join("one")
        await eve.send("nap", 10, target="one")
        await trio.testing.wait_all_tasks_blocked()
        gone = ana if who == "ana" else ben
        if how == "leave":
            await gone.send("leave-room", {"roomname": "one"})
        elif how == "kick":
            net.nursery.start_soon(server.rooms["one"].kick, server.clients[gone.id])
        elif how == "close":
            net.nursery.start_soon(server.rooms["one"].close)
        else:
            await gone.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        if gone is not ana or how != "disconnect":
            await ana.send("whisper", "psst", target=ben.id, IsTargetClient=True, id=7)
        await trio.sleep(20)
        if gone is not ben or how != "disconnect":
            assert "whisper" not in actions_of(await ben.settle())
        if gone is not ana or how != "disconnect":
            (code,) = answers_of(await ana.settle(), 7)
            assert code in ("unknown-target", "not-a-member", "room-closed")


async def test_it_is_cancelled_and_times_out_while_it_waits(autojump_clock: MockClock) -> None:
    server, _ = make_watched()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ben.send("nap", 10, target="one")
        await ana.send("whisper", 1, target=ben.id, IsTargetClient=True, id=1)
        await ana.send("whisper", 2, target=ben.id, IsTargetClient=True, id=2, timeout=3)
        await ana.send("whisper", 3, target=ben.id, IsTargetClient=True, id=3, timeout=30)
        await ana.send("cancel", id=1)
        await trio.sleep(20)
        messages = await ana.settle()
        assert [answers_of(messages, each) for each in (1, 2, 3)] == [["cancelled"], ["timeout"], [None]]
        assert bodies_of(await ben.settle(), "whisper") == [3]


async def test_it_reaches_its_receiver_through_the_outbound_hooks_alone_where_there_is_no_middleware(
    autojump_clock: MockClock,
) -> None:
    server = make(direct=True)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        assert await whisper(ana, ben) is None
        client: Client = server.clients[ana.id]
        assert [each["sender"] for each in await ben.settle()] == [client.id]
