"""Games: rooms with seats, turns, spectators and bots, and a lobby that lists rooms, finds them and makes them.

    from simplysocket.games import GameRoom, Seat

    @server.room("tictactoe-*")
    class TicTacToe(GameRoom):
        seats = 2
        roles = ("X", "O")
        turn_seconds = 15

        async def on_start(self) -> None:
            self.cells = [None] * 9

Open game_room.py first, and lobby.py for the lobby.
"""

from ._lobby.listing import indexed
from .bot import Bot
from .game_room import GameRoom
from .lobby import Lobby
from .lobby_room import LobbyRoom
from .phase import Phase
from .seat import Seat

__all__ = ["Bot", "GameRoom", "Lobby", "LobbyRoom", "Phase", "Seat", "indexed"]
