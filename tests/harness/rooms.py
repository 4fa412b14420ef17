"""Room classes that many tests use."""

from typing import Any

import trio

from simplysocket import Client, Room, action


class Talk(Room):
    """A room in which `say` is broadcast."""

    @action("say")
    async def say(self, client: Client, body: dict[str, Any]) -> None:
        await self.broadcast("said", body, sender=client)


class Hall(Room):
    """A room for attacks: `say` is broadcast, with any body; `wait` holds the turn."""

    @action("say")
    async def say(self, client: Client, body: Any) -> None:
        await self.broadcast("said", body, sender=client)

    @action("wait")
    async def wait(self, body: float) -> None:
        await trio.sleep(body)
