"""The tick: what rooms have said, let out one pass of the scheduler after the first of it.

Law: whoever speaks, all that comes together for a room in a pass goes out in one
piece; a very large room goes out in slices, between which everyone else has his turn.
"""

import trio

from .._wakeup import Wakeup
from .runtime import RoomRuntime


class Flusher:
    """The rooms that have something to let out."""

    def __init__(self) -> None:
        self._spoken: list[RoomRuntime] = []
        self._wakeup = Wakeup()
        self.speaking: RoomRuntime | None = None  # whose turn runs in this very step: what it says goes out at its end

    def mark(self, runtime: RoomRuntime) -> None:
        """Let a room's frames out with the next tick."""
        if not self._spoken:
            self._wakeup.wake()
        self._spoken.append(runtime)

    async def run(self) -> None:
        """Let out what was said, for as long as the server runtimes."""
        while True:
            if self._spoken:
                await trio.lowlevel.checkpoint()
            else:
                await self._wakeup.wait()
            spoken, self._spoken = self._spoken, []
            for runtime in spoken:
                if runtime.flush():
                    self._spoken.append(runtime)


class TurnVoice:
    """The voice of a room's own turns: its worker lets out what the room said, so that no tick need be woken for it.

    One switch of tasks less of three in the echo column. What others say into the room, and
    what it says into other rooms, goes out with the tick, where all of a pass comes together.
    """

    __slots__ = ("_flusher", "_runtime")

    def __init__(self, flusher: Flusher, runtime: RoomRuntime) -> None:
        self._flusher = flusher
        self._runtime = runtime

    def begin(self) -> None:
        self._flusher.speaking = self._runtime

    def pause(self) -> None:
        self._flusher.speaking = None
        if self._runtime.fanout.is_pending:
            self._flusher.mark(self._runtime)

    def end(self) -> None:
        self._flusher.speaking = None
        if self._runtime.fanout.frames and self._runtime.flush():
            self._flusher.mark(self._runtime)
