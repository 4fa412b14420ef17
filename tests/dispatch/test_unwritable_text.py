"""Text that JSON cannot hold, in names, hooks and errors: it is refused where it is given, and ends nobody else."""

import logging

import attrs
import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Client, Message, RegistrationError, Room, Server
from simplysocket.testing import open_server

from ..harness.error_log import errors_of
from ..harness.messages import code_of
from ..harness.servers import make

LONE = "An\ud800a"  # a lone surrogate: no UTF-8, and so no JSON


class Announcing(Room):
    announce = True


async def test_a_name_is_safe_for_those_who_list_it(autojump_clock: MockClock) -> None:
    server = make(("*", Announcing), name_length=10)

    @server.action("rename")
    async def rename(client: Client) -> str:
        client.name = LONE + "\n\u202e" + "x" * 100
        return client.name

    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        assert await ana.request("rename") == "Ana xxxxxx"
        await ana.join("one")
        assert [member["name"] for member in (await ben.request("who", target="one"))["members"]] == [
            "ben",
            "Ana xxxxxx",
        ]
        await ana.request("leave-room", {"roomname": "one"})
        joined, left = await ben.settle()
        assert joined["message_body"]["name"] == left["message_body"]["name"] == "Ana xxxxxx"


async def test_a_name_that_is_no_text_is_refused(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        await net.connect("ana")
        (client,) = server.clients.values()
        with pytest.raises(TypeError, match=r"client\.name = 5: give a text"):
            client.name = 5  # type: ignore[assignment]
        assert client.name == "ana"


def test_the_servers_name_must_be_writable() -> None:
    with pytest.raises(RegistrationError, match="name="):
        Server(LONE)


@pytest.mark.parametrize(
    "change", [{"action": LONE}, {"sender": LONE}, {"action": 5}, {"sender": None}, {"body": LONE}]
)
async def test_what_a_hook_cannot_send_is_stopped(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, change: dict[str, object]
) -> None:
    server = make(("*", Announcing), direct=True)

    @server.outbound
    def spoil(message: Message) -> Message:
        return attrs.evolve(message, **change) if message.action != "fine" else message

    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("one")
        await ana.join("one")
        await ben.settle()
        assert await ana.request("hello", target=ben.id, IsTargetClient=True) is None
        await ana.request("leave-room", {"roomname": "one"})
        assert await ben.settle() == []
        await ana.join("one")
        await ana.request("fine", target=ben.id, IsTargetClient=True)
        assert [message["action"] for message in await ben.settle()] == ["fine"]
        assert server.statistics()["messages_stopped"] == 5  # with the announcement of ben
    assert all("the outbound hook" in text for text in errors_of(caplog))


async def test_a_fault_where_sockets_are_read_costs_one_message(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Room):
        async def on_create(self) -> None:
            self.capacity = float("nan")  # type: ignore[assignment]

        async def on_join(self) -> None:
            self.capacity = object()  # type: ignore[assignment]  # which `list-rooms` cannot write

    async with open_server(make(("odd", Odd))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("odd")
        assert await code_of(ben, "list-rooms") == "internal"
        assert (await ben.request("ping")).keys() == {"now"}
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "'list-rooms'" in record.getMessage()


@pytest.mark.parametrize("wait", ["soon", object(), True])
def test_a_time_to_wait_is_a_number(wait: object) -> None:
    with pytest.raises(TypeError, match="retry_after"):
        ActionError("later", retry_after=wait)  # type: ignore[arg-type]
