"""The tick: what rooms have said, let out one pass of the scheduler after the first of it.

Law: whoever speaks, all that comes together for a room in a pass goes out in one
piece; a very large room goes out in slices, between which everyone else has his turn.
"""

import trio

from .._wakeup import Wakeup
from .life import Life


class Tick:
    """The rooms that have something to let out."""

    def __init__(self) -> None:
        self._spoken: list[Life] = []
        self._wakeup = Wakeup()
        self.speaking: Life | None = None  # whose turn runs in this very step: what it says goes out at its end

    def mark(self, life: Life) -> None:
        """Let a room's frames out with the next tick."""
        if not self._spoken:
            self._wakeup.wake()
        self._spoken.append(life)

    async def run(self) -> None:
        """Let out what was said, for as long as the server lives."""
        while True:
            if self._spoken:
                await trio.lowlevel.checkpoint()
            else:
                await self._wakeup.wait()
            spoken, self._spoken = self._spoken, []
            for life in spoken:
                if life.flush():
                    self._spoken.append(life)


class TurnVoice:
    """The voice of a room's own turns: its worker lets out what the room said, so that no tick need be woken for it.

    One switch of tasks less of three in the echo column. What others say into the room, and
    what it says into other rooms, goes out with the tick, where all of a pass comes together.
    """

    __slots__ = ("_life", "_tick")

    def __init__(self, tick: Tick, life: Life) -> None:
        self._tick = tick
        self._life = life

    def begin(self) -> None:
        self._tick.speaking = self._life

    def pause(self) -> None:
        self._tick.speaking = None
        if self._life.fanout.is_pending:
            self._tick.mark(self._life)

    def end(self) -> None:
        self._tick.speaking = None
        if self._life.fanout.frames and self._life.flush():
            self._tick.mark(self._life)
