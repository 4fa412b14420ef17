"""WebSocket frames (RFC 6455, section 5): split received bytes, and build frames to send.

A plain frame is final, text or binary, masked, without reserved bits, with the shortest
form of its length, within the size limit, and not inside a fragmented message. Every other
frame is odd.

Laws:
- No I/O.
- A message comes out as its payload, whether it came as one plain frame or in fragments.
- A control frame comes out as it was received, for trio-websocket to check. Its size is checked
  before its payload is kept.
- A call looks at a bounded number of frames, and the next call goes on where it ended.
- Nothing comes out after a Close or a refused frame.
"""

import enum
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FINAL_BIT: Final = 0x80
MASK_BIT: Final = 0x80
CONTROL_BYTES: Final = 125  # RFC 6455, 5.5: the longest payload of a control frame

FRAMES_A_CALL: Final = 32  # that `Splitter.feed` looks at: 20 us for the smallest, while all of a read are up to 16 ms

_LONGEST: Final = 2**63 - 1  # RFC 6455, 5.2: the highest bit of a length is 0
_DATA: Final = (CONTINUATION, TEXT, BINARY)
_CONTROLS: Final = (CLOSE, PING, PONG)


class Kind(enum.Enum):
    """The kinds of what comes out that is no message."""

    CONTROL = "control"  # a whole ping or pong
    CLOSE = "close"  # a whole Close; nothing comes out after it
    FRAGMENT = "fragment"  # a fragment was kept; the last one of a message comes out as the whole message
    BROKEN = "broken"  # a header that violates the RFC; nothing comes out after it
    TOO_BIG = "too big"  # a message over a limit; nothing comes out after it
    BAD_TEXT = "bad text"  # a text that is not UTF-8; nothing comes out after it


class Odd:
    """An odd frame, or the sign that there was one.

    `data` is a control frame or a Close as received. If the frame is broken, it is the header alone;
    if it is too big, a text that says so; otherwise it is empty.
    """

    __slots__ = ("data", "kind")

    def __init__(self, kind: Kind, data: bytes = b"") -> None:
        self.kind = kind
        self.data = data

    def __repr__(self) -> str:
        return f"Odd({self.kind}, {self.data[:32]!r})"


_FRAGMENT: Final = Odd(Kind.FRAGMENT)  # the same for all


def unmask(payload: bytes, key: bytes) -> bytes:
    """Mask or unmask `payload` with the masking `key` of 4 bytes (RFC 6455, 5.3)."""
    # One XOR of two long integers is the fastest way in pure Python: 0.4 us for 100 bytes.
    size = len(payload)
    mask = int.from_bytes((key * ((size + 3) >> 2))[:size], "little")
    return (int.from_bytes(payload, "little") ^ mask).to_bytes(size, "little")


class Splitter:
    """Splits the bytes of one client into the payloads of its messages and odd frames.

    `feed` returns them in order, each when it is complete. Memory: the bytes of one read, one
    frame that is not complete, and the fragments of one message, together within the size limit.
    """

    __slots__ = (
        "_at",
        "_fragments",
        "_is_text",
        "_kept",
        "_max_bytes",
        "_max_fragments",
        "_message",
        "_need",
        "_rest",
        "is_done",
    )

    def __init__(self, max_bytes: int | None, max_fragments: int | None) -> None:
        self._max_bytes = _LONGEST if max_bytes is None else max_bytes
        self._max_fragments = max_fragments
        self._kept: bytearray | None = None  # the beginning of an incomplete frame; None if nothing is left over
        self._need = 0  # how many bytes to wait for: those of the frame, or of its header first
        self._rest = b""  # the bytes of the last call, if it has not looked at all of them
        self._at = 0  # where to go on in these
        self._fragments = 0  # received so far of a fragmented message; 0 outside of one
        self._message = bytearray()  # their payloads
        self._is_text = False  # what they belong to is a text
        self.is_done = False  # nothing comes out after this

    @property
    def has_rest(self) -> bool:
        """Whether the last call has left bytes to look at: `feed(b"")` goes on with them."""
        return self._rest != b""

    def feed(self, data: bytes) -> list[bytes | Odd]:
        """Take received bytes; return the messages (bytes) and the odd frames that are now complete.

        At most FRAMES_A_CALL frames are looked at; `has_rest` tells whether there are more.
        """
        if self.is_done:
            return []
        at = 0
        if self._kept is not None:
            if self._rest:
                data, at = self._rest + data if data else self._rest, self._at
                self._rest = b""
            else:
                self._kept += data  # in place: a frame that comes byte by byte is not copied for each byte
                if len(self._kept) < self._need:
                    return []
                data = bytes(self._kept)
            self._kept = None
        out: list[bytes | Odd] = []
        end = len(data)
        limit = self._max_bytes
        # The hot loop: written flat, with the plain frame first.
        while end - at >= 2:
            first, second = data[at], data[at + 1]
            size = second & 127
            start = at + 6
            if size >= 126:
                if size == 126:
                    start = at + 8
                    if end - at < 4:
                        self._need = 4
                        break
                    size = int.from_bytes(data[at + 2 : at + 4], "big")
                    shortest = size > 125
                else:
                    start = at + 14
                    if end - at < 10:
                        self._need = 10
                        break
                    size = int.from_bytes(data[at + 2 : at + 10], "big")
                    shortest = size > 65_535
            else:
                shortest = True
            stop = start + size
            if (
                (first == 0x81 or first == 0x82)
                and second >= 128
                and shortest
                and not self._fragments
                and size <= limit
            ):
                if stop > end:
                    self._need = stop - at
                    break
                mask = int.from_bytes((data[start - 4 : start] * ((size + 3) >> 2))[:size], "little")  # as in unmask
                payload = (int.from_bytes(data[start:stop], "little") ^ mask).to_bytes(size, "little")
                if first == 0x81 and not payload.isascii() and not _is_utf8(payload):
                    out.append(Odd(Kind.BAD_TEXT))
                    self.is_done = True
                    return out
                out.append(payload)
            else:
                refusal = self._judge(first, second, size, shortest)
                if refusal is not None:
                    refusal.data = refusal.data or data[at : min(start, end)]
                    out.append(refusal)
                    self.is_done = True
                    return out
                if stop > end:
                    self._need = stop - at
                    break
                if first & 0x08:
                    out.append(Odd(Kind.CLOSE if first & 0x0F == CLOSE else Kind.CONTROL, data[at:stop]))
                    if first & 0x0F == CLOSE:
                        self.is_done = True
                        return out
                else:
                    out.append(self._join(first, unmask(data[start:stop], data[start - 4 : start])))
                    if self.is_done:
                        return out
            at = stop
            if at == end:
                return out
            if len(out) >= FRAMES_A_CALL:
                self._rest, self._at, self._kept = data, at, bytearray()
                return out
        else:
            self._need = 2
        self._kept = bytearray(data[at:] if at else data)
        return out

    def drop(self) -> None:
        """Let nothing come out any more, and free what is kept."""
        self.is_done = True
        self._kept, self._rest, self._message = None, b"", bytearray()

    def _judge(self, first: int, second: int, size: int, shortest: bool) -> Odd | None:
        """Judge an odd frame by its header, before its payload has come; return None, or why it is refused."""
        opcode, final = first & 0x0F, first >= FINAL_BIT
        if first & 0x70 or second < MASK_BIT or not shortest or size >> 63:
            return Odd(Kind.BROKEN)
        if opcode in _CONTROLS:
            return None if final and size <= CONTROL_BYTES else Odd(Kind.BROKEN)
        if opcode not in _DATA or (opcode == CONTINUATION) != bool(self._fragments):
            return Odd(Kind.BROKEN)
        if len(self._message) + size > self._max_bytes:
            return Odd(Kind.TOO_BIG, b"a message may have %d bytes" % self._max_bytes)
        if self._max_fragments is not None and self._fragments >= self._max_fragments:
            return Odd(Kind.TOO_BIG, b"a message may have %d fragments" % self._max_fragments)
        return None

    def _join(self, first: int, payload: bytes) -> bytes | Odd:
        """Keep the payload of a fragment and return the sign of it; after the last one, return the message."""
        if not self._fragments:
            self._is_text = first & 0x0F == TEXT
        self._message += payload
        if first < FINAL_BIT:
            self._fragments += 1
            return _FRAGMENT
        message = bytes(self._message)
        self._fragments, self._message = 0, bytearray()
        if self._is_text and not message.isascii() and not _is_utf8(message):
            self.is_done = True
            return Odd(Kind.BAD_TEXT)
        return message


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_frame(payload: bytes) -> bytes:
    """Return a server's text frame. It is not masked, so the same bytes serve every member of a room."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65_536:
        return (0x81_7E_0000 | size).to_bytes(4, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """Return a server's ping, pong or Close; `payload` has at most 125 bytes."""
    return bytes((FINAL_BIT | opcode, len(payload))) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a server's Close; the reason is cut to 123 bytes, at the end of a character."""
    text = reason.encode(errors="replace")[: CONTROL_BYTES - 2].decode(errors="ignore").encode()
    return control_frame(CLOSE, code.to_bytes(2, "big") + text)


def client_frame(payload: bytes, *, opcode: int = TEXT, key: bytes = b"\0\0\0\0", final: bool = True) -> bytes:
    """Return a client's frame, masked with `key` (4 bytes)."""
    size = len(payload)
    if size < 126:
        length = bytes((MASK_BIT | size,))
    elif size < 65_536:
        length = bytes((MASK_BIT | 126,)) + size.to_bytes(2, "big")
    else:
        length = bytes((MASK_BIT | 127,)) + size.to_bytes(8, "big")
    return bytes(((FINAL_BIT if final else 0) | opcode,)) + length + key + unmask(payload, key)


def split_server_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Split a server's bytes, as a client does: return complete frames as (first byte, payload), and the rest."""
    out: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while end - at >= 2:
        size, start = data[at + 1] & 127, at + 2
        if size == 126:
            size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if start > end or start + size > end:
            break
        out.append((data[at], data[start : start + size]))
        at = start + size
    return out, data[at:]
