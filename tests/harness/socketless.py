"""Clients without sockets: what they send arrives in one pass of the scheduler, and what they get is counted."""

from typing import Any

import msgspec
import trio

from simplysocket import Reason, ReasonKind, Server
from simplysocket._sessions.session import Session


class Socketless:
    """A client without a socket, and the connection of its session: it takes all frames at once."""

    is_open = True

    def __init__(self, server: Server, name: str) -> None:
        """Enter the server, as a client does whose handshake is done."""
        self.frames: list[bytes] = []  # as they would be on the wire
        self.is_paused = False  # whether the server wants to read no more
        self._assembly = server._assembly
        hub = self._assembly.hub
        connection: Any = self  # the part of a Connection that a session uses
        self.session = Session(hub.make_id(), name, "", connection, hub, state={})
        self.id = self.session.id
        hub.connect(self.session)

    def send(self, action: str, body: object = None, *, target: str = "", id: int | None = None) -> None:
        """Hand a message to the server, as the reading of a socket does."""
        message = {"action": action, "message_body": {} if body is None else body, "target": target, "id": id}
        self._assembly.admission._inbound.receive(self.session, msgspec.json.encode(message), trio.current_time())

    def take(self) -> int:
        """Return the number of bytes received since the last call."""
        frames, self.frames = self.frames, []
        return sum(map(len, frames))

    def answers(self) -> list[tuple[int, Any]]:
        """Return (id, body of the reply or code of the error) of each answer since the last call."""
        frames, self.frames = self.frames, []
        messages = [msgspec.json.decode(frame[{126: 4, 127: 10}.get(frame[1], 2) :]) for frame in frames]
        return [
            (each["id"], each["message_body"] if each["action"] == "reply" else each["message_body"]["code"])
            for each in messages
            if each["action"] in ("reply", "error") and "id" in each
        ]

    def disconnect(self) -> None:
        """Leave the server, as a client does whose connection has ended."""
        self._assembly.hub.disconnect(self.session, Reason("disconnected", ReasonKind.LOST))

    # --- as a connection

    def deliver(self, data: bytes, frames: list[bytes], start: int = 0) -> None:
        self.frames += frames[start:]

    def pause(self) -> None:
        """Send nothing more, as a client whose socket is not read; what a test sends all the same is taken."""
        self.is_paused = True

    def resume(self) -> None:
        """Send again."""
        self.is_paused = False

    def beat(self, seconds: float) -> None:
        """Take a round of the heartbeat."""

    def close(self, code: int, reason: str) -> None:
        self.is_open = False


def enter_many(server: Server, count: int) -> list[Socketless]:
    """Enter clients named c0, c1, ..."""
    return [Socketless(server, f"c{number}") for number in range(count)]
