"""on_connect that refuses, fails, or takes too long: the client is closed, and on_disconnect is called."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import ActionError, Client, Refuse, Room

from ..harness.admission import HANDSHAKE_SECONDS, open_checked
from ..harness.attacker import request_upgrade
from ..harness.error_log import errors_of
from ..harness.hooks import (
    Act,
    cancel_itself_and_raise_a_group,
    fail,
    fail_when_cancelled,
    make_guarded,
    never,
    raise_a_group_when_cancelled,
    refuse,
    swallow_cancelled,
)


async def refuse_in_a_nursery_of_its_own(_: Client) -> None:
    async with trio.open_nursery():
        raise ActionError("forbidden", "not you")


async def fail_with_a_stream_error(_: Client) -> None:
    raise trio.BrokenResourceError("a database is gone")


async def refuse_in_http(_: Client) -> None:
    raise Refuse(403, "too late for that")


async def cancel_itself_and_fail(_: Client) -> None:
    await cancel_itself_and_raise_a_group()


async def kick(client: Client) -> None:
    await client.close(3503, "banned")


async def kick_and_fail(client: Client) -> None:
    await client.close(3503, "banned")
    raise KeyError("bug")


async def kick_and_linger(client: Client) -> None:
    await client.close(3503, "banned")
    await trio.sleep_forever()


async def overflow(client: Client) -> None:
    while await client.send("x" * 1000):
        pass
    await trio.sleep_forever()


ENDINGS = [
    (refuse, 1008, "policy"),
    (refuse_in_a_nursery_of_its_own, 1008, "policy"),
    (fail, 3004, "internal"),
    (fail_with_a_stream_error, 3004, "internal"),
    (refuse_in_http, 1008, "policy"),
    (cancel_itself_and_fail, 3004, "internal"),
    (never, 3004, "internal"),
    (fail_when_cancelled, 3004, "internal"),
    (raise_a_group_when_cancelled, 3004, "internal"),
    (kick, 3503, "kicked"),
    (kick_and_fail, 3503, "kicked"),
    (kick_and_linger, 3503, "kicked"),
    (overflow, 3008, "slow"),
]


@pytest.mark.parametrize(("act", "code", "reason"), ENDINGS)
async def test_a_client_not_admitted_by_on_connect_is_told_and_on_disconnect_is_called(
    act: Act, code: int, reason: str, autojump_clock: MockClock
) -> None:
    guarded = make_guarded(act, outboxes_bytes=20_000)
    async with open_checked(guarded.server) as net:
        ana = await net.connect("ana")
        peer, answer = await request_upgrade(net, target="/ws?name=odd")
        assert answer.status == 101
        assert await peer.end() == code
        await trio.sleep(10)
        assert guarded.log == ["+ana", "+odd", f"-odd {reason}"]
        assert (await ana.request("ping")).keys() == {"now"}
    assert guarded.log == ["+ana", "+odd", f"-odd {reason}", "-ana disconnected"]
    assert guarded.server.statistics()["connections_closed"][code] == 1


@pytest.mark.parametrize("act", [refuse, fail, never, kick, fail_when_cancelled])
async def test_a_client_not_admitted_by_on_connect_is_never_in_a_list(act: Act, autojump_clock: MockClock) -> None:
    guarded = make_guarded(act)
    async with open_checked(guarded.server) as net:
        peer, _ = await request_upgrade(net, target="/ws?name=odd")  # it does not answer the Close yet
        await trio.sleep(HANDSHAKE_SECONDS + 0.5 if act in (never, fail_when_cancelled) else 0.5)
        assert not guarded.server.clients
        await peer.end()
        await trio.sleep(5)
        assert guarded.room_log == []


async def test_an_on_connect_that_swallows_its_cancellation_lets_the_client_in_late(autojump_clock: MockClock) -> None:
    guarded = make_guarded(swallow_cancelled)
    async with open_checked(guarded.server) as net:
        peer, _ = await request_upgrade(net, target="/ws?name=odd")
        assert (await peer.request("ping"))["action"] == "reply"
        await peer.close()
        await wait_all_tasks_blocked()
        assert guarded.log == ["+odd", "-odd disconnected"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not you", "not you"),
        ("", "refused"),
        ("x" * 500, "x" * 123),
        ("\u4e2d" * 100, "\u4e2d" * 41),
        ("\U0001f40d" * 100, "\U0001f40d" * 30),
        ("a" + "\xe4" * 100, "a" + "\xe4" * 61),
        ("\ud800", "?"),
        ("a\r\n\0b", "a\r\n\0b"),
        (None, "refused"),
        (404, "404"),
        (["not", "you"], "['not', 'you']"),
    ],
)
async def test_the_text_of_a_refusal_is_made_to_fit_into_a_close(
    text: Any, reason: str, autojump_clock: MockClock
) -> None:
    async def refuse(_: Client) -> None:
        raise ActionError("forbidden", text)

    async with open_checked(make_guarded(refuse).server) as net:
        ended = await (await net.connect("odd")).wait_ended()
        assert (ended.code, ended.reason) == (1008, reason)


async def test_bugs_and_delays_in_on_connect_are_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    acts = iter([fail, never, refuse])

    async def act(client: Client) -> None:
        await next(acts)(client)

    guarded = make_guarded(act)
    async with open_checked(guarded.server) as net:
        for expected in ("on_connect failed for", "took over 5 seconds", None):
            caplog.clear()
            started = trio.current_time()
            await (await request_upgrade(net, target="/ws?name=odd"))[0].end()
            assert [expected in text for text in errors_of(caplog) if expected] == [True] * (expected is not None)
            assert trio.current_time() - started < HANDSHAKE_SECONDS + 2
    assert guarded.server.statistics()["handlers_failed"] == 1


async def test_a_client_refused_by_on_connect_leaves_the_rooms_it_was_joined_to(autojump_clock: MockClock) -> None:
    left: list[str] = []

    async def join_and_refuse(client: Client) -> None:
        await client.join("hall")
        raise ActionError("forbidden")

    guarded = make_guarded(join_and_refuse)

    @guarded.server.room("hall")
    class Hall(Room):
        async def on_leave(self, client: Client, reason: str) -> None:
            left.append(f"{client.name} {reason}")

    async with open_checked(guarded.server) as net:
        assert await (await request_upgrade(net, target="/ws?name=odd"))[0].end() == 1008
        await wait_all_tasks_blocked()
        assert left == ["odd policy"]
        assert "hall" not in guarded.server.rooms


async def test_a_join_in_on_connect_that_takes_too_long_leaves_no_member(autojump_clock: MockClock) -> None:
    async def join(client: Client) -> None:
        await client.join("hall")

    guarded = make_guarded(join)

    @guarded.server.room("hall")
    class Hall(Room):
        async def on_join(self) -> None:
            await trio.sleep(20)

    async with open_checked(guarded.server) as net:
        assert await (await request_upgrade(net, target="/ws?name=odd"))[0].end() == 3004
        await trio.sleep(60)
        assert "hall" not in guarded.server.rooms
