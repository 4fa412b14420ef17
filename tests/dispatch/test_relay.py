"""Messages that no handler takes: relayed to the room, or sent directly to another client."""

import pytest
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.testing import open_server

from ..harness.messages import actions_of
from ..harness.servers import make


async def test_a_relay_room_sends_on_what_no_handler_takes_and_nothing_reserved(autojump_clock: MockClock) -> None:
    server = make(relay=True)
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        await bob.join("one")
        await ana.send("shout", {"a": [1, 2.5, None]}, target="one", id=3, offset=7, sender="bob")
        heard = await bob.settle()
        assert heard == [
            {
                "action": "shout",
                "message_body": {"a": [1, 2.5, None]},
                "IsTargetClient": False,
                "target": "one",
                "sender": ana.id,
            }
        ]
        assert actions_of(await ana.settle()) == ["shout", "reply"]
        for reserved in ("room-closed", "welcome", "client-left-room"):
            with pytest.raises(ActionError, match="forbidden"):
                await ana.request(reserved, {}, target="one")
        assert await bob.settle() == []


async def test_direct_messages_need_the_servers_leave_and_a_room_in_common(autojump_clock: MockClock) -> None:
    server = make(direct=True)
    async with open_server(server) as net:
        ana, bob, eve = [await net.connect(name) for name in ("ana", "bob", "eve")]
        await ana.join("one")
        await bob.join("one")
        assert await ana.request("whisper", {"m": "psst"}, target=bob.id, IsTargetClient=True) is None
        assert (await bob.settle()) == [
            {
                "action": "whisper",
                "message_body": {"m": "psst"},
                "IsTargetClient": True,
                "target": bob.id,
                "sender": ana.id,
            }
        ]
        for target in (eve.id, "nobody"):
            with pytest.raises(ActionError, match="unknown-target"):
                await ana.request("whisper", {}, target=target, IsTargetClient=True)
    async with open_server(make(relay=True)) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError, match="forbidden"):
            await ana.request("whisper", {}, target=ana.id, IsTargetClient=True)
