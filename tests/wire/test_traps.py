"""What has ended, hung or filled other servers: each is tried on a live one, beside a bystander who must not notice."""

import contextvars
import json
import tracemalloc
from functools import partial
from typing import Any

import pytest
import trio

from simplysocket import Room, Server, action

from ..harness.attack import Attack, under_attack, until
from ..harness.attacker import Peer
from ..harness.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FINAL,
    NO_CLOSE,
    NO_CODE,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    message,
)
from ..harness.servers import make_attacked

BIG = 70_000  # bytes, over the limit of one message
HELLO = message("echo", "hello", id=7)


def header(size: int, *, first: int = FINAL | TEXT, form: int | None = None) -> bytes:
    """Return the header of a masked frame, its length in the given form: 126 or 127, or the longest."""
    form = form or 127
    return bytes((first, FINAL | form)) + size.to_bytes(2 if form == 126 else 8, "big") + b"\0\0\0\0"


# --- frames


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
        assert peer.heard == [], "what stands behind it was handled, or a Ping there answered"
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


# --- closing


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


# --- too slow, too fast, too silent


async def say(speaker: Peer, numbers: range, size: int = 20_000) -> None:
    """Say numbered things in the hall, each heard before the next is said."""
    for number in numbers:
        await speaker.say("say", {"n": number, "fill": chr(97 + number % 26) * size}, target="hall")
        assert (await speaker.receive())["message_body"]["n"] == number


async def test_peers_that_never_read_are_closed_as_slow_and_cost_no_memory_and_nobody_waits() -> None:
    async with under_attack(outbox_bytes=100_000, messages_per_second=None) as attack:
        speaker = await attack.join("hall")
        deaf = [await attack.join("hall", receive_bytes=16_384) for _ in range(10)]
        tracemalloc.start()
        await say(speaker, range(100))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3_000_000  # of 20 MB
        await attack.until_closed(*[3008] * len(deaf))


async def test_a_slow_peer_gets_whole_frames_in_order_and_then_3008() -> None:
    async with under_attack(
        outbox_bytes=100_000, messages_per_second=None, close_seconds=10, write_seconds=10
    ) as attack:
        speaker, slow = await attack.join("hall"), await attack.join("hall", receive_bytes=16_384)
        await say(speaker, range(100))
        assert await slow.end() == 3008
        said = [each["message_body"] for each in slow.messages()]
        assert [each["n"] for each in said] == list(range(len(said)))
        assert all(set(each["fill"]) == {chr(97 + each["n"] % 26)} for each in said)


async def test_a_write_without_progress_is_cut() -> None:
    async with under_attack(
        outbox_bytes=10_000_000, messages_per_second=None, write_seconds=0.2, close_seconds=60
    ) as attack:
        speaker, deaf = await attack.join("hall"), await attack.join("hall", receive_bytes=16_384)
        await say(speaker, range(50))
        await attack.until_closed(3008)
        assert await deaf.end() == NO_CLOSE


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_26_000_pings_or_pongs_are_over_the_rate(opcode: int) -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(frame(b"a", opcode) * 26_000)
        assert await peer.end() == 3013
        assert len(peer.heard) < 60  # those of the burst


async def test_pings_within_the_rate_are_all_answered() -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(b"".join(frame(bytes((number,)) * number, PING) for number in range(50)))
        assert [await peer.next_frame() for _ in range(50)] == [(FINAL | PONG, bytes((n,)) * n) for n in range(50)]


async def test_messages_far_over_the_rate_end_in_3013_and_each_before_is_answered() -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(b"".join(message("nothing", id=number) for number in range(3_000)))
        assert await peer.end() == 3013
        answers = {each["id"]: each["message_body"]["code"] for each in peer.messages()}
        assert set(answers.values()) <= {"rate-limited", "busy", "unknown-action"}
        assert len(answers) >= 1_000


async def test_a_silent_peer_is_pinged_and_then_closed_with_3012() -> None:
    async with under_attack(ping_seconds=0.08, silence_seconds=0.24) as attack:
        silent = await attack.connect()
        assert await silent.end() == 3012
        assert silent.heard == [(FINAL | PING, b"")]
        await attack.until_closed(3012)


async def test_while_a_handler_waits_pings_are_answered_and_an_end_is_seen() -> None:
    async with under_attack() as attack:
        peer, other = await attack.join("hall"), await attack.join("hall")
        await other.say("wait", 0.2, target="hall")
        await peer.send(message("wait", 0, target="hall", id=5) + frame(b"now", PING))
        assert await peer.next_frame() == (FINAL | PONG, b"now")
        await other.reset()
        await until(lambda: len(attack.server.clients) == 2)
        assert (await peer.receive())["id"] == 5


# --- trio, and what handlers do


class Messy(Room):
    """A room whose handlers do what they should not."""

    word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="clean")

    @action("leave-scope-open")
    async def leave_scope_open(self) -> None:
        Messy.word.set("leaked")
        trio.CancelScope(deadline=trio.current_time() + 0.02).__enter__()

    @action("look")
    async def look(self) -> str:
        await trio.sleep(0.05)
        return Messy.word.get()

    @action("fail")
    async def fail(self) -> None:
        raise KeyError("a bug")

    @action("fail-late")
    async def fail_late(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("a bug in a finally")

    @action("return-nan")
    async def return_nan(self) -> float:
        return float("nan")


def make_messy(**options: Any) -> Server:
    server = make_attacked(**options)
    server.room("messy*")(Messy)
    return server


async def test_a_scope_and_a_context_that_a_handler_leaves_reach_no_other() -> None:
    async with under_attack(make_messy()) as attack:
        peer = await attack.join("messy")
        await peer.request("leave-scope-open", target="messy")
        assert (await peer.request("look", target="messy", id=2))["message_body"] == "clean"


@pytest.mark.parametrize("action_name", ["fail", "return-nan"])
async def test_a_handler_that_raises_costs_its_message_only(action_name: str) -> None:
    async with under_attack(make_messy()) as attack:
        peer = await attack.join("messy")
        assert (await peer.request(action_name, target="messy"))["message_body"]["code"] == "internal"
        assert (await peer.request("look", target="messy", id=2))["message_body"] == "clean"


async def test_a_bug_in_a_finally_while_its_room_closes_ends_nothing_else() -> None:
    async with under_attack(make_messy()) as attack:
        peer = await attack.join("messy")
        await peer.say("fail-late", target="messy")
        assert (await peer.request("echo", 1))["message_body"] == 1  # so the handler has begun
        await attack.server.rooms["messy"].close("enough")
        assert (await peer.receive())["action"] in ("error", "room-closed")
        await peer.request("join-room", {"roomname": "messy"}, id=2)
        assert (await peer.request("look", target="messy", id=3))["message_body"] == "clean"


async def test_everyone_hears_one_order_however_tasks_are_scheduled() -> None:
    async with under_attack() as attack:
        peers = [await attack.join("hall") for _ in range(8)]
        async with trio.open_nursery() as nursery:
            for at, peer in enumerate(peers):
                nursery.start_soon(
                    peer.send, b"".join(message("say", [at, number], target="hall") for number in range(15))
                )
        heard = [[(await peer.receive())["message_body"] for _ in range(8 * 15)] for peer in peers]
        assert all(each == heard[0] for each in heard)
        for at in range(8):
            assert [number for who, number in heard[0] if who == at] == list(range(15))


# --- what the Go library died of


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"null", b"[]", b"\x00", b"{}", b'{"action":5}', b'{"action":"a","target":5}', b"\xff", b"[" * 60_000],
)
async def test_invalid_json_is_answered(payload: bytes) -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(frame(payload, BINARY) + HELLO)
        answers = [await peer.receive(), await peer.receive()]
        assert sorted(each["action"] for each in answers) == ["error", "reply"]
        assert [each["message_body"]["code"] for each in answers if each["action"] == "error"] == ["bad-message"]


async def test_the_eleventh_message_that_is_none_ends_the_connection_with_3501() -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        await peer.send(frame("nonsense") * 11 + HELLO)
        assert await peer.end() == 3501
        assert [each["message_body"]["code"] for each in peer.messages()] == ["bad-message"] * 11


async def test_an_unknown_target_is_answered() -> None:
    async with under_attack() as attack:
        peer = await attack.connect()
        answer = await peer.request("say", 1, target="nowhere")
        assert (answer["action"], answer["message_body"]["code"]) == ("error", "unknown-target")


async def test_who_is_no_member_cannot_speak_in_a_room() -> None:
    async with under_attack() as attack:
        member, stranger = await attack.join("hall"), await attack.connect()
        for number, name in enumerate(("say", "who", "leave-room")):
            answer = await stranger.request(name, {"roomname": "hall"}, target="hall", id=number)
            assert answer["message_body"]["code"] == "not-a-member"
        await member.say("say", "mine", target="hall")
        assert (await member.receive())["message_body"] == "mine"


@pytest.mark.parametrize("direct", [False, True])
async def test_a_client_that_addresses_another_needs_leave_and_a_common_room(direct: bool) -> None:
    async with under_attack(make_attacked(direct=direct)) as attack:
        ana, bob = await attack.connect(), await attack.connect()
        to_bob = list(attack.server.clients)[-1]
        for target in (to_bob, "nobody", "hall", ""):
            answer = await ana.request("boo", 1, target=target, IsTargetClient=True)
            assert answer["message_body"]["code"] == ("unknown-target" if direct else "forbidden")
        for peer in (ana, bob):
            await peer.request("join-room", {"roomname": "hall"})
        answer = await ana.request("boo", 2, target=to_bob, IsTargetClient=True)
        assert answer["action"] == ("reply" if direct else "error")
        if direct:
            got = await bob.receive()
            assert (got["action"], got["message_body"], got["IsTargetClient"], got["target"]) == (
                "boo",
                2,
                True,
                to_bob,
            )


async def test_two_clients_removed_in_a_row_and_a_room_that_is_deleted_before_they_disconnect() -> None:
    async with under_attack() as attack:
        for _ in range(5):
            peers = [await attack.join("hall") for _ in range(4)]
            await peers[0].send(message("leave-room", {"roomname": "hall"}) + close())
            await peers[1].reset()
            await peers[2].request("leave-room", {"roomname": "hall"})
            await attack.server.rooms["hall"].close()
            assert (await peers[3].receive())["action"] == "room-closed"
            await peers[2].close()
            assert await peers[0].end() == 1000


async def test_messages_in_one_segment_come_back_each_in_a_frame_of_its_own() -> None:
    async with under_attack() as attack:
        peer = await attack.join("hall")
        await peer.send(b"".join(message("say", "line\nline", target="hall") for _ in range(16)))
        for _ in range(16):
            assert (await peer.receive())["message_body"] == "line\nline"


async def test_members_that_vanish_while_everyone_speaks_hurt_nobody() -> None:
    async with under_attack() as attack:
        speaker = await attack.join("hall")
        for number in range(0, 60, 3):
            vanishing = [await attack.join("hall") for _ in range(2)]
            await vanishing[0].send(message("say", "bye", target="hall") * 10)
            await vanishing[0].reset()
            await vanishing[1].close()
            await speaker.send(b"".join(message("say", number + each, target="hall") for each in range(3)))
        heard = [(await speaker.receive())["message_body"] for _ in range(60)]
        while len(numbers := [each for each in heard if each != "bye"]) < 60:
            heard.append((await speaker.receive())["message_body"])
        assert numbers == list(range(60))


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["stopped", "cancelled"])
async def test_a_server_that_stops_says_3001_to_everyone_and_leaves_nothing(is_cancelled: bool) -> None:
    server = make_attacked()
    attack = Attack(server)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, "127.0.0.1", 0))
            peers = [await attack.join("hall") for _ in range(3)] + [await attack.connect()]
            await attack.dial()  # says nothing at all
            await peers[0].say("wait", 60, target="hall")
            if is_cancelled:
                nursery.cancel_scope.cancel()
            else:
                nursery.start_soon(server.stop, 1)
                assert await peers[0].end() == 3001
        for peer in peers:
            assert await peer.end() == 3001 or (peer is peers[0] and not is_cancelled)
        await attack.leave()
        assert server.statistics()["connections"] == len(server.clients) == len(server.rooms) == 0
