"""Wrong registrations: each fails at once and says what to do."""

from functools import partial
from typing import Any

import attrs
import pytest

from simplysocket import Client, RegistrationError, Room, Server, action


class Game(Room): ...


@attrs.frozen
class Body:
    word: str


class Unknown:
    """A class that cannot be made from JSON."""


def wrong_registrations() -> dict[str, Any]:
    """Return {words of the error: a mistake that a newcomer may make}."""
    server = Server()

    async def fine(client: Client) -> None: ...

    def plain(client: Client) -> None: ...

    async def two_bodies(a: Body, b: Body) -> None: ...

    async def any_number(*bodies: Body) -> None: ...

    async def unknown(body: Unknown) -> None: ...

    async def nested(body: list[Unknown]) -> None: ...

    async def unresolved(body: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    class WithInit(Room):
        def __init__(self) -> None: ...

    class PlainHook(Room):
        def on_join(self, client: Client) -> None: ...  # type: ignore[override]

    class Twice(Room):
        @action("a")
        async def one(self) -> None: ...

        @action("a")
        async def two(self) -> None: ...

    class Other(Room):
        @action("a")
        async def one(self, room: Game) -> None: ...

    class Misspelt(Room):
        async def on_joined(self, client: Client) -> None: ...

    class Greedy(Room):
        async def on_join(self, client: Client, options: dict[str, Any]) -> None: ...  # type: ignore[override]

    class Hiding(Room):
        @action("close")
        async def close(self) -> None: ...  # type: ignore[override]

    class NoPlaces(Room):
        capacity = 0

    class WithoutSelf(Room):
        @action("a")
        async def one(client: Client) -> None: ...  # type: ignore[misc]

    server.action("taken")(fine)
    server.room("taken-*")(Room)
    return {
        "registered twice": lambda: server.action("taken")(fine),
        "used twice": lambda: server.room("taken-*")(Game),
        "write `async def`": lambda: server.action("a")(plain),  # type: ignore[type-var]
        "two parameters that could be the body": lambda: server.action("b")(two_bodies),
        "name what it needs": lambda: server.action("c")(any_number),
        "make it an attrs class": lambda: server.action("d")(unknown),
        "'Nowhere' is not defined": lambda: server.action("e")(unresolved),
        "list.*Unknown.*cannot be read": lambda: server.action("f")(nested),
        "reserved for the protocol": lambda: server.action("reply"),
        "1 to 64 characters": lambda: action(""),
        "on_create": lambda: server.room("g")(WithInit),
        "async def on_join": lambda: server.room("h")(PlainHook),
        "registered twice in": lambda: server.room("i")(Twice),
        "wants a Game": lambda: server.room("j")(Other),
        "is no hook: there are on_create": lambda: server.room("l")(Misspelt),
        "takes 2 arguments beside self, and is offered 1": lambda: server.room("m")(Greedy),
        "hides Room.close": lambda: server.room("n")(Hiding),
        "capacity is 0": lambda: server.room("o")(NoPlaces),
        "without self": lambda: server.room("p")(WithoutSelf),
        "needs the action's name": lambda: server.action(fine),  # type: ignore[arg-type]
        "needs the action's name: write": lambda: action(fine),  # type: ignore[arg-type]
        "is no pattern": lambda: server.room(Game),  # type: ignore[arg-type]
        "give Limits": lambda: Server(limits={}),  # type: ignore[arg-type]
        "a path, or several": lambda: Server(path=[]),
        "subclasses of Room": lambda: server.room("k")(Body),  # type: ignore[type-var]
        "must begin with '/'": lambda: Server(path="ws"),
        "is no directory": lambda: server.static("/", "nowhere"),
    }


WRONG = wrong_registrations()


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_registration_fails_at_once_and_says_what_to_do(words: str) -> None:
    if words in ("reserved for the protocol",):
        with pytest.raises(RegistrationError, match=words):
            WRONG[words]()(partial)
        return
    with pytest.raises(RegistrationError, match=words):
        WRONG[words]()


def test_wrong_origins_are_said_so() -> None:
    with pytest.raises(ValueError, match="is one string"):
        Server(origins="https://example.com")
    with pytest.raises(ValueError, match="is no origin"):
        Server(origins=["example.com"])
