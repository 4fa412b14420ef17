"""Hooks of a server that wait, fail or refuse, and servers that record which hooks were called."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any  # Any: options, and the log of a room whose class the server does not know

import attrs
import trio

from simplysocket import GLOBAL_ROOM, ActionError, Client, Identity, Limits, Request, Room, Server

Wait = Callable[[], Awaitable[None]]
Act = Callable[[Client], Awaitable[object]]


# --- bodies of hooks


async def sleep_and_fail() -> None:
    """Sleep until cancelled, and raise KeyError instead of Cancelled."""
    try:
        await trio.sleep_forever()
    finally:
        raise KeyError("bug")


async def sleep_and_raise_a_group() -> None:
    """Sleep until cancelled, and raise a group of Cancelled and KeyError."""
    try:
        await trio.sleep_forever()
    except trio.Cancelled as exc:
        raise BaseExceptionGroup("both", [exc, KeyError("bug")])  # noqa: B904 - the nonsense that is tested


async def cancel_itself_and_raise_a_group() -> None:
    """Cancel a scope of its own, and raise a group in the `finally`."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep_forever()
        finally:
            raise ExceptionGroup("while cleaning up", [KeyError("bug")])


# --- bodies of hooks that are given the client


async def refuse(_: Client) -> None:
    raise ActionError("forbidden", "not you")


async def fail(_: Client) -> None:
    raise KeyError("bug")


async def never(_: Client) -> None:
    await trio.sleep_forever()


async def swallow_cancelled(_: Client) -> None:
    with contextlib.suppress(trio.Cancelled):
        await trio.sleep_forever()


async def fail_when_cancelled(_: Client) -> None:
    await sleep_and_fail()


async def raise_a_group_when_cancelled(_: Client) -> None:
    await sleep_and_raise_a_group()


# --- servers


def make_waiting(where: str, wait: Wait) -> tuple[Server, list[str]]:
    """Return a server whose hook `where` calls `wait`, and the log of the calls and how that one ended."""
    server, log = Server("test"), list[str]()

    async def at(place: str) -> None:
        log.append(place)
        if place == where:
            try:
                await wait()
            except BaseException as exc:
                log.append(f"{place}: {type(exc).__name__}")
                raise
            log.append(f"{place} done")

    @server.authenticate
    async def authenticate(_: Request) -> Identity:
        await at("authenticate")
        return Identity("ana")

    @server.on_connect
    async def connected() -> None:
        await at("on_connect")

    @server.on_disconnect
    async def disconnected(_: Client, reason: str) -> None:
        log.append(reason)
        await at("on_disconnect")

    return server, log


class LoggedRoom(Room):
    """A room that logs who joins and leaves."""

    log: list[str]

    async def on_create(self) -> None:
        self.log = []

    async def on_join(self, client: Client) -> None:
        self.log.append(f"+{client.name}")

    async def on_leave(self, client: Client, reason: str) -> None:
        self.log.append(f"-{client.name} {reason}")


@attrs.define
class Guarded:
    """A server whose on_connect calls the test's function for the client "odd", and the log of both hooks."""

    server: Server
    log: list[str] = attrs.field(factory=list)

    @property
    def room_log(self) -> list[str]:
        """The log of the global room."""
        room: Any = self.server.rooms[GLOBAL_ROOM]
        log: list[str] = room.log
        return log


def make_guarded(act: Act, **limits: Any) -> Guarded:
    """Return a server with default limits but for these, on which `act` is called for the client "odd"."""
    guarded = Guarded(Server("test", limits=Limits(**limits)))
    guarded.server.room(GLOBAL_ROOM)(LoggedRoom)

    @guarded.server.on_connect
    async def connected(client: Client, request: Request) -> None:
        guarded.log.append(f"+{client.name}")
        if request.query["name"] == "odd":
            await act(client)

    @guarded.server.on_disconnect
    async def disconnected(client: Client, reason: str) -> None:
        guarded.log.append(f"-{client.name} {reason}")

    return guarded
