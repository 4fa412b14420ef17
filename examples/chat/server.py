"""A chat: rooms that anyone may open, who is in them, and what they say.

Run it with `python -m examples.chat.server` and open the address that it prints.
The page (static/index.html) speaks the protocol with the browser's own WebSocket.
"""

import argparse
from pathlib import Path
from typing import Annotated

import attrs
from msgspec import Meta

from simplysocket import Client, Room, Server, action

TEXT_LENGTH = 2_000  # characters of one message: a long paragraph
NAME_LENGTH = 40  # characters of a person's name

server = Server("chat")
server.static("/", Path(__file__).with_name("static"))


# What clients send. A body of another shape is refused with `bad-body` before its handler runs.


@attrs.frozen
class Say:
    """Something to say: not too long, and with something in it that can be seen."""

    text: Annotated[str, Meta(max_length=TEXT_LENGTH, pattern=r"\S")]


@attrs.frozen
class Rename:
    """Another name: one line, without blanks around it."""

    name: Annotated[str, Meta(max_length=NAME_LENGTH, pattern=r"\A\S(.*\S)?\Z")]


@server.room("*")
class Chat(Room):
    """A room of the chat: opened by the first join, closed when the last member has left."""

    announce = True  # members hear `client-joined-room` and `client-left-room`
    capacity = 50  # beyond it a join is refused with `room-full`

    async def on_join(self) -> None:
        await self.list_it(len(self.members))

    async def on_leave(self) -> None:
        await self.list_it(len(self.members))

    async def on_close(self) -> None:
        await self.list_it(0)

    async def list_it(self, members: int) -> None:
        """Tell everyone who is connected how many are here, for their lists of rooms; 0: the room is no more."""
        await server.broadcast("room", {"roomname": self.name, "members": members, "capacity": self.capacity})

    @action("say")
    async def say(self, client: Client, body: Say) -> None:
        """Pass a text on to everyone here, the one who wrote it included."""
        await self.broadcast("say", {"text": body.text, "name": client.name}, sender=client)

    @action("typing")
    async def typing(self, client: Client) -> None:
        """Let the others see that a client writes; who cannot take it at once never needs it."""
        await self.broadcast("typing", {"name": client.name}, sender=client, exclude=client, volatile=True)


@server.action("rename")
async def rename(client: Client, body: Rename) -> None:
    """Give a client another name, and tell the rooms that it is in."""
    client.name = body.name
    for room in client.rooms.values():
        if isinstance(room, Chat):  # not the global room, where everyone is
            await room.broadcast("renamed", {"client": client.id, "name": client.name})


def main() -> None:
    """Read the command line and run until Ctrl+C."""
    parser = argparse.ArgumentParser(description="A chat in rooms, with a page for the browser.")
    parser.add_argument("--host", default="localhost", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the port; 0 takes a free one (default: %(default)s)")
    arguments = parser.parse_args()
    server.run(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
