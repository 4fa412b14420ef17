"""The dictionary of the word battle. Law: it is read when this module is imported, and only looked up from then on."""

import gzip
import json
from importlib import resources
from typing import Final

SHORTEST: Final = 2  # letters: "a" would answer itself for ever, but "we" and "ox" are words


def read_dictionary() -> frozenset[str]:
    """Read about 128,000 English words of a to z, in lower case, in about 0.3 s.

    They are those of the package pyspellchecker. Its file is read here, since SpellChecker() also prepares to find
    mistakes, and takes twice as long. Left out are words with other letters or marks ("don't", "naïve"): a player must
    be able to type the letter that a word ends with.
    """
    packed = resources.files("spellchecker").joinpath("resources/en.json.gz").read_bytes()
    counts: dict[str, int] = json.loads(gzip.decompress(packed))  # {word: how often it is used}
    return frozenset(word for word in counts if len(word) >= SHORTEST and word.isascii() and word.isalpha())


DICTIONARY: Final = read_dictionary()
