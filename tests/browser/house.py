"""The server of the tests in JavaScript, as a process of its own: `python -m tests.browser.house --port 0`.

With HOUSE=doors in the environment it lets in only who has a token: `ana` for ever, `ana:2` for two seconds. With
HOUSE_GRACE it keeps a session for so many seconds.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import trio

from simplysocket import ActionError, Client, Identity, Limits, PeerError, Refuse, Request, Room, Server, action

STATIC = Path(__file__).with_name("static")

limits = Limits(
    resume_seconds=float(os.environ.get("HOUSE_GRACE", "30")),
    connects_per_second=None,
    resumes_per_second=None,
    http_requests_per_second=None,
    joins_per_second=None,
    messages_per_second=None,
    failed_logins_per_second=None,
    handshake_seconds=60,  # a browser connects ahead, and on a slow machine asks much later
)
server = Server("house", limits=limits)
server.static("/", STATIC)


@server.room("hall*")
class Hall(Room):
    """A room that hears numbers, and counts aloud."""

    announce = True

    async def on_create(self) -> None:
        self.heard: list[int] = []

    async def on_join(self, client: Client) -> None:
        await self.send(client, "hello", {"name": client.name})

    async def on_snapshot(self, client: Client) -> None:
        await self.send(client, "snapshot", {"heard": len(self.heard)})

    @action("say")
    async def say(self, client: Client, body: Any) -> None:
        await self.broadcast("said", body, sender=client)

    @action("number")
    async def number(self, body: int) -> int:
        self.heard.append(body)
        return body

    @action("heard")
    async def tell_heard(self) -> list[int]:
        return self.heard

    @action("count", turn=False)
    async def count(self, body: int) -> None:
        for number in range(body):
            await self.broadcast("number", number)
            await trio.sleep(0.002)

    @action("dismiss")
    async def dismiss(self, client: Client) -> None:
        await self.kick(client, "enough")

    @action("end")
    async def end(self) -> None:
        await self.close("it is over")


@server.room("shut*")
class Shut(Room):
    """A room that lets nobody in."""

    async def on_auth(self, client: Client) -> None:
        raise ActionError("forbidden", "nobody comes in")


@server.action("echo")
async def echo(body: Any) -> Any:
    return body


@server.action("me")
async def me(client: Client) -> dict[str, Any]:
    return {"id": client.id, "name": client.name, "user": client.identity and client.identity.user}


@server.action("number")
async def number(body: int) -> int:
    return body


@server.action("slow", turn=False, cancel=True)
async def slow(body: float) -> str:
    await trio.sleep(body)
    return "done"


@server.action("ask-me", turn=False)
async def ask_me(client: Client, body: dict[str, Any]) -> Any:
    """Ask the client what it says, and reply with its answer or its error."""
    try:
        return {"answer": await client.request(body["action"], body["body"], timeout=5)}
    except PeerError as error:
        return {"code": error.code, "message": error.message, "path": error.path}


@server.action("find-hall", turn=False)
async def find_hall(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    """Put the client into two rooms that it did not name, and reply with the one that it looked for."""
    await client.join("hall-other")
    await client.send("found", {})
    answer = await client.join(body.get("pattern", "hall-*").replace("*", "found"), body.get("options"))
    return {**answer, "code": "balo-mitu-dora"}


@server.action("tell-me")
async def tell_me(client: Client, body: dict[str, Any]) -> None:
    await client.send(body["action"], body["body"])


@server.action("close-me")
async def close_me(client: Client, body: int) -> None:
    await client.close(body, "as asked")


@server.action("clients")
async def clients() -> list[str]:
    return [client.name for client in server.clients.values()]


@server.action("forget", turn=False)
async def forget(client: Client) -> None:
    """End all other sessions, also those of clients that are away: the next test finds nobody, and no room."""
    others = [each for each in server.clients.values() if each is not client]
    for each in others:
        await each.close(4400, "the test is over")
    while len(server.clients) > 1 or len(server.rooms) > 1:  # noqa: ASYNC110 - no event says so
        await trio.sleep(0.01)


if os.environ.get("HOUSE") == "doors":

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        user, _, seconds = (request.token or "").partition(":")
        if user not in ("ana", "ben"):
            raise Refuse(401, "a token is needed")
        if seconds == "0":
            raise Refuse(401, "expired", expired=True)
        return Identity(user, name=user, expires_at=time.time() + float(seconds) if seconds else None)


def main() -> None:
    """Run until Ctrl+C."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    server.run("localhost", parser.parse_args().port)


if __name__ == "__main__":
    main()
