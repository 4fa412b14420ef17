"""Changes: tells those in the lobby which rooms have come, changed and gone.

Laws:
- The changes of one pass of the scheduler are told together. A room that changes again before that is told once.
- A message names at most `MOST` rooms. How often one goes out depends on how many read them and on its size, so that
  the list takes about a tenth of a core, and `_BYTES_PER_SECOND` of each client's line, however many rooms change.
- After all messages a client knows each room as it is.
"""

import logging
from itertools import islice
from typing import TYPE_CHECKING, Final

import trio

from ..._protocol import codec
from ..._wakeup import Wakeup
from ...errors import EncodeError

if TYPE_CHECKING:
    from ..._rooms.hub import Hub
    from .listings import Listings
    from .records import Record

logger = logging.getLogger("simplysocket.room")

MOST: Final = 100  # rooms in one message: about 0.2 ms of work
_FORGOTTEN: Final = 1_000  # rooms that are looked at in one step while nobody is there to be told
_SECONDS_PER_MEMBER: Final = 0.0001  # until the next message: ten times what one costs to send
_BYTES_PER_SECOND: Final = 262_144


class Changes:
    """What the members of the lobby have not been told yet."""

    def __init__(self, hub: "Hub", room_name: str, records: "dict[str, Record]", listings: "Listings") -> None:
        """`records` is {name: room}, and changes as the rooms do."""
        self._hub = hub
        self._room_name = room_name
        self._records = records
        self._listings = listings
        self._changed: dict[str, None] = {}  # names; a dict as an ordered set
        self._told: set[str] = set()  # the names of the rooms that the members know of
        self._wakeup = Wakeup()

    def note(self, name: str) -> None:
        """Tell the members how a room is now, or that it is gone, in a later pass."""
        self._changed[name] = None
        self._wakeup.wake()

    async def run(self) -> None:
        """Tell the members of the changes, for as long as the server runs."""
        next_at = trio.current_time()
        while True:
            if not self._changed:
                await self._wakeup.wait()
                continue
            await trio.sleep_until(next_at)
            next_at = trio.current_time() + self._tell_some()
            if self._changed and self._hub.budget.is_spent():
                await self._hub.budget.turn()

    def _tell_some(self) -> float:
        """Tell the members of some changes; return after how many seconds more may be told."""
        runtime = self._hub.runtimes.get(self._room_name)
        members = 0 if runtime is None or not runtime.is_open else len(runtime.members)
        names = list(islice(self._changed, MOST if members else _FORGOTTEN))
        added: list[codec.Raw] = []
        changed: list[codec.Raw] = []
        removed: list[str] = []
        for name in names:
            del self._changed[name]
            record = self._records.get(name)
            if record is not None and record.is_listed:
                if members:
                    (changed if name in self._told else added).append(record.entry())
                self._told.add(name)
            elif name in self._told:
                self._told.remove(name)
                removed.append(name)
        if runtime is None or not members or not (added or changed or removed):
            return 0.0
        body = codec.encode_body(
            {"added": added, "changed": changed, "removed": removed, "total": len(self._listings)},
            may_hold_floats=False,
        )
        try:
            runtime.outgoing.broadcast("rooms-changed", body)
        except EncodeError:  # an outbound hook has changed the body in place
            logger.exception("a change of the rooms cannot be told")
        return max(members * _SECONDS_PER_MEMBER, memoryview(body).nbytes / _BYTES_PER_SECOND)
