"""Phases: whether a game waits for players, is played, or is over. Law: words only."""

import enum


class Phase(enum.StrEnum):
    """What a `GameRoom` is at. It is equal to its text: `self.phase == "playing"`."""

    WAITING = "waiting"
    PLAYING = "playing"
    OVER = "over"
