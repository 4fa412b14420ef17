"""For games: a lobby that lists rooms, and finds and makes rooms to play in."""

from ._lobby.listing import indexed
from .lobby import Lobby
from .lobby_room import LobbyRoom

__all__ = ["Lobby", "LobbyRoom", "indexed"]
