"""Actions and middleware that a subclass inherits: a method that is overridden stays what it was."""

from typing import Any

import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Call, Client, Next, RegistrationError, Room, Server, action, middleware
from simplysocket.testing import open_server

from ..harness.servers import make


class Board(Room):
    """A room class to be subclassed."""

    @action("move", turn=False, cancel=True)
    async def move(self, body: int) -> str:
        return f"board {body}"

    @action("draw")
    async def on_draw(self) -> str:
        return "board"

    @middleware
    async def count(self, call: Call, next: Next) -> object:
        return await next(call)


async def test_an_overridden_action_stays_one_with_its_options(autojump_clock: MockClock) -> None:
    class Chess(Board):
        async def move(self, body: int) -> str:
            return f"chess, then {await super().move(body)}"

        async def on_draw(self) -> str:
            return "chess"

    class Blitz(Chess):
        async def on_draw(self) -> str:
            return "blitz"

    server = make(("blitz", Blitz), ("chess", Chess), ("board", Board))
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for name in ("board", "chess", "blitz"):
            await ana.join(name)
        assert await ana.request("move", 3, target="board") == "board 3"
        assert await ana.request("move", 3, target="chess") == "chess, then board 3"
        assert await ana.request("move", 3, target="blitz") == "chess, then board 3"
        assert [await ana.request("draw", target=name) for name in ("board", "chess", "blitz")] == [
            "board",
            "chess",
            "blitz",
        ]
    shown = {each.room_class: each for each in server.describe().actions if each.name == "move"}
    assert [(each.turn, each.cancel) for each in shown.values()] == [(False, True)] * 3


async def test_an_action_may_come_from_a_mixin_and_be_overridden(autojump_clock: MockClock) -> None:
    class Scores:
        @action("score")
        async def score(self) -> str:
            return "mixin"

    class Game(Scores, Room):
        async def score(self) -> str:
            return "game"

    async with open_server(make(("game", Game))) as net:
        ana = await net.connect("ana")
        await ana.join("game")
        assert await ana.request("score", target="game") == "game"


async def test_a_decorator_of_the_subclass_wins(autojump_clock: MockClock) -> None:
    class Game(Board):
        @action("step")
        async def move(self, body: int) -> str:
            return f"step {body}"

    async with open_server(make(("game", Game))) as net:
        ana = await net.connect("ana")
        await ana.join("game")
        assert await ana.request("step", 1, target="game") == "step 1"
        with pytest.raises(ActionError, match="unknown-action"):
            await ana.request("move", 1, target="game")


async def test_overridden_middleware_stays_middleware(autojump_clock: MockClock) -> None:
    class Strict(Board):
        async def count(self, call: Call, next: Next) -> object:
            raise ActionError("forbidden", "strict")

    async with open_server(make(("strict", Strict))) as net:
        ana = await net.connect("ana")
        await ana.join("strict")
        with pytest.raises(ActionError, match="strict"):
            await ana.request("draw", target="strict")


def not_async(server: Server) -> None:
    @server.room("*")
    class Game(Board):
        def move(self, body: int) -> str:  # type: ignore[override]
            return "now"


def a_value(server: Server) -> None:
    @server.room("*")
    class Game(Board):
        move: Any = 3


def wrong_parameters(server: Server) -> None:
    @server.room("*")
    class Game(Board):
        async def move(self, client: Client, body: int, more: int) -> str:  # type: ignore[override]
            return "now"


def middleware_that_takes_something_else(server: Server) -> None:
    @server.room("*")
    class Game(Board):
        async def count(self, client: Client) -> object:  # type: ignore[override]
            return None


@pytest.mark.parametrize("use", [not_async, a_value, wrong_parameters, middleware_that_takes_something_else])
def test_an_override_that_cannot_work_is_refused(use: Any) -> None:
    with pytest.raises(RegistrationError, match=r"move|count"):
        use(Server())
