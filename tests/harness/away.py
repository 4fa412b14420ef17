"""Clients that lose their connection and come back, as rooms see it; no connection is lost."""

import attrs
import trio

from simplysocket import Client, Reason, ReasonKind, Room, Server
from simplysocket._sessions.session import Session
from simplysocket._wire.connection import Connection

LOST = Reason("disconnected", ReasonKind.LOST)


class Seats(Room):
    """A room that logs its hooks, as `join ana`; `naps` says how many seconds each takes, by its name."""

    log: list[str]
    naps: dict[str, float]

    async def on_create(self) -> None:
        self.log, self.naps = [], {}

    async def note(self, hook: str, client: Client, more: str = "") -> None:
        """Log a hook, and take its time."""
        self.log.append(f"{hook} {client.name}{more}")
        if hook in self.naps:
            await trio.sleep(self.naps[hook])
            self.log.append(f"{hook} ended")

    async def on_join(self, client: Client) -> None:
        await self.note("join", client)

    async def on_drop(self, client: Client) -> None:
        await self.note("drop", client)

    async def on_resume(self, client: Client) -> None:
        await self.note("resume", client)

    async def on_snapshot(self, client: Client) -> None:
        await self.note("snapshot", client)

    async def on_leave(self, client: Client, reason: Reason) -> None:
        await self.note("leave", client, f" {reason.kind}")

    async def on_message(self, client: Client, message: object) -> None:
        await self.note("message", client)


def log_of(server: Server, name: str) -> list[str]:
    """Return what the room of class `Seats` has logged since the last call."""
    room = server.rooms[name]
    assert isinstance(room, Seats)
    log, room.log = room.log, []
    return log


def session_of(server: Server, id: str) -> Session:
    """Return the session of a client."""
    return server._assembly.hub.clients[id]


@attrs.define
class Absence:
    """A client that is away: what is said to it meanwhile is kept, and is sent when it is back."""

    server: Server
    session: Session
    connection: Connection
    frames: list[bytes]

    def back(self, *, gap: bool = False) -> None:
        """Let the client come back; with `gap` it has missed what was said."""
        session = self.session
        session.connection, session.deliver = self.connection, self.connection.deliver
        session.is_away, session.lost_as = False, None
        if self.frames and not gap:
            session.deliver(b"".join(self.frames), self.frames)
        session.home.joins.resume(session)
        if gap:
            session.home.joins.snapshot(session)

    def end(self, reason: Reason = LOST) -> None:
        """End the session, as when the client does not come back in time."""
        self.session.is_away = False
        self.server._assembly.hub.disconnect(self.session, reason)


def lose(server: Server, id: str, reason: Reason = LOST) -> Absence:
    """Let a client lose its connection."""
    session = session_of(server, id)
    frames: list[bytes] = []

    def wait(_: bytes, said: list[bytes], start: int = 0) -> None:
        frames.extend(said[start:])

    assert session.connection is not None
    absence = Absence(server, session, session.connection, frames)
    session.connection, session.deliver = None, wait
    session.is_away, session.lost_as = True, reason
    session.home.joins.drop(session)
    return absence
