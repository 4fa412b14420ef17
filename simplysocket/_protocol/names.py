"""Names in the protocol: the reserved actions, and the rules for names of rooms and clients.

Law: plain functions over text.
"""

import unicodedata
from typing import Final

SUBPROTOCOL: Final = "simplysocket.json"  # the server sends `welcome` to a client that offers it

ACTION_LENGTH: Final = 64  # characters at most, of an action as of an id

# Reserved for the protocol. From a client they have only their protocol meaning, and they are never relayed.
RESERVED_ACTIONS: Final = frozenset(
    {
        "reply",
        "error",
        "cancel",
        "part",
        "credit",
        "welcome",
        "resume",
        "ping",
        "room-closed",
        "client-joined-room",
        "client-left-room",
        "members-changed",
    }
)


def check_said(action: object) -> None:
    """Refuse an action that the application must not send: one that is reserved, or not a string."""
    if not isinstance(action, str) or action in RESERVED_ACTIONS:
        raise ValueError(f"{action!r} cannot be said: an action is a string, and not one reserved for the protocol")


_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # Unicode categories: controls, surrogates, line ends
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # change the direction of text


def is_room_name(name: str, longest: int | None) -> bool:
    """Tell whether `name` may name a room: 1 to `longest` characters (None: any number), no control characters."""
    if not name or (longest is not None and len(name) > longest):
        return False
    return (name.isascii() and name.isprintable()) or not any(map(_is_control, name))


def clean_name(name: str, longest: int | None) -> str:
    """Return a client's name fit to be shown: one line without control characters, cut to `longest` characters."""
    line = " ".join(name.split())
    if line.isascii() and line.isprintable():
        return line[:longest].strip()
    return "".join(each for each in line if not _is_control(each) and each not in _BIDI)[:longest].strip()


def is_writable(text: str) -> bool:
    """Tell whether a text can be written as JSON: one with a lone surrogate has no UTF-8."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS
