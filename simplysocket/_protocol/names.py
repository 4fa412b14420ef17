"""Names that mean something on the wire: reserved actions, room names, client names.

Law: plain functions over text.
"""

import unicodedata
from typing import Final

SUBPROTOCOL: Final = "simplysocket.json"  # a client that offers it is greeted with `welcome`

ACTION_LENGTH: Final = 64  # characters, as for an id

# Reserved for the protocol: from a client they count only in their protocol meaning and are never relayed.
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
    }
)


def check_said(action: object) -> None:
    """Refuse what no client would take for a message of the application's."""
    if not isinstance(action, str) or action in RESERVED_ACTIONS:
        raise ValueError(f"{action!r} cannot be said: an action is a string, and not one reserved for the protocol")


_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # Unicode categories: controls, surrogates, line ends
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn their surroundings


def is_room_name(name: str, longest: int | None) -> bool:
    """Tell whether `name` may name a room: 1 to `longest` characters, none of them a control character."""
    if not name or (longest is not None and len(name) > longest):
        return False
    return (name.isascii() and name.isprintable()) or not any(map(_is_control, name))


def clean_name(name: str, longest: int | None) -> str:
    """Make what a client calls itself fit to be shown: one line without control characters, cut to `longest`."""
    line = " ".join(name.split())
    return "".join(each for each in line if not _is_control(each) and each not in _BIDI)[:longest].strip()


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS
