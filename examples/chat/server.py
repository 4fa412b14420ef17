"""A chat: rooms that anyone may open, who is in them, and what they say.

Run it with `python -m examples.chat.server` and open the address that it prints.
The page (static/index.html) speaks the protocol with the browser's own WebSocket.
"""

import argparse
from pathlib import Path

import attrs

from simplysocket import ActionError, Client, Room, Server, action

TEXT_LENGTH = 2_000  # characters of one message: a long paragraph

server = Server("chat")
server.static("/", Path(__file__).with_name("static"))


@attrs.frozen
class Say:
    """What a client sends with `say`; a body of another shape is refused before the handler runs."""

    text: str


@server.room("*")
class Chat(Room):
    """A room of the chat: opened by the first join, closed when the last member has left."""

    announce = True  # members hear `client-joined-room` and `client-left-room`
    capacity = 50  # beyond it a join is refused with `room-full`

    @action("say")
    async def say(self, client: Client, body: Say) -> None:
        """Pass a text on to everyone here, the one who wrote it included."""
        text = body.text.strip()
        if not text:
            raise ActionError("bad-body", "there is nothing in this message", path="$.text")
        if len(text) > TEXT_LENGTH:
            problem = f"this message has {len(text):,} characters, {TEXT_LENGTH:,} is the most"
            raise ActionError("bad-body", problem, path="$.text")
        await self.broadcast("say", {"text": text, "name": client.name}, sender=client)

    @action("typing")
    async def typing(self, client: Client) -> None:
        """Let the others see that a client writes; who cannot take it at once never needs it."""
        await self.broadcast("typing", {"name": client.name}, sender=client, exclude=client, volatile=True)


def main() -> None:
    """Read the command line and run until Ctrl+C."""
    parser = argparse.ArgumentParser(description="A chat in rooms, with a page for the browser.")
    parser.add_argument("--host", default="localhost", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the port; 0 takes a free one (default: %(default)s)")
    arguments = parser.parse_args()
    server.run(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
