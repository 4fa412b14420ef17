"""Seconds: the options of a room that are times, as its class or the room itself has set them."""

import logging
import math
import sys
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from .runtime import RoomRuntime

logger = logging.getLogger("simplysocket.room")


def is_seconds(value: object, *, may_be_endless: bool = False) -> TypeGuard[float]:
    """Tell whether a value is a time from now on; `may_be_endless`: infinity is one, too."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return 0 <= value <= sys.float_info.max or (may_be_endless and value == math.inf)  # an int may be beyond any float


def seconds_of(
    runtime: "RoomRuntime", option: str, usual: float | None, *, none_means: str, may_be_endless: bool = False
) -> float | None:
    """Return an option of a room that is a time, or None; `usual` if the room has set it to something else."""
    seconds: object = getattr(runtime.room, option)
    if seconds is None or is_seconds(seconds, may_be_endless=may_be_endless):
        return seconds
    logger.error(
        "room %.200r has set %s to %.200r, so %s counts: give seconds, or None for %s",
        runtime.name,
        option,
        seconds,
        usual,
        none_means,
    )
    return usual
