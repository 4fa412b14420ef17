"""A bot that plays the word battle. Law: it moves by what a player may do, too."""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simplysocket.games import Bot, Seat

from .messages import Stage
from .rules import Verdict

if TYPE_CHECKING:
    from .battle import BattleRoom

# Common words that offend nobody: the dictionary holds others, too.
WORDS: Final = Path(__file__).with_name("bot_words.txt").read_text("utf-8").split()
LEAST_SECONDS: Final = 2  # that it thinks
MOST_SECONDS: Final = 5


class WordBot(Bot):
    """A bot that knows a few words. When it finds none, its time runs out."""

    async def on_turn(self, game: "BattleRoom", seat: Seat) -> None:
        game.after(random.uniform(LEAST_SECONDS, MOST_SECONDS), self.move, game, seat)

    async def move(self, game: "BattleRoom", seat: Seat) -> None:
        """Say a word, if it is still the turn of this bot."""
        known = [word for word in WORDS if game.battle.judge(word) is Verdict.GOOD]
        if game.turn is seat and game.stage is Stage.TURN and known:
            await game.try_word(self.id, random.choice(known))
