"""The clients of a load: frames made beforehand, connections opened and joined in waves.

Law: only as much of RFC 6455 as a well-behaved server needs to see. What a server answers is searched, and split into
frames at most.
"""

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

MESSAGE_BYTES = 100  # the JSON a client sends, exactly
LARGE_BYTES = 65_000  # the JSON of a large message; the product takes 65,536 by default
DELIVERY = b"~*#%#*~"  # once in every body; of bytes that stand nowhere else, which makes counting fast
REPLY = b'"reply"'  # the markers and the senders' tags have one length: see the laws of load.py
ERROR = b'"error"'
WELCOME = b'"welcome"'
WAVE = 64  # joins outstanding at a time: half of what a room's inbox takes
SETUP_SECONDS = 10.0  # for any one answer while connecting and joining
PLAIN = "simplysocket.json"  # the subprotocols of a client that gets a `welcome`
RESUMING = "simplysocket.json, simplysocket.resume"  # and of one that may come back


def room_name(number: int) -> str:
    """Return the name of a room; every name fits into a message of MESSAGE_BYTES."""
    return f"r{number}"


def text_frame(payload: bytes) -> bytes:
    """Return a client's text frame of at most 65,535 bytes; the mask key is zero, so the payload stays as it is."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size <= 125 else b"\xfe" + size.to_bytes(2, "big")  # RFC 6455 5.2
    return b"\x81" + length + bytes(4) + payload


def say_frame(action: str, room: str, tag: bytes, message_id: int | None, message_bytes: int) -> bytes:
    """Return the frame of one message of exactly so many bytes."""
    head = b'{"action":"%s","target":"%s","message_body":{"m":"%s%s' % (action.encode(), room.encode(), DELIVERY, tag)
    foot = b'"}}' if message_id is None else b'"},"id":%d}' % message_id
    return text_frame(head + b"." * (message_bytes - len(head) - len(foot)) + foot)


def join_frame(room: str) -> bytes:
    """Return the frame that joins `room`; its answer has the id 1."""
    message = {"action": "join-room", "target": room, "message_body": {"roomname": room}, "id": 1}
    return text_frame(json.dumps(message, separators=(",", ":")).encode())


def ping_frame(received: int, id: int | None = None) -> bytes:
    """Return the frame that acknowledges what was received; with an id it is answered by a reply."""
    message: dict[str, object] = {"action": "ping", "message_body": {"received": received}}
    return text_frame(json.dumps(message | ({} if id is None else {"id": id}), separators=(",", ":")).encode())


def action_frame(action: str, room: str, body: object = None) -> bytes:
    """Return the frame of an action of a room."""
    return text_frame(json.dumps({"action": action, "target": room, "message_body": body}).encode())


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Split what a server has sent; return the payloads, and the beginning of a frame that has not come in full."""
    payloads, at, end = [], 0, len(data)
    while end - at >= 2:  # RFC 6455 5.2
        head, size = 2, data[at + 1]
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(data[at + 2 : at + head])
        if end - at < head + size:
            break
        payloads.append(data[at + head : at + head + size])
        at += head + size
    return payloads, data[at:]


def is_let_in(answer: bytes, protocols: str) -> bool:
    """Tell whether the server has answered a handshake, and sent its `welcome` to a client that gets one."""
    return answer.startswith(b"HTTP/1.1 101 ") and (WELCOME if protocols else b"\r\n\r\n") in answer


def read_until(sock: socket.socket, done: Callable[[bytes], bool]) -> None:
    """Read while connecting; an error message or an end is the server's fault and stops the run."""
    data = b""
    while not done(data):
        more = sock.recv(65_536)
        data += more
        if not more or ERROR in data:
            raise SystemExit(f"the server refused a client: {data[-500:]!r}")


def handshake(port: int, protocols: str = "") -> bytes:
    """Return the request that opens a WebSocket on a port of 127.0.0.1."""
    offer = f"Sec-WebSocket-Protocol: {protocols}\r\n" if protocols else ""
    return (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    ).encode()


def connect(port: int, count: int, receive_bytes: int | None = None) -> Iterator[socket.socket]:
    """Connect clients in waves, without a subprotocol, and if given with a receive buffer of so many bytes."""
    request = handshake(port)
    for first in range(0, count, WAVE):
        socks = [socket.socket() for _ in range(min(WAVE, count - first))]
        for sock in socks:
            sock.settimeout(SETUP_SECONDS)
            if receive_bytes is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)  # the peer is told as it connects
            sock.connect(("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(request)
        for sock in socks:
            read_until(sock, lambda data: is_let_in(data, ""))
        yield from socks


def open_clients(
    port: int, rooms: Iterable[str | None], *, join_answer: bool, protocols: str = ""
) -> list[socket.socket]:
    """Connect one client for each room name, in waves, and let it join (None: stay outside)."""
    request = handshake(port, protocols)
    opened: list[socket.socket] = []
    upcoming = iter(rooms)
    while wave := list(islice(upcoming, WAVE)):
        socks = [socket.create_connection(("127.0.0.1", port), SETUP_SECONDS) for _ in wave]
        for sock in socks:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(request)
        for sock in socks:
            read_until(sock, lambda data: is_let_in(data, protocols))
            if protocols == RESUMING:
                sock.sendall(ping_frame(0))  # right after `welcome`
        joining = [(sock, room) for sock, room in zip(socks, wave, strict=True) if room is not None]
        for sock, room in joining:
            sock.sendall(join_frame(room))
        if join_answer:
            for sock, _ in joining:
                read_until(sock, lambda data: b'"id":1' in data[data.find(REPLY) :] and REPLY in data)
        elif joining:
            time.sleep(0.1)  # a server that does not answer joins: long enough for a wave
        opened += socks
    return opened
