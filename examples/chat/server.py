"""A chat: anyone may open a room, see who is in it, and write to everyone in it.

Run it with `python -m examples.chat.server` and open the address that it prints.
The page (static/index.html) uses the client for browsers that every server serves.
"""

import argparse
from pathlib import Path
from typing import Annotated

import attrs
from msgspec import Meta

from simplysocket import Client, Limits, Room, Server, action

TEXT_LENGTH = 2_000  # characters of one message: a long paragraph
NAME_LENGTH = 40  # characters of a person's name
ROOMS = 5  # of one person at a time: each of them is told of a new name
GRACE = 10  # seconds that the place of a lost connection is kept: who closes the page is gone after this

server = Server("chat", limits=Limits(rooms_per_client=ROOMS, resume_seconds=GRACE))
server.static("/", Path(__file__).with_name("static"))


# The bodies that clients send. A body of another shape is refused with `bad-body`, and its handler does not run.


@attrs.frozen
class Say:
    """A text: not too long, and not only white space."""

    text: Annotated[str, Meta(max_length=TEXT_LENGTH, pattern=r"\S")]


@attrs.frozen
class Rename:
    """A new name: one line without control characters, and without white space at its start or end."""

    name: Annotated[str, Meta(max_length=NAME_LENGTH, pattern=r"\A(?!.*[\x00-\x1f\x7f-\x9f])\S(.*\S)?\Z")]


@server.room("*")
class Chat(Room):
    """A room of the chat: created by the first join, closed when the last member has left."""

    announce = True  # members hear `client-joined-room` and `client-left-room`
    capacity = 50  # a further join is refused with `room-full`

    async def on_join(self) -> None:
        await self.list_it(len(self.members))

    async def on_leave(self) -> None:
        await self.list_it(len(self.members))

    async def on_close(self) -> None:
        await self.list_it(0)

    async def on_drop(self) -> None:
        await self.broadcast("away", self.away())

    async def on_resume(self) -> None:
        await self.broadcast("away", self.away())

    async def on_snapshot(self, client: Client) -> None:
        """Tell a member that has come in, or has missed messages, who is away."""
        await self.send(client, "away", self.away())

    def away(self) -> dict[str, list[str]]:
        """Return the ids of all members whose connection is lost."""
        return {"clients": [each.id for each in self.members.values() if not each.is_connected]}

    async def list_it(self, members: int) -> None:
        """Tell all clients how many members the room has, for their lists of rooms; 0 means that it has closed."""
        body = {"roomname": self.name, "members": members, "capacity": self.capacity}
        await server.broadcast("room", body, coalesce=self.name)  # of those that wait for a client, only the newest

    @action("say")
    async def say(self, client: Client, body: Say) -> None:
        """Send a text to everyone in the room, including the client that wrote it."""
        await self.broadcast("say", {"text": body.text, "name": client.name}, sender=client)

    @action("typing")
    async def typing(self, client: Client) -> None:
        """Tell the other members that a client is typing; volatile, because a late notice is of no use."""
        await self.broadcast("typing", {"name": client.name}, sender=client, exclude=client, volatile=True)


@server.action("rename")
async def rename(client: Client, body: Rename) -> dict[str, str]:
    """Change a client's name, tell the rooms that it is in, and reply with the name as the server keeps it."""
    client.name = body.name  # what nobody sees in it is left out
    for room in client.rooms.values():
        if isinstance(room, Chat):  # leaves out the global room
            await room.broadcast("renamed", {"client": client.id, "name": client.name})
    return {"name": client.name}


def main() -> None:
    """Read the command line and run until Ctrl+C."""
    parser = argparse.ArgumentParser(description="A chat with rooms, and a page for the browser.")
    parser.add_argument("--host", default="localhost", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the port; 0 takes a free port (default: %(default)s)")
    arguments = parser.parse_args()
    server.run(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
