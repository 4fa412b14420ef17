"""Built-in actions: which of them a room class may replace."""

import pytest
from trio.testing import MockClock

from simplysocket import RegistrationError, Room, action
from simplysocket.testing import open_server

from ..harness.servers import make


@pytest.mark.parametrize("name", ["who", "leave-room", "say-nothing"])
async def test_a_room_class_may_replace_a_built_in_action(autojump_clock: MockClock, name: str) -> None:
    await ask_own(name)


@pytest.mark.parametrize("name", ["list-rooms", "join-room"])
async def test_a_built_in_action_that_a_room_class_cannot_replace_is_refused(
    autojump_clock: MockClock, name: str
) -> None:
    with pytest.raises(RegistrationError):
        await ask_own(name)


async def ask_own(name: str) -> None:
    class Own(Room):
        @action(name)
        async def own(self) -> str:
            return "own"

    server = make(("one", Own))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.request("join-room", {"roomname": "one"})
        assert await ana.request(name, {"roomname": "one"}, target="one") == "own"
