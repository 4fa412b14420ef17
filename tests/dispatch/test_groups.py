"""Groups of actions: `Actions`, with a prefix and middleware of their own, and how a server includes them."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Actions, Call, Next, RegistrationError
from simplysocket.testing import open_server

from ..harness.servers import make


async def test_a_group_has_a_prefix_and_middleware_of_its_own(autojump_clock: MockClock) -> None:
    seen: list[str] = []
    chat = Actions(prefix="chat.")

    @chat.action("say")
    async def say(body: str) -> str:
        return body

    @chat.action("long", turn=False)
    async def long() -> str:
        await trio.sleep(10)
        return "long"

    @chat.middleware
    async def of_group(call: Call, next: Next) -> object:
        seen.append(f"group {call.action}")
        return await next(call)

    server = make()
    other = make()
    server.include(chat)
    other.include(chat)

    @server.middleware
    async def of_server(call: Call, next: Next) -> object:
        seen.append(f"server {call.action}")
        return await next(call)

    @server.action("say")
    async def plain() -> str:
        return "plain"

    for each, expected in ((server, ["server chat.say", "group chat.say"]), (other, ["group chat.say"])):
        seen.clear()
        async with open_server(each) as net:
            ana = await net.connect()
            assert await ana.request("chat.say", "hi") == "hi"
            assert seen == expected
            assert await ana.request("chat.long") == "long"
    seen.clear()
    async with open_server(server) as net:
        ana = await net.connect()
        assert await ana.request("say") == "plain"
        assert seen == ["server say"]


def test_what_is_added_to_a_group_too_late_twice_or_wrongly_is_refused() -> None:
    async def handler() -> None: ...

    async def wrap(call: Call, next: Next) -> object:
        return await next(call)

    group = Actions(prefix="a.")
    group.action("x")(handler)
    server = make()
    server.include(group)
    with pytest.raises(RegistrationError, match="twice"):
        server.include(group)
    with pytest.raises(RegistrationError, match="too late"):
        group.action("y")(handler)
    with pytest.raises(RegistrationError, match="too late"):
        group.middleware(wrap)
    twice = Actions()
    twice.action("x")(handler)
    twice.action("x")(handler)
    with pytest.raises(RegistrationError, match="twice"):
        make().include(twice)
    for wrong in ("", "x" * 62, 5, handler):
        with pytest.raises(RegistrationError):
            Actions(prefix="abc").action(wrong)  # type: ignore[arg-type]
    with pytest.raises(RegistrationError):
        Actions().action("reply")
    with pytest.raises(RegistrationError):
        Actions(prefix=None)  # type: ignore[arg-type]
    with pytest.raises(RegistrationError):
        make().include("chat")  # type: ignore[arg-type]
    with pytest.raises(RegistrationError):
        Actions().middleware(handler)


def test_a_reserved_name_is_free_with_the_prefix_of_a_group() -> None:
    async def handler() -> None: ...

    group = Actions(prefix="chat.")
    group.action("reply")(handler)
    make().include(group)


def test_a_group_is_included_whole_or_not_at_all() -> None:
    server, group = make(), Actions("a.")

    @server.action("a.two")
    async def two() -> None: ...

    group.action("one")(two)
    group.action("two")(two)
    with pytest.raises(RegistrationError, match="twice"):
        server.include(group)
    assert [action.name for action in server.describe().actions] == ["a.two"]
