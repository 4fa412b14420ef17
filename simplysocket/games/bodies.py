"""The bodies of the actions that every game has. Law: words only."""

import attrs


@attrs.frozen
class TakeSeat:
    """Which seat: its number, or its role, or neither for any that is free."""

    seat: int | None = None
    role: str | None = None


@attrs.frozen
class Ready:
    """Whether the player is ready."""

    ready: bool = True


@attrs.frozen
class Rematch:
    """Whether the player wants to play again."""

    agree: bool = True
