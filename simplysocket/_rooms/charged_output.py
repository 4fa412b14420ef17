"""The charged output: a room's fan-out, as code sees it that a client has caused and that holds nothing back."""

from .fanout import Fanout


class ChargedOutput:
    """What is said in a step is charged to the pace of the room, and leaves at once."""

    __slots__ = ("_fanout",)

    is_heavy = False

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    @property
    def is_full(self) -> bool:
        return False

    @property
    def said(self) -> int:
        return self._fanout.said

    def charge(self, now: float) -> float:
        return self._fanout.charge(now)

    def hold(self) -> None:
        self._fanout.is_charged = True

    def pause(self) -> None:
        self._fanout.is_charged = False

    def release(self) -> None:
        self.pause()
