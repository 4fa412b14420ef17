"""Frames against the RFC or over a limit, and fragments in any order, on a live server with a bystander."""

import json

import pytest

from ..harness.attack import under_attack
from ..harness.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FINAL,
    HELLO,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    message,
)

BIG = 70_000  # bytes, over the limit of one message


def header(size: int, *, first: int = FINAL | TEXT, form: int | None = None) -> bytes:
    """Return the header of a masked frame, its length in the given form: 126 or 127, or the longest."""
    form = form or 127
    return bytes((first, FINAL | form)) + size.to_bytes(2 if form == 126 else 8, "big") + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\x81\x05hello", 1002, id="an unmasked frame"),
        pytest.param(b"\xc1" + HELLO[1:], 1002, id="reserved bit 1"),
        pytest.param(b"\x91" + HELLO[1:], 1002, id="reserved bit 3"),
        pytest.param(frame(b"a", 0x3), 1002, id="a reserved opcode"),
        pytest.param(frame(b"a", 0xB), 1002, id="a reserved control opcode"),
        pytest.param(header(5, form=126) + b"hello", 1002, id="a length not in the shortest form"),
        pytest.param(header(1_000) + b"a" * 1_000, 1002, id="a length of 64 bits where 16 would do"),
        pytest.param(header(2**63), 1002, id="a length beyond 63 bits"),
        pytest.param(frame(b"a" * 126, PING), 1002, id="a Ping too long"),
        pytest.param(frame(b"a", PING, final=False), 1002, id="a Ping in fragments"),
        pytest.param(frame(b"a", CONTINUATION), 1002, id="a continuation of nothing"),
        pytest.param(frame(b"a", final=False) + HELLO, 1002, id="a message inside a fragmented one"),
        pytest.param(frame(b"\xc3\x28"), 1007, id="a text that is not UTF-8"),
        pytest.param(frame(b"\xed\xa0\x80"), 1007, id="a text with a surrogate"),
        pytest.param(frame(b'"\xc3', final=False) + frame(b'\x28"', CONTINUATION), 1007, id="fragments not UTF-8"),
        pytest.param(frame(b'"\xc3', final=False) + frame(b"", CONTINUATION), 1007, id="a character half sent"),
        pytest.param(frame(b"a" * BIG), 1009, id="a message too large"),
        pytest.param(frame(b"a" * BIG, BINARY) * 2, 1009, id="two of them in one read"),
        pytest.param(header(BIG), 1009, id="a message too large, announced"),
        pytest.param(header(2**62), 1009, id="4 EiB, announced"),
        pytest.param(frame("€" * 1_400_000), 1009, id="fewer characters than bytes"),
        pytest.param(frame(b"a" * 40_000, final=False) + frame(b"a" * 40_000, CONTINUATION), 1009, id="two halves"),
        pytest.param(frame(b"", final=False) + frame(b"", CONTINUATION, final=False) * 600_000, 1009, id="empty parts"),
        pytest.param(close(999), 1002, id="a close code below 1000"),
        pytest.param(close(1004), 1002, id="the close code 1004"),
        pytest.param(close(1005), 1002, id="the close code 1005"),
        pytest.param(close(1006), 1002, id="the close code 1006"),
        pytest.param(close(1015), 1002, id="the close code 1015"),
        pytest.param(close(2999), 1002, id="the close code 2999"),
        pytest.param(close(5000), 1002, id="a close code beyond 4999"),
        pytest.param(frame(b"\x03", CLOSE), 1002, id="half a close code"),
        pytest.param(close(1000, b"\xff"), 1007, id="a close reason that is not UTF-8"),
        pytest.param(frame(b"a" * 126, CLOSE), 1002, id="a Close too long"),
        pytest.param(frame(b"a" * 5_000, PING) * 26_000, 1002, id="Pings of 130 MB"),
    ],
)
async def test_a_bad_frame_is_told_why_and_nothing_behind_it_is_handled(data: bytes, code: int) -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        assert (await peer.request("echo", "before"))["message_body"] == "before"
        await peer.send(data + frame(b"ping", PING) + HELLO)
        await peer.send(HELLO + frame(b"ping", PING))
        assert await peer.end() == code
        assert peer.heard == [], "something after it was handled, or a Ping answered"
        await attack.until_closed(code)


@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("data", [HELLO[:1], HELLO[:-1], header(60_000) + b"a" * 100, frame(b"a", final=False)])
async def test_half_a_frame_and_then_the_end(data: bytes, is_reset: bool) -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(data)
        await (peer.reset() if is_reset else peer.close())


async def test_fragments_pings_and_plain_messages_keep_their_order() -> None:
    async with under_attack() as attack:
        peer = await attack.join("hall")
        plain = [message("say", number, target="hall") for number in range(3)]
        text = json.dumps({"action": "say", "message_body": "€", "target": "hall"}, ensure_ascii=False).encode()
        at = text.index(b"\xe2") + 1  # inside the character
        await peer.send(plain[0] + frame(text[:at], final=False) + frame(b"one", PING) + frame(b"", PONG))
        await peer.send(frame(text[at:-1], CONTINUATION, final=False) + frame(b"", CONTINUATION, final=False))
        await peer.send(frame(b"two", PING) + frame(text[-1:], CONTINUATION) + plain[1])
        await peer.send(frame(text, BINARY) + plain[2])
        assert [(await peer.receive())["message_body"] for _ in range(5)] == [0, "€", 1, "€", 2]
        assert peer.heard == [(FINAL | PONG, b"one"), (FINAL | PONG, b"two")]


async def test_a_message_at_the_limit_of_bytes_and_of_fragments_passes() -> None:
    async with under_attack(message_bytes=1_000, fragments=5) as attack:
        peer = await attack.connect()
        whole = message("echo", "a" * 1_000, id=1)[8:]
        text = json.dumps({"action": "echo", "message_body": "a" * (1_000 - 50), "id": 1}).ljust(1_000).encode()
        assert len(whole) > len(text) == 1_000
        await peer.send(frame(text))
        assert len((await peer.receive())["message_body"]) == 950
        await peer.send(frame(text[:500], final=False) + frame(b"", CONTINUATION, final=False) * 4)
        await peer.send(frame(text[500:], CONTINUATION))
        assert await peer.end() == 1009
