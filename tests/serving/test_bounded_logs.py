"""What clients and failing code write into the log is bounded, and what was left out is said."""

import logging
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Identity, Refuse, Request, Room, Server, action
from simplysocket._log_limit import LINES
from simplysocket.testing import Net, TestClient, open_server

from ..harness.servers import make

OFTEN = 60
SAID = f"{OFTEN - LINES} more lines"


async def _foreign_origins(net: Net) -> None:
    for number in range(OFTEN):
        with pytest.raises(ActionError, match="403"):
            await net.connect(headers={"Origin": f"http://evil-{number}.example"})


async def _bad_tokens(net: Net) -> None:
    for number in range(OFTEN):
        with pytest.raises(ActionError, match="401"):
            await net.connect(token=f"bad {number}", greet=False)


async def _broken_logins(net: Net) -> None:
    for number in range(OFTEN):
        with pytest.raises(ActionError, match="500"):
            await net.connect(token=f"break {number}")


async def _failing_handler(net: Net) -> None:
    ana = await net.connect(token="ana")
    await ana.join("hall")
    for number in range(OFTEN):
        with pytest.raises(ActionError, match="internal"):
            await ana.request("fail", number, target="hall")


async def _failing_fallback(net: Net) -> None:
    ana = await net.connect(token="ana")
    for number in range(OFTEN):
        with pytest.raises(ActionError, match="internal"):
            await ana.request(f"made-up-{number}")


async def _failing_timer(net: Net) -> None:
    ana = await net.connect(token="ana")
    await ana.join("clock")
    await trio.sleep(OFTEN + 0.5)
    await ana.request("leave-room", target="clock")


async def _failing_hook(net: Net) -> None:
    ana = await net.connect(token="ana")
    for _ in range(OFTEN):
        await ana.join("hall")
        await ana.request("leave-room", target="hall")


async def _failing_greeting(net: Net) -> None:
    for _ in range(OFTEN):
        fool = await net.connect(token="fool")
        await fool.wait_ended()


async def _unanswered(net: Net) -> None:
    ana = await net.connect(token="ana")
    for number in range(OFTEN):
        await refuse_to_answer(ana, f"no-{number}")


async def refuse_to_answer(client: TestClient, code: str) -> None:
    """Ask for `ask`, which asks back, and answer that with an error."""
    await client.send("ask", id=f"my-{code}")
    asked = await client.receive()
    await client.send("error", {"code": code}, id=asked["id"])
    assert (await client.receive())["message_body"]["code"] == "internal"


def make_failing() -> Server:
    server = make()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        token = request.token or ""
        if token.startswith("break"):
            raise KeyError(token)
        if token.startswith("bad"):
            raise Refuse(401, token)
        return Identity(user=token)

    @server.on_connect
    async def greet(client: Client) -> None:
        if client.user == "fool":
            raise ValueError("a bug")

    @server.room("hall")
    class Hall(Room):
        @action("fail")
        async def fail(self, body: int) -> None:
            raise ValueError(f"a bug with {body}")

        async def on_leave(self) -> None:
            raise ValueError("a bug")

    @server.room("clock")
    class Clock(Room):
        async def on_create(self) -> None:
            self.every(1, self.beat)

        async def beat(self) -> None:
            raise ValueError("a bug")

    @server.action("ask", turn=False)
    async def ask(client: Client) -> None:
        await client.request("question")

    @server.on_message
    async def anything() -> None:
        raise ValueError("a bug")

    return server


@pytest.mark.parametrize(
    ("attack", "level"),
    [
        (_foreign_origins, logging.WARNING),
        (_bad_tokens, logging.INFO),
        (_broken_logins, logging.ERROR),
        (_failing_handler, logging.ERROR),
        (_failing_fallback, logging.ERROR),
        (_failing_timer, logging.ERROR),
        (_failing_hook, logging.ERROR),
        (_failing_greeting, logging.ERROR),
        (_unanswered, logging.WARNING),
    ],
)
async def test_the_first_lines_are_written_and_the_others_counted(
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
    attack: Callable[[Net], Awaitable[None]],
    level: int,
) -> None:
    caplog.set_level(logging.INFO, "simplysocket")
    async with open_server(make_failing()) as net:
        await attack(net)
    *first, said = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert len(first) == LINES
    assert {record.levelno for record in first} == {level}
    assert (said.levelno, said.exc_info) == (level, None)
    assert said.getMessage().startswith(SAID)


async def test_a_failing_handler_does_not_hide_another(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make()

    @server.action("one")
    async def one() -> object:
        return object()  # no JSON: the exception does not come from the handler's own lines

    @server.action("two")
    async def two() -> object:
        return object()

    async with open_server(server) as net:
        ana = await net.connect()
        for name in ("one", "two"):
            for _ in range(OFTEN):
                with pytest.raises(ActionError, match="internal"):
                    await ana.request(name)
        named = [record.getMessage() for record in caplog.records if record.exc_info]
        assert sum("'one'" in each for each in named) == LINES
        assert sum("'two'" in each for each in named) == LINES


async def test_two_servers_one_after_the_other_both_have_their_first_lines(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        async with open_server(make_failing()) as net:
            await _failing_handler(net)
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == 2 * LINES


async def test_a_handler_that_always_blocks_does_not_hide_another(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(blocked_seconds=1e-9)  # every step takes longer

    @server.action("one")
    async def one() -> None: ...

    @server.action("two")
    async def two() -> None: ...

    async with open_server(server) as net:
        ana = await net.connect()
        for name in ("one", "two"):
            for _ in range(OFTEN):
                await ana.request(name)
        blocked = [message for message in caplog.messages if "blocked the loop for" in message]
        assert sum("'one'" in each for each in blocked) == LINES
        assert sum("'two'" in each for each in blocked) == LINES
