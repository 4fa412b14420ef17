"""A client that may come back, written by hand, so that a test says each position itself."""

from typing import Any

import trio

from simplysocket import Client, Room, Server, action
from simplysocket.testing import Net, TestClient


class Phone:
    """A client that asked to come back. `received` counts what it was sent, as the protocol says."""

    def __init__(self, client: TestClient, welcome: dict[str, Any]) -> None:
        self.client = client
        self.welcome = welcome
        self.id: str = welcome["client"]
        client.id = self.id
        self.resume: dict[str, Any] = welcome["resume"]
        self.token: str = self.resume["token"]

    async def drop(self) -> None:
        """Lose the connection, and let the server see it."""
        await self.client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()


async def dial(net: Net, name: str = "", entry: str = "simplysocket.resume", **options: Any) -> Phone:
    """Connect with an entry among the subprotocols, and return the client with its `welcome`."""
    headers = {"Sec-WebSocket-Protocol": f"simplysocket.json, {entry}", **options.pop("headers", {})}
    client = await net.connect(name, greet=False, headers=headers, **options)
    message = await client.receive()
    assert message["action"] == "welcome"
    return Phone(client, message["message_body"])


async def dial_again(net: Net, phone: Phone, received: int | str, sent: int, **options: Any) -> Phone:
    """Come back with the phone's token and these positions."""
    return await dial(net, "", f"simplysocket.resume.{phone.token}.{received}.{sent}", **options)


class Hall(Room):
    """A room whose members may be away."""

    async def on_create(self) -> None:
        self.happened: list[object] = []

    async def on_leave(self, client: Client, reason: str) -> None:
        self.happened.append(("left", client.name, str(reason)))

    @action("shout")
    async def shout(self, client: Client, body: Any) -> None:
        await self.broadcast("shouted", body)

    @action("slow", turn=False)
    async def slow(self) -> str:
        await trio.sleep(5)
        return "done"


def make_server(**options: Any) -> Server:
    server = Server("house", **options)
    server.room("hall*")(Hall)
    return server


async def bodies(client: Any, action: str = "shouted") -> list[Any]:
    return [each["message_body"] for each in await client.settle() if each["action"] == action]


async def in_hall(net: Net, name: str = "ana") -> Phone:
    """Return a client that has joined: it has sent one message, and was sent one."""
    phone = await dial(net, name)
    await phone.client.join("hall")
    return phone
