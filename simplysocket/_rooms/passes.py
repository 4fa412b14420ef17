"""The passes of a room: members are given the same frames, and a history keeps them for those that may come back.

Laws:
- A plain machine: it never waits.
- Who is not given a pass follows the room's history no more. The caller lets those break off that are given other
  frames; of a room that is served in slices, each slice has a history of its own.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .slices import Member

if TYPE_CHECKING:
    from .._wire.history import History


def break_off(member: Member) -> None:
    """Let a member follow no history: it is not given what the others are given next."""
    if member.line is not None:
        member.line.ring.break_off()


class Passes:
    """Gives frames to the members of one room."""

    __slots__ = ("_histories",)

    def __init__(self) -> None:
        self._histories: list[History] = []  # one for each slice; none while no member was one that may come back

    def joined(self, member: Member) -> None:
        """Keep the frames from now on if this member may come back."""
        if member.line is not None and not self._histories:
            self._histories.append(member.line.ring.new_history())

    def give(self, members: Iterable[Member], data: bytes, frames: list[bytes], slice: int | None = None) -> None:
        """Give members the same frames, which `data` holds joined: all members, or those of the slice of this number.

        The hot path of every broadcast: the same bytes for everyone, since a server's frames carry no mask.
        """
        if not self._histories:
            for member in members:
                member.deliver(data, frames)
            return
        history = self._histories[0] if slice is None else self._history_of(slice, members)
        history.begin(frames, len(data))
        try:
            for member in members:
                member.deliver(data, frames, 0, history)
        finally:
            history.done()

    def _history_of(self, slice: int, members: Iterable[Member]) -> "History":
        """Return the history of a slice, which only these members follow."""
        while len(self._histories) <= slice:
            self._histories.append(self._histories[0].successor())
        history = self._histories[slice]
        history.keep_only({member.line.ring for member in members if member.line is not None})
        return history
