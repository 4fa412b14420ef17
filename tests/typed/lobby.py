"""A server with a lobby that uses each of its names as it is meant; mypy --strict has nothing to say about it."""

from typing import Annotated, Any

import attrs

from simplysocket import Client, Room, Server, games


@attrs.define
class Player:
    """The state of a client."""

    score: int = 0


server = Server("lobby", state=Player)


@attrs.frozen
class Shown:
    """What a room publishes."""

    mode: Annotated[str, games.indexed] = "casual"


@server.room("shown-*")
class Showing(Room[Player]):
    """A room with a listing."""

    listing: Any = Shown

    async def on_create(self) -> None:
        self.listing = Shown("ranked")


class Foyer(games.LobbyRoom[Player]):
    """The room of a lobby, with a hook."""

    async def on_snapshot(self, client: Client[Player]) -> None:
        await super().on_snapshot(client)


rooms = games.Lobby(server, "foyer", room_class=Foyer, match=["shown-*"], reserve_seconds=5)


async def pair(client: Client[Player]) -> list[str | None]:
    joined: dict[str, Any] = await rooms.join_or_create(client, "shown-*", filter={"mode": {"in": ["ranked"]}})
    made: dict[str, Any] = await rooms.create_private(client, "shown-*", options={"mode": joined["roomname"]})
    await rooms.join_by_code(client, made["code"])
    return [rooms.code_of(room) for room in rooms.find({"mode": "casual"}, after="shown-1")]
