"""The server that is attacked: rooms and actions that a real one has, each with a weak side."""

from typing import Any, Literal

import attrs
import trio

from simplysocket import ActionError, Client, Identity, Limits, PeerError, Refuse, Request, Room, Server, action

from .bystander import Counting


@attrs.frozen
class Choice:
    """A body with a value of a few."""

    role: Literal["player", "watcher"]


class Open(Room):
    """A room in which `say` goes to everyone, and a direct message to one."""

    @action("say")
    async def say(self, client: Client, body: Any) -> None:
        await self.broadcast("said", body, sender=client)

    @action("burn")
    async def burn(self) -> None:
        """Use up the time of a pass, without an await."""
        budget = self.server._assembly.budget
        self.server.burnt += 1  # type: ignore[attr-defined]  # of an Attacked
        while not budget.is_spent():
            pass

    @action("wait")
    async def wait(self, body: float) -> None:
        await trio.sleep(body)

    @action("end")
    async def end(self) -> None:
        await self.close()


class Guarded(Room):
    """A room whose door is slow, and closed."""

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(0.05)
        raise ActionError("forbidden", "not you")


class Listed(Room):
    """A room of which everyone is told who comes and goes, as a chat does for its list of rooms."""

    async def on_join(self) -> None:
        await self.server.broadcast("listed", {"roomname": self.name, "members": len(self.members)})

    async def on_leave(self) -> None:
        await self.server.broadcast("listed", {"roomname": self.name, "members": len(self.members)})


class Attacked(Server):
    """A server with the rooms and actions above; `burnt`: how often a handler has used up a pass."""

    burnt = 0


def make_besieged(*, has_login: bool = False, **limits: Any) -> Attacked:
    """Return the server; `limits` are fields of `Limits`."""
    server = Attacked("attacked", limits=Limits(**limits), direct=True)
    server.room("watch")(Counting)
    server.room("hall*")(_quiet(Open))
    server.room("open")(Open)
    server.room("guarded")(Guarded)
    server.room("listed-*")(Listed)
    server.room("match-*-*-*-*-lobby")(Open)

    if has_login:

        @server.authenticate
        async def authenticate(request: Request) -> Identity:
            if request.query.get("login") == "no":
                raise Refuse(401, "no")
            return Identity(user="someone")

    @server.action("echo")
    async def echo(body: Any) -> Any:
        return body

    @server.action("rename")
    async def rename(client: Client, body: str) -> None:
        for room in client.rooms.values():
            if isinstance(room, Open):
                await room.broadcast("renamed", body, coalesce=client.id)

    @server.action("choose")
    async def choose(body: Choice) -> str:
        return body.role

    @server.action("ask", turn=False)
    async def ask(client: Client) -> None:
        try:
            await client.request("question", timeout=1)
        except PeerError as error:
            raise ActionError("refused", "the other one said no") from error

    @server.action("fail")
    async def fail() -> None:
        raise KeyError("a bug")

    @server.action("linger", turn=False)
    async def linger() -> None:
        await trio.sleep(0.05)

    return server


def _quiet(room_class: type[Room[Any]]) -> type[Room[Any]]:
    return type("Hall", (room_class,), {"announce": False})
