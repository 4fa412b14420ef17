"""Exception handlers: which of them answers for an exception, and what becomes of the others."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Call, Next, RegistrationError, Server
from simplysocket.testing import open_server

from ..harness.error_log import error_records
from ..harness.failures import raise_it, raise_together
from ..harness.messages import answers_of, code_of
from ..harness.servers import make
from ..harness.work import is_at_rest


class Mine(KeyError):
    """An exception of the application."""


def make_raiser(how: dict[str, Callable[[], Any]]) -> Server:
    """Return a server with three actions for each function: `name`, `turn-name` and `cancel-name`.

    They are registered without options, with `turn=False` and with `cancel=True`.
    """
    server = make()

    def bind(raiser: Callable[[], Any]) -> Callable[[], Any]:
        async def handler() -> Any:
            await trio.lowlevel.checkpoint()
            return await raiser()

        return handler

    for name, raiser in how.items():
        for options in ({}, {"turn": False}, {"cancel": True}):
            prefix = "".join(f"{key}-" for key in options)
            server.action(prefix + name, **options)(bind(raiser))
    return server


@pytest.mark.parametrize("prefix", ["", "turn-", "cancel-"])
async def test_an_exception_goes_to_the_most_specific_handler(
    autojump_clock: MockClock, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_raiser(
        {
            "mine": lambda: raise_it(Mine("m")),
            "key": lambda: raise_it(KeyError("k")),
            "lookup": lambda: raise_it(IndexError("i")),
            "value": lambda: raise_it(ValueError("v")),
            "os": lambda: raise_it(OSError("o")),
            "refused": lambda: raise_it(ActionError("my-code")),
            "one": lambda: raise_together(Mine("m")),
            "one-refused": lambda: raise_together(ActionError("my-code")),
            "several": lambda: raise_together(Mine("m"), KeyError("k")),
        }
    )

    @server.exception_handler(KeyError)
    async def of_key(call: Call, error: KeyError) -> Any:
        return ["key", error.args[0], call.action]

    @server.exception_handler(LookupError)
    async def of_lookup(call: Call, error: LookupError) -> Any:
        await trio.sleep(1)
        return ["lookup", error.args[0]]

    @server.exception_handler(ValueError)
    async def of_value(call: Call, error: ValueError) -> Any:
        raise ActionError("bad-value", str(error))

    @server.exception_handler(OSError)
    async def of_os(call: Call, error: OSError) -> Any:
        raise RuntimeError("a bug in the exception handler")

    async with open_server(server) as net:
        ana = await net.connect()
        assert await ana.request(prefix + "mine") == ["key", "m", prefix + "mine"]
        assert await ana.request(prefix + "one") == ["key", "m", prefix + "one"]
        assert await ana.request(prefix + "key") == ["key", "k", prefix + "key"]
        assert await ana.request(prefix + "lookup") == ["lookup", "i"]
        assert await code_of(ana, prefix + "value") == "bad-value"
        assert await code_of(ana, prefix + "refused") == "my-code"
        assert await code_of(ana, prefix + "one-refused") == "my-code"
        assert server.statistics()["handlers_failed"] == 0
        assert caplog.records == []
        assert await code_of(ana, prefix + "os") == "internal"
        assert "a bug in the exception handler" in caplog.text
        assert await code_of(ana, prefix + "several") == "internal"
        assert server.statistics()["handlers_failed"] == 2
        assert is_at_rest(server)


async def test_an_exception_group_of_refusals_is_a_refusal(autojump_clock: MockClock) -> None:
    server = make_raiser({"two": lambda: raise_together(ActionError("my-code"), ActionError("my-code"))})
    async with open_server(server) as net:
        ana = await net.connect()
        assert await code_of(ana, "two") == "my-code"


async def test_an_exception_group_of_refusals_goes_to_no_exception_handler(autojump_clock: MockClock) -> None:
    server = make_raiser({"two": lambda: raise_together(ActionError("my-code"), ActionError("my-code"))})

    @server.exception_handler(Exception)
    async def of_all(call: Call, error: Exception) -> Any:
        return repr(error)

    async with open_server(server) as net:
        ana = await net.connect()
        assert await code_of(ana, "two") == "my-code"


async def test_an_exception_in_middleware_or_on_message_goes_to_its_handler_too(autojump_clock: MockClock) -> None:
    server = make()

    @server.exception_handler(KeyError)
    async def of_key(call: Call, error: KeyError) -> Any:
        return "caught"

    @server.middleware
    async def failing(call: Call, next: Next) -> object:
        if call.message.body == "middleware":
            raise KeyError
        return await next(call)

    @server.action("x")
    async def x(body: str) -> Any:
        raise KeyError

    @server.on_message
    async def other() -> Any:
        raise KeyError

    async with open_server(server) as net:
        ana = await net.connect()
        assert await ana.request("x", "middleware") == "caught"
        assert await ana.request("x", "") == "caught"
        assert await ana.request("y", "") == "caught"
        assert await code_of(ana, "x", 1) == "bad-body"


async def test_cancelling_during_an_exception_handler_answers_once(autojump_clock: MockClock) -> None:
    server = make_raiser({"key": lambda: raise_it(KeyError("k"))})

    @server.exception_handler(KeyError)
    async def of_key(call: Call, error: KeyError) -> Any:
        try:
            await trio.sleep(100)
        finally:
            if call.action == "turn-key":
                raise ValueError("a bug during the cancellation")

    async with open_server(server) as net:
        ana = await net.connect()
        for name, answer in (("turn-key", "internal"), ("cancel-key", "cancelled")):
            await ana.send(name, id=name)
            await trio.sleep(1)
            await ana.send("cancel", id=name)
            assert answers_of(await ana.settle(), name) == [answer]
            assert is_at_rest(server)


def test_an_exception_handler_that_cannot_work_is_refused() -> None:
    server = make()

    async def good(call: Call, error: Exception) -> None: ...

    async def short(call: Call) -> None: ...

    def plain(call: Call, error: Exception) -> None: ...

    server.exception_handler(KeyError)(good)
    for error_class, handler in (
        (KeyError, good),
        (ActionError, good),
        (trio.Cancelled, good),
        (5, good),
        (good, good),
        (OSError, short),
        (OSError, plain),
    ):
        with pytest.raises(RegistrationError):
            server.exception_handler(error_class)(handler)  # type: ignore[arg-type, type-var]


async def test_a_bug_is_logged_once_with_its_own_traceback(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_raiser({"one": lambda: raise_together(Mine("m"))})
    async with open_server(server) as net:
        ana = await net.connect()
        for name in ("one", "turn-one", "cancel-one"):
            caplog.clear()
            assert await code_of(ana, name) == "internal"
            (record,) = error_records(caplog)
            assert record.exc_info is not None
            assert record.exc_info[0] is Mine
