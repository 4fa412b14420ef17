"""A server of the product that sends each message back as it came: python -m tests.conformance.echo_server [CERT].

Everything below the messages is the product's: TLS, the request head, the handshake, frames, fragments, pings and the
Close. Its messages are JSON, the suite's are not, so that two parts are replaced here: what takes a
message, and the splitter, which here also notes whether a message is text or binary.

The first line on stdout is the port. With CERT, a PEM file with certificate and key, it speaks TLS.
"""

import ssl
import sys
from collections import deque
from functools import partial

import trio

from simplysocket import Limits, Server
from simplysocket._dispatch.inbound import Inbound
from simplysocket._protocol import frames
from simplysocket._sessions.session import Session
from simplysocket._wire import reader

LIFETIME_SECONDS = 900.0  # longer than any run: a server that was left over ends by itself
MESSAGE_BYTES = 16 * 2**20  # of the largest message of the suite

# All of the suite's speed; what a limit refuses is no matter of the protocol.
limits = Limits(
    message_bytes=MESSAGE_BYTES,
    fragments=None,
    messages_per_second=None,
    bytes_per_second=None,
    controls_per_second=None,
    fragments_per_second=None,
    protocol_errors=None,
    outbox_frames=None,
    outbox_bytes=None,
    outboxes_bytes=None,
    http_requests_per_second=None,
    connects_per_second=None,
)
server = Server("conformance", limits=limits)

opcodes: deque[int] = deque()  # of the messages that were split and not taken; the suite opens one connection at a time


class NotingSplitter(frames.Splitter):
    """Notes the opcode of each message that comes out."""

    __slots__ = ("_header", "_skip")

    def __init__(self, max_bytes: int | None, max_fragments: int | None) -> None:
        super().__init__(max_bytes, max_fragments)
        self._header = b""  # the beginning of a header that is not complete
        self._skip = 0  # bytes of payload that follow
        opcodes.clear()

    def feed(self, data: bytes) -> list[bytes | frames.Odd]:
        """Split as the product does; read the headers once more, for their opcodes."""
        rest = self._header + data
        while rest:
            if self._skip:
                rest, self._skip = rest[self._skip :], max(0, self._skip - len(rest))
                continue
            size = header_bytes(rest)
            if len(rest) < size:
                break
            if rest[0] & 0x0F in (frames.TEXT, frames.BINARY):
                opcodes.append(rest[0] & 0x0F)
            length = rest[1] & 0x7F
            self._skip = length if length < 126 else int.from_bytes(rest[2 : size - 4], "big")
            rest = rest[size:]
        self._header = rest
        return super().feed(data)


def header_bytes(frame: bytes) -> int:
    """Return the size of a client's frame header, with the mask (RFC 6455 5.2)."""
    length = frame[1] & 0x7F if len(frame) > 1 else 0
    return 6 + (8 if length == 127 else 2 if length == 126 else 0)


def send_back(_: Inbound, session: Session, payload: bytes, now: float) -> None:
    """Send a message back with its own opcode."""
    size = len(payload)
    length = (
        bytes((size,))
        if size < 126
        else b"\x7e" + size.to_bytes(2, "big")
        if size < 2**16
        else b"\x7f" + size.to_bytes(8, "big")
    )
    frame = bytes((frames.FINAL_BIT | opcodes.popleft(),)) + length + payload
    session.deliver(frame, (frame,))


async def run(certificate: str | None) -> None:
    """Listen on a free port of 127.0.0.1, print it, and serve until the process is ended."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    with trio.move_on_after(LIFETIME_SECONDS):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, "127.0.0.1", 0, ssl_context=context))
            print(server.port, flush=True)


if __name__ == "__main__":
    Inbound.receive = send_back  # type: ignore[method-assign]
    reader.Splitter = NotingSplitter  # type: ignore[misc]
    trio.run(run, sys.argv[1] if len(sys.argv) > 1 else None)
