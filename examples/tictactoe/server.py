"""Tic-tac-toe: the first two in a room play, the others watch. The lobby finds somebody to play with.

Run it with `python -m examples.tictactoe.server` and open the address that it prints.
The page (static/index.html) uses the client for browsers that every server serves.
"""

import argparse
import random
from pathlib import Path

from simplysocket import ActionError, Client, Limits, Server, action
from simplysocket.games import Bot, GameRoom, Lobby, Seat

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
TURN_SECONDS = 15.0
THINKING = 0.9  # seconds that the computer takes for a move, so that one sees it play

server = Server("tictactoe", limits=Limits(rooms_per_client=3))
Lobby(server)  # finds somebody who waits: the page asks it for `join-or-create`
server.static("/", Path(__file__).with_name("static"))


@server.room("tictactoe-*")
class TicTacToe(GameRoom):
    """One board. Who takes longer than 15 s for a move has lost; X begins, and is the other one in the next game."""

    seats = 2
    roles = ("X", "O")
    spectators = 50
    turn_seconds = TURN_SECONDS
    hold_seconds = 60.0
    rotates = True

    async def on_create(self) -> None:
        self.wins: dict[Seat, int] = dict.fromkeys(self.all_seats, 0)
        self.clear()
        if self.options.get("private"):
            self.hide()  # for friends who have the link

    def clear(self) -> None:
        """Begin with an empty board."""
        self.cells: list[str | None] = [None] * 9
        self.last: int | None = None  # the cell that was taken last
        self.line: tuple[int, ...] = ()  # the three in a row
        self.result: dict[str, object] | None = None  # of the game that is over

    @property
    def board(self) -> dict[str, object]:
        """All that the page shows of the game; who sits where, and whose turn it is, it knows from the GameRoom."""
        wins = [self.wins[seat] for seat in self.all_seats]
        marks = {"cells": self.cells, "last": self.last, "line": self.line}
        return {**marks, "result": self.result, "wins": wins, "seconds": self.turn_seconds}

    async def on_start(self) -> None:
        self.clear()
        await self.broadcast("board", self.board)

    async def on_snapshot(self, client: Client) -> None:
        await self.send(client, "board", self.board)

    async def on_sit(self) -> None:
        self.wins = dict.fromkeys(self.all_seats, 0)  # another pair of players
        await self.broadcast("board", self.board)

    @action("place", only=GameRoom.is_turn)
    async def place(self, client: Client, body: int) -> None:
        """Take a cell, 0 to 8."""
        seat = self.seat_of(client)
        if seat is None or body not in self.free_cells:
            raise ActionError("bad-body", "take a free cell, 0 to 8", path="$")
        await self.take(seat, body)

    @property
    def free_cells(self) -> list[int]:
        return [cell for cell in range(9) if self.cells[cell] is None]

    async def take(self, seat: Seat, cell: int) -> None:
        """Take a free cell for the seat that has the turn."""
        self.cells[cell], self.last = seat.role, cell
        self.line = next((line for line in LINES if all(self.cells[each] == seat.role for each in line)), ())
        if self.line:
            await self.finish(seat, "line")
        elif not self.free_cells:
            await self.finish(None, "full")
        else:
            await self.broadcast("board", self.board)
            await self.next_turn()

    async def on_time_out(self, seat: Seat) -> None:
        await self.finish(self.other(seat), "time")

    async def on_too_few(self) -> None:
        await self.finish(None, "left")

    async def finish(self, winner: Seat | None, why: str) -> None:
        """End the game: with three in a row, a full board, a turn that took too long, or since somebody left."""
        if winner is not None:
            self.wins[winner] += 1
        self.result = {"winner": None if winner is None else winner.index, "why": why}
        await self.broadcast("board", self.board)
        await self.end(self.result)

    def other(self, seat: Seat) -> Seat:
        return self.all_seats[1 - seat.index]

    @action("add-computer", only=GameRoom.is_owner)
    async def add_computer(self) -> None:
        """Let the computer sit down on the seat that is free. It gives it to a person who comes."""
        await self.seat_bot(Computer("Computer", yields=True))


class Computer(Bot):
    """It wins if it can, and keeps the other from winning; it sees no further than that."""

    async def on_turn(self, game: TicTacToe, seat: Seat) -> None:
        game.after(THINKING, self.move, game, seat)

    async def move(self, game: TicTacToe, seat: Seat) -> None:
        if game.turn is seat and seat.player is self:
            await game.take(seat, self.choose(game, seat))

    def choose(self, game: TicTacToe, seat: Seat) -> int:
        for role in (seat.role, game.other(seat).role):
            for line in LINES:
                marks = [game.cells[cell] for cell in line]
                if marks.count(role) == 2 and None in marks:
                    return line[marks.index(None)]
        return 4 if game.cells[4] is None else random.choice(game.free_cells)


def main() -> None:
    """Read the command line and run until Ctrl+C."""
    parser = argparse.ArgumentParser(description="Tic-tac-toe, and a page for the browser.")
    parser.add_argument("--host", default="localhost", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the port; 0 takes a free port (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=TURN_SECONDS, help="of a turn (default: %(default)g)")
    arguments = parser.parse_args()
    TicTacToe.turn_seconds = arguments.seconds
    server.run(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
