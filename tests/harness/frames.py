"""What a hand-written client puts on the wire: request heads, frames and messages as bytes.

Law: of the package, only `client_frame` is used here.
"""

import base64
import json

from simplysocket._protocol.frames import client_frame

KEY = "c2ltcGx5c29ja2V0IHRlcw=="
MASK = b"\x12\x34\x56\x78"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL = 0x80
NO_CODE = 1005  # what a side notes when a Close had no code
NO_CLOSE = 1006  # what a side notes when the stream ended without a Close


def head(line: str = "GET /ws HTTP/1.1", *more: str, **changes: str | None) -> bytes:
    """Return a WebSocket request head; `changes` replace its headers (None drops one), `more` are further lines."""
    headers: dict[str, str | None] = {
        "host": "127.0.0.1",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [line, *(f"{name}: {value}" for name, value in headers.items() if value is not None), *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(payload: bytes | str = b"", opcode: int = TEXT, *, final: bool = True) -> bytes:
    """Return a masked frame."""
    data = payload.encode() if isinstance(payload, str) else payload
    return client_frame(data, opcode=opcode, key=MASK, final=final)


def message(action: str, body: object = None, **keys: object) -> bytes:
    """Return one message as a frame."""
    return frame(json.dumps({"action": action, "message_body": body, **keys}))


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Return a client's Close."""
    return frame(b"" if code is None else code.to_bytes(2, "big") + reason, CLOSE)


def token_subprotocol(token: str) -> str:
    """Return the subprotocol that carries a token (docs/protocol.md)."""
    return "simplysocket.token." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


HELLO = message("echo", "hello", id=7)
"""A request that `make_attacked` answers with its body."""
