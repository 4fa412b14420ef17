"""Logins: a server whose tokens say what `authenticate` does with them."""

import time
from typing import Any

import attrs
import trio
import trio.testing

from simplysocket import ActionError, Client, Identity, Limits, Refuse, Request, Room, Server
from simplysocket.testing import Net, TestClient

from .hooks import cancel_itself_and_raise_a_group, sleep_and_raise_a_group


@attrs.define
class Logins:
    """A server, and the tokens that its `authenticate` was asked about."""

    server: Server
    asked: list[Request] = attrs.field(factory=list)
    reason: str = ""  # with which the token "reason" is refused

    @property
    def tokens(self) -> list[str | None]:
        return [request.token for request in self.asked]


def make_with_logins(limits: dict[str, Any] | None = None, **options: Any) -> Logins:
    """Return a server for tokens such as "ana" and "ana 100", a user and the seconds until its credentials expire.

    "slow ana 100" takes a second. Other words refuse the client, fail or take for ever.
    """
    logins = Logins(Server("test", limits=Limits(**(limits or {})), **options))

    @logins.server.authenticate
    async def authenticate(request: Request) -> Identity:
        logins.asked.append(request)
        match (request.token or "").split():
            case []:
                raise Refuse(401, "log in first")
            case ["wrong"]:
                raise Refuse(401, "who made this?")
            case ["reason"]:
                raise Refuse(401, logins.reason)
            case ["nameless"]:
                raise Refuse
            case ["old"]:
                raise Refuse(401, "too old", expired=True)
            case ["banned"]:
                raise Refuse(403, "not until Monday")
            case ["own-code"]:
                raise ActionError("no-ticket", "buy one")
            case ["status", status]:
                raise Refuse(int(status), "later")
            case ["bug"]:
                raise KeyError("secret bug")
            case ["group"]:
                await cancel_itself_and_raise_a_group()
            case ["nothing"]:
                return None  # type: ignore[return-value]  # the mistake that is tested
            case ["never"]:
                await trio.sleep_forever()
            case ["stubborn"]:
                await sleep_and_raise_a_group()
            case ["slow", user, seconds]:
                await trio.sleep(1)
                return Identity(user, claims={"token": request.token}, expires_at=time.time() + float(seconds))
            case [user, seconds]:
                return Identity(user, claims={"token": request.token}, expires_at=time.time() + float(seconds))
            case [user]:
                return Identity(user, claims={"token": request.token})
        raise AssertionError(request.token)

    return logins


def make_with_hall(**options: Any) -> Logins:
    """Return the same with a room "hall", whose `log` says who has left, and why."""
    logins = make_with_logins(**options)

    @logins.server.room("hall")
    class Hall(Room):
        async def on_create(self) -> None:
            self.log: list[str] = []

        async def on_leave(self, client: Client, reason: str) -> None:
            self.log.append(f"left {client.name} {reason}")

    return logins


async def enter_hall(net: Net, token: str, name: str = "ana") -> TestClient:
    """Return a client in the hall that may come back."""
    client = await net.connect(name, token=token, resume=True)
    await client.join("hall")
    return client


async def lose(client: TestClient) -> None:
    """Break the connection of a client, and let the server see it."""
    client.drop()
    await trio.testing.wait_all_tasks_blocked()
