"""Names in the protocol: the reserved actions, and the rules for names of rooms and clients.

Law: plain functions over text.
"""

import re
import unicodedata
from typing import Final

SUBPROTOCOL: Final = "simplysocket.json"  # the server sends `welcome` to a client that offers it

PING: Final = "ping"  # neither it nor its answer counts among the messages of a client that may come back

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
        "server-stopping",
    }
)


def check_said(action: object) -> None:
    """Refuse an action that the application must not send: one that is reserved, or not a string."""
    if not isinstance(action, str) or action in RESERVED_ACTIONS:
        raise ValueError(f"{action!r} cannot be said: an action is a string, and not one reserved for the protocol")


_TAGS: Final = "\U000e0020-\U000e007e"
# Characters that nobody sees, or that change the text around them. ZWJ (U+200D), ZWNJ (U+200C), variation selectors and
# the tags of a flag such as Scotland's, which is group 1, are needed in emoji and in Persian: inside a name they stay.
_HIDDEN: Final = re.compile(
    f"(\U0001f3f4[{_TAGS}]+\U000e007f)|["
    "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # controls, line ends, surrogates
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the direction of text
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    f"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e001f{_TAGS}\U000e007f-\U000e00ff\U000e01f0-\U000e0fff]+"
)  # Unicode's Default_Ignorable_Code_Point without what is named above, and a few of the category Cf
_BLANK: Final = "\u2800\U0001d159"  # no white space to Python, and nothing to see: in Braille and in musical notation
_JOINERS: Final = "\u200c\u200d"
_REGIONS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # two of them are a flag
# The tags of a flag, skin colours, and the vowels and ends of a Korean syllable that is written in parts.
_EXTENDS: Final = frozenset(map(chr, (*range(0xE0020, 0xE0080), *range(0x1F3FB, 0x1F400), *range(0x1161, 0x1200))))
_CUT_LATER: Final = 4  # a name is cut to so many times its length, then cleaned, then cut to its length


def is_room_name(name: str, longest: int | None) -> bool:
    """Tell whether `name` may name a room: 1 to `longest` characters (None: any number), as `clean_name` leaves them.

    Something must be visible, and nothing hidden. Spaces may be anywhere.
    """
    if not name or (longest is not None and len(name) > longest):
        return False
    if name.isascii():
        return name.isprintable() and not name.isspace()
    return all(found[1] for found in _HIDDEN.finditer(name)) and any(map(_is_visible, name))


def clean_name(name: str, longest: int | None) -> str:
    """Return a name fit to be shown to others: one line, cut to `longest` characters; "" if nothing is visible.

    Characters that nobody sees or that change the direction of text are left out. What joins two characters stays
    between them. The cut is not inside a character that is made of several, such as an emoji or a letter with accents.
    """
    if longest is not None:
        name = name[: longest * _CUT_LATER]
    line = " ".join(name.split())
    if line.isascii() and line.isprintable():
        return line[:longest].strip()
    line = " ".join(
        _HIDDEN.sub(lambda found: found[1] or "", line.replace(_BLANK[0], " ").replace(_BLANK[1], " ")).split()
    )
    # A mark at the beginning would join what stands before the name.
    start = next((at for at, each in enumerate(line) if _is_visible(each)), len(line))
    return _cut(line[start:], longest).strip(" " + _JOINERS)


def _is_visible(character: str) -> bool:
    """Tell whether a character shows something by itself: it is no space, no format character and no combining mark."""
    category = unicodedata.category(character)
    return category[0] not in "ZM" and category != "Cf" and character not in _BLANK


def _cut(text: str, longest: int | None) -> str:
    """Cut a text before the character at `longest`, or before the one that this belongs to (UAX 29, simplified)."""
    if longest is None or len(text) <= longest:
        return text
    end = longest
    while end and _belongs_to_last(text, end):
        end -= 1
    return text[: end or longest]


def _belongs_to_last(text: str, at: int) -> bool:
    """Tell whether the character at this place is shown as one with that before it."""
    each, last = text[at], text[at - 1]
    if unicodedata.category(each)[0] == "M" or each in _JOINERS or last == "\u200d" or each in _EXTENDS:
        return True
    if each not in _REGIONS:
        return False
    before = at - len(text[:at].rstrip(_REGIONS))
    return before % 2 == 1  # the second half of a flag


def clean_sender(sender: object, longest: int | None) -> str:
    """Return the name that the application gives as a sender, fit to be shown; TypeError if it is no text."""
    if not isinstance(sender, str):
        raise TypeError(f"sender={sender!r:.200}: it is no name")
    return clean_name(sender, longest)
