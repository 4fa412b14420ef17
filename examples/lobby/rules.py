"""The rules of the word battle: which words count, the letter, the scores, and who has won.

Laws:
- A machine: no I/O and no clock. Whose turn it is, and when the time is up, is known by who uses it.
- The words of a game are all different, and each begins with the last letter of the one before.
"""

import enum
from collections.abc import Container, Iterable
from typing import Final

import attrs

FIRST_LETTER: Final = "w"  # of the first game in a room; the next ones go on with the letter that is due
LONGEST: Final = 45  # characters of an attempt: no word of the dictionary has more


class Verdict(enum.StrEnum):
    """What became of a turn."""

    GOOD = "good"
    WRONG_LETTER = "wrong-letter"
    USED = "used"  # in this game, by anyone
    NO_WORD = "no-word"
    TOO_LATE = "too-late"


@attrs.define
class Player:
    """Somebody who plays, as the wire shows it."""

    color: str
    name: str
    score: int
    slug: str  # the id


@attrs.frozen
class Attempt:
    """A turn that is over: who had it, the word in lower case, and what became of it."""

    slug: str
    word: str
    verdict: Verdict


class Battle:
    """One game."""

    def __init__(self, players: Iterable[Player], dictionary: Container[str], letter: str = FIRST_LETTER) -> None:
        """The scores of the players start at 0, and the first word begins with `letter`."""
        self.players: dict[str, Player] = {player.slug: player for player in players}
        for player in self.players.values():
            player.score = 0
        self.letter = letter
        self.attempts: list[Attempt] = []
        self.words: list[str] = []  # the good ones, oldest first
        self._dictionary = dictionary

    def attempt(self, slug: str, text: str) -> Verdict:
        """Judge the word of a player. A good one scores a point, and gives the next letter."""
        word = text.strip().lower()
        verdict = self.judge(word)
        if verdict is Verdict.GOOD:
            self.players[slug].score += 1
            self.words.append(word)
            self.letter = word[-1]
        self.attempts.append(Attempt(slug, word, verdict))
        return verdict

    def miss(self, slug: str) -> None:
        """Note that the time of a player's turn was over."""
        self.attempts.append(Attempt(slug, "", Verdict.TOO_LATE))

    def judge(self, word: str) -> Verdict:
        """Say what would become of a word, given in lower case."""
        if not word.startswith(self.letter):
            return Verdict.WRONG_LETTER
        if word in self.words:
            return Verdict.USED
        return Verdict.GOOD if word in self._dictionary else Verdict.NO_WORD

    def leave(self, slug: str) -> None:
        """Take a player out, with its points; its words stay used."""
        self.players.pop(slug, None)

    def board(self) -> list[Player]:
        """Return the players, the one with the most points first."""
        return sorted(self.players.values(), key=lambda player: -player.score)
