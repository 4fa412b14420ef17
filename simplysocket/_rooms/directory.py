"""The directory: what is told of all rooms of a server, such as a lobby. Most servers have none.

Laws:
- Plain functions: none of them waits, and none calls a room's code but for its properties.
- What a room's code has set, such as a listing, may be refused here; nothing else is.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .._sessions.session import Session
    from .runtime import RoomRuntime


class Directory(Protocol):
    """Who looks at the rooms of a server: a seam for simplysocket.games."""

    def check(self) -> None:
        """Refuse what cannot work with the registered room classes; called before the server runs."""

    def begin(self) -> None:
        """Begin, now that the server runs and has its global room."""

    def changed(self, runtime: "RoomRuntime") -> None:
        """Look at a room again: its state, its members, whether it is hidden or locked."""

    def published(self, runtime: "RoomRuntime") -> None:
        """Take over `Room.listing`, which has been set; raise what is wrong with it."""

    def joined(self, runtime: "RoomRuntime", session: "Session") -> None:
        """Note that a client has become a member."""

    def reserved(self, runtime: "RoomRuntime", session: "Session") -> int:
        """Return how many places of a room are kept for others than this client, which has none kept for itself."""
