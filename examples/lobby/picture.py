"""The picture of a room: all that our own page shows of it. Law: it only looks."""

from typing import TYPE_CHECKING, Any

import attrs

from simplysocket.games import Seat

from .messages import Stage

if TYPE_CHECKING:
    from .battle import BattleRoom


def picture_of(room: "BattleRoom") -> dict[str, Any]:
    """Return the body of `battle`. Times are in seconds, as they are at this moment."""
    turn = room.turn if room.stage is Stage.TURN else None
    step_left = None if room.step is None else room.step.seconds_left
    return {
        "stage": room.stage,
        "is_random": room.is_random,
        "host": None if room.owner is None else room.owner.id,
        "player_limit": len(room.all_seats),
        "game_duration": room.duration,
        "players": [_portrait(room, seat) for seat in room.taken_seats if seat.id in room.players],
        "watching": len(room.watchers),
        "letter": room.battle.letter,
        "turn": None if turn is None else turn.id,
        "seconds": room.step_seconds if turn is None else room.turn_seconds,
        "seconds_left": step_left if turn is None else room.seconds_left,
        "game_seconds_left": None if room.end_of_time is None else room.end_of_time.seconds_left,
        "attempts": room.battle.attempts,
        "board": room.board,
    }


def _portrait(room: "BattleRoom", seat: Seat) -> dict[str, Any]:
    player = attrs.asdict(room.players[str(seat.id)])
    return {**player, "is_away": seat.is_away, "is_bot": seat.is_bot}
