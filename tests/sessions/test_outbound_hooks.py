"""Outbound hooks: they may change or stop the messages that the application sends."""

from __future__ import annotations

import functools
import json
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import (
    ActionError,
    Client,
    EncodeError,
    Message,
    RegistrationError,
    Room,
    action,
)
from simplysocket._protocol.codec import encode_body
from simplysocket._protocol.frames import client_frame
from simplysocket.testing import open_server

from ..harness.error_log import error_records
from ..harness.messages import actions_of
from ..harness.outbound import Noting
from ..harness.servers import make


class Speaking(Room):
    """A room with an action for each way of sending."""

    announce = True
    relay = True

    @action("say")
    async def say(self, client: Client, body: Any) -> str:
        await self.broadcast("said", body, sender=client)
        return "reply"

    @action("tell")
    async def tell(self, client: Client, body: Any) -> bool:
        return await self.send(client, "told", body)

    @action("write")
    async def write(self, client: Client, body: Any) -> bool:
        return await client.send("written", body, sender="somebody")

    @action("ask")
    async def ask(self, client: Client, body: Any) -> Any:
        return await client.request("question", body)

    @action("refuse")
    async def refuse(self) -> None:
        raise ActionError("my-code")

    @action("kick-me")
    async def out(self, client: Client) -> None:
        await self.kick(client)


async def test_a_hook_sees_each_message_of_the_application_once(autojump_clock: MockClock) -> None:
    server = make(("*", Speaking), direct=True)
    noting = Noting()
    server.outbound(noting)
    async with open_server(server) as net:
        ana, bob, eve = [await net.connect(name) for name in ("ana", "bob", "eve")]
        await ana.join("one")
        assert noting.take() == ["client-joined-room"]
        await bob.join("one")
        await eve.join("one")
        assert noting.take() == ["client-joined-room"] * 2
        await ana.request("say", {"m": 1}, target="one")
        assert noting.seen == [Message("said", {"m": 1}, "one", False, ana.id)]
        assert noting.take() == ["said"]
        await ana.request("tell", 2, target="one")
        assert noting.seen == [Message("told", 2, ana.id, True, "test")]
        noting.take()
        await ana.request("write", 3, target="one")
        assert noting.seen == [Message("written", 3, ana.id, True, "somebody")]
        noting.take()
        await ana.request("relayed", [4], target="one")
        assert noting.seen == [Message("relayed", [4], "one", False, ana.id)]
        noting.take()
        await ana.send("direct", 5, target=bob.id, IsTargetClient=True)
        await ana.settle()
        assert noting.seen == [Message("direct", 5, bob.id, True, ana.id)]
        noting.take()
        await server.broadcast("everyone", 6, sender="the house")
        assert noting.seen == [Message("everyone", 6, "mesh-global", False, "the house")]
        noting.take()
        await ana.request("leave-room", {"roomname": "one"})
        assert noting.seen[0].body["reason"] == "left"
        assert noting.take() == ["client-left-room"]
        await bob.stream.aclose()
        await eve.settle()
        assert noting.take() == ["client-left-room"]
        assert server.statistics()["messages_stopped"] == 0


async def test_a_hook_sees_what_a_kicked_member_is_told(autojump_clock: MockClock) -> None:
    server = make(("*", Speaking))
    noting = Noting()
    server.outbound(noting)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        noting.take()
        await ana.send("kick-me", target="one")
        assert "client-left-room" in actions_of(await ana.settle())
        assert [message.target_client for message in noting.seen] == [False, True]


async def test_requests_replies_and_errors_pass_a_hook_by(autojump_clock: MockClock) -> None:
    server = make(("*", Speaking))
    noting = Noting()

    @server.outbound
    def nothing(message: Message) -> None:
        noting(message)

    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        noting.take()
        await ana.send("ask", 1, target="one", id="a")
        question = await ana.receive()
        assert question["action"] == "question"
        await ana.send("reply", 2, id=question["id"])
        assert (await ana.receive())["message_body"] == 2
        with pytest.raises(ActionError, match="my-code"):
            await ana.request("refuse", target="one")
        for name in ("who", "list-rooms", "ping", "join-room"):  # without an id they are answered by such a message
            await ana.send(name, {"roomname": "one"})
        assert sorted(actions_of(await ana.settle())) == ["join-room", "list-rooms", "ping", "who"]
        assert noting.take() == []


async def test_a_hook_may_change_action_body_and_sender(autojump_clock: MockClock) -> None:
    server = make(("*", Speaking))

    @server.outbound
    def first(message: Message) -> Message:
        return attrs.evolve(message, body=[message.body, "first"], action=message.action + "!", sender="the hook")

    @server.outbound
    def second(message: Message) -> Message:
        return attrs.evolve(message, body=[message.body, "second"])

    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await ana.join("one")
        await bob.join("one")
        await ana.settle()
        for name, heard in (("say", "said!"), ("relayed", "relayed!")):
            await bob.request(name, 1, target="one")
            for client in (ana, bob):
                (message,) = await client.settle()
                assert message == {
                    "action": heard,
                    "message_body": [[1, "first"], "second"],
                    "IsTargetClient": False,
                    "target": "one",
                    "sender": "the hook",
                }
        await bob.request("tell", 1, target="one")
        (message,) = await bob.settle()
        assert message == {
            "action": "told!",
            "message_body": [[1, "first"], "second"],
            "IsTargetClient": True,
            "target": bob.id,
            "sender": "the hook",
            "room": "one",
        }


async def test_a_hook_sees_the_applications_own_objects_and_may_return_some(autojump_clock: MockClock) -> None:
    @attrs.frozen
    class Score:
        points: int

    server = make(("*", Speaking))
    seen: list[Any] = []

    @server.outbound
    def double(message: Message) -> Message:
        seen.append(message.body)
        return attrs.evolve(message, body=Score(message.body.points * 2))

    async with open_server(server) as net:
        ana = await net.connect()
        await server.broadcast("score", Score(1))
        (message,) = await ana.settle()
        assert message["message_body"] == {"points": 2}
        assert seen == [Score(1)]


async def test_a_hook_sees_the_value_of_a_body_that_was_encoded_before(autojump_clock: MockClock) -> None:
    server = make(("*", Speaking))
    noting = Noting()
    server.outbound(noting)
    async with open_server(server) as net:
        ana = await net.connect()
        await server.broadcast("a", encode_body({"m": [1, None]}))
        await server.broadcast("b")
        assert [message.body for message in noting.seen] == [{"m": [1, None]}, {}]
        assert [message["message_body"] for message in await ana.settle()] == [{"m": [1, None]}, {}]


async def test_a_stopped_message_reaches_nobody_and_is_counted(autojump_clock: MockClock) -> None:
    server = make(("*", Speaking), direct=True)
    later = Noting()

    @server.outbound
    def stop(message: Message) -> Message | None:
        return None if message.body == "secret" else message

    server.outbound(later)
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await ana.join("one")
        await bob.join("one")
        await ana.settle()
        later.take()
        assert await ana.request("say", "secret", target="one") == "reply"
        assert await ana.request("tell", "secret", target="one") is True
        assert await ana.request("write", "secret", target="one") is True
        assert await ana.request("relayed", "secret", target="one") is None
        assert await ana.request("direct", "secret", target=bob.id, IsTargetClient=True) is None
        await server.broadcast("everyone", "secret")
        assert await ana.settle() == await bob.settle() == []
        assert later.take() == []  # a stopped message does not reach the hooks after the one that stopped it
        assert server.statistics()["messages_stopped"] == 6
        assert await ana.request("say", "open", target="one") == "reply"
        assert actions_of(await bob.settle()) == ["said"]


@pytest.mark.parametrize(
    "what", [KeyError("a bug"), "a string", 5, {"action": "said"}, ExceptionGroup("g", [OSError()])]
)
async def test_a_hook_with_a_bug_stops_the_message_and_nothing_else(
    autojump_clock: MockClock, what: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(("*", Speaking))
    later = Noting()

    @server.outbound
    def buggy(message: Message) -> Any:
        if message.body != "bug":
            return message
        if isinstance(what, Exception):
            raise what
        return what

    server.outbound(later)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        later.take()
        caplog.clear()
        assert await ana.request("say", "bug", target="one") == "reply"
        assert later.take() == []
        assert await ana.settle() == []
        (record,) = error_records(caplog)
        assert record.name == "simplysocket.outbound"
        assert "buggy" in record.getMessage()
        assert record.exc_info is not None
        assert server.statistics()["messages_stopped"] == 1
        assert server.statistics()["handlers_failed"] == 0
        assert await ana.request("say", "fine", target="one") == "reply"
        assert actions_of(await ana.settle()) == ["said"]


async def test_a_body_that_is_no_json_still_fails_where_it_is_said(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(("*", Speaking), direct=True, relay=True)

    @server.outbound
    def spoil(message: Message) -> Message:
        return attrs.evolve(message, body=object()) if message.body == "spoil" else message

    async with open_server(server) as net:
        ana, ben = await net.connect(), await net.connect()
        for body in (object(), float("nan")):
            with pytest.raises(EncodeError):
                await server.broadcast("a", body)
        await ana.join("one")
        await ben.join("one")
        await server.broadcast("a", "spoil")  # the body that the hook returns costs this message and nothing else
        assert server.statistics()["messages_stopped"] == 1
        assert "the outbound hook" in caplog.text
        for client in (ana, ben):
            await client.settle()
        for keys in ({"target": ben.id, "IsTargetClient": True}, {"target": "one"}):
            # A number that JSON can hold and Python cannot: the server reads it only for a hook.
            await ana.send_bytes(
                client_frame(b'{"action":"w","message_body":1e999,"id":1,%b' % json.dumps(keys).encode()[1:])
            )
            error = await ana.receive()
            assert error["action"] == "error", error
            assert error["message_body"]["code"] == "bad-body"
        assert (await ana.request("ping")).keys() == {"now"}
        assert await ben.settle() == []


def test_what_cannot_be_a_hook_is_refused() -> None:
    async def waits(message: Message) -> Message:
        return message

    def two(message: Message, other: Message) -> Message:
        return message

    def none() -> None: ...

    for wrong in (waits, two, none, 5, None, functools.partial(waits)):
        with pytest.raises(RegistrationError, match="outbound hook"):
            make(("*", Speaking)).outbound(wrong)  # type: ignore[arg-type]


def test_an_object_that_would_wait_is_refused_as_a_hook() -> None:
    class Waits:
        async def __call__(self, message: Message) -> Message:
            return message

    with pytest.raises(RegistrationError):
        make(("*", Speaking)).outbound(Waits())  # type: ignore[arg-type]


async def test_a_message_to_one_who_has_gone_is_said_to_nobody(autojump_clock: MockClock) -> None:
    server = make(("*", Speaking))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        client = server.clients[ana.id]
        await ana.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        server.outbound(lambda message: None)
        assert await client.send("a") is False
