"""The word battle: a game of words for two to ten, with a lobby, private rooms, spectators and bots.

Run it with `python -m examples.lobby.server` and open the address that it prints. It needs the package pyspellchecker,
which `pip install 'simplysocket[examples]'` brings along. Pages that were written for the Go game connect to /wsmesh.
"""

import argparse
from pathlib import Path
from typing import Annotated

import attrs
from msgspec import Meta

from simplysocket import Client, Limits, Server
from simplysocket.games import Lobby, LobbyRoom

from .battle import BattleRoom, RandomBattleRoom

NAME_LENGTH = 40  # characters of a room's or a client's name
GRACE = 30  # seconds that a lost connection is kept, and its seat for longer

server = Server("word-battle", path=["/ws", "/wsmesh"], limits=Limits(name_length=NAME_LENGTH, resume_seconds=GRACE))
server.static("/", Path(__file__).with_name("static"))


class Here(LobbyRoom):
    """The lobby's room: those who have the page open see each other, and which rooms there are."""

    hold_seconds = 5  # who closes the page is gone after this


lobby = Lobby(server, room_class=Here, match=["battle-*", "random-*"])
server.room("*")(BattleRoom)  # by any name, as pages of the Go game do
server.room("battle-*")(BattleRoom)
server.room("random-*")(RandomBattleRoom)


@attrs.frozen
class RandomRoom:
    """The name that a page of the Go game would give to a new room; here the server names it."""

    roomname: Annotated[str, Meta(max_length=NAME_LENGTH)] = ""


@server.action("join-random-room")
async def join_random_room(client: Client, body: RandomRoom) -> dict[str, object]:
    """Put a client into a room with somebody who waits for a game, or else into a new one."""
    return await lobby.join_or_create(client, "random-*")


def main() -> None:
    """Read the command line and run until Ctrl+C."""
    parser = argparse.ArgumentParser(description="A game of words, and a page for the browser.")
    parser.add_argument("--host", default="localhost", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the port; 0 takes a free port (default: %(default)s)")
    arguments = parser.parse_args()
    server.run(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
