"""Middleware: in which order it runs, and what it may do with a call."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Actions, Call, Message, Next, RegistrationError, Room, Server, action, middleware
from simplysocket._dispatch import registry as registry_module
from simplysocket.testing import open_server

from ..harness.messages import answers_of, bodies_of, code_of
from ..harness.servers import make
from ..harness.work import is_at_rest


async def test_middleware_of_the_server_runs_first_then_of_the_group_then_of_the_class_in_the_order_written(
    autojump_clock: MockClock,
) -> None:
    seen: list[str] = []

    def note(name: str) -> Any:
        async def wrap(call: Call, next: Next) -> object:
            seen.append(name)
            result = await next(call)
            seen.append(f"/{name}")
            return result

        return wrap

    class Base(Room):
        relay = True

        @middleware
        async def zebra(self, call: Call, next: Next) -> object:
            return await note("base zebra")(call, next)

        @middleware
        async def apple(self, call: Call, next: Next) -> object:
            return await note("base apple")(call, next)

        @middleware
        async def kept(self, call: Call, next: Next) -> object:
            return await note("base kept")(call, next)

    class Below(Base):
        @middleware
        async def below(self, call: Call, next: Next) -> object:
            return await note("below")(call, next)

        @middleware
        async def zebra(self, call: Call, next: Next) -> object:
            return await note("below zebra")(call, lambda call: super(Below, self).zebra(call, next))

        async def kept(self, call: Call, next: Next) -> object:  # overrides it, and so is middleware without a mark
            return await note("below kept")(call, next)

        @action("own")
        async def own(self) -> None:
            seen.append("own")

    server = make(("one", Below), ("base", Base))
    server.middleware(note("s1"))
    server.middleware(note("s2"))
    group = Actions()

    @group.action("of-group")
    async def of_group() -> None:
        seen.append("of-group")

    group.middleware(note("g1"))
    group.middleware(note("g2"))
    server.include(group)

    def around(*names: str, inner: str) -> list[str]:
        return [*names, *([inner] if inner else []), *(f"/{name}" for name in reversed(names))]

    of_class = ("below zebra", "base zebra", "base apple", "below kept", "below")
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.join("base")
        assert seen == []  # no middleware runs for a join
        await ana.request("own", target="one")
        assert seen == around("s1", "s2", *of_class, inner="own")
        seen.clear()
        await ana.request("of-group", target="one")
        assert seen == around("s1", "s2", "g1", "g2", *of_class, inner="of-group")
        seen.clear()
        await ana.request("relayed", target="one")
        assert seen == around("s1", "s2", *of_class, inner="")
        seen.clear()
        await ana.request("relayed", target="base")
        assert seen == around("s1", "s2", "base zebra", "base apple", "base kept", inner="")
        seen.clear()
        await ana.request("of-group")
        assert seen == around("s1", "s2", "g1", "g2", inner="of-group")
        seen.clear()
        assert await code_of(ana, "nothing") == "unknown-action"
        for built_in in ("who", "leave-room", "join-room"):
            await ana.request(built_in, {"roomname": "one"})
        await ana.request("ping")
        assert seen == []


@attrs.frozen
class Word:
    word: str
    times: int = 1


class Wrapped(Room):
    """A room with one action of each kind, for middleware to wrap."""

    relay = True

    async def on_create(self) -> None:
        self.calls: list[Any] = []

    @action("echo")
    async def echo(self, body: Any, call: Call, message: Message) -> Any:
        self.calls.append(body)
        return {"body": body, "call": call.message.body, "message": message.body}

    @action("typed")
    async def typed(self, body: Word) -> str:
        return body.word

    @action("outside", turn=False)
    async def outside(self, body: Any) -> Any:
        self.calls.append(body)
        await trio.sleep(10)
        return body


def make_wrapped(**how: Callable[[Call, Next], Any]) -> Server:
    """Return a server whose middleware is the one of these that the `how` of a body names."""
    server = make(("one", Wrapped))

    @server.middleware
    async def by_name(call: Call, next: Next) -> object:
        wrap = how.get(call.message.body["how"]) if isinstance(call.message.body, dict) else None
        return await (wrap or (lambda call, next: next(call)))(call, next)

    return server


async def test_middleware_may_answer_itself_call_next_twice_and_change_body_and_result(
    autojump_clock: MockClock,
) -> None:
    async def stop(call: Call, next: Next) -> object:
        return "stopped"

    async def twice(call: Call, next: Next) -> object:
        return [await next(call.with_body(1)), await next(call.with_body(2))]

    async def change(call: Call, next: Next) -> object:
        return {"changed": await next(call.with_body({"word": "new"}))}

    async def wrong(call: Call, next: Next) -> object:
        return await next(call.with_body({"word": 5}))

    async def no_json(call: Call, next: Next) -> object:
        return await next(call.with_body({"word": object()}))

    async def refuse(call: Call, next: Next) -> object:
        raise ActionError("my-code", "no")

    async def refuse_after(call: Call, next: Next) -> object:
        await next(call)
        raise ActionError("my-code", "no")

    async def bug(call: Call, next: Next) -> object:
        raise KeyError("a bug")

    async def slow(call: Call, next: Next) -> object:
        await trio.sleep(5)
        return await next(call)

    def one(value: object) -> dict[str, object]:
        return {"body": value, "call": value, "message": value}

    server = make_wrapped(
        stop=stop,
        twice=twice,
        change=change,
        wrong=wrong,
        no_json=no_json,
        refuse=refuse,
        refuse_after=refuse_after,
        bug=bug,
        slow=slow,
    )
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        room = server.rooms["one"]

        async def ask(name: str, how: str) -> Any:
            return await ana.request(name, {"how": how}, target="one")

        assert await ask("echo", "stop") == "stopped"
        assert room.calls == []  # type: ignore[attr-defined]
        assert await ask("echo", "twice") == [one(1), one(2)]
        assert await ask("echo", "change") == {"changed": one({"word": "new"})}
        assert await ask("typed", "change") == {"changed": "new"}
        for name in ("echo", "relayed", "outside"):
            assert await ask(name, "stop") == "stopped"
            assert await code_of(ana, name, {"how": "refuse"}, target="one") == "my-code"
            assert await code_of(ana, name, {"how": "refuse_after"}, target="one") == "my-code"
            assert await code_of(ana, name, {"how": "bug"}, target="one") == "internal"
            assert await code_of(ana, name, {"how": "no_json"}, target="one") == "internal"
        with pytest.raises(ActionError) as caught:
            await ask("typed", "wrong")
        assert (caught.value.code, caught.value.path) == ("bad-body", "$.word")
        await ana.settle()
        await ask("relayed", "twice")
        assert bodies_of(await ana.settle(), "relayed") == [1, 2]
        assert await ask("outside", "twice") == [1, 2]
        assert await ask("echo", "slow") == one({"how": "slow"})
        assert await ask("outside", "slow") == {"how": "slow"}
        assert is_at_rest(server)


async def test_middleware_around_a_handler_is_cancelled_with_it(autojump_clock: MockClock) -> None:
    async def slow(call: Call, next: Next) -> object:
        await trio.sleep(5)
        result = await next(call)
        await trio.sleep(5)
        return result

    server = make_wrapped(slow=slow)
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        for seconds in (1, 7, 17):
            await ana.send("outside", {"how": "slow"}, target="one", id=seconds)
            await trio.sleep(seconds)
            await ana.send("cancel", id=seconds)
            assert answers_of(await ana.settle(), seconds) == ["cancelled"]
            assert is_at_rest(server)


async def test_a_chain_is_built_once_for_an_action_and_a_room(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    chain = registry_module.chain

    def counting(middlewares: Any, handle: Any) -> Any:
        built.append(1)
        return chain(middlewares, handle)

    monkeypatch.setattr(registry_module, "chain", counting)
    server = make_wrapped()
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        for client in (ana, bob):
            await client.join("one")
        for _ in range(3):
            for client in (ana, bob):
                await client.request("echo", 1, target="one")
                await client.request("outside", 1, target="one")
                await client.request("relayed", 1, target="one")
                await client.request("relayed-too", 1, target="one")
        assert len(built) == 3  # echo, outside, relay
    built.clear()
    server = make(("one", Wrapped))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.request("echo", 1, target="one")
    assert built == []  # without middleware there is no chain


async def test_middleware_and_exception_handlers_are_refused_while_the_server_runs(autojump_clock: MockClock) -> None:
    async def wrap(call: Call, next: Next) -> object:
        return await next(call)

    async def caught(call: Call, error: Exception) -> None: ...

    server = make()
    async with open_server(server):
        with pytest.raises(RegistrationError):
            server.middleware(wrap)
        with pytest.raises(RegistrationError):
            server.exception_handler(KeyError)(caught)
