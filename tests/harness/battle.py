"""The word battle as pages of the Go game see it: the shapes of its messages, and pages that play."""

from typing import Any, Final

import trio

from examples.lobby.battle import BOT
from simplysocket.testing import TestClient
from simplysocket.testing.net import Net

PLAYER: Final = {"color": str, "name": str, "score": int, "slug": str}
# {action: its body}, from the server to pages. A key with a question mark may be left out.
SHAPES: Final[dict[str, dict[str, Any]]] = {
    "know-yourself": {"sender": str},
    "join-room-notify": {"newmessage": str},
    "is-room-maker": {"message": str},
    "found-random-room-notify": {"roomname": str},
    "fail-join-room-notify": {"message": str},
    "client-list-notify": {"clientsinroomessage": [PLAYER]},
    "room-setting-applied": {"message": str},
    "room-bot-greetings": {"message": str},
    "message-by-bot": {
        "message": str,
        "timer": int,
        "clientstats": [PLAYER],
        "letter": str,
        "whichclientturn?": PLAYER,
    },
    "send-message": {"message": str, "useravatar": str, "color": str},
    "room-bot-end-game": {"message": str, "client_list": [PLAYER], "word_list": [str]},
}
TO_ONE: Final = {"know-yourself", "is-room-maker", "found-random-room-notify", "fail-join-room-notify"}
BUILT_IN: Final = {"join-room", "join-random-room", "leave-room", "room-closed", "error", "reply", "welcome"}


def fits(value: object, shape: Any) -> bool:
    """Tell whether a JSON value has exactly this shape."""
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(each, shape[0]) for each in value)
    if isinstance(shape, dict):
        needed = {key for key in shape if not key.endswith("?")}
        known = {key.rstrip("?"): each for key, each in shape.items()}
        return (
            isinstance(value, dict)
            and needed <= value.keys() <= known.keys()
            and all(fits(each, known[key]) for key, each in value.items())
        )
    return type(value) is shape


class Page:
    """A page of the Go game: no subprotocol, no ids. Each message that comes is checked for its shape."""

    def __init__(self, client: TestClient, name: str) -> None:
        self.client = client
        self.name = name
        self.id = ""
        self.room = ""

    async def send(self, action: str, body: object = None, *, target: str | None = None) -> None:
        """Send something to the room, or to another target."""
        await self.client.send(action, body, target=target or self.room)

    async def heard(self) -> list[dict[str, Any]]:
        """Return what has come by now."""
        return [self._check(message) for message in await self.client.settle()]

    async def heard_actions(self) -> list[str]:
        """Return the actions of what has come by now, without the answers of the protocol."""
        return [each["action"] for each in await self.heard() if each["action"] not in BUILT_IN]

    async def hear(self, action: str, *, timeout: float = 60.0) -> dict[str, Any]:
        """Wait for the next message of an action."""
        return self._check(await self.client.expect(action, timeout=timeout))

    async def next(self) -> dict[str, Any]:
        """Wait for the next message."""
        return self._check(await self.client.receive())

    async def join(self, room: str, **options: object) -> None:
        """Join as such a page does, say the name, and forget what has come by then."""
        self.room = room
        await self.send("join-room", {"roomname": room, "playerlimit": 3, **options}, target="mesh-global")
        self.id = (await self.hear("know-yourself"))["message_body"]["sender"]
        await self.send("set-client-name", {"setname": self.name})
        await self.heard()

    async def refusal(self, action: str, body: object = None, *, target: str | None = None) -> str:
        """Send what is refused; return the code."""
        await self.heard()
        await self.send(action, body, target=target)
        code: str = (await self.hear("error"))["message_body"]["code"]
        return code

    def _check(self, message: dict[str, Any]) -> dict[str, Any]:
        action, body = message["action"], message["message_body"]
        if action not in BUILT_IN:
            assert fits(body, SHAPES[action]), message
            assert message["IsTargetClient"] is (action in TO_ONE), message
            if action in TO_ONE:
                self.id = self.id or message["target"]
                assert message["target"] == self.id
            elif self.room:
                assert message["target"] == self.room
            if action not in ("send-message", "join-room-notify"):
                assert message["sender"] == BOT, message
        return message


async def open_page(net: Net, name: str) -> Page:
    """Open a page of the Go game."""
    return Page(await net.connect(path="/wsmesh", greet=False), name)


async def open_table(net: Net, *names: str, room: str = "table", seconds: int = 60) -> list[Page]:
    """Open pages that have come together in a room, whose host has set how long a game takes."""
    pages = []
    for name in names:
        pages.append(await open_page(net, name))
        await pages[-1].join(room)
    await pages[0].send("room-settings", {"game_duration": str(seconds), "player_limit": str(max(2, len(names)))})
    for page in pages:
        await page.heard()
    return pages


async def first_turn(*pages: Page) -> dict[str, Any]:
    """Let the first of these start the game; return the message of the first turn, when all of them have heard it."""
    await pages[0].send("start-the-game", {"message": pages[0].room})
    for page in pages:
        turn = await page.hear("message-by-bot")
        assert "whichclientturn" not in turn["message_body"]
        turn = await page.hear("message-by-bot")
    return turn


class Watch:
    """The time since it was made, by trio's clock."""

    def __init__(self) -> None:
        self._start = trio.current_time()

    @property
    def seconds(self) -> float:
        return round(trio.current_time() - self._start, 3)
