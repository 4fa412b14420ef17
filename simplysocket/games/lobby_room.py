"""The room of a lobby: who is in it is sent the list of rooms, and what changes in it."""

from typing import TYPE_CHECKING, Any, ClassVar

from ..client import Client, State
from ..room import Room

if TYPE_CHECKING:
    from ._lobby.listings import Page
    from ._lobby.overview import Overview


class LobbyRoom(Room[State]):
    """The room whose members see the list of rooms, and each other: `announce` is True.

    Derive from it for a lobby in which clients also talk, and give it as `Lobby(room_class=...)`. A hook
    `on_snapshot` of yours calls `await super().on_snapshot(client)`, which sends the first page of the list.
    """

    announce: ClassVar[bool] = True
    relay: ClassVar[bool | None] = False  # else a client could send what looks like a change of the list
    empty_ttl: ClassVar[float | None] = None

    async def on_snapshot(self, client: Client[State]) -> None:
        """Send the first page of the list to a client that has joined, or has missed messages."""
        overview: Overview = self._runtime.home.listing.directory  # type: ignore[assignment]  # the one that has opened this room
        await self.send(client, "rooms", body_of(overview.page(), len(overview.listings)))


def body_of(page: "Page", total: int) -> dict[str, Any]:  # Any: JSON
    """Return the body of `rooms`, and of the answer to `list-rooms`."""
    body: dict[str, Any] = {"rooms": [record.entry() for record in page.records], "total": total}
    return body if page.next is None else {**body, "next": page.next}
