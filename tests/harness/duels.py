"""Rooms with listings, and a server with a lobby, that the tests of the lobby use."""

from typing import Annotated, Any

import attrs

from simplysocket import Room, Server, action
from simplysocket.games import Lobby, indexed

from .servers import make


@attrs.frozen
class Duelling:
    """What a duel publishes."""

    mode: Annotated[str, indexed] = "casual"
    level: Annotated[int, indexed] = 1
    title: str = ""
    best: int | None = None


class Duel(Room):
    """A room of two, whose listing comes from the options of the join that has made it."""

    capacity = 2
    listing: Any = Duelling

    async def on_create(self) -> None:
        self.listing = Duelling(**self.options.get("listing", {}))

    @action("change")
    async def change(self, body: dict[str, Any]) -> None:
        self.listing = attrs.evolve(self.listing, **body)

    @action("close")
    async def end(self) -> None:
        await self.close()


class Hall(Room):
    """A room without a listing."""


def make_lobby(
    *rooms: tuple[str, type[Room[Any]]], lobby: dict[str, Any] | None = None, **options: Any
) -> tuple[Server, Lobby]:
    """Return a server and its lobby, with these rooms, or else duels and halls; `lobby` are the options of `Lobby`."""
    server = make(*(rooms or (("duel-*", Duel), ("hall-*", Hall))), **options)
    return server, Lobby(server, **(lobby or {}))
