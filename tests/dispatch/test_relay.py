"""The relay and direct messages: what a room sends on without a handler, and what one client sends to another."""

import pytest
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.testing import open_server

from ..harness.game import make_game_server, send_payload
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


@pytest.mark.parametrize(
    "body",
    ["{}", "null", "12345678901234567890123", "-0.0", "1e400", '"<&>"', "[" * 200 + "]" * 200, " [ 1 ] "],
)
async def test_a_relayed_body_is_sent_on_exactly_as_it_was_written(autojump_clock: MockClock, body: str) -> None:
    async with open_server(make_game_server()) as net:
        ana, bob = await net.connect("ana", reads=False), await net.connect("bob", reads=False)
        for client in (ana, bob):
            await client.join("talk")
        await send_payload(ana, f'{{"action":"x","target":"talk","sender":"mallory","id":"i","message_body":{body}}}')
        _, payload = await bob.receive_frame()
        head = '{"action":"x","message_body":' + body.strip() + ',"IsTargetClient":false,"target":"talk","sender":"'
        assert payload == f'{head}{ana.id}"}}'.encode()


async def test_direct_messages_need_direct_and_a_room_in_common(autojump_clock: MockClock) -> None:
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
