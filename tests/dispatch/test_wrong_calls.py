"""Wrong calls in handlers and middleware: the error says where the call is, and what to write instead."""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says about them is tested in test_types.py.

import asyncio
from typing import Any

import pytest

from simplysocket import ActionError, Call, Client, Message, Next, Room, Server

from ..harness.wrong_use import WrongUse, WrongUses, play

wrong = WrongUses()


class Plain:
    """A class that cannot be encoded as JSON."""


@wrong("'Room.broadcast' was never awaited")
async def a_broadcast_without_await(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        room.broadcast("hello")

    await play(server)


@wrong("'Client.join' was never awaited")
async def a_join_without_await(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        client.join("other")

    await play(server)


@wrong("'act'", "`return await")
async def a_reply_that_was_not_awaited(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> Any:
        return room.broadcast("hello")

    await play(server)


@wrong("await next(call)")
async def middleware_that_does_not_await(server: Any) -> None:
    @server.middleware
    async def log(call: Call, next: Next) -> object:
        return next(call)

    @server.action("act")
    async def act() -> None: ...

    await play(server)


@wrong("'act'", "raise")
async def an_error_returned_instead_of_raised(server: Any) -> None:
    @server.action("act")
    async def act() -> object:
        return ActionError("forbidden")

    await play(server)


@wrong("'act'", "type Plain", "attrs class")
async def a_reply_that_is_not_json(server: Any) -> None:
    @server.action("act")
    async def act() -> object:
        return Plain()

    await play(server)


@wrong("type Plain", "'hello'", "attrs class")
async def sending_a_body_that_is_not_json(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        await room.broadcast("hello", Plain())

    await play(server)


@wrong("NaN or Infinity", "None or a string instead")
async def sending_a_number_that_is_not_json(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.send("hello", {"score": float("nan")})

    await play(server)


@wrong("give a Client or several, not their ids")
async def excluding_ids(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await room.broadcast("hello", exclude=[client.id])

    await play(server)


@wrong("is no Client", "room.members[id]")
async def sending_in_a_room_without_the_client(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        await room.send("hello", {"text": "hi"})

    await play(server)


@wrong("is no Client", "room.members[id]")
async def sending_to_an_id(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await room.send(client.id, "hello")

    await play(server)


@wrong("is no Client", "room.members[id]")
async def kicking_an_id(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await room.kick(client.id)

    await play(server)


@wrong("'reply' cannot be said", "reserved")
async def broadcasting_a_reserved_action(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        await room.broadcast("reply")

    await play(server)


@wrong("'reply' cannot be said")
async def sending_a_reserved_action(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.send("reply", {})

    await play(server)


@wrong("'welcome' cannot be said")
async def broadcasting_a_reserved_action_to_everyone(server: Any) -> None:
    @server.action("act")
    async def act(server: Server) -> None:
        await server.broadcast("welcome")

    await play(server)


@wrong("is a string")
async def broadcasting_the_body_first(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        await room.broadcast({"text": "hello"})

    await play(server)


@wrong("is a string")
async def sending_the_body_first(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.send({"text": "hello"})

    await play(server)


@wrong("1006", "take one of 3000-4999")
async def closing_with_a_code_that_is_never_sent(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.close(1006)

    await play(server)


@wrong("the code first")
async def closing_with_a_reason_and_no_code(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.close("you cheated")

    await play(server)


@wrong("the room's name")
async def joining_a_room_and_not_its_name(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await client.join(room)

    await play(server)


@wrong("client.close()")
async def kicking_out_of_the_global_room(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await room.kick(client)

    await play(server, target="mesh-global")


@wrong("a string")
async def an_error_with_a_number_for_its_code(server: Any) -> None:
    @server.action("act")
    async def act() -> None:
        raise ActionError(404, "not found")

    await play(server)


@wrong("trio.sleep")
async def a_sleep_of_asyncio(server: Any) -> None:
    @server.action("act")
    async def act() -> None:
        await asyncio.sleep(1)

    await play(server)


@wrong("library written for some other framework like asyncio")
async def a_library_of_asyncio(server: Any) -> None:
    @server.action("act")
    async def act() -> None:
        await asyncio.sleep(0)

    await play(server)


@wrong("a Message or None")
async def an_outbound_hook_that_returns_a_dict(server: Any) -> None:
    @server.outbound
    def hook(message: Message) -> Any:
        return {"action": message.action}

    @server.action("act")
    async def act(room: Room) -> None:
        await room.broadcast("hello")

    await play(server)


@wrong.parametrize
def test_the_error_for_a_wrong_call_says_where_it_is_and_what_to_write(
    case: WrongUse, caplog: pytest.LogCaptureFixture
) -> None:
    case.judge(caplog)
