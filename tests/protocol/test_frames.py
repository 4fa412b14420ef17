"""The splitter and the frame builders, alone and compared with wsproto."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Message

from simplysocket._protocol.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FRAMES_A_CALL,
    PING,
    PONG,
    TEXT,
    Kind,
    Odd,
    Splitter,
    client_frame,
    close_frame,
    control_frame,
    split_server_frames,
    text_frame,
    unmask,
)

LENGTHS = (0, 1, 125, 126, 127, 65_535, 65_536)  # about the borders of the three forms of a length
KEY = b"\x01\xf2\x83\x7f"
STEADY = settings(derandomize=True, deadline=None)  # the same examples in every run
LAST_KINDS = (Kind.CLOSE, Kind.BROKEN, Kind.TOO_BIG, Kind.BAD_TEXT)


def feed(splitter: Splitter, reads: list[bytes]) -> list[object]:
    """Feed read after read, as the read pump does; return odd frames as (kind, data), without data if broken."""
    out: list[object] = []
    for data in reads:
        items = splitter.feed(data)
        while splitter.has_rest:
            assert len(items) == FRAMES_A_CALL
            out += map(plainly, items)
            items = splitter.feed(b"")
        assert len(items) <= FRAMES_A_CALL
        out += map(plainly, items)
    return out


def plainly(item: bytes | Odd) -> object:
    if isinstance(item, Odd):
        return (item.kind, b"" if item.kind is Kind.BROKEN else item.data)
    return item


def split(*frames: bytes, max_bytes: int | None = 65_536, max_fragments: int | None = 1_024) -> list[object]:
    return feed(Splitter(max_bytes, max_fragments), [b"".join(frames)])


def kinds(items: list[object]) -> list[object]:
    return [item[0] if isinstance(item, tuple) else item for item in items]


def fragments(*parts: bytes) -> list[bytes]:
    last = len(parts) - 1
    return [client_frame(part, opcode=0 if at else TEXT, final=at == last) for at, part in enumerate(parts)]


# --- any stream, in any pieces

keys = st.binary(min_size=4, max_size=4)
controls = st.builds(client_frame, st.binary(max_size=125), opcode=st.sampled_from([PING, PONG]), key=keys)
plain = st.builds(client_frame, st.text(max_size=200).map(str.encode), key=keys) | st.builds(
    client_frame, st.binary(max_size=300), opcode=st.just(BINARY), key=keys
)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A message in parts, with pings and pongs between them."""
    parts = draw(st.lists(st.binary(max_size=200), min_size=2, max_size=5))
    between = draw(st.lists(controls | st.just(b""), min_size=len(parts), max_size=len(parts)))
    return b"".join(part + control for part, control in zip(fragments(*parts), between, strict=True))


closes = st.builds(client_frame, st.binary(max_size=125), opcode=st.just(CLOSE), key=keys)
streams = st.builds(
    lambda frames, end: b"".join(frames) + end,
    st.lists(plain | controls | fragmented() | st.just(client_frame(b"") * 40), max_size=6),
    st.just(b"") | closes | st.binary(max_size=20),  # any end gives the same items, in any pieces
)


@settings(STEADY, max_examples=300)
@given(streams, st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_any_split_into_reads_gives_the_same_items_however_often_it_stops(stream: bytes, sizes: list[int]) -> None:
    reads, at = [], 0
    while at < len(stream):
        size = sizes[len(reads) % len(sizes)]
        reads.append(stream[at : at + size])
        at += size
    assert feed(Splitter(400, 4), reads) == feed(Splitter(400, 4), [stream])


@settings(STEADY, max_examples=200)
@given(st.lists(st.tuples(st.binary(max_size=300), keys), max_size=8))
def test_a_plain_frame_comes_out_as_its_payload(messages: list[tuple[bytes, bytes]]) -> None:
    frames = [client_frame(payload, opcode=BINARY, key=key) for payload, key in messages]
    assert split(*frames) == [payload for payload, _ in messages]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_every_form_of_a_length_is_read(length: int, opcode: int) -> None:
    payload = bytes(at % 128 for at in range(length))
    assert split(client_frame(payload, opcode=opcode, key=KEY)) == [payload]


@STEADY
@given(st.binary(max_size=100), keys)
def test_masking_twice_gives_back_the_payload(payload: bytes, key: bytes) -> None:
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    assert unmask(payload, key) == masked
    assert unmask(masked, key) == payload


def test_a_control_frame_comes_out_as_it_was_received_and_fragments_as_one_message() -> None:
    ping, parts = client_frame(b"?", opcode=PING, key=KEY), fragments(b"a", b"", b"c")
    assert split(parts[0], ping, parts[1], parts[2], client_frame(b"d")) == [
        (Kind.FRAGMENT, b""),
        (Kind.CONTROL, ping),
        (Kind.FRAGMENT, b""),
        b"ac",
        b"d",
    ]


@pytest.mark.parametrize("cut", range(1, 9))
def test_whether_a_text_is_utf8_is_judged_when_its_last_fragment_has_come(cut: int) -> None:
    text = "aä€🎲".encode()  # cut inside each of its characters
    assert split(*fragments(text[:cut], b"", text[cut:]))[2:] == [text]
    bad = text[:-1]
    assert kinds(split(*fragments(bad[:cut], b"", bad[cut:]), client_frame(b"behind")))[2:] == [Kind.BAD_TEXT]
    parts = [client_frame(bad[:cut], opcode=BINARY, final=False), client_frame(bad[cut:], opcode=CONTINUATION)]
    assert split(*parts)[1:] == [bad]


def test_a_call_looks_at_a_bounded_number_of_frames_and_copies_nothing() -> None:
    splitter, data = Splitter(65_536, None), client_frame(b"") * 10_000
    assert splitter.feed(data) == [b""] * FRAMES_A_CALL
    for _ in range(20):
        assert splitter.feed(b"") == [b""] * FRAMES_A_CALL
        assert splitter._rest is data
    assert splitter.feed(client_frame(b"later")) == [b""] * FRAMES_A_CALL  # and more bytes may come before the end
    items: list[bytes | Odd] = []
    while splitter.has_rest:
        items += splitter.feed(b"")
    assert items == [b""] * (10_000 - 22 * FRAMES_A_CALL) + [b"later"]
    assert splitter._kept is None


def test_nothing_comes_out_after_drop_and_nothing_is_kept() -> None:
    splitter = Splitter(65_536, None)
    splitter.feed(fragments(b"a", b"b")[0] + client_frame(b"?", opcode=PING) * 100)
    splitter.drop()
    assert not splitter.has_rest
    assert splitter.feed(client_frame(b"x")) == []
    assert (splitter._kept, splitter._rest, splitter._message) == (None, b"", b"")


# --- limits


def test_a_message_may_have_exactly_the_limit() -> None:
    assert split(client_frame(b"x" * 10), max_bytes=10) == [b"x" * 10]
    assert split(client_frame(b"x" * 11), max_bytes=10) == [(Kind.TOO_BIG, b"a message may have 10 bytes")]


def test_a_frame_that_is_too_big_is_refused_by_its_header_alone() -> None:
    assert kinds(split(client_frame(b"x" * 70_000)[:14])) == [Kind.TOO_BIG]


def test_fragments_are_counted_together() -> None:
    assert kinds(split(*fragments(b"x" * 5, b"x" * 5), max_bytes=10)) == [Kind.FRAGMENT, b"x" * 10]
    found = kinds(split(*fragments(b"x" * 4, b"x" * 4, b"x" * 4), max_bytes=10))
    assert found == [Kind.FRAGMENT, Kind.FRAGMENT, Kind.TOO_BIG]


def test_empty_fragments_are_counted() -> None:
    found = kinds(split(*fragments(*[b""] * 5), max_fragments=5))
    assert found == [Kind.FRAGMENT] * 4 + [b""]
    assert kinds(split(*fragments(*[b""] * 6), max_fragments=5)) == [Kind.FRAGMENT] * 5 + [Kind.TOO_BIG]


def test_the_next_message_starts_to_count_from_nothing() -> None:
    message = fragments(b"x" * 5, b"x" * 5)
    assert kinds(split(*message * 3, client_frame(b"y"), max_bytes=10, max_fragments=2))[-2:] == [
        b"x" * 10,
        b"y",
    ]


def test_pings_between_fragments_do_not_count_as_parts_of_the_message() -> None:
    first, last = fragments(b"x" * 5, b"x" * 5)
    found = kinds(split(first, *[client_frame(b"?" * 100, opcode=PING)] * 9, last, max_bytes=10, max_fragments=2))
    assert found == [Kind.FRAGMENT, *[Kind.CONTROL] * 9, b"x" * 10]


def test_without_limits_everything_comes_out() -> None:
    items = split(client_frame(b"x" * 200_000), *fragments(*[b"x"] * 2_000), max_bytes=None, max_fragments=None)
    assert items[0] == b"x" * 200_000
    assert items[-1] == b"x" * 2_000


def test_a_frame_that_comes_byte_by_byte_is_kept_in_one_growing_place() -> None:
    frame, splitter = client_frame(b"x" * 3_000, key=KEY), Splitter(65_536, 1)
    places: list[object] = []
    for at in range(len(frame) - 1):
        assert splitter.feed(frame[at : at + 1]) == []
        assert splitter._kept is not None
        assert len(splitter._kept) == at + 1
        if not any(splitter._kept is place for place in places):
            places.append(splitter._kept)
    assert len(places) <= 3  # for the first two bytes, the rest of the length, the frame: never one for each byte
    assert splitter.feed(frame[-1:]) == [b"x" * 3_000]
    assert splitter._kept is None


# --- frames against the RFC

BROKEN = {
    "length 125 in two bytes": b"\x82\xfe\x00\x7d" + KEY,
    "length 65535 in eight bytes": b"\x82\xff" + (65_535).to_bytes(8, "big") + KEY,
    "length with the highest bit": b"\x82\xff" + (2**63).to_bytes(8, "big") + KEY,
    "first reserved bit": b"\xc1\x80" + KEY,
    "second reserved bit": b"\xa1\x80" + KEY,
    "third reserved bit": b"\x91\x80" + KEY,
    "unmasked": b"\x81\x02hi",
    "unmasked control": b"\x89\x00",
    "reserved data opcode": b"\x83\x80" + KEY,
    "reserved control opcode": b"\x8b\x80" + KEY,
    "control of 126 bytes": b"\x89\xfe\x00\x7e" + KEY,
    "fragmented control": b"\x09\x80" + KEY,
    "fragmented close": b"\x08\x80" + KEY,
    "continuation without a start": client_frame(b"x", opcode=CONTINUATION),
    "last continuation without a start": client_frame(b"x", opcode=CONTINUATION, final=False),
    "new message inside a fragmented one": fragments(b"a", b"b")[0] + client_frame(b"new"),
    "new fragmented message inside one": fragments(b"a", b"b")[0] * 2,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("max_bytes", [65_536, None], ids=["limited", "unlimited"])
def test_a_frame_against_the_rfc_is_broken(data: bytes, max_bytes: int | None) -> None:
    assert kinds(split(data, max_bytes=max_bytes))[-1:] == [Kind.BROKEN]


@pytest.mark.parametrize("payload", [b"\xff", b"ok \xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_a_text_that_is_not_utf8_is_bad_text(payload: bytes) -> None:
    assert kinds(split(client_frame(payload))) == [Kind.BAD_TEXT]
    assert split(client_frame(payload, opcode=BINARY)) == [payload]


LAST = {
    "close": client_frame(b"\x03\xe8", opcode=CLOSE),
    "broken": b"\x81\x02hi",
    "too big": client_frame(b"x" * 70_000),
    "bad text": client_frame(b"\xff"),
}


@pytest.mark.parametrize("last", LAST.values(), ids=LAST.keys())
def test_nothing_comes_out_behind_the_last_frame_of_the_same_read(last: bytes) -> None:
    found = kinds(split(client_frame(b"before"), last, client_frame(b"behind")))
    assert found[0] == b"before"
    assert found[-1] in LAST_KINDS
    assert len(found) == 2


@pytest.mark.parametrize("last", LAST.values(), ids=LAST.keys())
def test_nothing_comes_out_behind_the_last_frame_in_a_later_read(last: bytes) -> None:
    splitter = Splitter(65_536, 1_024)
    splitter.feed(last)
    assert splitter.is_done
    assert splitter.feed(client_frame(b"behind")) == []


# --- compared with wsproto


def frame_with_random_header(rng: random.Random) -> bytes:
    """Return a frame with a random header, often nearly right, and at least one byte of payload."""
    first = rng.choice([0x81, 0x82, 0x01, 0x80, 0x00, 0x89, 0x8A, rng.randrange(256)])
    size = rng.choice([0, 1, 5, 125, 126, 300, 65_535, 65_536, 2**31, 2**63, rng.randrange(200)])
    form = 0 if size < 126 else 126 if size < 65_536 else 127
    if rng.random() < 0.3:
        form = rng.choice([form, 126, 127])
    size = min(size, 65_535) if form == 126 else size
    masked = 0 if rng.random() < 0.1 else 0x80
    length = bytes([masked | (form or size)])
    if form:
        length += size.to_bytes(2 if form == 126 else 8, "big")
    payload = rng.randbytes(4) * 20_000 if rng.random() < 0.3 else b"\x7eabc" * 20_000
    return bytes([first]) + length + rng.choice([rng.randbytes(4), bytes(4)]) + payload[:size]


def judge_with_wsproto(data: bytes) -> tuple[bool, list[bytes]]:
    """Return whether wsproto accepts these bytes from a client, and the payloads of its messages."""
    connection = Connection(ConnectionType.SERVER)
    connection.receive_data(data)
    events = list(connection.events())
    payloads, message = [], b""
    for event in events:
        if isinstance(event, Message):
            message += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            if event.message_finished:
                payloads.append(message)
                message = b""
    return not any(isinstance(event, CloseConnection) for event in events), payloads


@pytest.mark.parametrize("max_bytes", [65_536, None], ids=["limited", "unlimited"])
def test_the_splitter_and_wsproto_agree_on_random_frames(max_bytes: int | None) -> None:
    rng = random.Random(6455)
    seen: Counter[Kind | None] = Counter()
    for _ in range(4_000):
        start = fragments(b"a", b"b")[0] if rng.random() < 0.2 else b""
        data = start + frame_with_random_header(rng)
        items = split(data, max_bytes=max_bytes)[bool(start) :]
        accepted, payloads = judge_with_wsproto(data)
        kind = items[0][0] if items and isinstance(items[0], tuple) else None
        seen[kind] += 1
        if kind in (Kind.BROKEN, Kind.BAD_TEXT):
            assert not accepted, data[:40]
        elif isinstance(items[0] if items else None, bytes):
            assert (accepted, payloads) == (True, items), data[:40]
        elif kind is Kind.CONTROL or data[0] in (0x02, 0x82):  # others may be bad UTF-8 or a bad Close
            assert accepted, data[:40]
    assert min(seen[None], seen[Kind.BROKEN], seen[Kind.BAD_TEXT], seen[Kind.CONTROL], seen[Kind.FRAGMENT]) > 50


# --- building frames


@pytest.mark.parametrize("length", LENGTHS)
def test_a_text_frame_is_read_by_a_client(length: int) -> None:
    payload = b"x" * length
    assert split_server_frames(text_frame(payload) * 2 + b"\x81") == ([(0x81, payload)] * 2, b"\x81")
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(text_frame(payload))
    assert "".join(event.data for event in client.events()) == payload.decode()


@STEADY
@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(0, 1_100))
def test_a_client_keeps_the_rest_of_a_frame_that_is_not_whole(payloads: list[bytes], cut: int) -> None:
    stream = b"".join(map(text_frame, payloads))
    first, rest = split_server_frames(stream[:cut])
    second, nothing = split_server_frames(rest + stream[cut:])
    assert [payload for _, payload in first + second] == payloads
    assert nothing == b""


@pytest.mark.parametrize("reason", ["", "bye", "x" * 123, "x" * 124, "x" * 122 + "é", "x" * 121 + "é", "🎲" * 40])
def test_the_reason_of_a_close_is_cut_at_a_characters_border(reason: str) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(close_frame(3008, reason))
    (event,) = client.events()
    assert isinstance(event, CloseConnection)
    assert event.code == 3008
    assert reason.startswith(event.reason or "")
    assert len((event.reason or "").encode()) > min(len(reason.encode()), 123) - 4


def test_a_reason_that_is_no_unicode_still_closes() -> None:
    assert split_server_frames(close_frame(1000, "a\ud800b")) == ([(0x88, b"\x03\xe8a?b")], b"")


@STEADY
@given(st.binary(max_size=125), st.sampled_from([PING, PONG]))
def test_a_control_frame_carries_its_payload(payload: bytes, opcode: int) -> None:
    assert split_server_frames(control_frame(opcode, payload)) == ([(0x80 | opcode, payload)], b"")
