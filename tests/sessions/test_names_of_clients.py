"""Names on a live server: each way in which a text becomes a name that others see."""

from typing import Any

import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Client, Identity, RegistrationError, Request, Room, Server, action
from simplysocket.testing import open_server

from ..harness.messages import code_of
from ..harness.servers import make

HIDDEN = (
    *("\u200b", "\u3164", "\xad", "\u2800", "\U000e0041\U000e007f", "\u202e", "\u2066\u2069"),
    *("\x1b\0", " ", "\u0301"),
)


class Hall(Room):
    announce = True

    @action("rename")
    async def rename(self, client: Client, body: str) -> str:
        client.name = body
        return client.name

    @action("speak")
    async def speak(self, client: Client, body: str) -> None:
        await self.broadcast("spoken", sender=body)
        await client.send("told", sender=body)
        await self.server.broadcast("called", sender=body)


@pytest.mark.parametrize("hidden", HIDDEN)
async def test_a_client_whose_name_nobody_sees_is_a_guest(autojump_clock: MockClock, hidden: str) -> None:
    server = make(("hall", Hall))

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity("u1", name=hidden if request.token else "")

    async with open_server(server) as net:
        for ana in (await net.connect(hidden), await net.connect(token="identity")):
            assert server.clients[ana.id].name.startswith("guest-")
        await ana.join("hall")
        assert (await ana.request("rename", hidden, target="hall")).startswith("guest-")
        assert await ana.request("rename", f"A{hidden}na{hidden}", target="hall") in ("Ana", "A na", "A\u0301na\u0301")


@pytest.mark.parametrize("hidden", HIDDEN)
async def test_a_room_has_a_name_that_everyone_sees(autojump_clock: MockClock, hidden: str) -> None:
    async with open_server(make(("*", Hall))) as net:
        ana = await net.connect("ana")
        assert await code_of(ana, "join-room", {"roomname": hidden}) == "bad-body"
        with pytest.raises(ActionError, match="one of them visible, and none that is hidden"):
            await net.server.open_room(hidden)
        with pytest.raises(ActionError, match="bad-body"):
            await net.server.clients[ana.id].join(hidden)
    with pytest.raises(RegistrationError, match="one line of visible text"):
        Server(hidden)


async def test_a_sender_that_is_a_name_is_fit_to_be_shown(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Hall))) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        await ana.request("speak", "\u202eThe\x1b house\u200b", target="hall")
        senders = {each["action"]: each["sender"] for each in await ana.settle()}
        assert senders == dict.fromkeys(("spoken", "told", "called"), "The house")
        room: Any = net.server.rooms["hall"]
        for send in (room.broadcast, net.server.clients[ana.id].send):
            with pytest.raises(TypeError, match="sender=5: it is no name"):
                await send("hello", sender=5)
