"""Hooks that a base class of rooms adds: a subclass is checked when it is registered."""

import pytest
from trio.testing import MockClock

from simplysocket import RegistrationError, Room, action, hook
from simplysocket.testing import open_server

from ..harness.servers import make


class Match(Room):
    """A base class with a hook of its own."""

    @hook
    async def on_round(self, number: int) -> None: ...

    @action("go")
    async def go(self) -> None:
        await self.on_round(1)


async def test_a_subclass_overrides_a_hook_of_its_base_class(autojump_clock: MockClock) -> None:
    rounds = []

    class Chess(Match):
        async def on_round(self, number: int) -> None:
            rounds.append(number)

    async with open_server(make(("chess", Chess), ("match", Match))) as net:
        ana = await net.connect("ana")
        for name in ("chess", "match"):
            await ana.join(name)
            await ana.request("go", target=name)
    assert rounds == [1]


def test_such_a_hook_is_checked_as_those_of_room_are() -> None:
    class Greedy(Match):
        async def on_round(self, number: int, more: int) -> None: ...  # type: ignore[override]

    class Misspelled(Match):
        async def on_rounds(self, number: int) -> None: ...

    class Plain(Match):
        def on_round(self, number: int) -> None: ...  # type: ignore[override]

    for room, text in (
        (Greedy, "takes 2 arguments beside self, and is offered 1"),
        (Misspelled, "is no hook: .*on_message, on_round$"),
        (Plain, "write `async def on_round`"),
    ):
        with pytest.raises(RegistrationError, match=text):
            make(("match", room))


def test_a_hook_is_a_coroutine_function() -> None:
    with pytest.raises(RegistrationError, match="write `async def`"):

        @hook  # type: ignore[type-var]
        def on_round(self: object) -> None: ...
