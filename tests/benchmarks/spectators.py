"""Slow spectators: clients that watch one room of the word battle, and hardly read what they are sent.

Each has the smallest receive buffer that the system gives. Half of them never read once they watch, and the others
read a few bytes a second, which is less than they are sent. They follow the game as the page of the example does.
"""

import contextlib
import socket
from typing import Final

from tests.benchmarks.clients import action_frame, connect, read_until

TRICKLE_BYTES: Final = 256  # that one reads in a second
READ_BYTES: Final = 65_536


class Spectators:
    """The spectators of one room, who come and go together."""

    def __init__(self, port: int, room: str, count: int) -> None:
        self._port = port
        self._room = room
        self._count = count
        self._here: list[socket.socket] = []
        self._due = 0.0  # reads since they came; a fraction is kept

    def come(self) -> None:
        """Connect and watch."""
        body = {"roomname": self._room, "as": "spectator"}
        for sock in connect(self._port, self._count, receive_bytes=1):
            sock.sendall(action_frame("join-room", self._room, body) + action_frame("follow", self._room))
            read_until(sock, lambda data: b"know-yourself" in data)
            sock.setblocking(False)
            self._here.append(sock)

    def trickle(self, seconds: float) -> None:
        """Read what is due after so many further seconds: every other one reads once a second, one after another."""
        readers = self._here[::2]
        before, self._due = self._due, self._due + seconds * len(readers)
        for number in range(int(before), int(self._due)):
            with contextlib.suppress(BlockingIOError, ConnectionError):
                readers[number % len(readers)].recv(TRICKLE_BYTES)

    def leave(self) -> int:
        """Disconnect; return how many the server had closed before."""
        closed = 0
        for sock in self._here:
            try:
                while sock.recv(READ_BYTES):
                    pass
                closed += 1
            except BlockingIOError:
                pass
            except OSError:
                closed += 1
            sock.close()
        self._here.clear()
        return closed
