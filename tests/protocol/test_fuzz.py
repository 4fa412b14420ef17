"""A hundred thousand random and mutated frames and heads against one live server, with a bystander.

Seeded: each attacker draws from a generator of its own, so that the bytes sent do
not depend on how tasks are scheduled.
"""

import json
import random
from collections import Counter

import pytest
import trio

from ..harness.attack import Attack, under_attack
from ..harness.error_log import errors_of
from ..harness.frames import BINARY, CONTINUATION, FINAL, PING, PONG, TEXT, close, frame, head

SEED = 20_261
ATTACKERS = 40  # at a time
CONNECTIONS = 3_000
FRAMES = 30  # of one connection
HEADS = 10_000
STATUSES = {101, 200, 400, 403, 404, 405, 426, 431, 501}
LIFTED = dict.fromkeys(
    (
        "messages_per_second",
        "bytes_per_second",
        "joins_per_second",
        "account_joins_per_second",
        "controls_per_second",
        "connections_per_address",
        "connects_per_second",
        "http_requests_per_second",
        "protocol_errors",
    )
)
ACTIONS = ("say", "echo", "join-room", "leave-room", "who", "list-rooms", "ping", "reply", "cancel", "nothing")


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Change, drop, double or add bytes."""
    mutant = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at = draw.randrange(len(mutant) + 1)
        match draw.randrange(6):
            case 0 | 1 if at < len(mutant):
                mutant[at] ^= 1 << draw.randrange(8)
            case 2 if at < len(mutant):
                mutant[at] = draw.randrange(256)
            case 3:
                del mutant[at : at + draw.randrange(4)]
            case 4:
                mutant[at:at] = mutant[at : at + draw.randrange(20)]
            case _:
                mutant[at:at] = draw.randbytes(draw.randrange(4))
    return bytes(mutant)


def random_message(draw: random.Random) -> bytes:
    """Return a message of the protocol, which may be refused."""
    room = f"hall-{draw.randrange(8)}"
    body = draw.choice((None, {}, {"roomname": room}, [draw.random()], "€" * draw.randrange(300), draw.getrandbits(70)))
    keys = {"target": draw.choice((room, room, "", "nowhere", None)), "id": draw.choice((None, 7, "seven", 2**60))}
    return json.dumps({"action": draw.choice(ACTIONS), "message_body": body, **keys}, ensure_ascii=False).encode()


def random_frames(draw: random.Random, harm: float) -> bytes:
    """Return a frame, or the fragments of one message; `harm`: the share of frames that may break the RFC."""
    text = random_message(draw)
    if draw.random() < harm:
        match draw.randrange(8):
            case 0:
                return frame(draw.randbytes(draw.randrange(200)), draw.randrange(16), final=draw.random() < 0.8)
            case 1:
                return frame(b"a" * 70_000, draw.choice((TEXT, BINARY)))
            case 2:
                return draw.randbytes(draw.randrange(40))
            case _:
                return mutate(frame(text), draw)
    match draw.randrange(8):
        case 0:
            return frame(mutate(text, draw), BINARY)
        case 1:
            return frame(draw.randbytes(draw.choice((0, 5, 125))), draw.choice((PING, PONG)))
        case 2:
            cut, control = draw.randrange(len(text)), frame(b"between", PING) * draw.randrange(2)
            return frame(text[:cut], TEXT, final=False) + control + frame(text[cut:], CONTINUATION)
        case _:
            return frame(text, draw.choice((TEXT, TEXT, BINARY)))


def random_head(draw: random.Random) -> bytes:
    """Return a request head: a good one, a mutated one, or random bytes."""
    kind = draw.random()
    if kind < 0.1:
        return draw.randbytes(draw.randrange(200)) + b"\r\n\r\n"
    line = draw.choice(
        ("GET /ws HTTP/1.1", "GET /ws?name=a%20b HTTP/1.1", "HEAD /health HTTP/1.1", "POST /ws HTTP/1.1")
    )
    origin = draw.choice((None, "null", "http://127.0.0.1", "http://a.example:8080"))
    good = head(line, *["X-Filling: " + "a" * draw.randrange(40)] * draw.choice((0, 3, 70)), origin=origin)
    return good if kind < 0.2 else mutate(good, draw)


async def attack_with_frames(attack: Attack, draw: random.Random, codes: Counter[int]) -> None:
    """Shake hands, send frames in random pieces, and end in one of three ways."""
    peer = await attack.connect()
    harm = draw.choice((0.0, 0.05, 0.3))
    data = b"".join(random_frames(draw, harm) for _ in range(FRAMES))
    for _ in range(draw.randrange(4)):
        cut = draw.randrange(len(data))
        await peer.send(data[:cut])
        data = data[cut:]
    await peer.send(data)
    ending = draw.random()
    if ending < 0.2:
        await peer.reset()
    elif ending < 0.4:
        await peer.close()
    else:
        said = draw.choice((1000, 1001, 3000, 4999, draw.randrange(65_536)))
        await peer.send(close(said))
        if harm:  # a length that was mutated may have swallowed the Close
            await peer.send_eof()
        code = await peer.end(answer=False)
        codes[code] += 1
        assert harm or code in (said, 1002)
        assert harm or code == said or said not in (1000, 1001, 3000, 4999)
        for first, payload in peer.heard:
            assert first in (FINAL | TEXT, FINAL | PING, FINAL | PONG)
            if first == FINAL | TEXT:
                assert list(json.loads(payload))[:5] == ["action", "message_body", "IsTargetClient", "target", "sender"]
        await peer.close()


async def attack_with_head(attack: Attack, draw: random.Random, statuses: Counter[int]) -> None:
    """Send one head, close the sending side, and read the answer to its end."""
    peer = await attack.dial()
    data = random_head(draw)
    cut = draw.randrange(len(data) + 1)
    await peer.send(data[:cut])
    await peer.send(data[cut:])
    await peer.send_eof()
    answer = await peer.read_answer()
    statuses[answer.status] += 1
    await (peer.reset() if draw.random() < 0.9 else peer.close())  # a reset frees the port at once


async def test_a_hundred_thousand_frames_and_heads_hurt_nobody(caplog: pytest.LogCaptureFixture) -> None:
    codes: Counter[int] = Counter()
    statuses: Counter[int] = Counter()
    async with under_attack(seconds=300, **{**LIFTED, "handshake_seconds": 60}) as attack:

        async def attacker(number: int) -> None:
            draw = random.Random(SEED * ATTACKERS + number)
            for _ in range(CONNECTIONS // ATTACKERS):
                await attack_with_frames(attack, draw, codes)
            for _ in range(HEADS // ATTACKERS):
                await attack_with_head(attack, draw, statuses)

        async with trio.open_nursery() as nursery:
            for number in range(ATTACKERS):
                nursery.start_soon(attacker, number)
        assert attack.server.metrics.messages_received > CONNECTIONS * FRAMES / 4
    assert statuses.keys() - {0} <= STATUSES
    assert statuses[0] < HEADS / 4  # heads that were not whole
    assert all(1000 <= code < 5000 for code in codes)
    assert {1000, 1002, 1007, 1009} <= codes.keys()
    assert errors_of(caplog) == []
