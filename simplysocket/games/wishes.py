"""Wishes: what a join, or `take-seat`, asks for: a certain seat, a role, or only to watch.

Law: a wrong wish is refused with `bad-body` and the path of what is wrong.
"""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from ..errors import BadBody
from .seat import Seat

KEY_LENGTH: Final = 100  # characters of a key that a client sends: those that the room gives have 22
_TEXT: Final = 80  # characters of a wrong value that an answer quotes


@attrs.frozen
class Wish:
    """What a client asks for. Who asks for a certain seat, or to be a player, will not watch instead."""

    watches: bool = False
    must_sit: bool = False
    seat: int | None = None
    role: str | None = None
    key: str | None = None


def read_wish(options: Mapping[str, Any], seats: tuple[Seat, ...]) -> Wish:
    """Read `as`, `seat`, `role` and `key` from the options of a join; all others are the application's."""
    part, key = options.get("as"), options.get("key")
    if part not in (None, "player", "spectator"):
        raise BadBody(f"there is no part {_quoted(part)}: a client is a 'player' or a 'spectator'", path="$.as")
    if key is not None and not (isinstance(key, str) and len(key) <= KEY_LENGTH):
        raise BadBody("the key of a seat is the text that came with `seated`", path="$.key")
    seat, role = read_seat(options.get("seat"), options.get("role"), seats)
    asks = seat is not None or role is not None
    if part == "spectator" and asks:
        raise BadBody("a spectator has no seat: ask for one or the other", path="$.as")
    return Wish(part == "spectator", part == "player" or asks, seat, role, key)


def read_seat(seat: object, role: object, seats: tuple[Seat, ...]) -> tuple[int | None, str | None]:
    """Check the number and the role of a seat that is asked for."""
    if seat is not None and not (type(seat) is int and 0 <= seat < len(seats)):
        raise BadBody(f"there is no seat {_quoted(seat)}: they have the numbers 0 to {len(seats) - 1}", path="$.seat")
    roles = [each.role for each in seats if each.role is not None]
    if role is not None and role not in roles:
        there_are = f"there are {', '.join(roles)}" if roles else "this game has none"
        raise BadBody(f"there is no role {_quoted(role)}: {there_are}", path="$.role")
    assert seat is None or isinstance(seat, int)
    assert role is None or isinstance(role, str)
    return seat, role


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}..."
