"""The words of the word battle: what clients send to a room, its stages, and what the lobby shows of it.

A body of another shape is refused with `bad-body`, and the game goes on.
"""

import enum
from typing import Annotated, Final

import attrs
from msgspec import Meta

from .rules import LONGEST

LIMITS: Final = range(2, 11)  # players
DURATIONS: Final = range(20, 181)  # seconds of a game
NAME_LENGTH: Final = 20
TEXT_LENGTH: Final = 500

Number = Annotated[str, Meta(max_length=3, pattern=r"\A[0-9]+\Z")]  # the pages send them as texts


@attrs.frozen
class Name:
    """The name of a player."""

    setname: Annotated[str, Meta(max_length=NAME_LENGTH, pattern=r"\S")]


@attrs.frozen
class Settings:
    """How long a game takes, and for how many it is."""

    game_duration: Number
    player_limit: Number


@attrs.frozen
class Text:
    """What somebody says."""

    message: Annotated[str, Meta(max_length=TEXT_LENGTH, pattern=r"\S")]


@attrs.frozen
class Word:
    """The word of a player whose turn it is."""

    message: Annotated[str, Meta(max_length=LONGEST, pattern=r"\S")]


@attrs.frozen
class Listing:
    """What the lobby shows of a room."""

    host: str
    phase: str
    players: int
    player_limit: int


class Stage(enum.StrEnum):
    """What a room is at."""

    WAITING = "waiting"
    OPENING = "opening"  # the bot greets
    TALK = "talk"  # before the first turn
    TURN = "turn"
    PAUSE = "pause"  # between two turns
    ENDING = "ending"
    OVER = "over"  # the board is shown
