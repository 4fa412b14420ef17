"""Codes of private rooms: short, to be read aloud and typed on a phone.

Laws:
- A code is one of 2^32 or so, and dies with its room. It follows from the room's name, which is a random one of 2^99:
  a room that its members make again, after a restart of the server, has the code that they have told their friends.
- Case, spaces and hyphens in what somebody types mean nothing; 0 and 1 are the letters that they look like.

Knows nothing of rooms but their names.
"""

import hashlib
import math
from typing import Final

# No two of these sound or look much alike, and none is spoken differently in the languages of many players: so no
# e beside i, no c, g, h, j, q, v, w, x, y, z. Six syllables of 40 are 32 bits.
_CONSONANTS: Final = "bdklmnprst"
_VOWELS: Final = "aiou"
_GROUPS: Final = 3
_SYLLABLES: Final = 2  # in a group
_UNWANTED: Final = frozenset({"kaka", "kaki", "kaku", "pipi", "popo", "popu", "puta", "putu", "puto", "pito", "titi"})
_MOST_TYPED: Final = 64  # characters that are looked at
_SEPARATORS: Final = "- _.\t\u00a0\u2010\u2011\u2013\u2014"  # hyphens and dashes that phones write are among them
_LIKE_CONSONANTS: Final = {"1": "l"}
_LIKE_VOWELS: Final = {"0": "o", "1": "i", "l": "i"}

BITS: Final = _GROUPS * _SYLLABLES * math.log2(len(_CONSONANTS) * len(_VOWELS))


def make_code(name: str, number: int = 0) -> str:
    """Return the code of a room, such as "balo-mitu-dora"; with another number another one, if that is taken."""
    left = int.from_bytes(hashlib.blake2b(f"{number} {name}".encode()).digest())
    groups: list[str] = []
    while len(groups) < _GROUPS:
        group = ""
        for _ in range(_SYLLABLES):
            left, consonant = divmod(left, len(_CONSONANTS))
            left, vowel = divmod(left, len(_VOWELS))
            group += _CONSONANTS[consonant] + _VOWELS[vowel]
        if group not in _UNWANTED:
            groups.append(group)
    return "-".join(groups)


def read_code(typed: str) -> str:
    """Return the code that somebody has typed as `make_code` writes it; "" for a text that cannot be one."""
    if len(typed) > _MOST_TYPED:
        return ""
    letters = "".join(each for each in typed.lower() if each not in _SEPARATORS)
    size = 2 * _SYLLABLES
    if len(letters) != _GROUPS * size:
        return ""
    read = []
    for at, each in enumerate(letters):
        alphabet, alike = (_VOWELS, _LIKE_VOWELS) if at % 2 else (_CONSONANTS, _LIKE_CONSONANTS)
        letter = alike.get(each, each)
        if letter not in alphabet:
            return ""
        read.append(letter)
    return "-".join("".join(read[at : at + size]) for at in range(0, len(read), size))


class Codes:
    """The codes of the private rooms of one server."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # {code: the name of its room}
        self._codes: dict[str, str] = {}  # {name of a private room: its code}

    def __contains__(self, name: str) -> bool:
        """Tell whether the room of this name is a private one."""
        return name in self._codes

    def add(self, name: str) -> str:
        """Give a room a code, and return it."""
        number = 0
        while (code := make_code(name, number)) in self._names:
            number += 1
        self._names[code] = name
        self._codes[name] = code
        return code

    def remove(self, name: str) -> None:
        """Forget the code of a room that is gone, if it has one."""
        code = self._codes.pop(name, None)
        if code is not None:
            del self._names[code]

    def code_of(self, name: str) -> str | None:
        """Return the code of a room; None if it has none."""
        return self._codes.get(name)

    def name_of(self, typed: str) -> str | None:
        """Return the name of the room whose code somebody has typed; None if there is none."""
        return self._names.get(read_code(typed))
