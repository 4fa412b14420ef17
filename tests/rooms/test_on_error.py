"""`on_error`: for which errors of its room it is called, and when."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Call, Client, Room, action
from simplysocket.testing import open_server

from ..harness.failures import raise_together
from ..harness.messages import answers_of, code_of
from ..harness.servers import make
from ..harness.work import is_at_rest


class Failing(Room):
    """A room that fails in every hook and kind of handler, and notes the calls of its on_error."""

    noted: list[tuple[str, str | None, bool]]

    async def on_create(self) -> None:
        self.noted = []
        self.running = ""

    async def on_error(self, error: BaseException, client: Client | None) -> None:
        self.noted.append((type(error).__name__, client.name if client else None, bool(self.running)))
        self.running = "on_error"
        await trio.sleep(1)
        self.running = ""
        if str(error) == "'again'":
            raise ValueError("a bug in on_error")
        if str(error) == "'refuse'":
            raise ActionError("my-code")

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        if options.get("fail") == "on_auth":
            raise KeyError("on_auth")

    async def on_join(self, client: Client) -> None:
        if client.name == "unlucky":
            raise KeyError("on_join")

    async def on_leave(self, client: Client) -> None:
        raise IndexError("on_leave")

    @action("fail")
    async def fail(self, body: str) -> None:
        self.running = "fail"
        await trio.sleep(1)
        self.running = ""
        raise KeyError(body)

    @action("outside", turn=False)
    async def outside(self) -> None:
        await trio.sleep(1)
        raise KeyError("outside")

    @action("ended", cancel=True)
    async def ended(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("ended")

    @action("refuse")
    async def refuse(self) -> None:
        raise ActionError("my-code")

    @action("timer")
    async def timer(self) -> None:
        self.after(1, self.ring)

    async def ring(self) -> None:
        raise OSError("timer")

    @action("no-json")
    async def no_json(self) -> object:
        return object()

    @action("two")
    async def two(self) -> None:
        await raise_together(KeyError("a"), KeyError("b"))


async def test_on_error_is_called_once_for_each_bug_in_the_turn(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(("one", Failing))
    async with open_server(server) as net:
        ana, bob, unlucky = await net.connect("ana"), await net.connect("bob"), await net.connect("unlucky")
        await ana.join("one")
        room: Any = server.rooms["one"]

        async def check_noted(*names: str) -> None:
            await trio.sleep(10)
            assert [(name, client) for name, client, _ in room.noted] == [
                tuple(name.split()) if " " in name else (name, None) for name in names
            ]
            assert not any(busy for _, _, busy in room.noted)
            room.noted.clear()

        assert await code_of(ana, "fail", "x", target="one") == "internal"
        await check_noted("KeyError ana")
        for _ in range(3):
            await ana.send("fail", "x", target="one")
        await check_noted("KeyError ana", "KeyError ana", "KeyError ana")
        assert await code_of(ana, "outside", target="one") == "internal"
        await check_noted("KeyError ana")
        await ana.send("outside", target="one")
        await ana.send("fail", "x", target="one")  # its turn is under way when the other one fails
        await check_noted("KeyError ana", "KeyError ana")
        assert await code_of(bob, "join-room", {"roomname": "one", "fail": "on_auth"}) == "internal"
        await check_noted("KeyError bob")
        assert await code_of(unlucky, "join-room", {"roomname": "one"}) == "internal"
        await check_noted("KeyError unlucky")
        await bob.join("one")
        await bob.request("leave-room", {"roomname": "one"})
        await check_noted("IndexError bob")
        await bob.join("one")
        await bob.send("ended", target="one")
        await bob.settle()
        await bob.stream.aclose()
        await check_noted("KeyError bob", "IndexError bob")
        await ana.request("timer", target="one")
        await check_noted("OSError")
        assert await code_of(ana, "no-json", target="one") == "internal"
        await check_noted("EncodeError ana")
        assert await code_of(ana, "two", target="one") == "internal"
        await check_noted("ExceptionGroup ana")
        assert await code_of(ana, "refuse", target="one") == "my-code"
        await check_noted()
        caplog.clear()
        for how in ("again", "refuse"):
            assert await code_of(ana, "fail", how, target="one") == "internal"
            await check_noted("KeyError ana")
        logged = [record.getMessage().replace(__file__, "") for record in caplog.records]
        assert [text for text in logged if "on_error" in text] == ["on_error of room 'one' failed"] * 2
        assert room.is_open
        await ana.send("outside", target="one")
        await room.close()
        await check_noted()


async def test_on_error_is_not_called_for_an_error_that_an_exception_handler_has_answered(
    autojump_clock: MockClock,
) -> None:
    server = make(("one", Failing))

    @server.exception_handler(KeyError)
    async def of_key(call: Call, error: KeyError) -> str:
        return "caught"

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("fail", "x", target="one") == "caught"
        assert await ana.request("outside", target="one") == "caught"
        assert server.rooms["one"].noted == []  # type: ignore[attr-defined]


async def test_a_room_that_closes_during_on_error_answers_once(autojump_clock: MockClock) -> None:
    server = make(("one", Failing))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for name in ("fail", "outside", "no-json"):
            await ana.join("one")
            await ana.send(name, "x", target="one", id=name)
            while (await ana.receive())["action"] != "error":
                pass
            await trio.testing.wait_all_tasks_blocked()  # on_error waits
            await server.rooms["one"].close()
            assert answers_of(await ana.settle(), name) == []
            assert is_at_rest(server)


async def test_on_error_is_not_called_after_the_end_of_the_room(autojump_clock: MockClock) -> None:
    noted: list[str] = []

    class Ending(Room):
        async def on_error(self, error: BaseException) -> None:
            noted.append(str(error))

        async def on_close(self) -> None:
            noted.append("closed")
            raise KeyError("on_close")

        @action("outside", turn=False)
        async def outside(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("outside")

        @action("last")
        async def last(self) -> None:
            await self.close()
            raise KeyError("last")

    server = make(("one", Ending))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.send("outside", target="one", id=1)
        await ana.settle()
        assert await code_of(ana, "last", target="one") == "internal"
        assert answers_of(await ana.settle(), 1) == ["internal"]
        assert noted == ["'last'", "closed"]


async def test_on_error_of_the_global_room_is_called_too(autojump_clock: MockClock) -> None:
    noted: list[str] = []

    class Lobby(Room):
        async def on_error(self, error: BaseException, client: Client) -> None:
            noted.append(f"{error} {client.name}")

        async def on_join(self, client: Client) -> None:
            if client.name == "unlucky":
                raise KeyError("on_join")

        @action("fail")
        async def fail(self) -> None:
            raise KeyError("fail")

        @action("outside", turn=False)
        async def outside(self) -> None:
            raise KeyError("outside")

    server = make(("mesh-global", Lobby))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await net.connect("unlucky")
        for name in ("fail", "outside"):
            assert await code_of(ana, name) == "internal"
            await ana.settle()
        assert noted == ["'on_join' unlucky", "'fail' ana", "'outside' ana"]


async def test_on_error_of_the_global_room_is_called_however_busy_the_room_is(autojump_clock: MockClock) -> None:
    noted: list[str] = []

    class Lobby(Room):
        async def on_create(self) -> None:
            self.after(1, self.long)

        async def long(self) -> None:
            await trio.sleep(20)

        async def on_error(self, error: BaseException) -> None:
            noted.append(str(error))

        @action("fail")
        async def fail(self) -> None:
            raise KeyError("fail")

    server = make(("mesh-global", Lobby))
    async with open_server(server) as net:
        ana = await net.connect()
        await trio.sleep(2)
        assert await code_of(ana, "fail") == "internal"
        await trio.sleep(50)
        assert noted == ["'fail'"]
