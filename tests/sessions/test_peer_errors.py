"""Errors that clients answer with: readable for the handler that asked, and never said to anybody else."""

import logging
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Identity, PeerError, Request, Room, Server
from simplysocket.testing import Net, TestClient, open_server

from ..harness.servers import make

EVIL = "evil words"
UNREADABLE = len("the client answered with an error that cannot be read")
HUGE = {"code": EVIL * 6_000, "message": EVIL * 100, "path": f"$.{EVIL}", "retry_after": 1e300}


async def answer_with(client: TestClient, body: object) -> None:
    """Answer the next request of the server with this error."""
    while (asked := await client.receive())["action"] != "question":
        pass
    await client.send("error", body, id=asked["id"])


async def caught(body: object) -> PeerError:
    """Return what a handler gets if the client answers it with this error."""
    found: list[PeerError] = []
    server = make(message_bytes=1_000_000)

    @server.action("ask", turn=False)
    async def ask(client: Client) -> None:
        try:
            await client.request("question")
        except PeerError as error:
            found.append(error)

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("ask")
        await answer_with(ana, body)
        await ana.settle()
    (error,) = found
    assert isinstance(error, ActionError)
    return error


async def test_the_handler_that_asked_reads_the_clients_words(autojump_clock: MockClock) -> None:
    error = await caught({"code": "no-card", "message": "I have none", "path": "$.cards", "retry_after": 2.5})
    assert (error.code, error.message, error.path, error.retry_after) == ("no-card", "I have none", "$.cards", 2.5)


@pytest.mark.parametrize(
    ("body", "code", "message", "path", "retry_after"),
    [
        ({"code": "x" * 64}, "x" * 64, 0, None, None),
        ({"code": "x" * 65}, "internal", 0, None, None),
        ({"code": ""}, "internal", 0, None, None),
        ({"code": "x" * 60_000}, "internal", 0, None, None),
        ({"message": "x" * 60_000}, "internal", 1_000, None, None),
        ({"code": "c", "path": "$" * 60_000}, "c", 0, "$" * 200, None),
        ({"code": "c", "retry_after": 0}, "c", 0, None, 0),
        ({"code": "c", "retry_after": 86_400}, "c", 0, None, 86_400),
        ({"code": "c", "retry_after": 86_401}, "c", 0, None, None),
        ({"code": "c", "retry_after": 1e300}, "c", 0, None, None),
        ({"code": "c", "retry_after": 10**400}, "internal", UNREADABLE, None, None),
        ({"code": "c", "retry_after": -1}, "c", 0, None, None),
        ({"code": "c", "retry_after": "soon"}, "internal", UNREADABLE, None, None),
        ({"code": 7}, "internal", UNREADABLE, None, None),
        ([], "internal", UNREADABLE, None, None),
        ({}, "internal", 0, None, None),
    ],
)
async def test_what_a_client_says_is_bounded(
    autojump_clock: MockClock,
    body: object,
    code: str,
    message: int,
    path: str | None,
    retry_after: float | None,
) -> None:
    error = await caught(body)
    assert (error.code, len(error.message), error.path, error.retry_after) == (code, message, path, retry_after)


def test_a_client_cannot_begin_a_line_of_a_traceback() -> None:
    error = PeerError("x\n\x1b[31m", "a\nERROR all is lost")
    assert str(error).isprintable()
    assert str(error) == r"a client answered 'x\n\x1b[31m': 'a\nERROR all is lost'"
    assert str(PeerError("no")) == "a client answered 'no'"


def make_asking() -> Server:
    """Return a server that asks the client `asked`, wherever code of an application may ask one."""
    server = make(message_bytes=1_000_000)

    async def ask() -> None:
        (asked,) = [each for each in server.clients.values() if each.name == "asked"]
        await asked.request("question")

    @server.action("ask", turn=False)
    async def in_an_action() -> None:
        await ask()

    @server.action("ask in a nursery", turn=False)
    async def in_a_nursery() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)

    @server.action("join for me", turn=False)
    async def join_for_me(client: Client) -> None:
        await client.join("by on_auth")

    @server.room("by on_create")
    class Create(Room):
        async def on_create(self) -> None:
            await ask()

    @server.room("by on_auth")
    class Auth(Room):
        async def on_auth(self) -> None:
            await ask()

    @server.room("by on_join")
    class Join(Room):
        async def on_join(self) -> None:
            await ask()

    return server


def joining(room: str) -> tuple[str, dict[str, str]]:
    return "join-room", {"roomname": room}


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("ask", None),
        ("ask in a nursery", None),
        ("join for me", None),
        joining("by on_create"),
        joining("by on_auth"),
        joining("by on_join"),
    ],
)
async def test_what_nobody_catches_is_internal_for_the_caller_counted_and_logged_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, action: str, body: Any
) -> None:
    server = make_asking()
    async with open_server(server) as net:
        asked, ana = await net.connect("asked"), await net.connect("ana")
        await ana.send(action, body, id=1)
        await answer_with(asked, HUGE)
        answer = await ana.receive()
        assert answer["action"] == "error"
        assert answer["message_body"].keys() == {"code", "message", "action"}
        assert answer["message_body"]["code"] == "internal"
        assert EVIL not in str(answer)
        figures = server.statistics()
        assert figures["messages_refused"] == {"internal": 1}
        assert figures["peer_errors"] == 1
        assert figures["handlers_failed"] == 0  # it is no bug of the handler's
        assert EVIL not in str(figures)
        assert (await ana.request("ping")).keys() == {"now"}
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert len(record.getMessage()) < 1_000
    assert "test_peer_errors.py:" in record.getMessage()


async def test_the_handlers_own_error_wins_over_the_clients(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("ask", turn=False)
    async def ask(client: Client) -> None:
        try:
            await client.request("question")
        except PeerError as error:
            raise ActionError("no-answer", "the question was refused") from error

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.send("ask", id="mine")
        await answer_with(ana, HUGE)
        answer = await ana.receive()
        assert answer["message_body"] == {
            "code": "no-answer",
            "message": "the question was refused",
            "action": "ask",
        }
        assert server.statistics()["messages_refused"] == {"no-answer": 1}
        assert server.statistics()["peer_errors"] == 0


async def test_a_thousand_invented_codes_are_no_keys(autojump_clock: MockClock) -> None:
    server = make_asking()
    async with open_server(server) as net:
        asked, ana = await net.connect("asked"), await net.connect("ana")
        for number in range(1_000):
            await ana.send("ask", id=number)
            await answer_with(asked, {"code": f"invented-{number}"})
            assert (await ana.receive())["message_body"]["code"] == "internal"
        assert server.statistics()["messages_refused"] == {"internal": 1_000}


async def connect_while_asked(net: Net) -> tuple[str, object]:
    """Connect while the client `asked` is there, and return how that ended."""
    asked = await net.connect("asked", token="asked")
    ended: list[tuple[str, object]] = []

    async def connect() -> None:
        try:
            ana = await net.connect("ana", token="ana")
            end = await ana.wait_ended()
            ended.append(("closed", (end.code, end.reason)))
        except ActionError as error:
            ended.append((error.code, error.message))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect)
        await answer_with(asked, HUGE)
    return ended[0]


async def test_a_client_does_not_write_the_reason_another_one_is_closed_with(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(message_bytes=1_000_000)

    @server.on_connect
    async def greet(client: Client) -> None:
        for other in server.clients.values():
            await other.request("question")

    async with open_server(server) as net:
        assert await connect_while_asked(net) == ("closed", (3004, "on_connect failed"))
        assert server.statistics()["peer_errors"] == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_client_does_not_write_the_answer_another_one_is_refused_with(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(message_bytes=1_000_000)

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        for other in server.clients.values():
            await other.request("question")
        return Identity(user=request.token or "")

    async with open_server(server) as net:
        status, text = await connect_while_asked(net)
        assert status == "500"
        assert EVIL not in str(text)
        assert server.statistics()["peer_errors"] == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_client_does_not_write_the_reason_it_leaves_with(autojump_clock: MockClock) -> None:
    reasons: list[str] = []
    server = make()

    @server.on_disconnect
    async def see_off(client: Client, reason: str) -> None:
        reasons.append(reason)

    @server.room("hall")
    class Hall(Room):
        async def on_leave(self, client: Client, reason: str) -> None:
            reasons.append(reason)

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        await ana.close(4_321)
        await trio.testing.wait_all_tasks_blocked()
        assert reasons == ["disconnected", "disconnected"]
