"""The closing handshake on a live server, with a bystander."""

import pytest

from ..harness.attack import under_attack, until
from ..harness.frames import (
    CLOSE,
    CONTINUATION,
    FINAL,
    HELLO,
    NO_CODE,
    PING,
    TEXT,
    close,
    frame,
    message,
)


@pytest.mark.parametrize(
    ("code", "answer"), [(1000, 1000), (3000, 3000), (3266, 3266), (3503, 3503), (4999, 4999), (None, NO_CODE)]
)
async def test_a_close_is_answered_and_nothing_behind_it_is_handled(code: int | None, answer: int) -> None:
    async with under_attack() as attack:
        witness, peer = await attack.join("hall"), await attack.join("hall")
        await peer.send(close(code) + message("say", 1, target="hall") + frame(b"a", PING) + close() + b"\xff" * 9)
        await peer.send(message("say", 2, target="hall"))
        assert await peer.end() == answer
        assert peer.heard == []
        await witness.say("say", 3, target="hall")
        assert (await witness.receive())["message_body"] == 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(close(4000), 4000, id="a Close"),
        pytest.param(frame(b"\x81", TEXT), 1007, id="a text that is not UTF-8"),
        pytest.param(frame(b"\x81", final=False) + frame(b"", CONTINUATION), 1007, id="fragments that are not UTF-8"),
        pytest.param(close(999), 1002, id="a Close with a bad code"),
    ],
)
async def test_an_end_right_behind_a_last_frame_does_not_swallow_our_close(data: bytes, code: int) -> None:
    async with under_attack() as attack:
        for _ in range(20):
            peer = await attack.connect()
            await peer.send(data)
            await peer.send_eof()
            assert await peer.end() == code
        await attack.until_closed(*[code] * 20)


async def test_behind_our_close_no_ping_is_answered_and_a_peer_that_never_closes_is_cut() -> None:
    async with under_attack(protocol_errors=1) as attack:
        base = attack.server.statistics()["connections"]
        peers = [await attack.connect() for _ in range(10)]
        for peer in peers:
            await peer.send(frame(b"[") * 2)
        for peer in peers:
            while (await peer.next_frame() or (0, b""))[0] != FINAL | CLOSE:
                pass
            await peer.send(frame(b"ping", PING) * 3 + HELLO)
            assert await peer.next_frame() is None
        await until(lambda: attack.server.statistics()["connections"] == base)  # the peers are still there
        await attack.until_closed(*[3501] * 10)


async def test_a_peer_that_answers_our_close_is_let_go_at_once() -> None:
    async with under_attack(protocol_errors=1, close_seconds=60) as attack:
        peer = await attack.connect()
        await peer.send(frame(b"[") * 2)
        assert await peer.end() == 3501
