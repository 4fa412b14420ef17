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


class Fragile(Room):
    """A room that counts, and whose tasks crash when a client says so."""

    made = 0
    noted: list[Any] = []  # noqa: RUF012  # of all rooms of the class in one test

    def __init_subclass__(cls) -> None:
        cls.noted = []

    async def on_create(self) -> None:
        type(self).made += 1
        self.number = type(self).made
        self.count = 0
        self.noted.append(("created", self.number, [each.name for each in self.members.values()]))
        self.every(10, self.beat)

    async def beat(self) -> None:
        self.noted.append(("beat", self.number))

    async def on_snapshot(self, client: Client) -> None:
        await self.send(client, "state", {"room": self.number, "count": self.count})

    async def on_error(self, error: BaseException, client: Client | None) -> None:
        self.noted.append(("error", str(error), client))

    async def crash(self, seconds: float = 0) -> None:
        await trio.sleep(seconds)
        raise RuntimeError("a crash")

    @action("count")
    async def add(self) -> dict[str, int]:
        self.count += 1
        return {"room": self.number, "count": self.count}

    @action("crash")
    async def begin_crash(self, body: float = 0.0) -> None:
        self.start_soon(self.crash, body)

    @action("wait")
    async def wait(self, body: float) -> str:
        await trio.sleep(body)
        return "waited"

    @action("wait-outside", turn=False)
    async def wait_outside(self, body: float) -> str:
        await trio.sleep(body)
        return "waited"


def fragile(on_crash: str, **options: Any) -> Any:
    """Return a class of such rooms with this `on_crash`."""
    return type("Fragile", (Fragile,), {"on_crash": on_crash, "made": 0, **options})
