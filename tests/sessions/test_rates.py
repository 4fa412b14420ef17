"""Rates: how many messages, bytes and joins a second a client may send, and what it is told above that."""

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.testing import open_server

from ..harness.game import make_game_server, send_payload


async def test_a_message_over_the_rate_is_refused_with_retry_after_and_accepted_then(
    autojump_clock: MockClock,
) -> None:
    async with open_server(make_game_server(messages_per_second=10, messages_burst=20)) as net:
        ana = await net.connect("ana")
        assert [await ana.request("echo", number) for number in range(20)] == list(range(20))
        with pytest.raises(ActionError) as refused:
            await ana.request("echo", "too much")
        assert refused.value.code == "rate-limited"
        assert refused.value.retry_after == pytest.approx(0.1)
        await trio.sleep(refused.value.retry_after or 0)
        assert await ana.request("echo", "now") == "now"


async def test_refusals_without_an_id_are_sent_once_a_second(autojump_clock: MockClock) -> None:
    async with open_server(make_game_server(messages_per_second=0.001, messages_burst=1_000)) as net:
        ana = await net.connect("ana")
        for _ in range(2):
            for _ in range(1_000):
                await ana.send("ping", id=1)
            await ana.settle()
        await trio.sleep(1)
        await send_payload(ana, b"")
        for _ in range(9):
            await ana.send("echo")
        assert [each["message_body"]["code"] for each in await ana.settle()] == ["rate-limited"]


async def test_bytes_have_a_rate_too(autojump_clock: MockClock) -> None:
    async with open_server(make_game_server(bytes_per_second=1_000, bytes_burst=2_000)) as net:
        ana = await net.connect("ana")
        assert len(await ana.request("echo", "a" * 1_500)) == 1_500
        with pytest.raises(ActionError, match="rate-limited") as refused:
            await ana.request("echo", "a" * 1_500)
        assert 1.0 < (refused.value.retry_after or 0) < 1.2


async def test_joins_have_a_rate_of_their_own(autojump_clock: MockClock) -> None:
    async with open_server(make_game_server(joins_per_second=1, joins_burst=3)) as net:
        ana = await net.connect("ana")
        for number in range(3):
            await ana.join(f"talk-{number}")
        with pytest.raises(ActionError) as refused:
            await ana.join("talk-3")
        assert refused.value.code == "rate-limited"
        assert "talk-3" not in net.server.rooms
        await trio.sleep(refused.value.retry_after or 0)
        await ana.join("talk-3")
